package xades

import (
	"errors"
	"fmt"

	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

const (
	typeManifest            = xmldsig.NamespaceDSig + "Manifest"
	typeObject              = xmldsig.NamespaceDSig + "Object"
	typeSignatureProperties = xmldsig.NamespaceDSig + "SignatureProperties"
	typeCountersigned       = "http://uri.etsi.org/01903#CountersignedSignature"
)

// typesSignedProperties are the reference types of the XAdES versions.
var typesSignedProperties = map[string]bool{
	"http://uri.etsi.org/01903#SignedProperties":        true,
	"http://uri.etsi.org/01903/v1.1.1#SignedProperties": true,
	"http://uri.etsi.org/01903/v1.2.2#SignedProperties": true,
	"http://uri.etsi.org/01903/v1.3.2#SignedProperties": true,
}

var errTooMuch = fmt.Errorf("the references of the document cover too much: %w of %d bytes and twice the document", xmldsig.ErrTooLarge, maxDigested)

// checkReferences digests what every ds:Reference names, and the entries of manifests.
func (s *signed) checkReferences() {
	s.covers = make([]xmldsig.Outcome, len(s.xml.References))
	for i, r := range s.xml.References {
		out := s.check(r, referenceType(r))
		s.covers[i] = out
		if r.Type == typeManifest && out.Target.Is(xmldsig.NamespaceDSig, "Manifest") && out.Nodes.Covers(out.Target) {
			s.checkManifest(out.Target)
		}
	}
}

func referenceType(r *xmldsig.Reference) string {
	switch {
	case typesSignedProperties[r.Type]:
		return "signed-properties"
	case r.Type == typeManifest:
		return "manifest"
	case r.Type == typeObject:
		return "object"
	case r.Type == typeCountersigned:
		return "counter-signature"
	}
	return "data"
}

// checkManifest digests the entries of a ds:Manifest that the signature covers.
func (s *signed) checkManifest(m xmldsig.Node) {
	entries, err := xmldsig.ReadManifest(m, s.xml.Element)
	if err != nil {
		s.structure("%v", err)
		return
	}
	for _, r := range entries {
		s.check(r, "manifest-entry")
	}
}

// check digests one reference and records the outcome.
func (s *signed) check(r *xmldsig.Reference, kind string) xmldsig.Outcome {
	fact := signature.Reference{Name: r.URI, Type: kind}
	out, err := s.digest(r)
	if err != nil && !errors.Is(err, xmldsig.ErrNotFound) {
		s.note("%v", err)
	}
	if why := s.misnamed(kind, out); why != "" {
		s.note("the reference %q names %v, %s", r.URI, out.Target, why)
		out.Found, out.Intact, out.Nodes = false, false, xmldsig.NodeSet{}
	}
	fact.Found, fact.Intact = out.Found, out.Intact
	fact.Scope, fact.Full = s.scope(r, out)
	if kind == "data" && s.inKeyInfoElement(out.Target) {
		fact.Type = "key-info"
	}
	name := r.DigestMethod
	if h, err := algorithm.HashByURI(r.DigestMethod); err == nil {
		name = h.Name()
	}
	s.facts.Algorithms = append(s.facts.Algorithms, signature.AlgorithmUse{Purpose: "reference", Algorithm: name})
	s.facts.References = append(s.facts.References, fact)
	return out
}

// misnamed tells why a reference that was found does not cover what its type says, or "". An object that was
// moved elsewhere in the signature keeps its digest: that is signature wrapping.
func (s *signed) misnamed(kind string, out xmldsig.Outcome) string {
	if !out.Found || out.External {
		return ""
	}
	within := s.xml.Element.Contains(out.Target)
	switch {
	case kind == "object" && within && out.Target.Local() == "Object" && out.Target.Parent() != s.xml.Element:
		return "which is no object of the signature"
	case kind == "manifest" && !out.Target.Is(xmldsig.NamespaceDSig, "Manifest"):
		return "which is no manifest"
	case kind == "manifest" && within && out.Target.Parent().Parent() != s.xml.Element:
		return "which is no manifest of the signature"
	case kind == "counter-signature" && s.parent != nil && s.parent.xml != nil && !out.Nodes.Covers(s.parent.xml.ValueNode):
		return "which is not the value of the signature that it stands in"
	}
	return ""
}

func (s *signed) inKeyInfoElement(n xmldsig.Node) bool {
	return s.xml.KeyInfo != nil && n == s.xml.KeyInfo.Element
}

// digest checks a reference within the document's budget.
func (s *signed) digest(r *xmldsig.Reference) (xmldsig.Outcome, error) {
	if err := s.spend(r); err != nil {
		return xmldsig.Outcome{}, err
	}
	return r.Check(s.resolve)
}

// spend takes what a reference may cost from the budget: each transform may pass over the data once.
func (s *signed) spend(r *xmldsig.Reference) error {
	size := len(s.doc.Source())
	if r.SameDocument() {
		if _, target, err := s.doc.Select(r.URI); err == nil {
			start, end := target.Offset()
			size = end - start
		}
	} else if s.resolve != nil {
		if content, err := s.resolve(r.URI); err == nil {
			size = len(content)
		}
	}
	s.left -= size * max(len(r.Transforms), 1)
	if s.left < 0 {
		return errTooMuch
	}
	return nil
}

// scope tells a person what a reference covers.
func (s *signed) scope(r *xmldsig.Reference, out xmldsig.Outcome) (text string, full bool) {
	switch {
	case out.External && len(r.Transforms) == 0:
		return fmt.Sprintf("the whole file %q", r.URI), true
	case out.External:
		return fmt.Sprintf("the file %q, transformed", r.URI), true
	case out.Target.IsZero():
		return "nothing that could be found", false
	case out.Nodes.Whole():
		return "the whole document", true
	case out.Target == s.doc.Root() && out.Nodes.Whole(s.elements...):
		return "the whole document but the signature", true
	case out.Nodes.Document() == s.doc && out.Nodes.Covers(out.Target):
		return out.Target.String(), false
	}
	return "a part of " + out.Target.String(), false
}
