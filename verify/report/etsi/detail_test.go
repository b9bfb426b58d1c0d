package etsi

import (
	"testing"
	"time"

	"trustcore/verify/trace"
)

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, ""},
		{time.Date(0, 5, 1, 0, 0, 0, 0, time.UTC), ""},
		{time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{time.Date(2026, 3, 1, 13, 0, 0, 500e6, time.FixedZone("CET", 3600)), "2026-03-01T12:00:00Z"},
	} {
		if got := dateTime(&c.at); got != c.want {
			t.Errorf("%v: %q, want %q", c.at, got, c.want)
		}
	}
}

// TestURIs: what is no URI to every reader is written as one.
func TestURIs(t *testing.T) {
	for text, want := range map[string]string{
		"urn:oid:1.2.3": "urn:oid:1.2.3", "1.2.840.113549.1.7.1": "1.2.840.113549.1.7.1",
		"https://a.pl:80/b?c=d&e#f": "https://a.pl:80/b?c=d&e#f",
		"//[":                       "%2F%2F%5B", "1:2": "1%3A2", "a b": "a+b", "http://a/%zz": "http%3A%2F%2Fa%2F%25zz",
		"http://a:port/": "http%3A%2F%2Fa%3Aport%2F",
	} {
		if got := anyURI(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestAlgorithms(t *testing.T) {
	for name, want := range map[string]string{
		"SHA-256": xmlenc + "sha256", "RSA-PKCS1-SHA256": dsigMore01 + "rsa-sha256",
		"RSA-PSS-SHA3-256": dsigMore07 + "sha3-256-rsa-MGF1",
		"ECDSA-SHA384":     dsigMore01 + "ecdsa-sha384", "ECDSA-SHA3-512": dsigMore21 + "ecdsa-sha3-512",
		"Ed25519":              dsigMore21 + "eddsa-ed25519",
		"RSA-PKCS1-SHA512-256": own + "algorithm:RSA-PKCS1-SHA512-256", "SHA-512/256": own + "algorithm:SHA-512%2F256",
		"ML-DSA-65": own + "algorithm:ML-DSA-65",
	} {
		if got := algorithm(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestQualifications(t *testing.T) {
	for name, want := range map[string]string{
		"QESig": "QESig", "Indeterminate AdESeal-QC": "indeterminateAdESealQC", "Not AdES but QC": "notAdESbutQC",
		"N/A":  "notApplicable",
		"QTSA": "QTSA", "anything": "notApplicable",
	} {
		if got := qualification(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestSignatureRef: an Id of a document is no part of an XPath expression but where it cannot end the text.
func TestSignatureRef(t *testing.T) {
	for _, c := range []struct {
		s    trace.Signature
		want signatureReference
	}{
		{trace.Signature{ID: "S-1", Format: "XAdES", Name: "podpis-Ż.1"},
			signatureReference{Pointer: &pointer{"//*[@Id='podpis-Ż.1']"}}},
		{trace.Signature{ID: "S-1", Format: "XAdES", Name: "' or '1'='1"}, signatureReference{Other: "S-1"}},
		{trace.Signature{ID: "S-1", Format: "PAdES", PDF: &trace.PDF{Fields: []string{"Podpis1"}}},
			signatureReference{Field: "Podpis1"}},
		{trace.Signature{ID: "S-1", Format: "CAdES"}, signatureReference{Other: "S-1"}},
		{trace.Signature{ID: "S-1", Format: "CAdES", Value: []byte("abc")},
			signatureReference{Method: xmlenc + "sha256", Value: "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="}},
	} {
		got := signatureRef(&c.s)
		if (got.Pointer == nil) != (c.want.Pointer == nil) || got.Pointer != nil && *got.Pointer != *c.want.Pointer {
			t.Errorf("%q: %+v", c.s.Name, got.Pointer)
			continue
		}
		if got.Pointer, c.want.Pointer = nil, nil; got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

// TestExistence: only what passed proves anything, and the earliest proof counts.
func TestExistence(t *testing.T) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	stamp := func(id, indication string, days int) trace.Timestamp {
		at := day.AddDate(0, 0, days)
		return trace.Timestamp{ID: id, Time: &at, Covers: []string{"D-1"},
			Conclusion: trace.Conclusion{Indication: indication}}
	}
	w := newWriter(&trace.Trace{ValidationTime: day.AddDate(1, 0, 0), SignedData: []trace.SignedData{{ID: "D-1"}},
		Timestamps: []trace.Timestamp{stamp("T-1", "FAILED", 0), stamp("T-2", "PASSED", 2), stamp("T-3", "PASSED", 1)}})
	if got := w.existence("D-1"); got.By != "T-3" {
		t.Errorf("a time-stamp that did not pass proves, or not the earliest: %v", got)
	}
	if got := w.existence("D-2"); got.By != "" || !got.Time.Equal(day.AddDate(1, 0, 0)) {
		t.Errorf("nothing proves it: %v", got)
	}
}

// TestWeakAlgorithmIsTold: of many uses of algorithms the one that may not be relied on is told, else the value's own.
func TestWeakAlgorithmIsTold(t *testing.T) {
	use := func(purpose, name string, secure bool) trace.Constraint {
		return trace.Constraint{Crypto: &trace.Crypto{Purpose: purpose, Algorithm: name, Secure: secure}}
	}
	w := newWriter(&trace.Trace{Signatures: []trace.Signature{{ID: "S-1"}}})
	block := trace.Block{Object: "S-1", Constraints: []trace.Constraint{use("reference", "SHA-512", true),
		use("signature", "RSA-PSS-SHA256", true)}}
	if got := w.crypto([]trace.Block{block}); got == nil || got.Algorithm != dsigMore07+"sha256-rsa-MGF1" || !got.Secure {
		t.Errorf("%+v, want the signature's", got)
	}
	block.Constraints = append(block.Constraints, use("reference", "SHA-1", false))
	if got := w.crypto([]trace.Block{block}); got == nil || got.Algorithm != dsig2000+"sha1" || got.Secure {
		t.Errorf("%+v, want SHA-1", got)
	}
}
