package xades

import (
	"strings"
	"time"

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
}

// child returns a child of the signed signature properties.
func (p *properties) child(local string) xmldsig.Node { return p.signedSignature.Child(p.space, local) }

// readProperties finds the qualifying properties of this signature and reads the signed ones, if they are signed.
func (s *signed) readProperties() {
	p := &s.props
	for _, object := range s.xml.Objects {
		for e := range object.Elements() {
			if e.Local() != "QualifyingProperties" || !isXAdES(e.Space()) {
				continue
			}
			if !p.qualifying.IsZero() {
				s.structure("more than one QualifyingProperties")
				continue
			}
			p.qualifying, p.object, p.space = e, object, e.Space()
		}
	}
	if p.qualifying.IsZero() {
		return
	}
	s.checkTarget()
	p.unsigned = p.qualifying.Path(p.space, "UnsignedProperties", "UnsignedSignatureProperties")
	p.signed = p.qualifying.Child(p.space, "SignedProperties")
	if p.signed.IsZero() {
		return
	}
	s.facts.Format = signature.XAdES
	for i, out := range s.covers {
		covers := out.Nodes.Covers(p.signed)
		p.covered = p.covered || covers
		if typesSignedProperties[s.xml.References[i].Type] && out.Found && !covers {
			s.structure("the reference to the signed properties names %v", out.Target)
		}
	}
	if !p.covered {
		s.structure("the signature does not cover its SignedProperties")
		return
	}
	p.signedSignature = p.signed.Child(p.space, "SignedSignatureProperties")
	p.signedData = p.signed.Child(p.space, "SignedDataObjectProperties")
	s.readSigned()
}

// checkTarget compares the attribute Target with the Id of the signature (EN 319 132-1, 4.3.1).
func (s *signed) checkTarget() {
	target, ok := s.props.qualifying.Attr("", "Target")
	if id, _ := s.xml.Element.Attr("", "Id"); !ok || target != "#"+id {
		s.note("the Target of QualifyingProperties is %q, not the signature", target)
	}
}

// readSigned reads the signed properties that say something about signer and signing.
func (s *signed) readSigned() {
	p := &s.props
	if e := p.child("SigningTime"); !e.IsZero() {
		at, err := parseDateTime(e.Text())
		if err != nil {
			s.structure("SigningTime %q is not a date and time", e.Text())
		}
		s.facts.SigningTime = at
	}
	s.readPolicy(p.child("SignaturePolicyIdentifier"))
	role := p.child("SignerRole")
	if role.IsZero() {
		role = p.child("SignerRoleV2")
	}
	s.readRoles(role.Child(p.space, "ClaimedRoles"))
}

func (s *signed) readPolicy(e xmldsig.Node) {
	switch {
	case e.IsZero():
	case !e.Child(s.props.space, "SignaturePolicyImplied").IsZero():
		s.facts.PolicyOID = "implied"
	default:
		id := e.Path(s.props.space, "SignaturePolicyId", "SigPolicyId", "Identifier").Text()
		id = strings.Trim(id, " \t\r\n")
		if rest, ok := strings.CutPrefix(strings.ToLower(id), "urn:oid:"); ok {
			id = rest
		}
		if id == "" {
			s.structure("SignaturePolicyId without an identifier")
			id = "unreadable"
		}
		s.facts.PolicyOID = id
	}
}

// parseDateTime reads xs:dateTime; without a time zone UTC is meant.
func parseDateTime(text string) (time.Time, error) {
	text = strings.Trim(text, " \t\r\n")
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		at, err = time.Parse("2006-01-02T15:04:05.999999999", text)
	}
	if err != nil {
		return time.Time{}, err
	}
	return at.UTC(), nil
}
