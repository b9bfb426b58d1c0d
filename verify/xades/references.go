package xades

import (
	"bytes"
	"errors"
	"strconv"

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

const kindManifestEntry = "manifest-entry" // as signature.Reference.Type

// typesSignedProperties are the reference types of the XAdES versions.
var typesSignedProperties = map[string]bool{
	"http://uri.etsi.org/01903#SignedProperties":        true,
	"http://uri.etsi.org/01903/v1.1.1#SignedProperties": true,
	"http://uri.etsi.org/01903/v1.2.2#SignedProperties": true,
	"http://uri.etsi.org/01903/v1.3.2#SignedProperties": true,
}

// checked is a reference that was looked at, and what came of it.
type checked struct {
	ref  *xmldsig.Reference
	kind string
	out  xmldsig.Outcome
	err  error
	fact int // index of the signature's References
}

// checkReferences digests what every ds:Reference names, and the entries of manifests.
func (s *signed) checkReferences() {
	for _, r := range s.xml.References {
		c := s.check(r, referenceType(r))
		s.covers = append(s.covers, c.out)
		for _, m := range s.manifests(c) {
			s.checkManifest(m)
		}
	}
}

// manifests are those that a reference makes part of what is signed: the one that it names and says to be one, in a
// package those in an object that it names.
func (s *signed) manifests(c checked) []xmldsig.Node {
	target := c.out.Target
	switch {
	case c.ref.Type == typeManifest && target.Is(xmldsig.NamespaceDSig, "Manifest") && c.out.Nodes.Covers(target):
		return []xmldsig.Node{target}
	case s.packaged && s.isSignedObject(target, c.out):
		return target.All(xmldsig.NamespaceDSig, "Manifest")
	}
	return nil
}

func (s *signed) isSignedObject(n xmldsig.Node, out xmldsig.Outcome) bool {
	return n.Is(xmldsig.NamespaceDSig, "Object") && n.Parent() == s.xml.Element && out.Nodes.Covers(n)
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
		s.check(r, kindManifestEntry)
	}
}

// check digests one reference and records the outcome. An entry of a manifest whose data are not at hand is a matter of
// the application (XML Signature 1.1, 5.1).
func (s *signed) check(r *xmldsig.Reference, kind string) checked {
	c := s.digest(r)
	c.kind, c.fact = kind, len(s.facts.References)
	s.tell(&c)
	optional := kind == kindManifestEntry && !c.out.Found && !errors.Is(c.err, xmldsig.ErrAmbiguous)
	if r.DigestValue == nil {
		s.note("the digest of the reference %q is no base64", r.URI)
	}
	s.facts.References = append(s.facts.References, signature.Reference{
		Name: r.URI, Type: kind, Found: c.out.Found, Intact: c.out.Intact, Optional: optional, Unchecked: c.unchecked(),
		Digest: signature.Digest{Algorithm: s.facts.Algorithms[len(s.facts.Algorithms)-1].Algorithm, Value: r.DigestValue},
		ID:     r.ID, Transforms: transformsOf(r),
	})
	s.checked = append(s.checked, c)
	return c
}

func transformsOf(r *xmldsig.Reference) []string {
	if len(r.Transforms) == 0 {
		return nil
	}
	uris := make([]string, len(r.Transforms))
	for i := range r.Transforms {
		uris[i] = r.Transforms[i].Algorithm
	}
	return uris
}

// unchecked says why there is no digest to compare although the data are there.
func (c *checked) unchecked() string {
	if c.err == nil || !c.out.Found {
		return ""
	}
	return c.err.Error()
}

// tell notes what is wrong with a reference, and which algorithm it uses.
func (s *signed) tell(c *checked) {
	switch {
	case errors.Is(c.err, xmldsig.ErrAmbiguous):
		s.structure("%v", c.err)
	case c.err != nil && !errors.Is(c.err, xmldsig.ErrNotFound):
		s.note("%v", c.err)
	}
	if why := s.misnamed(c.kind, c.out); why != "" {
		s.note("the reference %q names %s, %s", c.ref.URI, c.out.Target.Place(), why)
		// What a counter-signature is about is there: it is another signature's value.
		c.out.Found, c.out.Intact, c.out.Nodes = c.kind == "counter-signature", false, xmldsig.NodeSet{}
	}
	name := c.ref.DigestMethod
	if h, err := algorithm.HashByURI(name); err == nil {
		name = h.Name()
	}
	s.facts.Algorithms = append(s.facts.Algorithms, signature.AlgorithmUse{Purpose: "reference", Algorithm: name})
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

// digest checks a reference; a duplicate of one that was checked takes over its outcome.
func (s *signed) digest(r *xmldsig.Reference) checked {
	key, alike := s.digestKey(r)
	if alike {
		if known, ok := s.digests[key]; ok {
			known.ref = r
			known.out.Intact = known.err == nil && known.out.Found && bytes.Equal(known.out.Digest, r.DigestValue)
			return known
		}
	}
	_ = s.budget.Work(perReference) // if that was the last of it, so says Check
	out, err := r.Check(s.resolve)
	c := checked{ref: r, out: out, err: err}
	if alike && s.budget.Hold(len(key)) == nil {
		s.digests[key] = c
	}
	return c
}

// digestKey is the same for references that must yield the same digest; false where that depends on more than on
// the names of the transforms, such as where an XPath expression stands.
func (s *signed) digestKey(r *xmldsig.Reference) (string, bool) {
	const end = "\x00" // no character of XML
	b := strconv.AppendInt(make([]byte, 0, 256), int64(s.xml.Element.Order()), 10)
	b = append(append(strconv.AppendBool(b, r.HasURI), r.URI...), end...)
	b = append(append(b, r.DigestMethod...), end...)
	for _, t := range r.Transforms {
		if !t.Plain() {
			return "", false
		}
		b = append(append(b, t.Algorithm...), end...)
	}
	return string(b), true
}
