package judge_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"

	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
)

// dayOf is noon of the n-th day after mint.Day.
func dayOf(n int) time.Time { return mint.Day.AddDate(0, 0, n) }

// listOf is a revocation list of the party about one certificate, with a reason.
func listOf(t *testing.T, by mint.Party, at time.Time, of *x509.Certificate, revoked time.Time, reason int) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(at.Unix()), ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 7),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: of.SerialNumber, RevocationTime: revoked, ReasonCode: reason}}}
	der, err := x509.CreateRevocationList(rand.Reader, list, by.Cert, by.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

const (
	keyCompromise   = 1
	certificateHold = 6
)

// archived makes of the last time-stamp an archive time-stamp over the objects.
func archived(s *signature.Signature, objects ...[]byte) {
	archive := s.Timestamps[len(s.Timestamps)-1]
	archive.Type, archive.Covers = signature.ArchiveTimestamp, nil
	for _, o := range objects {
		archive.Covers = append(archive.Covers, sha256.Sum256(o))
	}
}

// TestRevokedAuthority: whoever took the key of an authority may sign certificates and lists of any date with it, so that what
// an authority signed that was revoked since counts only where it is proven to be older than the revocation (5.6.2.2.4).
func TestRevokedAuthority(t *testing.T) {
	const refused, waiting = "INDETERMINATE REVOKED_CA_NO_POE", "INDETERMINATE TRY_LATER"
	for _, c := range []struct {
		name    string
		upper   bool // the authority above the issuer was revoked, not the issuer
		revoked int  // day
		reason  int
		covered string // what an archive time-stamp of day 3 covers: "" for nothing
		late    bool   // the archive time-stamp is of day 25
		ended   bool   // the officer's certificate has run out at the validation
		want    string
	}{
		{"revoked before the signature", false, -1, keyCompromise, "all", false, false, refused},
		{"revoked since", false, 20, keyCompromise, "", false, false, refused},
		{"revoked since, the officer's certificate has ended", false, 20, keyCompromise, "", false, true, refused},
		{"revoked since, proven to be older", false, 20, keyCompromise, "all", false, false, "TOTAL-PASSED"},
		{"revoked since, proven to be older, the officer's certificate has ended", false, 20, keyCompromise, "all", false, true, "TOTAL-PASSED"},
		{"revoked since, proven afterwards", false, 20, keyCompromise, "all", true, false, refused},
		{"revoked since, the certificates proven alone", false, 20, keyCompromise, "certificates", false, false, refused},
		{"the one above revoked since", true, 20, keyCompromise, "", false, false, refused},
		{"the one above revoked since, proven to be older", true, 20, keyCompromise, "all", false, false, "TOTAL-PASSED"},
		{"the one above revoked since, the lists proven alone", true, 20, keyCompromise, "lists", false, false, refused},
		{"on hold before the signature", false, -1, certificateHold, "all", false, false, waiting},
		{"on hold since", false, 20, certificateHold, "", false, false, waiting},
		{"on hold since, the officer's certificate has ended", false, 20, certificateHold, "", false, true, waiting},
		{"on hold since, proven to be older", false, 20, certificateHold, "all", false, false, "TOTAL-PASSED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			upper := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "upper"}, CA: true})
			issuer := upper.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "issuer"}, CA: true})
			end := dayOf(300)
			if c.ended {
				end = dayOf(28)
			}
			w.officer = issuer.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, From: dayOf(-100), To: end})
			stamped := 3
			if c.late {
				stamped = 25
			}
			doc := w.signed(t, dayOf(0), dayOf(stamped))
			s := doc.Signatures[0]
			s.Certificates = append(s.Certificates, upper.Cert.Raw, issuer.Cert.Raw)
			crls := [][]byte{w.ca.CRL(t, dayOf(2), nil), upper.CRL(t, dayOf(2), nil), issuer.CRL(t, dayOf(2), nil)}
			var objects [][]byte
			if c.covered != "lists" && c.covered != "" {
				objects = append(objects, s.Certificates...)
			}
			if c.covered != "certificates" && c.covered != "" {
				objects = append(objects, crls...)
			}
			archived(s, objects...)
			by, of := upper, issuer.Cert
			if c.upper {
				by, of = w.ca, upper.Cert
				crls = append(crls, upper.CRL(t, dayOf(29), nil)) // by whoever has the key now
			}
			crls = append(crls, listOf(t, by, dayOf(29), of, dayOf(c.revoked), c.reason))
			wants(t, w.judge(t, doc, dayOf(30), crls...).Signatures[0].Conclusion, c.want)
		})
	}
}

// TestOnHold: a certificate on hold may be good again, so that nothing is concluded, neither for nor against the signature,
// unless it is proven to be older (5.2.6.4, 5.5.4).
func TestOnHold(t *testing.T) {
	const waiting = "INDETERMINATE TRY_LATER"
	for _, c := range []struct {
		name    string
		held    int // day
		content bool
		want    string
	}{
		{"before the signature", -2, false, waiting},
		{"after it", 2, false, "TOTAL-PASSED"},
		{"before the time-stamp of the content", -2, true, waiting},
		{"after the time-stamp of the content", 2, true, waiting},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			doc := w.signed(t, dayOf(0))
			if c.content {
				doc.Signatures[0].Timestamps[0].Type, doc.Signatures[0].Timestamps[0].Covers = signature.ContentTimestamp, nil
			}
			held := listOf(t, w.ca, dayOf(29), w.officer.Cert, dayOf(c.held), certificateHold)
			wants(t, w.judge(t, doc, dayOf(30), held).Signatures[0].Conclusion, c.want)
		})
	}
}

// TestEvidenceFromAfterTheValidation: what was published after the time of validation tells of no certificate that it was good,
// and of none that was revoked before that it was not.
func TestEvidenceFromAfterTheValidation(t *testing.T) {
	w := newWorld(t)
	good := w.ca.CRL(t, dayOf(2), nil)
	for _, c := range []struct {
		name    string
		revoked int // day
		lists   [][]byte
		want    string
	}{
		{"revoked before the signature", -2, [][]byte{good}, "INDETERMINATE REVOKED_NO_POE"},
		{"revoked after it", 2, [][]byte{good}, "TOTAL-PASSED"},
		{"revoked after it, nothing else known", 2, nil, "INDETERMINATE REVOKED_NO_POE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			later := listOf(t, w.ca, dayOf(60), w.officer.Cert, dayOf(c.revoked), keyCompromise)
			wants(t, w.judge(t, w.signed(t, dayOf(0)), dayOf(30), append(c.lists, later)...).Signatures[0].Conclusion, c.want)
		})
	}
}

// TestOrderOfTimestampsByPolicy: a content time-stamp that is later than the signature's is refused or told by the policy.
func TestOrderOfTimestampsByPolicy(t *testing.T) {
	for _, c := range []struct{ level, want string }{
		{"FAIL", "INDETERMINATE TIMESTAMP_ORDER_FAILURE"}, {"WARN", "TOTAL-PASSED"}, {"IGNORE", "TOTAL-PASSED"},
	} {
		w := newWorld(t)
		w.policy = strictBut(t, "Coherence: FAIL", "Coherence: "+c.level)
		doc := w.signed(t, dayOf(0), dayOf(1))
		content := doc.Signatures[0].Timestamps[1]
		content.Type, content.Covers = signature.ContentTimestamp, nil
		s := w.judge(t, doc, dayOf(30), w.ca.CRL(t, dayOf(2), nil)).Signatures[0]
		wants(t, s.Conclusion, c.want)
		if told := slices.Contains(s.Notes, "a content time-stamp is later than the signature's"); told != (c.level == "WARN") {
			t.Errorf("%s: told %v: %q", c.level, told, s.Notes)
		}
	}
}

// TestEvidenceOfASignerThatHadEnded: a list that is of a time after the end of its signer's certificate is no evidence,
// whatever proves its age.
func TestEvidenceOfASignerThatHadEnded(t *testing.T) {
	w := newWorld(t)
	issuer := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "CA that ends"}, CA: true, From: dayOf(-300), To: dayOf(20)})
	w.officer = issuer.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, From: dayOf(-100), To: dayOf(300)})
	for _, c := range []struct {
		of   int // day of the list
		want string
	}{
		{19, "INDETERMINATE REVOCATION_OUT_OF_BOUNDS_NO_POE"}, {21, "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE"},
	} {
		doc := w.signed(t, dayOf(0))
		doc.Signatures[0].Certificates = append(doc.Signatures[0].Certificates, issuer.Cert.Raw)
		found := w.judge(t, doc, dayOf(30), w.ca.CRL(t, dayOf(29), nil), issuer.CRL(t, dayOf(c.of), nil))
		wants(t, found.Signatures[0].Conclusion, c.want)
	}
}

// TestBeforeTheCertificateWithoutEvidence: a signature that is proven to be older than its certificate is false, once the
// certificate itself is known to be good or no more than out of its time (5.5.4).
func TestBeforeTheCertificateWithoutEvidence(t *testing.T) {
	w := newWorld(t)
	doc := w.signed(t, dayOf(-365))
	wants(t, w.judge(t, doc, dayOf(30)).Signatures[0].Conclusion, "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE")
	wants(t, w.judge(t, doc, dayOf(30), w.ca.CRL(t, dayOf(2), nil)).Signatures[0].Conclusion, "TOTAL-FAILED NOT_YET_VALID")
}

// TestAlgorithmsOfCertificates: an algorithm that has become weak lets anybody make a certificate of before, so that it counts
// by when the certificate itself is proven to have existed, where there is material for long term availability, else by now
// (5.5.4, 5.6.2.4).
func TestAlgorithmsOfCertificates(t *testing.T) {
	const weak = "INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
	for _, c := range []struct {
		name    string
		own     bool // it is the signer's certificate, which the time-stamp on the value is about too
		archive int  // day; 0 for none
		covers  bool
		want    string
	}{
		{"the value proven alone", false, 0, false, weak},
		{"the value proven alone, and the signer's certificate with it", true, 0, false, weak},
		{"the signer's certificate proven with the value, archived", true, 5, false, "TOTAL-PASSED"},
		{"the certificate proven in time", false, 5, true, "TOTAL-PASSED"},
		{"the certificate not proven", false, 5, false, weak},
		{"the certificate proven too late", false, 12, true, weak},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.policy = strictBut(t, "    SHA384: no end", "    SHA384: "+dayOf(10).Format(time.DateOnly))
			issuer := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "issuer"}, CA: true})
			if !c.own {
				issuer.Cert = signedAnew(t, issuer.Cert, w.ca)
			}
			w.officer = issuer.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}})
			if c.own {
				w.officer.Cert = signedAnew(t, w.officer.Cert, issuer)
			}
			stamps := []time.Time{dayOf(0)}
			if c.archive > 0 {
				stamps = append(stamps, dayOf(c.archive))
			}
			doc := w.signed(t, stamps...)
			s := doc.Signatures[0]
			s.Certificates = append(s.Certificates, issuer.Cert.Raw)
			switch {
			case c.covers:
				archived(s, s.Certificates...)
			case c.archive > 0:
				archived(s)
			}
			found := w.judge(t, doc, dayOf(30), w.ca.CRL(t, dayOf(29), nil), issuer.CRL(t, dayOf(29), nil))
			wants(t, found.Signatures[0].Conclusion, c.want)
		})
	}
}

// signedAnew is the certificate with a signature by SHA-384.
func signedAnew(t *testing.T, c *x509.Certificate, by mint.Party) *x509.Certificate {
	t.Helper()
	template := *c
	template.SignatureAlgorithm = x509.ECDSAWithSHA384
	der, err := x509.CreateCertificate(rand.Reader, &template, by.Cert, c.PublicKey, by.Key)
	if err != nil {
		t.Fatal(err)
	}
	anew, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return anew
}
