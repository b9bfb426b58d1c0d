package judge_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify/internal/mint"
)

// TestRevocationDataAvailable: below FAIL a certificate that no evidence names is told of, the signer's and its CAs' each
// by their own level; what names it must still be usable and good, and whoever signed that must be known to be good.
func TestRevocationDataAvailable(t *testing.T) {
	day := mint.Day
	w := newWorld(t)
	authority := func(by mint.Party) mint.Party {
		return by.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "Sub CA"}, CA: true, From: day.AddDate(-1, 0, 0), To: day.AddDate(9, 0, 0)})
	}
	sub, other, stranger := authority(w.ca), authority(w.ca), authority(mint.Root(t, "stranger"))
	issued := func(from, to time.Time) mint.Party {
		return sub.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, From: from, To: to})
	}
	valid, ended := issued(day.AddDate(-1, 0, 0), day.AddDate(1, 0, 0)), issued(day.AddDate(-2, 0, 0), day.AddDate(-1, 0, 0))
	aboutSub := w.ca.CRL(t, day, nil)
	gone := map[*x509.Certificate]time.Time{valid.Cert: day.AddDate(0, 0, -1)}
	const unknown, passes = "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE", "TOTAL-PASSED"
	for _, c := range []struct {
		name       string
		officer    mint.Party
		signer, ca string // the levels
		crls       [][]byte
		want       string
		told       bool
	}{
		{"nothing of the signer, FAIL", valid, "FAIL", "FAIL", [][]byte{aboutSub}, unknown, false},
		{"nothing of the signer, WARN", valid, "WARN", "FAIL", [][]byte{aboutSub}, passes, true},
		{"nothing of the signer, WARN for CAs", valid, "FAIL", "WARN", [][]byte{aboutSub}, unknown, false},
		{"nothing of the CA, WARN for signers", valid, "WARN", "FAIL", [][]byte{sub.CRL(t, day, nil)}, unknown, false},
		{"nothing of the CA, WARN for CAs", valid, "FAIL", "WARN", [][]byte{sub.CRL(t, day, nil)}, passes, true},
		{"nothing at all", valid, "WARN", "WARN", nil, passes, true},
		{"something of both", valid, "WARN", "WARN", [][]byte{aboutSub, sub.CRL(t, day, nil)}, passes, false},
		{"signer revoked", valid, "WARN", "WARN", [][]byte{sub.CRL(t, day, gone)}, "INDETERMINATE REVOKED_NO_POE", false},
		{"CA revoked", valid, "WARN", "WARN", [][]byte{w.ca.CRL(t, day, map[*x509.Certificate]time.Time{sub.Cert: day.AddDate(0, 0, -1)})},
			"INDETERMINATE REVOKED_CA_NO_POE", false},
		{"a list of a stranger", valid, "WARN", "WARN", [][]byte{aboutSub, stranger.CRL(t, day, nil)}, unknown, false},
		{"a list by a key of which nothing is known", valid, "WARN", "WARN", [][]byte{other.CRL(t, day, nil)}, unknown, false},
		{"a list by a key that is known", valid, "WARN", "WARN", [][]byte{aboutSub, other.CRL(t, day, nil)}, passes, false},
		{"a stale list", valid, "WARN", "WARN", [][]byte{aboutSub, sub.CRL(t, day.AddDate(0, -1, 0), nil)}, "INDETERMINATE TRY_LATER", false},
		{"ended, and nothing is known, FAIL", ended, "FAIL", "WARN", nil, unknown, false},
		{"ended, and nothing is known, WARN", ended, "WARN", "WARN", nil, "INDETERMINATE OUT_OF_BOUNDS_NO_POE", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ofCA := "KeyUsage: {Level: FAIL, Values: [keyCertSign]}\n      RevocationDataAvailable: "
			w.officer = c.officer
			w.policy = strictBut(t, "RevocationDataAvailable: FAIL", "RevocationDataAvailable: "+c.signer, ofCA+"FAIL", ofCA+c.ca)
			doc := w.signed(t)
			s := doc.Signatures[0]
			s.Level, s.CRLs = "B-LT", c.crls
			s.Certificates = append(s.Certificates, sub.Cert.Raw, other.Cert.Raw)
			r := w.judge(t, doc, day.Add(time.Hour)).Signatures[0]
			wants(t, r.Conclusion, c.want)
			told := slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "nothing is known of a revocation of") })
			if c.want == passes && told != c.told || told && r.Level != "B-T" {
				t.Errorf("told: %t, level %s, notes %q", told, r.Level, r.Notes)
			}
		})
	}
}

// TestDelegateWithoutEvidence: a responder needs evidence about itself, whatever the policy says of signers.
func TestDelegateWithoutEvidence(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	w.policy = strictBut(t, "RevocationDataAvailable: FAIL", "RevocationDataAvailable: WARN")
	purpose := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x09")}
	delegate := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "Responder"}, Extensions: []pkix.Extension{purpose},
		From: day.AddDate(-1, 0, 0), To: day.AddDate(9, 0, 0)})
	answer, err := ocsp.CreateResponse(w.ca.Cert, delegate.Cert, ocsp.Response{Status: ocsp.Good, Certificate: delegate.Cert,
		SerialNumber: w.officer.Cert.SerialNumber, ThisUpdate: day, NextUpdate: day.AddDate(2, 0, 0)}, delegate.Key)
	if err != nil {
		t.Fatal(err)
	}
	doc := w.signed(t, day)
	doc.Signatures[0].OCSPs = [][]byte{answer}
	wants(t, w.judge(t, doc, day.AddDate(1, 0, 0)).Signatures[0].Conclusion, "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE")
}
