package judge_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
)

// TestLevels: what keeps a signature from the level that it has the form of.
func TestLevels(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	for _, c := range []struct {
		name, level, want string
		stamp             time.Time
		edit              func(*signature.Signature)
	}{
		{"whole", "B-LT", "B-LT", day, func(*signature.Signature) {}},
		{"whole, archived", "B-LTA", "B-LTA", day, func(*signature.Signature) {}},
		{"no evidence", "B-LTA", "B-T", day, func(s *signature.Signature) { s.CRLs = nil }},
		{"stamped after the certificate", "B-LT", "B-B", day.AddDate(0, 7, 0), func(*signature.Signature) {}},
		{"the same in a PDF", "B-LT", "B-LT", day.AddDate(0, 7, 0), func(s *signature.Signature) { s.Format = signature.PAdES }},
		{"stamped by a stranger", "B-LT", "B-T", day, func(s *signature.Signature) { s.Timestamps[0].Signer = nil }},
		{"stamp about other data", "B-LT", "B-LT", day, func(s *signature.Signature) { s.Timestamps[0].Imprint = false }},
	} {
		doc := w.signed(t, c.stamp)
		s := doc.Signatures[0]
		s.Level, s.CRLs = c.level, [][]byte{w.ca.CRL(t, day, nil)}
		c.edit(s)
		if got := w.judge(t, doc, day.AddDate(1, 0, 0)).Signatures[0].Level; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestLevelsOfStamps: evidence serves for all time-stamps but the last over evidence; what is left of a level without it
// are the time-stamp and stamped references.
func TestLevelsOfStamps(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	stranger := mint.Root(t, "stranger").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "unit"}, TSU: true})
	const sig, archive, refs = signature.SignatureTimestamp, signature.ArchiveTimestamp, signature.SigAndRefs
	type types [3]signature.TimestampType
	for _, c := range []struct {
		name, level, want string
		types             types
		strange           []int // those whose unit there is no evidence about
	}{
		{"all have evidence", "B-LTA", "B-LTA", types{sig, archive, archive}, nil},
		{"the last archive time-stamp has none", "B-LTA", "B-LTA", types{sig, archive, archive}, []int{2}},
		{"the first archive time-stamp has none", "B-LTA", "B-T", types{sig, archive, archive}, []int{1}},
		{"a document's has none", "B-LTA", "B-LTA", types{sig, sig, signature.DocumentTimestamp}, []int{2}},
		{"a container's has none", "B-LTA", "B-LTA", types{sig, sig, signature.ContainerTimestamp}, []int{2}},
		{"a content time-stamp has none", "B-LT", "B-T", types{signature.ContentTimestamp, sig, sig}, []int{0}},
		{"a later signature time-stamp has none", "B-LT", "B-T", types{sig, sig, sig}, []int{2}},
		{"LT", "LT", "T", types{sig, sig, sig}, []int{0}},
		{"LTA", "LTA", "T", types{sig, sig, archive}, []int{0}},
		{"ERS", "ERS", "B-T", types{sig, sig, sig}, []int{0}},
		{"A", "A", "T", types{sig, sig, archive}, []int{0}},
		{"A over stamped references", "A", "X", types{sig, refs, archive}, []int{0}},
		{"A over references stamped alone", "A", "X", types{sig, signature.RefsOnlyTimestamp, archive}, []int{0}},
		{"ERS over stamped references", "ERS", "X", types{sig, refs, sig}, []int{0}},
		{"XL", "XL", "X", types{sig, refs, sig}, []int{1}},
		{"X", "X", "X", types{sig, refs, sig}, []int{1}},
		{"C", "C", "C", types{sig, sig, sig}, []int{0}},
	} {
		doc := w.signed(t, day, day.Add(time.Hour), day.Add(2*time.Hour))
		s := doc.Signatures[0]
		s.Level, s.CRLs = c.level, [][]byte{w.ca.CRL(t, day, nil)}
		for i, typ := range c.types {
			s.Timestamps[i].Type = typ
		}
		for _, i := range c.strange {
			s.Timestamps[i].Signer = stranger.Cert.Raw
		}
		if got := w.judge(t, doc, day.AddDate(1, 0, 0)).Signatures[0].Level; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestLevelOfDelegates: evidence of a responder needs evidence about the responder, unless its certificate says that it
// needs none; which the time-stamps of the signature may carry.
func TestLevelOfDelegates(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	purpose := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x09")}
	noCheck := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}
	crl := w.ca.CRL(t, day, nil)
	for _, c := range []struct {
		name, want string
		extensions []pkix.Extension
		edit       func(*signature.Signature)
	}{
		{"nothing about the responder", "B-T", []pkix.Extension{purpose}, func(*signature.Signature) {}},
		{"a list", "B-LT", []pkix.Extension{purpose}, func(s *signature.Signature) { s.CRLs = [][]byte{crl} }},
		{"none needed", "B-LT", []pkix.Extension{purpose, noCheck}, func(*signature.Signature) {}},
	} {
		delegate := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "Responder"}, Extensions: c.extensions,
			From: day.AddDate(-1, 0, 0), To: day.AddDate(9, 0, 0)})
		answer, err := ocsp.CreateResponse(w.ca.Cert, delegate.Cert, ocsp.Response{Status: ocsp.Good, Certificate: delegate.Cert,
			SerialNumber: w.officer.Cert.SerialNumber, ThisUpdate: day, NextUpdate: day.AddDate(0, 0, 7)}, delegate.Key)
		if err != nil {
			t.Fatal(err)
		}
		doc := w.signed(t, day)
		s := doc.Signatures[0]
		s.Level, s.OCSPs = "B-LT", [][]byte{answer}
		c.edit(s)
		if got := w.judge(t, doc, day.AddDate(5, 0, 0)).Signatures[0].Level; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestEvidenceInAStamp: what one time-stamp of a signature carries serves for the others.
func TestEvidenceInAStamp(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	unit := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "unit"}, TSU: true})
	w.policy = strictBut(t, "TimestampServiceListed: FAIL", "TimestampServiceListed: IGNORE")
	for _, carried := range []bool{true, false} {
		doc := w.stamped(t, mint.Stamp{By: unit, At: day}, mint.Stamp{By: w.tsu, At: day.Add(time.Hour)})
		s := doc.Signatures[0]
		if carried {
			s.Timestamps[1].CRLs = [][]byte{w.ca.CRL(t, day.Add(time.Hour), nil)}
		}
		r := w.judge(t, doc, day.Add(2*time.Hour))
		if got := r.Timestamps[s.Timestamps[0]].Indication == "TOTAL-PASSED"; got != carried {
			t.Errorf("a list in the other time-stamp: %t, passed: %t", carried, got)
		}
	}
}

// TestEvidenceElsewhere: what one signature of a document brings about a certificate counts for the others, to the good
// and to the bad.
func TestEvidenceElsewhere(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		place func(doc *signature.Document, crl []byte)
		want  string
	}{
		"nowhere": {func(*signature.Document, []byte) {}, "INDETERMINATE CERTIFICATE_CHAIN_GENERAL_FAILURE"},
		"in another signature": {func(doc *signature.Document, crl []byte) {
			doc.Signatures = append(doc.Signatures, &signature.Signature{ID: "other", CRLs: [][]byte{crl}})
		}, "TOTAL-PASSED"},
		"in a time-stamp of another signature": {func(doc *signature.Document, crl []byte) {
			stamp := &signature.Timestamp{Type: signature.SignatureTimestamp, CRLs: [][]byte{crl}}
			doc.Signatures = append(doc.Signatures, &signature.Signature{ID: "other", Timestamps: []*signature.Timestamp{stamp}})
		}, "TOTAL-PASSED"},
		"in a time-stamp of the document": {func(doc *signature.Document, crl []byte) {
			doc.Timestamps = append(doc.Timestamps, &signature.Timestamp{Type: signature.ContainerTimestamp, CRLs: [][]byte{crl}})
		}, "TOTAL-PASSED"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := w.signed(t, mint.Day)
			c.place(doc, w.ca.CRL(t, mint.Day, nil))
			found := w.judge(t, doc, mint.Day.Add(time.Hour))
			wants(t, found.Signatures[0].Conclusion, c.want)
			if found.Signatures[0].Chain.Covered {
				t.Error("the signature's own evidence covers its chain")
			}
		})
	}
}
