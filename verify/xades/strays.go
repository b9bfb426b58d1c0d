package xades

import "trustcore/internal/xmldsig"

// findStrays tells of what stands in the signature, is signed by nobody and is not what XML Signature and XAdES define
// there. The digest of an enveloped signature leaves the whole ds:Signature out, so anybody can put it there afterwards.
// Whole elements in objects are data; whether they are signed is a matter of the scope.
func (s *signed) findStrays() {
	e := s.xml.Element
	s.facts.Strays = e.Strays(func(n xmldsig.Node) bool {
		switch parent := n.Parent(); {
		case parent == e && n.Is(xmldsig.NamespaceDSig, "Object"):
			return s.names(n) || s.covered(n)
		case parent == e && n.Is(xmldsig.NamespaceDSig, "KeyInfo"), n.Local() == "SignedProperties" && parent.Parent().Parent() == e:
			return s.covered(n)
		case parent.Is(xmldsig.NamespaceDSig, "Object"):
			return n.Local() != "QualifyingProperties"
		}
		return isStatement(n)
	})
}

// isStatement tells whether n is what a signature says of itself and signs: a counter-signature, or another signature
// beside, is judged by itself.
func isStatement(n xmldsig.Node) bool {
	return n.Is(xmldsig.NamespaceDSig, "SignedInfo") || n.Local() == "SignedProperties"
}

// covered tells whether an intact reference of the signature covers all of the element.
func (s *signed) covered(n xmldsig.Node) bool {
	if s.budget.Work(int64(perEntry*len(s.checked))) != nil {
		return false
	}
	for i := range s.checked {
		if out := &s.checked[i].out; out.Intact && !out.External && out.Nodes.Covers(n) {
			return true
		}
	}
	return false
}
