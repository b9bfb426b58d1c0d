package cades

import (
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/signature"
)

// origins are the names of traces for attributes that carry evidence.
var origins = map[cms.OID]signature.Origin{
	cms.OIDCertificateValues: signature.CertificateValues, cms.OIDRevocationValues: signature.RevocationValues,
	cms.OIDRevocationArchival: signature.RevocationArchival,
}

// readClaims reads commitments (EN 319 122-1 5.2.3), the place (5.2.5), the roles (5.2.6), the types of the content (5.2.4.3, RFC 5652
// 11.1). Nobody has checked what they say; what can't be read is left out.
func (s *signer) readClaims() {
	if s.doc.budget.Work(attributeWork*int64(len(s.info.RawSignedAttributes))) != nil {
		return
	}
	s.Claims.ContentType = s.info.ContentType().String()
	for i := range s.info.SignedAttributes {
		a := &s.info.SignedAttributes[i]
		switch a.Type {
		case cms.OIDCommitmentType:
			for _, v := range values(a) {
				s.readCommitment(v)
			}
		case cms.OIDSignerLocation:
			for _, v := range values(a)[:min(1, len(a.Values))] {
				s.Claims.Place = place(v)
			}
		case cms.OIDSignerAttributes, cms.OIDSignerAttributesV2:
			s.readSignerAttributes(a)
		case cms.OIDMIMEType:
			for _, v := range values(a)[:min(1, len(a.Values))] {
				s.MimeType, _ = directoryString(&v)
			}
		}
	}
}

// attributeWork is what an octet of signed attributes costs to be read once more.
const attributeWork = 10

func values(a *cms.Attribute) []cryptobyte.String {
	list := make([]cryptobyte.String, 0, min(len(a.Values), signature.MaxClaims))
	for _, v := range a.Values[:min(len(a.Values), signature.MaxClaims)] {
		list = append(list, v)
	}
	return list
}

// readCommitment reads a CommitmentTypeIndication.
func (s *signer) readCommitment(v cryptobyte.String) {
	var body, id cryptobyte.String
	if v.ReadASN1(&body, asn1.SEQUENCE) && body.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) &&
		len(s.Claims.Commitments) < signature.MaxClaims {
		s.Claims.Commitments = append(s.Claims.Commitments, signature.Commitment{ID: certificate.OID(id).String()})
	}
}

// place reads a SignerLocation, nil where it is none.
func place(v cryptobyte.String) *signature.Place {
	var body, field cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) {
		return nil
	}
	p := &signature.Place{}
	for _, one := range []struct {
		tag  asn1.Tag
		into *string
	}{{0, &p.Country}, {1, &p.City}} {
		var there bool
		if body.ReadOptionalASN1(&field, &there, one.tag.Constructed().ContextSpecific()) && there {
			*one.into, _ = directoryString(&field)
		}
	}
	var there bool
	if body.ReadOptionalASN1(&field, &there, asn1.Tag(2).Constructed().ContextSpecific()) && there {
		var lines cryptobyte.String
		if !field.ReadASN1(&lines, asn1.SEQUENCE) {
			lines = field // some producers tag the SEQUENCE implicitly
		}
		for len(p.Address) < signature.MaxClaims {
			line, ok := directoryString(&lines)
			if !ok {
				break
			}
			p.Address = append(p.Address, line)
		}
	}
	return p
}

// directoryString reads a string of whatever type.
func directoryString(v *cryptobyte.String) (string, bool) {
	var value cryptobyte.String
	var tag asn1.Tag
	if !v.ReadAnyASN1(&value, &tag) {
		return "", false
	}
	if tag == asn1.UTF8String && utf8.Valid(value) {
		return string(value), true
	}
	a := certificate.Attribute{Tag: byte(tag), Value: value}
	if text := a.Text(); text != "#" { // which stands for what is no string
		return text, true
	}
	return "", false
}

// The qualifiers of signature policies (EN 319 122-1 5.2.9.2).
const (
	qualifierURI    certificate.OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x05\x01"
	qualifierNotice certificate.OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x05\x02"
)

// policyDetails reads what a SignaturePolicyId says beside the identifier, with the algorithm of the digest; nil where
// there is none.
func policyDetails(a *cms.Attribute) (*signature.Policy, algorithm.Hash) {
	if len(a.Values) != 1 {
		return nil, algorithm.NoHash
	}
	var body, hash, qualifiers cryptobyte.String
	outer := cryptobyte.String(a.Values[0])
	if !outer.ReadASN1(&body, asn1.SEQUENCE) || !body.SkipASN1(asn1.OBJECT_IDENTIFIER) {
		return nil, algorithm.NoHash
	}
	out, by := &signature.Policy{}, algorithm.NoHash
	if body.PeekASN1Tag(asn1.SEQUENCE) && body.ReadASN1(&hash, asn1.SEQUENCE) {
		var identifier, value cryptobyte.String
		if hash.ReadASN1Element(&identifier, asn1.SEQUENCE) && hash.ReadASN1(&value, asn1.OCTET_STRING) {
			if h, err := algorithm.HashByIdentifier(identifier); err == nil {
				by, out.Digest = h, signature.Digest{Algorithm: h.Name(), Value: value}
			}
		}
	}
	if !body.ReadASN1(&qualifiers, asn1.SEQUENCE) {
		return out, by
	}
	for n := 0; n < signature.MaxClaims && !qualifiers.Empty(); n++ {
		var q, id cryptobyte.String
		if !qualifiers.ReadASN1(&q, asn1.SEQUENCE) || !q.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
			break
		}
		switch certificate.OID(id) {
		case qualifierURI:
			out.URL, _ = directoryString(&q)
		case qualifierNotice:
			out.Notice = notice(q)
		}
	}
	return out, by
}

// notice is the explicit text of an SPUserNotice.
func notice(v cryptobyte.String) string {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !body.SkipOptionalASN1(asn1.SEQUENCE) {
		return ""
	}
	text, _ := directoryString(&body)
	return text
}

// comparePolicy holds the policy document that the signature carries (EN 319 122-1 5.2.10) against the digest that is
// signed. One in ASN.1 has a digest of its own making (TR 102 272), which is not looked at.
func (s *signer) comparePolicy(h algorithm.Hash) {
	a := s.info.Unsigned(cms.OIDSignaturePolicyStore)
	if !h.Valid() || a == nil || len(a.Values) != 1 {
		return
	}
	var body, document cryptobyte.String
	outer := cryptobyte.String(a.Values[0])
	if !outer.ReadASN1(&body, asn1.SEQUENCE) || !body.SkipASN1(asn1.SEQUENCE) ||
		!body.ReadASN1(&document, asn1.OCTET_STRING) || len(document) > 0 && document[0] == byte(asn1.SEQUENCE) ||
		s.doc.budget.Octets(len(document)) != nil {
		return
	}
	s.Policy.Stored, s.Policy.Matches = true, string(h.Sum(document)) == string(s.Policy.Digest.Value)
}
