package xades

import (
	"slices"

	"trustcore/internal/cms"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

const maxEvidence = 1024 // certificates, CRLs or OCSP answers of one signature; real ones have some dozens

// evidence collects certificates and revocation data that travel with the signature. Nothing of it is
// trusted, so it does not matter what is signed.
func (s *signed) evidence() {
	if k := s.xml.KeyInfo; k != nil {
		for _, x := range slices.Concat(k.X509, k.Retrieved) {
			s.facts.Carry(signature.Values{Origin: signature.KeyInfo, Certificates: x.Certificates, CRLs: x.CRLs})
		}
		s.facts.Notes = append(s.facts.Notes, k.Problems...)
	}
	for e := range s.props.unsigned.Elements() {
		v := s.values(e)
		s.facts.Carry(v)
	}
	s.facts.BoundEvidence(maxEvidence)
}

// values reads what CertificateValues, RevocationValues, their attribute kin and the validation data of
// time-stamps hold. Other properties have none.
func (s *signed) values(e xmldsig.Node) signature.Values {
	v, ok := s.valuesOf[e]
	if !ok {
		v = s.readValues(e)
		s.valuesOf[e] = v
	}
	return v
}

func (s *signed) readValues(e xmldsig.Node) signature.Values {
	v := signature.Values{Origin: origins[e.Local()]}
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
		{"EncapsulatedX509Certificate", &v.Certificates},
		{"EncapsulatedCRLValue", &v.CRLs},
		{"EncapsulatedOCSPValue", &v.OCSPs},
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
			if kind.into == &v.OCSPs {
				der = cms.WholeOCSP(der)
			}
			*kind.into = append(*kind.into, der)
		}
	}
	return v
}
