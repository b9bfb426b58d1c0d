package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// TestVersionOfLists: where it is written it is 2 (RFC 5280 5.1.2.1), however right the rest is.
func TestVersionOfLists(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	for _, c := range []struct {
		version int64
		number  int64
		read    bool
	}{{-1, 0, true}, {1, 1, true}, {0, 0, false}, {0, 1, false}, {2, 1, false}, {127, 1, false}} {
		l := list{this: day(1), next: day(20), number: c.number, version: &c.version}
		if _, err := ParseCRL(l.der(t, ca)); (err == nil) != c.read || err != nil && !strings.Contains(err.Error(), "version") {
			t.Errorf("version %d: %v", c.version, err)
		}
	}
}

// TestStrictLists has what RFC 5280 5.2 asks of issuers, which the profile strict asks of evidence.
func TestStrictLists(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	leaf := mint(t, ca, "leaf", nil, nil)
	number, aia, freshest := asn1.ObjectIdentifier{2, 5, 29, 20}, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}, asn1.ObjectIdentifier{2, 5, 29, 46}
	issuing := asn1.ObjectIdentifier{2, 5, 29, 28}
	for _, c := range []struct {
		name   string
		number int64
		extra  []pkix.Extension
		strict bool
	}{
		{"right", 1, nil, true},
		{"no number", 0, nil, false},
		{"critical number", 0, []pkix.Extension{extension(number, true, integer(1))}, false},
		{"critical authorityInfoAccess", 1, []pkix.Extension{extension(aia, true, []byte{0x30, 0})}, false},
		{"authorityInfoAccess", 1, []pkix.Extension{extension(aia, false, []byte{0x30, 0})}, true},
		{"critical freshestCRL", 1, []pkix.Extension{extension(freshest, true, []byte{0x30, 0})}, false},
		{"issuing point that is not critical", 1, []pkix.Extension{extension(issuing, false, idp(nil, map[int]byte{1: 0xff}))}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			crl := list{this: day(1), next: day(20), number: c.number, extra: c.extra}.crl(t, ca)
			q := question(t, ca, leaf)
			if got := CheckCRL(q, []*CRL{crl}); got.Status != Good {
				t.Errorf("%s %q %s", got.Status, got.Code, got.Detail)
			}
			q.Strict = true
			got := CheckCRL(q, []*CRL{crl})
			if (got.Status == Good) != c.strict || !c.strict && (got.Status != Invalid || got.Code != NotStrict) {
				t.Errorf("strict: %s %q %s", got.Status, got.Code, got.Detail)
			}
			if err := crl.Strict(); (err == nil) != c.strict {
				t.Errorf("the list for itself: %v", err)
			}
		})
	}
}

// TestStrictAnswers has answers that were signed before what they say, with clocks that differ by five minutes at most.
func TestStrictAnswers(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	young := mint(t, ca, "young", nil, func(c *x509.Certificate) { c.NotBefore = day(9) })
	leaf := mint(t, ca, "leaf", nil, nil)
	aia := with(extension(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}, true, []byte{0x30, 0}))
	delegate, flagged := mint(t, ca, "Responder", nil, asResponder), mint(t, ca, "Responder", nil, all(asResponder, aia))
	for _, c := range []struct {
		name     string
		about    *holder
		signer   *holder
		produced time.Time
		this     time.Time
		want     Code // under the strict profile; "" is good
	}{
		{"right", leaf, delegate, day(9), day(9), ""},
		{"five minutes before thisUpdate", leaf, delegate, day(9).Add(-5 * time.Minute), day(9), ""},
		{"a second more", leaf, delegate, day(9).Add(-5*time.Minute - time.Second), day(9), NotStrict},
		{"five minutes before the certificate", young, delegate, day(9).Add(-5 * time.Minute), day(9).Add(-5 * time.Minute), ""},
		{"a second before that", young, delegate, day(9).Add(-5*time.Minute - time.Second), day(9).Add(-5*time.Minute - time.Second), NotStrict},
		{"delegate with a critical authorityInfoAccess", leaf, flagged, day(9), day(9), SignerNotAuthorised},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := answer{produced: c.produced, certificates: [][]byte{c.signer.cert.Raw},
				singles: []single{{serial: c.about.cert.Serial, issuer: ca, status: Good, this: c.this, next: day(12)}}}
			q := question(t, ca, c.about)
			if got := CheckOCSP(q, a.response(t, c.signer)); got.Status != Good {
				t.Errorf("%s %q %s", got.Status, got.Code, got.Detail)
			}
			q.Strict = true
			if got := CheckOCSP(q, a.response(t, c.signer)); got.Code != c.want || (got.Status == Good) != (c.want == "") {
				t.Errorf("strict: %s %q %s", got.Status, got.Code, got.Detail)
			}
		})
	}
}

// TestWeakEvidence refuses the objects of a signature one by one: good news falls with each, bad news with none.
func TestWeakEvidence(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	leaf := mint(t, ca, "leaf", nil, nil)
	delegate := mint(t, ca, "Responder", nil, asResponder)
	says := func(status Status, this time.Time) *Response {
		return answer{produced: this, certificates: [][]byte{delegate.cert.Raw}, singles: []single{{serial: leaf.cert.Serial, issuer: ca,
			status: status, at: day(0), reason: KeyCompromise, this: this, next: day(12)}}}.response(t, delegate)
	}
	good, revoked, older := says(Good, day(9)), says(Revoked, day(9)), says(Good, day(8))
	complete := list{this: day(1), next: day(20), number: 1}.crl(t, ca)
	delta := list{this: day(2), next: day(20), number: 2, base: 1}.crl(t, ca)
	lists := list{this: day(1), next: day(20), number: 1, entries: []entry{{serial: leaf.cert.Serial, date: day(0), reason: KeyCompromise}}}.crl(t, ca)
	for _, c := range []struct {
		name      string
		responses []*Response
		crls      []*CRL
		weak      [32]byte
		want      Status
		code      Code
	}{
		{"nothing weak", []*Response{good}, nil, [32]byte{}, Good, ""},
		{"answer", []*Response{good}, nil, good.Digest(), Invalid, WeakAlgorithm},
		{"delegate's certificate", []*Response{good}, nil, delegate.cert.Fingerprint, Invalid, WeakAlgorithm},
		{"answer that revokes", []*Response{revoked}, nil, revoked.Digest(), Revoked, CertificateRevoked},
		{"answer, an older one is not", []*Response{good, older}, nil, good.Digest(), Good, ""},
		{"answer, a list is not", []*Response{good}, []*CRL{complete}, good.Digest(), Good, ""},
		{"list", nil, []*CRL{complete}, complete.Digest(), Invalid, WeakAlgorithm},
		{"list below a delta", nil, []*CRL{complete, delta}, complete.Digest(), Invalid, WeakAlgorithm},
		{"delta", nil, []*CRL{complete, delta}, delta.Digest(), Invalid, WeakAlgorithm},
		{"list that revokes", nil, []*CRL{lists}, lists.Digest(), Revoked, CertificateRevoked},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := question(t, ca, leaf)
			q.Acceptable = func(u Use) (bool, string) {
				if u.Algorithm != "ECDSA-SHA256" || u.Bits != 256 {
					t.Errorf("use of %s with %d bits", u.Algorithm, u.Bits)
				}
				return u.Object != c.weak, "weak"
			}
			if got := Check(q, c.responses, c.crls); got.Status != c.want || got.Code != c.code {
				t.Errorf("%s %q %s", got.Status, got.Code, got.Detail)
			}
		})
	}
}

// TestNobodyVouchesForItself: a responder's answer about its own key says nothing, whoever it is trusted by.
func TestNobodyVouchesForItself(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	delegate := mint(t, ca, "Responder", nil, asResponder)
	second := mint(t, ca, "Responder", delegate.key, asResponder) // of the same key
	other := mint(t, ca, "Responder", nil, asResponder)
	for _, c := range []struct {
		name   string
		signer *holder
		local  bool
		want   Status
	}{{"itself", delegate, false, Invalid}, {"itself, locally trusted", delegate, true, Invalid},
		{"another certificate of the key", second, false, Invalid}, {"another delegate", other, false, Good}, {"the issuer", ca, false, Good}} {
		t.Run(c.name, func(t *testing.T) {
			r := answer{produced: day(9), certificates: [][]byte{c.signer.cert.Raw}, singles: []single{{serial: delegate.cert.Serial,
				issuer: ca, status: Good, this: day(9), next: day(12)}}}.response(t, c.signer)
			q := question(t, ca, delegate)
			if c.local {
				q.LocalResponder = func(*certificate.Certificate) bool { return true }
			}
			if got := CheckOCSP(q, r); got.Status != c.want || c.want == Invalid && got.Code != SignerNotAuthorised {
				t.Errorf("%s %q %s", got.Status, got.Code, got.Detail)
			}
		})
	}
}

// TestSpentBudgetDecidesNothing: what was not looked at is neither good nor unknown.
func TestSpentBudgetDecidesNothing(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	leaf := mint(t, ca, "leaf", nil, nil)
	response := answer{produced: day(9), singles: []single{{serial: leaf.cert.Serial, issuer: ca, status: Good, this: day(9), next: day(12)}}}.response(t, ca)
	crl := list{this: day(1), next: day(20), number: 1}.crl(t, ca)
	q := question(t, ca, leaf)
	q.Budget = budget.Of(context.Background(), 1, 1)
	for name, got := range map[string]Result{"answer": Check(q, []*Response{response}, nil), "list": Check(q, nil, []*CRL{crl}), "both": Check(q, []*Response{response}, []*CRL{crl})} {
		if got.Status != Invalid || got.Code != BudgetSpent {
			t.Errorf("%s: %s %q", name, got.Status, got.Code)
		}
	}
}

// TestTheAlgorithmInside: the algorithm that the issuer signed as its own is the one that is verified, whatever stands in
// the place of absent parameters (RFC 5280 5.1.1.2).
func TestTheAlgorithmInside(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	leaf := mint(t, ca, "leaf", nil, nil)
	// outside has another AlgorithmIdentifier outside of what is signed, the last octet of its OID and its parameters.
	outside := func(l list, last byte, parameters string) *CRL {
		t.Helper()
		var c struct {
			TBS, Algorithm asn1.RawValue
			Value          asn1.BitString
		}
		if _, err := asn1.Unmarshal(l.der(t, ca), &c); err != nil {
			t.Fatal(err)
		}
		id := append(bytes.Clone(ecdsaSHA256), parameters...)
		id[1], id[len(ecdsaSHA256)-1] = byte(len(id)-2), last
		c.Algorithm.FullBytes = id
		der, err := asn1.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		crl, err := ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		return crl
	}
	complete := list{this: day(1), next: day(20), number: 1}
	delta := list{this: day(2), next: day(20), number: 2, base: 1, entries: []entry{{serial: leaf.cert.Serial, date: day(0), reason: KeyCompromise}}}
	const sha256, sha384, null = 2, 3, "\x05\x00"
	for _, c := range []struct {
		name string
		crls []*CRL
		want Status
		code Code
	}{
		{"the same", []*CRL{outside(complete, sha256, "")}, Good, ""},
		{"NULL", []*CRL{outside(complete, sha256, null)}, Good, ""},
		{"another hash", []*CRL{outside(complete, sha384, "")}, Invalid, Malformed},
		{"other parameters", []*CRL{outside(complete, sha256, "\x04\x00")}, Invalid, Malformed},
		{"delta, NULL", []*CRL{outside(complete, sha256, ""), outside(delta, sha256, null)}, Revoked, CertificateRevoked},
		{"delta, another hash", []*CRL{outside(complete, sha256, ""), outside(delta, sha384, "")}, Good, ""},
	} {
		q := question(t, ca, leaf)
		q.Verify = func(algorithm.Scheme, *algorithm.PublicKey, Signed) ([]string, error) { return nil, nil }
		if got := Check(q, nil, c.crls); got.Status != c.want || got.Code != c.code {
			t.Errorf("%s: %s %q %s, want %s %q", c.name, got.Status, got.Code, got.Detail, c.want, c.code)
		}
	}
}
