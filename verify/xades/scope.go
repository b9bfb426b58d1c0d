package xades

import (
	"fmt"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// place is what the target of a reference is for whoever reads the document.
type place uint8

const (
	// placeContent: outside of every signature, or a ds:Object of this one: data.
	placeContent place = iota
	// placeSelf: what a signature says about itself: its properties, its key information, a manifest.
	placeSelf
	// placeValue: the value of the signature that this one countersigns.
	placeValue
	// placeHidden: inside a signature, where nobody looks for data. Whoever moved what was signed there may have
	// put anything in its place.
	placeHidden
)

// scopes tells of every reference what it covers, once it is known what all of them cover.
func (s *signed) scopes() {
	for i := range s.checked {
		c := &s.checked[i]
		fact := &s.facts.References[c.fact]
		fact.Outside = c.out.External || !c.out.Found && !c.ref.SameDocument()
		switch {
		case fact.Optional: // out of what is covered
		case !c.out.Found && c.ref.SameDocument():
			fact.Scope = "nothing that could be found"
		case !c.out.Found:
			fact.Scope = fmt.Sprintf("the file %q, which was not given", c.ref.URI)
		case fact.Unchecked != "":
			fact.Scope = "what can't be checked"
		case c.out.External:
			s.scopeOfFile(c, fact)
		default:
			s.scopeOfPart(c, fact)
		}
	}
}

// scopeOfFile: what is digested is the file, or else nobody knows which part of it.
func (s *signed) scopeOfFile(c *checked, fact *signature.Reference) {
	fact.Full = c.out.Verbatim
	fact.Empty = c.out.Blank && !c.out.Verbatim
	fact.Scope = fmt.Sprintf("the whole file %q", c.ref.URI)
	if !fact.Full {
		fact.Scope = fmt.Sprintf("a part of the file %q", c.ref.URI)
	}
	if c.out.DigestOnly {
		fact.Scope += signature.DigestAlone
	}
}

func (s *signed) scopeOfPart(c *checked, fact *signature.Reference) {
	where, why := s.place(c.out)
	if c.kind == "data" && where == placeSelf && s.inKeyInfoElement(c.out.Target) {
		fact.Type = "key-info"
	}
	switch where {
	case placeContent:
		fact.Empty = c.out.Blank || !s.coversContent(c.out)
		fact.Scope, fact.Full = s.describe(c.out)
		return
	case placeHidden:
		s.constraint("the reference %q names %s, %s: what is signed there is not what a reader takes for content", c.ref.URI, c.out.Target.Place(), why)
	case placeSelf:
		fact.Empty = true
	}
	fact.Scope = "the part " + c.out.Target.Place()
}

// describe names the part of the document's data that is covered.
func (s *signed) describe(out xmldsig.Outcome) (text string, full bool) {
	target := out.Target
	switch {
	case out.Nodes.Whole():
		return "the whole document", true
	case target != s.doc.Root():
	case out.Nodes.Whole(s.xml.Element):
		switch {
		case s.unsignedObject():
			return "the document, but for the signature and an object in it that is not signed", false
		case len(s.facts.Strays) > 0:
			return "the document, but for the signature and what stands in it unsigned", false
		}
		return "the whole document but the signature", true
	case out.Nodes.Whole(s.elements...):
		return "the whole document but the signatures", s.bareBesides() && !s.unsignedObject() && len(s.facts.Strays) == 0
	}
	if out.Nodes.Document() == s.doc && out.Nodes.Covers(target) {
		return "the part " + target.Place(), false
	}
	return "a part of " + target.Place(), false
}

// coversContent tells whether something is covered that a reader takes for content.
func (s *signed) coversContent(out xmldsig.Outcome) bool {
	if out.Nodes.Document() == nil {
		return true // octets that a transform made of the target; they are not blank
	}
	switch sig, child := s.enclosing(out.Target); {
	case sig.IsZero():
		return out.Nodes.Holds(out.Target, s.elements...)
	case child.IsZero(): // the signature itself
		for _, object := range s.dataObjects() {
			if out.Nodes.Holds(object) {
				return true
			}
		}
		return false
	}
	return out.Nodes.Holds(out.Target)
}

// enclosing returns the innermost ds:Signature that n stands in or is, and the child of that which n stands in or
// is; none of them for what stands outside of every signature.
func (s *signed) enclosing(n xmldsig.Node) (sig, child xmldsig.Node) {
	for up := n; !up.IsZero(); up = up.Parent() {
		if up.Is(xmldsig.NamespaceDSig, "Signature") {
			return up, child
		}
		child = up
	}
	return xmldsig.Node{}, xmldsig.Node{}
}

// place tells where the target of a reference stands, and why it is hidden there.
func (s *signed) place(out xmldsig.Outcome) (place, string) {
	n := out.Target
	sig, child := s.enclosing(n)
	switch {
	case sig.IsZero():
		return placeContent, ""
	case s.parent != nil && s.parent.xml != nil && out.Nodes.Covers(s.parent.xml.ValueNode):
		return placeValue, ""
	case sig != s.xml.Element:
		return s.placeInOther(n, sig, child)
	case child.IsZero():
		return placeContent, ""
	case child.Is(xmldsig.NamespaceDSig, "Object"):
		return s.placeInObject(n, child)
	case n == child && child.Is(xmldsig.NamespaceDSig, "KeyInfo"):
		return placeSelf, ""
	case child.Is(xmldsig.NamespaceDSig, "KeyInfo"):
		return placeHidden, "inside the key information of the signature"
	}
	return placeHidden, "inside the signature"
}

// placeInOther: another signature's object is data where it is all that the document holds, and this signature
// lies in it beside the target.
func (s *signed) placeInOther(n, sig, child xmldsig.Node) (place, string) {
	if child.Is(xmldsig.NamespaceDSig, "Object") && child != n && child.Contains(s.xml.Element) && s.alone(sig) {
		return placeContent, ""
	}
	return placeHidden, "inside another signature"
}

// placeInObject: a ds:Object is signed as data where the reference names it, or what stands in it while nothing
// else could be taken for the document, or while the object is signed too.
func (s *signed) placeInObject(n, object xmldsig.Node) (place, string) {
	p := &s.props
	switch {
	case isSignedProperties(n, object), p.object == object && (n == object || n == p.qualifying):
		return placeSelf, ""
	case p.object == object && p.qualifying.Contains(n):
		return placeHidden, "inside the properties of the signature"
	case n == object:
		return placeContent, ""
	case isOwnStatement(n, object):
		return placeSelf, ""
	case n.Is(xmldsig.NamespaceDSig, "Object"), n.Is(xmldsig.NamespaceDSig, "Manifest"):
		return placeHidden, "which was moved there"
	case s.names(object), s.alone(s.outermost().xml.Element):
		return placeContent, ""
	}
	return placeHidden, "inside an object of the signature that is not signed itself"
}

// isSignedProperties tells whether n stands where SignedProperties belong, in whichever version's namespace: DigiDoc's
// has one of its own.
func isSignedProperties(n, object xmldsig.Node) bool {
	return n.Local() == "SignedProperties" && n.Parent().Local() == "QualifyingProperties" && n.Parent().Parent() == object
}

// outermost is the signature itself, or the one that it countersigns in the end.
func (s *signed) outermost() *signed {
	for s.parent != nil && s.parent.xml != nil {
		s = s.parent
	}
	return s
}

// isOwnStatement tells whether n is a ds:Manifest, ds:SignatureProperties or ds:SignatureProperty in its right place.
func isOwnStatement(n, object xmldsig.Node) bool {
	if n.Is(xmldsig.NamespaceDSig, "SignatureProperty") && n.Parent().Is(xmldsig.NamespaceDSig, "SignatureProperties") {
		n = n.Parent()
	}
	return n.Parent() == object && (n.Is(xmldsig.NamespaceDSig, "Manifest") || n.Is(xmldsig.NamespaceDSig, "SignatureProperties"))
}

// names tells whether a reference of the signature, or of a manifest that it signs, names the element.
func (s *signed) names(n xmldsig.Node) bool {
	return s.signs(func(target xmldsig.Node) bool { return target == n })
}

// namesWithin tells whether one names something inside of it, or itself.
func (s *signed) namesWithin(n xmldsig.Node) bool { return s.signs(n.Contains) }

// signs looks for an intact reference into the document whose target is meant.
func (s *signed) signs(meant func(target xmldsig.Node) bool) bool {
	if s.budget.Work(int64(perEntry*len(s.checked))) != nil {
		return false
	}
	for i := range s.checked {
		if out := &s.checked[i].out; out.Intact && !out.External && meant(out.Target) {
			return true
		}
	}
	return false
}

// dataObjects are the ds:Object elements but for the one with the qualifying properties.
func (s *signed) dataObjects() []xmldsig.Node {
	var all []xmldsig.Node
	for _, object := range s.xml.Objects {
		if object != s.props.object {
			all = append(all, object)
		}
	}
	return all
}

// unsignedObject tells whether the signature, or one within it, has an object with content that it signs no part of: a
// reader who looks for content anywhere would find it.
func (s *signed) unsignedObject() bool {
	for _, e := range s.elements {
		if e != s.xml.Element && s.xml.Element.Contains(e) && s.hasData(e) {
			return true
		}
	}
	for _, object := range s.xml.Objects {
		if s.names(object) || s.covered(object) {
			continue
		}
		for n := range object.Elements() {
			if n.Local() != "QualifyingProperties" && !s.namesWithin(n) {
				return true // perhaps in the clothes of the signature's own properties
			}
		}
	}
	return false
}

// hasData tells whether a signature has an object with more than properties.
func (s *signed) hasData(e xmldsig.Node) bool {
	for _, object := range e.All(xmldsig.NamespaceDSig, "Object") {
		for n := range object.Elements() {
			if s.budget.Work(perNode) != nil || n.Local() != "QualifyingProperties" {
				return true
			}
		}
	}
	return false
}

// bareBesides tells whether the other signatures hold nothing that a reader could take for content.
func (s *signed) bareBesides() bool {
	for _, e := range s.elements {
		if e != s.xml.Element && !s.bare(e) {
			return false
		}
	}
	return true
}

// bare tells whether a ds:Signature holds its values and properties, and no data.
func (r *reader) bare(e xmldsig.Node) bool {
	known, ok := r.bares[e]
	if ok {
		return known
	}
	known = r.budget.Work(int64(perNode*e.Size())) == nil && len(e.Strays(isStatement)) == 0
	r.bares[e] = known
	return known
}

// alone tells whether the document holds nothing beside the signature: above it stand wrappers without content, with
// signatures at most. Then what stands in its objects is what a reader takes for the document.
func (r *reader) alone(sig xmldsig.Node) bool {
	known, ok := r.alones[sig]
	if ok {
		return known
	}
	known = true
	for child, up := sig, sig.Parent(); known && !up.IsZero(); child, up = up, up.Parent() {
		known = wraps(up, child)
	}
	r.alones[sig] = known
	return known
}

// wraps tells whether an element has neither attributes of its own, nor text, nor other children than that one and
// signatures.
func wraps(n, child xmldsig.Node) bool {
	for c := range n.Elements() {
		if c != child && !c.Is(xmldsig.NamespaceDSig, "Signature") {
			return false
		}
	}
	return n.Bare()
}
