package jades

import (
	"trustcore/internal/cms"
	"trustcore/internal/jws"
	"trustcore/verify/signature"
)

// item is one element of etsiU.
type item struct {
	text  []byte // base64url as it stands there; nil for a clear one
	whole *jws.Value
	name  string
	value *jws.Value
	// values are what it holds for others to check certificates with.
	values signature.Values
	// canonical is the form of a clear one that time-stamps cover, once it was asked for.
	canonical []byte
}

const (
	maxItems    = 1024 // of etsiU
	maxEvidence = 1024 // certificates, CRLs or OCSP answers of one signature; real ones have some dozens
)

// defined are the unsigned properties of TS 119 182-1, 5.3 and annex A, and their time-stamps.
var defined = map[string]bool{
	"cSig": true, "sigPSt": true, "sigTst": true, "xVals": true, "rVals": true, "axVals": true, "arVals": true,
	"anyValData": true, "tstVD": true, "arcTst": true, "xRefs": true, "rRefs": true, "axRefs": true, "arRefs": true,
	"sigRTst": true, "rfsTst": true,
}

// readUnsigned reads the elements of etsiU (TS 119 182-1, 5.3.1).
func (s *signed) readUnsigned() {
	etsiU := s.jws.Unprotected.Member("etsiU")
	switch {
	case etsiU == nil:
		return
	case !etsiU.Is(jws.Array):
		s.note("etsiU is no array (TS 119 182-1, 5.3.1): nothing of it is taken")
		return
	case len(etsiU.Items()) > maxItems:
		s.structure("etsiU holds more than %d properties", maxItems)
		return
	}
	s.uniform = true
	for _, v := range etsiU.Items() {
		it, ok := s.readItem(v)
		if !ok {
			continue
		}
		s.uniform = s.uniform && (it.text == nil) == (etsiU.Items()[0].Text() == nil)
		s.unsigned = append(s.unsigned, it)
		if !defined[it.name] {
			s.stray("the property %q in etsiU", it.name[:min(len(it.name), maxRoleText)])
		}
	}
	if !s.uniform {
		s.note("etsiU holds clear and encoded properties (TS 119 182-1, 5.3.1)")
	}
}

// readItem reads an element, which is an object of one member, or the base64url encoding of one.
func (s *signed) readItem(v *jws.Value) (item, bool) {
	it := item{whole: v}
	if v.Is(jws.String) {
		it.text = v.Text()
		if s.budget.Hold(len(it.text)) != nil {
			return it, false
		}
		decoded, err := jws.DecodeBase64URL(it.text)
		if err == nil {
			it.whole, err = jws.Parse(s.budget, decoded)
		}
		if err != nil {
			s.structure("an element of etsiU: %v", err)
			return it, false
		}
	}
	if len(it.whole.Members()) != 1 {
		s.structure("an element of etsiU is no object of one member (TS 119 182-1, 5.3.1)")
		return it, false
	}
	it.name, it.value = it.whole.Members()[0].Name, it.whole.Members()[0].Value
	return it, true
}

// evidence collects certificates and revocation data that travel with the signature. Nothing of it is trusted, so it
// does not matter what is signed.
func (s *signed) evidence() {
	for i := range s.unsigned {
		v := s.readValues(&s.unsigned[i])
		s.facts.Carry(v)
	}
	s.facts.BoundEvidence(maxEvidence)
}

// readValues reads xVals, rVals and their kin (TS 119 182-1, 5.3.5). Other properties have none.
func (s *signed) readValues(it *item) signature.Values {
	v := signature.Values{Origin: origins[it.name]}
	switch it.name {
	case "xVals", "axVals":
		v.Certificates = s.certificateValues(it.value)
	case "rVals", "arVals":
		s.revocationValues(&v, it.value)
	case "tstVD", "anyValData":
		v.Certificates = s.certificateValues(it.value.Member("xVals"))
		s.revocationValues(&v, it.value.Member("rVals"))
	}
	it.values = v
	return v
}

func (s *signed) certificateValues(list *jws.Value) [][]byte {
	var out [][]byte
	for _, v := range list.Items() {
		if der, ok := s.decode("a certificate value", v.Member("x509Cert").Member("val")); ok {
			out = append(out, der)
		}
	}
	return out
}

func (s *signed) revocationValues(v *signature.Values, from *jws.Value) {
	for _, e := range from.Member("crlVals").Items() {
		if der, ok := s.decode("a CRL value", e.Member("val")); ok {
			v.CRLs = append(v.CRLs, der)
		}
	}
	for _, e := range from.Member("ocspVals").Items() {
		if der, ok := s.decode("an OCSP value", e.Member("val")); ok {
			v.OCSPs = append(v.OCSPs, cms.WholeOCSP(der))
		}
	}
}

// origins are the names of traces for properties that carry evidence.
var origins = map[string]signature.Origin{
	"xVals": signature.CertificateValues, "axVals": signature.AttributeCertificates, "rVals": signature.RevocationValues,
	"arVals": signature.AttributeRevocations, "tstVD": signature.TimestampValidationData,
	"anyValData": signature.AnyValidationData,
}

// checkPolicyStore notes where sigPSt holds another policy than the one whose digest is signed (TS 119 182-1, 5.3.3).
func (s *signed) checkPolicyStore() {
	policy := s.jws.Protected.Member("sigPId")
	h := hashByName(policy.Member("digAlg"))
	for _, it := range s.unsigned {
		stored := it.value.Member("sigPolDoc")
		if it.name != "sigPSt" || stored == nil || policy.Member("digPSp").True() || !h.Valid() {
			continue
		}
		want, err := jws.DecodeBase64URL(policy.Member("digVal").Text())
		document, ok := s.decode("sigPSt", stored)
		matches := err == nil && ok && (certDigest{hash: h, value: want}).names(document)
		if s.facts.Policy != nil && ok {
			s.facts.Policy.Stored, s.facts.Policy.Matches = true, matches
		}
		if err != nil || ok && !matches {
			s.note("sigPSt holds another signature policy than the one that is signed")
		}
	}
}
