package revocation

import (
	"testing"

	"trustcore/verify/certificate"
)

// TestSignedBy tells who signed what decided: somebody with a certificate, the issuing key, or both.
func TestSignedBy(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	renewed := mint(t, ca, "CA", nil, asCA)
	delegate := mint(t, ca, "Responder", nil, asResponder)
	leaf := mint(t, ca, "leaf", nil, crlPoints(
		distributionPoint{name: point(uri), reasons: 0x60}, distributionPoint{name: point(uri + "2")}))
	said := answer{produced: day(3), singles: []single{
		{serial: leaf.cert.Serial, issuer: ca, status: Good, this: day(3), next: day(12)}}}
	half := func(signer *holder) *CRL {
		return list{this: day(1), next: day(20), idp: idp(point(uri), map[int]byte{3: 0x60})}.crl(t, signer)
	}
	rest := func(signer *holder) *CRL {
		return list{this: day(1), next: day(20), idp: idp(point(uri+"2"), nil)}.crl(t, signer)
	}
	for _, c := range []struct {
		name     string
		ocsp     []*Response
		crls     []*CRL
		signers  int
		byIssuer bool
	}{
		{"an answer of the issuer", []*Response{said.response(t, ca)}, nil, 0, true},
		{"an answer of a delegate", []*Response{said.response(t, delegate)}, nil, 1, false},
		{"lists of the issuer", nil, []*CRL{half(ca), rest(ca)}, 0, true},
		{"lists of another key", nil, []*CRL{half(renewed), rest(renewed)}, 2, false},
		{"the first of the issuer", nil, []*CRL{half(ca), rest(renewed)}, 1, true},
		{"the second of the issuer", nil, []*CRL{half(renewed), rest(ca)}, 1, true},
	} {
		q := question(t, ca, leaf)
		q.CRLIssuers, q.Trusted, q.Responders = named(ca, renewed), trustAll, []*certificate.Certificate{delegate.cert}
		got := Check(q, c.ocsp, c.crls)
		if got.Status != Good || len(got.Signers) != c.signers || got.ByIssuer != c.byIssuer {
			t.Errorf("%s: %s %q, %d signers, by the issuer: %t", c.name, got.Status, got.Code, len(got.Signers), got.ByIssuer)
		}
	}
}
