package xades

import (
	"strings"

	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// readClaims reads what the signed properties say beside time, certificate and roles: commitments, the place, and of
// the policy what is said beside its identifier. Nobody has checked any of it.
func (s *signed) readClaims() {
	p := &s.props
	for _, e := range p.signedData.All(p.space, "CommitmentTypeIndication") {
		if len(s.facts.Claims.Commitments) == signature.MaxClaims {
			break
		}
		id := e.Child(p.space, "CommitmentTypeId")
		s.facts.Claims.Commitments = append(s.facts.Claims.Commitments, signature.Commitment{
			ID:            objectIdentifier(id.Child(p.space, "Identifier").Text()),
			Description:   id.Child(p.space, "Description").Text(),
			Documentation: textsOf(id.Child(p.space, "DocumentationReferences").All(p.space, "DocumentationReference")),
			Objects:       textsOf(e.All(p.space, "ObjectReference")),
		})
	}
	for _, local := range [...]string{"SignatureProductionPlaceV2", "SignatureProductionPlace"} {
		if e := p.child(local); !e.IsZero() {
			text := func(local string) string { return e.Child(p.space, local).Text() }
			s.facts.Claims.Place = &signature.Place{Street: text("StreetAddress"), City: text("City"),
				State: text("StateOrProvince"), Postal: text("PostalCode"), Country: text("CountryName")}
		}
	}
	s.readPolicyDetails(p.child("SignaturePolicyIdentifier").Child(p.space, "SignaturePolicyId"))
}

func (s *signed) readPolicyDetails(e xmldsig.Node) {
	if e.IsZero() {
		return
	}
	space := s.props.space
	id, hash := e.Child(space, "SigPolicyId"), e.Child(space, "SigPolicyHash")
	out := &signature.Policy{Description: id.Child(space, "Description").Text(),
		Documentation: textsOf(id.Child(space, "DocumentationReferences").All(space, "DocumentationReference"))}
	for _, q := range e.Child(space, "SigPolicyQualifiers").All(space, "SigPolicyQualifier") {
		if url := q.Child(space, "SPURI"); out.URL == "" && !url.IsZero() {
			out.URL = strings.TrimSpace(url.Text())
		}
		if notice := q.Path(space, "SPUserNotice", "ExplicitText"); out.Notice == "" && !notice.IsZero() {
			out.Notice = notice.Text()
		}
	}
	s.facts.Policy = out
	at := xmldsig.NamespaceDSig
	if hash.Child(at, "DigestMethod").IsZero() {
		at = space // XAdES 1.1.1 has elements of its own
	}
	method, _ := hash.Child(at, "DigestMethod").Attr("", "Algorithm")
	h, err := algorithm.HashByURI(method)
	value, broken := hash.Child(at, "DigestValue").Bytes()
	if err != nil || broken != nil {
		return
	}
	out.Digest = signature.Digest{Algorithm: h.Name(), Value: value}
	if e.Child(xmldsig.NamespaceDSig, "Transforms").IsZero() {
		s.comparePolicy(out, h)
	}
}

// comparePolicy holds the policy document that the signature carries (EN 319 132-1 5.2.10) against the digest.
func (s *signed) comparePolicy(p *signature.Policy, h algorithm.Hash) {
	document := s.props.unsigned.Path(ns141, "SignaturePolicyStore", "SignaturePolicyDocument")
	if document.IsZero() || s.budget.Octets(document.Size()) != nil {
		return
	}
	if octets, err := document.Bytes(); err == nil && s.budget.Octets(len(octets)) == nil {
		p.Stored, p.Matches = true, certDigest{hash: h, value: p.Digest.Value}.of(octets)
	}
}

// objectIdentifier gives an OID that stands as a URN in dotted form, and any other identifier as it is.
func objectIdentifier(id string) string {
	id = strings.Trim(id, " \t\r\n")
	if rest, ok := strings.CutPrefix(strings.ToLower(id), "urn:oid:"); ok {
		return rest
	}
	return id
}

func textsOf(list []xmldsig.Node) []string {
	var texts []string
	for _, n := range list[:min(len(list), signature.MaxClaims)] {
		texts = append(texts, n.Text())
	}
	return texts
}

// origins are the names of traces for properties that carry evidence.
var origins = map[string]signature.Origin{
	"CertificateValues": signature.CertificateValues, "AttrAuthoritiesCertValues": signature.AttributeCertificates,
	"RevocationValues": signature.RevocationValues, "AttributeRevocationValues": signature.AttributeRevocations,
	"TimeStampValidationData": signature.TimestampValidationData, "AnyValidationData": signature.AnyValidationData,
}
