package xades

import (
	"encoding/asn1"
	"slices"

	"trustcore/internal/xmldsig"
)

const maxEvidence = 1024 // certificates, CRLs or OCSP answers of one signature; real ones have some dozens

// evidence collects certificates and revocation data that travel with the signature. Nothing of it is
// trusted, so it does not matter what is signed.
func (s *signed) evidence() {
	if k := s.xml.KeyInfo; k != nil {
		for _, x := range slices.Concat(k.X509, k.Retrieved) {
			s.facts.Certificates = append(s.facts.Certificates, x.Certificates...)
			s.facts.CRLs = append(s.facts.CRLs, x.CRLs...)
		}
		s.facts.Notes = append(s.facts.Notes, k.Problems...)
	}
	for e := range s.props.unsigned.Elements() {
		v := s.values(e)
		s.facts.Certificates = append(s.facts.Certificates, v.certificates...)
		s.facts.CRLs = append(s.facts.CRLs, v.crls...)
		s.facts.OCSPs = append(s.facts.OCSPs, v.ocsps...)
	}
	for _, all := range [...]*[][]byte{&s.facts.Certificates, &s.facts.CRLs, &s.facts.OCSPs} {
		if len(*all) > maxEvidence {
			s.note("of %d certificates or revocation values only %d are looked at", len(*all), maxEvidence)
			*all = (*all)[:maxEvidence]
		}
	}
}

// values are the objects of a property.
type values struct{ certificates, crls, ocsps [][]byte }

func (v values) all() [][]byte {
	out := append([][]byte{}, v.certificates...)
	return append(append(out, v.crls...), v.ocsps...)
}

// values reads what CertificateValues, RevocationValues, their attribute kin and the validation data of
// time-stamps hold. Other properties have none.
func (s *signed) values(e xmldsig.Node) values {
	v, ok := s.valuesOf[e]
	if !ok {
		v = s.readValues(e)
		s.valuesOf[e] = v
	}
	return v
}

func (s *signed) readValues(e xmldsig.Node) values {
	var v values
	switch e.Local() {
	case "CertificateValues", "AttrAuthoritiesCertValues", "RevocationValues", "AttributeRevocationValues",
		"TimeStampValidationData", "AnyValidationData":
	default:
		return v
	}
	if s.budget.Work(int64(perNode*e.Size())) != nil {
		return v
	}
	for _, kind := range [...]struct {
		local string
		into  *[][]byte
	}{
		{"EncapsulatedX509Certificate", &v.certificates},
		{"EncapsulatedCRLValue", &v.crls},
		{"EncapsulatedOCSPValue", &v.ocsps},
	} {
		for n := range e.Descendants(s.props.space, kind.local) {
			der, err := n.Bytes()
			if err != nil || len(der) == 0 {
				s.note("%s cannot be read", n.Name())
				continue
			}
			if len(*kind.into) == maxEvidence {
				s.note("more than %d values in %s", maxEvidence, e.Name())
				break
			}
			if kind.into == &v.ocsps {
				der = wholeOCSP(der)
			}
			*kind.into = append(*kind.into, der)
		}
	}
	return v
}

// wholeOCSP wraps a bare BasicOCSPResponse into an OCSPResponse, as RFC 6960, 4.2.1 has it: some writers
// store only the inner part.
func wholeOCSP(der []byte) []byte {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(der, &outer); err != nil || len(outer.Bytes) == 0 || outer.Bytes[0] == asn1.TagEnum {
		return der
	}
	type responseBytes struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	wrapped, err := asn1.Marshal(struct {
		Status asn1.Enumerated
		Bytes  responseBytes `asn1:"explicit,tag:0"`
	}{0, responseBytes{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}, der}})
	if err != nil {
		return der
	}
	return wrapped
}
