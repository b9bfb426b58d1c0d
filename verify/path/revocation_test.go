package path_test

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify/cache"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// list makes a CRL of the issuer; each entry is a revoked certificate and its reason code.
func list(t *testing.T, issuer *entity, reasons map[*entity]int) *revocation.CRL {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(serial.Add(1)), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	for e, code := range reasons {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: e.std.SerialNumber, RevocationTime: now.Add(-2 * time.Hour), ReasonCode: code})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer.std, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := revocation.ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

// answer makes an OCSP response about e, signed by the issuer or its delegate.
func answer(t *testing.T, e, issuer, signer *entity, status int) *revocation.Response {
	t.Helper()
	template := ocsp.Response{Status: status, SerialNumber: e.std.SerialNumber, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour), RevokedAt: now.Add(-2 * time.Hour)}
	if signer != issuer {
		template.Certificate = signer.std
	}
	der, err := ocsp.CreateResponse(issuer.std, signer.std, template, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	response, err := revocation.ParseOCSP(der)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// evidence makes a rule of fixed evidence.
func evidence(required bool, responses []*revocation.Response, crls ...*revocation.CRL) *path.RevocationRule {
	return &path.RevocationRule{Required: required, Evidence: func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) {
		return responses, crls
	}}
}

func TestRevocationAlongThePath(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	middle := mint(t, root, "middle", nil, ca)
	leaf := mint(t, middle, "leaf", nil)
	responder := mint(t, middle, "responder", nil, ocspSigning, noCheck)
	clean, cleanBelow := list(t, root, nil), list(t, middle, nil)
	responses := func(r ...*revocation.Response) []*revocation.Response { return r }
	for _, test := range []struct {
		name string
		rule *path.RevocationRule
		want path.Code
	}{
		{"clean lists", evidence(true, nil, clean, cleanBelow), path.OK},
		{"none for the leaf", evidence(true, nil, clean), path.RevocationUnknown},
		{"none is needed", evidence(false, nil), path.OK},
		{"leaf revoked", evidence(false, nil, list(t, middle, map[*entity]int{leaf: 1})), path.Revoked},
		{"CA revoked", evidence(false, nil, list(t, root, map[*entity]int{middle: 2})), path.Revoked},
		{"on hold", evidence(false, nil, list(t, middle, map[*entity]int{leaf: 6})), path.OnHold},
		{"OCSP by the issuer", evidence(true, responses(answer(t, leaf, middle, middle, ocsp.Good)), clean), path.OK},
		{"OCSP by a delegate", evidence(true, responses(answer(t, leaf, middle, responder, ocsp.Good)), clean), path.OK},
		{"OCSP revoked", evidence(true, responses(answer(t, leaf, middle, responder, ocsp.Revoked)), clean), path.Revoked},
		{"OCSP by the leaf itself", evidence(true, responses(answer(t, leaf, middle, leaf, ocsp.Good)), clean), path.RevocationUnknown},
		{"OCSP by a revoked delegate", evidence(false, responses(answer(t, leaf, middle, responder, ocsp.Good)), list(t, middle, map[*entity]int{responder: 1})), path.OK},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, cache := range []*cache.Cache{nil, newCache(t)} {
				r := validate(path.Request{Target: leaf.cert, Pool: pool(middle), Anchors: anchors(t, root), Revocation: test.rule, Cache: cache})
				wantCode(t, r, test.want)
			}
		})
	}
}

// TestARevokedDelegateSaysNothing has the responder's answer alone: the list that revokes the responder is about it, and
// about nothing else.
func TestARevokedDelegateSaysNothing(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	responder := mint(t, root, "responder", nil, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	response := answer(t, leaf, root, responder, ocsp.Good)
	revoked := list(t, root, map[*entity]int{responder: 1})
	rule := &path.RevocationRule{Required: true, Evidence: func(q *revocation.Question) ([]*revocation.Response, []*revocation.CRL) {
		if q.Certificate.Fingerprint == leaf.cert.Fingerprint {
			return []*revocation.Response{response}, nil
		}
		return nil, []*revocation.CRL{revoked}
	}}
	wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root), Revocation: rule}), path.RevocationUnknown)
}

func TestShortTermCertificatesNeedNoEvidence(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	assured := []int{0, 4, 0, 194121, 2, 1}
	leaf := mint(t, root, "leaf", nil, with(assured, false, 5, 0))
	rule := evidence(true, nil)
	wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root), Revocation: rule}), path.RevocationUnknown)
	rule.ShortTerm = true
	wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root), Revocation: rule}), path.OK)
}

// TestCRLSignersOwnPath has the lists signed under another key of the CA: its certificate needs a path to the same anchor,
// and its own revocation may be told by the list that it signed.
func TestCRLSignersOwnPath(t *testing.T) {
	root, foreign := mint(t, nil, "root", nil, ca), mint(t, nil, "foreign", nil, ca)
	middle := mint(t, root, "middle", nil, ca)
	crlOnly := func(c *x509.Certificate) { c.KeyUsage, c.SubjectKeyId = x509.KeyUsageCRLSign, []byte{9} }
	second := mint(t, root, "middle", nil, crlOnly)
	below := mint(t, middle, "middle", nil, crlOnly) // self-issued under the first key
	stranger := mint(t, foreign, "middle", nil, ca)
	silent := mint(t, root, "middle", nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	leaf := mint(t, middle, "leaf", nil)
	for _, test := range []struct {
		name   string
		signer *entity
		extra  []*revocation.CRL
		want   path.Code
	}{
		{"second key", second, []*revocation.CRL{list(t, root, nil)}, path.OK},
		{"second key revoked", second, []*revocation.CRL{list(t, root, map[*entity]int{second: 1})}, path.RevocationUnknown},
		{"covered by its own list", below, []*revocation.CRL{list(t, root, nil)}, path.OK},
		{"path to another anchor", stranger, []*revocation.CRL{list(t, root, nil)}, path.RevocationUnknown},
		{"key usage without cRLSign", silent, []*revocation.CRL{list(t, root, nil)}, path.RevocationUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			signer := *test.signer
			std := *signer.std
			std.KeyUsage, std.SubjectKeyId, signer.std = x509.KeyUsageCRLSign, []byte{9}, &std // else the library refuses to sign
			crls := append(test.extra, list(t, &signer, nil))
			r := validate(path.Request{Target: leaf.cert, Pool: pool(middle, test.signer, foreign), Anchors: anchors(t, root), Revocation: evidence(true, nil, crls...)})
			wantCode(t, r, test.want)
		})
	}
	t.Run("revoked by its own list", func(t *testing.T) {
		crls := []*revocation.CRL{list(t, root, nil), list(t, below, map[*entity]int{below: 1})}
		r := validate(path.Request{Target: leaf.cert, Pool: pool(middle, below), Anchors: anchors(t, root), Revocation: evidence(true, nil, crls...)})
		wantCode(t, r, path.RevocationUnknown)
	})
}

// TestSignersOfSignersEnd has a ring of CRL issuers, each certified by the next: it must end, and trust nobody.
func TestSignersOfSignersEnd(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	middle := mint(t, root, "middle", nil, ca)
	leaf := mint(t, middle, "leaf", nil)
	var signers []*entity
	var crls []*revocation.CRL
	issuer := middle
	for range 12 {
		issuer = mint(t, issuer, "middle", nil, ca)
		signers, crls = append(signers, issuer), append(crls, list(t, issuer, nil))
	}
	r := validate(path.Request{Target: leaf.cert, Pool: pool(append(signers, middle)...), Anchors: anchors(t, root), Revocation: evidence(true, nil, crls...)})
	wantCode(t, r, path.RevocationUnknown)
	if r.Spent.Signatures > path.DefaultLimits.Signatures {
		t.Errorf("%d signatures", r.Spent.Signatures)
	}
}
