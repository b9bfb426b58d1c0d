package xades

import (
	"strings"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// Namespaces of the XAdES versions. That of 1.4.1 only adds elements to 1.3.2.
const (
	ns111 = "http://uri.etsi.org/01903/v1.1.1#"
	ns122 = "http://uri.etsi.org/01903/v1.2.2#"
	ns132 = "http://uri.etsi.org/01903/v1.3.2#"
	ns141 = "http://uri.etsi.org/01903/v1.4.1#"

	ns19132 = "http://uri.etsi.org/19132/v1.1.1#" // EN 319 132-3: evidence records
)

func isXAdES(space string) bool { return space == ns132 || space == ns122 || space == ns111 }

// properties are the elements of xades:QualifyingProperties; absent ones are zero Nodes.
type properties struct {
	space           string
	qualifying      xmldsig.Node
	object          xmldsig.Node // the ds:Object that holds them
	signed          xmldsig.Node
	signedSignature xmldsig.Node
	signedData      xmldsig.Node
	unsigned        xmldsig.Node // UnsignedSignatureProperties
	covered         bool         // the signature covers all of signed
	typed           bool         // and the reference that does so says so
}

// child returns a child of the signed signature properties.
func (p *properties) child(local string) xmldsig.Node { return p.signedSignature.Child(p.space, local) }

// readProperties finds the qualifying properties of this signature and reads the signed ones, if they are signed.
func (s *signed) readProperties() {
	s.findProperties()
	p := &s.props
	s.checkPropertyReferences()
	if p.signed.IsZero() {
		return
	}
	s.facts.Format = signature.XAdES
	if !p.covered {
		s.constraint("the signature does not cover its SignedProperties")
		return
	}
	if p.space == ns132 && !p.typed {
		s.constraint("no reference to the SignedProperties says by its Type that it is one (EN 319 132-1, 4.3.1)")
	}
	p.signedSignature = p.signed.Child(p.space, "SignedSignatureProperties")
	p.signedData = p.signed.Child(p.space, "SignedDataObjectProperties")
	s.readSigned()
}

// findProperties finds the one xades:QualifyingProperties, and in it the one SignedProperties: a second one would be
// read by somebody else (EN 319 132-1, 4.3 and 4.4).
func (s *signed) findProperties() {
	p := &s.props
	some := false // in any namespace
	for _, object := range s.xml.Objects {
		for e := range object.Elements() {
			switch {
			case e.Local() == "QualifyingPropertiesReference" && isXAdES(e.Space()):
				s.structure("the signature refers to qualifying properties elsewhere")
			case e.Local() != "QualifyingProperties":
			case some:
				s.structure("more than one QualifyingProperties")
			case !isXAdES(e.Space()):
				some = true
			default:
				some = true
				p.qualifying, p.object, p.space = e, object, e.Space()
			}
		}
	}
	if p.qualifying.IsZero() {
		return
	}
	s.checkTarget()
	p.signed = p.qualifying.Child(p.space, "SignedProperties")
	unsigned := p.qualifying.Child(p.space, "UnsignedProperties")
	p.unsigned = unsigned.Child(p.space, "UnsignedSignatureProperties")
	for e := range p.qualifying.Elements() {
		if e != p.signed && e != unsigned {
			s.structure("QualifyingProperties holds another %s", e.Name())
			return
		}
	}
}

// checkPropertyReferences demands that a reference of the type for SignedProperties covers those of this signature.
func (s *signed) checkPropertyReferences() {
	p := &s.props
	for i, out := range s.covers {
		covers := !p.signed.IsZero() && out.Nodes.Covers(p.signed)
		typed := typesSignedProperties[s.xml.References[i].Type]
		p.covered = p.covered || covers
		p.typed = p.typed || covers && typed
		if typed && !covers && out.Found && !out.External && !(p.signed.IsZero() && s.isForeignProperties(out.Target)) {
			s.constraint("the reference to the signed properties names %s, which is not those of the signature", out.Target.Place())
		}
	}
}

// isForeignProperties tells whether n are the signed properties of this signature in a namespace that is no XAdES
// version's; nothing of them is read.
func (s *signed) isForeignProperties(n xmldsig.Node) bool {
	object := n.Parent().Parent()
	return isSignedProperties(n, object) && object.Parent() == s.xml.Element && !isXAdES(n.Space())
}

// checkTarget compares the attribute Target with the Id of the signature (EN 319 132-1, 4.3.2). Before version 1.3.2
// writers left it out; some leave out the number sign.
func (s *signed) checkTarget() {
	target, ok := s.props.qualifying.Attr("", "Target")
	id, _ := s.xml.Element.Attr("", "Id")
	switch {
	case !ok && s.props.space != ns132:
		s.note("QualifyingProperties has no Target")
	case strings.TrimPrefix(target, "#") != id || id == "":
		s.structure("the Target of QualifyingProperties is %q, not the signature", target)
	case target == id:
		s.note("the Target of QualifyingProperties is %q, which is no reference", target)
	}
}

// readSigned reads the signed properties that say something about signer and signing.
func (s *signed) readSigned() {
	p := &s.props
	if e := p.child("SigningTime"); !e.IsZero() {
		s.readSigningTime(e.Text())
	}
	s.readPolicy(p.child("SignaturePolicyIdentifier"))
	for _, f := range s.dataObjectFormats() {
		if s.facts.MimeType == "" {
			s.facts.MimeType = f.Child(p.space, "MimeType").Text()
		}
	}
	role := p.child("SignerRole")
	if role.IsZero() {
		role = p.child("SignerRoleV2")
	}
	s.readRoles(role.Child(p.space, "ClaimedRoles"))
	for _, certified := range [...]string{"CertifiedRoles", "CertifiedRolesV2", "SignedAssertions"} {
		if !role.Child(p.space, certified).IsZero() {
			s.note(signature.UncheckedRoles)
			break
		}
	}
	s.readClaims()
}

func (s *signed) readSigningTime(text string) {
	at, zone, err := parseDateTime(text)
	switch {
	case err != nil:
		s.structure("SigningTime %q: %v", text, err)
	case at.Year() < 1 || at.Year() > 9999: // RFC 3339, in which times are told, has no others
		s.note("SigningTime %q lies beyond the years that can be told", text)
	default:
		s.facts.SigningTime = at
		if !zone {
			s.note("SigningTime %q names no time zone: it is taken as UTC", text)
		}
	}
}

// readSignatureTime reads the SignatureTime of a signature in a package, which stands beside the manifest.
func (s *signed) readSignatureTime() {
	if !s.packaged || !s.facts.SigningTime.IsZero() {
		return
	}
	for i := range s.covers {
		object := s.covers[i].Target
		if !s.isSignedObject(object, s.covers[i]) || object.Child(xmldsig.NamespaceDSig, "Manifest").IsZero() {
			continue
		}
		property := object.Path(xmldsig.NamespaceDSig, "SignatureProperties", "SignatureProperty")
		value := property.Path(xmldsig.NamespaceOPCSignature, "SignatureTime", "Value")
		if at, _, err := parseDateTime(value.Text()); err == nil && at.Year() >= 1 && at.Year() <= 9999 {
			s.facts.SigningTime = at
		} else if !value.IsZero() {
			s.note("SignatureTime %q is no date and time", value.Text())
		}
	}
}

func (s *signed) readPolicy(e xmldsig.Node) {
	switch {
	case e.IsZero():
	case !e.Child(s.props.space, "SignaturePolicyImplied").IsZero():
		s.facts.PolicyOID = "implied"
	default:
		id := objectIdentifier(e.Path(s.props.space, "SignaturePolicyId", "SigPolicyId", "Identifier").Text())
		if id == "" {
			s.structure("SignaturePolicyId without an identifier")
			id = "unreadable"
		}
		s.facts.PolicyOID = id
	}
}
