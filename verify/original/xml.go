package original

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"trustcore/internal/xmldsig"
	"trustcore/verify/trace"
)

// errOther tells that the file does not hold the signature.
var errOther = errors.New("the file does not hold the signature")

// xml gives what each reference of SignedInfo names, but for properties of the signature itself.
func (e *extractor) xml() error {
	doc, err := xmldsig.Parse(e.file, xmldsig.Limits{Budget: e.budget})
	if err != nil {
		return err
	}
	for _, element := range doc.Signatures() {
		s, err := xmldsig.ReadSignature(element)
		if err == nil && bytes.Equal(s.Value, e.signature.Value) && len(s.Value) > 0 {
			return e.references(s)
		}
	}
	return errOther
}

// references pairs those of SignedInfo with what the verdict found of them.
func (e *extractor) references(s *xmldsig.Signature) error {
	found := slices.DeleteFunc(slices.Clone(e.signature.References), func(r trace.Reference) bool { return r.Type == "manifest-entry" })
	if len(found) != len(s.References) {
		return errOther
	}
	for i, r := range s.References {
		if !found[i].Found || !found[i].Intact || found[i].Type == "signed-properties" || found[i].Type == "counter-signature" {
			continue
		}
		if !r.SameDocument() {
			e.given(found[i].Name)
			continue
		}
		if err := e.within(r); err != nil {
			return err
		}
	}
	return nil
}

// within gives what a reference into the document yields: the content of an object as it was before it was put there, a
// manifest, of anything else the octets that were digested. Names are as DSS has them.
func (e *extractor) within(r *xmldsig.Reference) error {
	var octets bytes.Buffer
	out, err := r.WriteData(&octets, nil, xmldsig.Canonicalization{})
	if err != nil {
		return err
	}
	name, content, target := r.URI, octets.Bytes(), out.Target
	object, manifest := target.Is(xmldsig.NamespaceDSig, "Object"), target.Is(xmldsig.NamespaceDSig, "Manifest")
	if object || manifest {
		name = strings.TrimPrefix(name, "#")
	}
	switch whole := out.Nodes.Covers(target); {
	case whole && object:
		content, err = contentOf(target)
	case whole && manifest:
		content, err = target.Canonical(alone)
	}
	if err != nil {
		return err
	}
	return e.add(name, content)
}

// alone is the form of an element as a document of its own, without the namespaces around it that it does not use.
var alone = xmldsig.Canonicalization{Form: xmldsig.Exclusive}

// contentOf is what an object holds: its elements, else its text.
func contentOf(object xmldsig.Node) ([]byte, error) {
	var content []byte
	for n := range object.Elements() {
		octets, err := n.Canonical(alone)
		if err != nil {
			return nil, err
		}
		content = append(content, octets...)
	}
	if content == nil {
		return []byte(object.Text()), nil
	}
	return content, nil
}
