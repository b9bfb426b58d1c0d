package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"trustcore/internal/budget"
	"trustcore/verify/certificate"
	"trustcore/verify/internal/mint"
	"trustcore/verify/trace"
)

// TestTraceOfTokens: what a token says of its signer is told, and whether it is the unit's.
func TestTraceOfTokens(t *testing.T) {
	w := newWorld(t)
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}}}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	unit, err := certificate.Parse(w.tsa.Cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	s := doc.Signatures[0].Timestamps[0]
	s.Filename = "META-INF/timestamp.tst"
	s.CertificateRefs[0].IssuerSerial = issuerSerial(unit.Issuer.Raw, unit.Serial)
	tr := holds(t, doc, w.evidence(w.ca.CRL(t, mint.Day.Add(time.Hour), nil)), DefaultPolicy(), mint.Day.Add(2*time.Hour))
	stamp := tr.Timestamps[0]
	if len(stamp.Identifiers) != 1 || stamp.Identifiers[0].Issuer != unit.Issuer.String() ||
		stamp.Identifiers[0].Serial != decimal(unit.Serial) {
		t.Errorf("%+v", stamp.Identifiers)
	}
	if refs := stamp.SigningCertificateRefs; len(refs) != 1 || !refs[0].Matches ||
		refs[0].Certificate != stamp.SigningCertificate || !refs[0].IssuerMatches {
		t.Errorf("%+v", stamp.SigningCertificateRefs)
	}
	if len(stamp.Listed) != 2 || stamp.Listed[0].Qualification != "QTSA" || !stamp.Listed[0].Time.Equal(*stamp.Time) ||
		stamp.Filename != s.Filename {
		t.Errorf("%+v %q", stamp.Listed, stamp.Filename)
	}
	if uses := tr.Signatures[0].Uses; !slices.ContainsFunc(uses, func(u trace.Crypto) bool {
		return u.Purpose == "certificate" && u.Object == tr.Signatures[0].SigningCertificate
	}) {
		t.Errorf("the path of the signer is not told of: %+v", uses)
	}
}

func issuerSerial(issuer, serial []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.Tag(4).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(issuer) })
		})
		b.AddASN1(asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(serial) })
	})
	return b.BytesOrPanic()
}

// TestIssuerSerial: one of another issuer or number, or that can't be read, is not the certificate's.
func TestIssuerSerial(t *testing.T) {
	ca, other := mint.Root(t, "CA"), mint.Root(t, "CA of others")
	c, err := certificate.Parse(ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "x"}}).Cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	good := issuerSerial(c.Issuer.Raw, c.Serial)
	for name, der := range map[string][]byte{"none": nil, "cut": good[:len(good)-1],
		"another number": issuerSerial(c.Issuer.Raw, append(bytes.Clone(c.Serial), 1)),
		"another issuer": issuerSerial(other.Cert.RawSubject, c.Serial)} {
		if names(der, c) {
			t.Errorf("%s: it names the certificate", name)
		}
	}
	if !names(good, c) {
		t.Error("its own does not name it")
	}
}

// TestTSAName: a field tsa with the attributes of the unit in another order has the content and not the order.
func TestTSAName(t *testing.T) {
	parse := func(names ...pkix.AttributeTypeAndValue) *certificate.Certificate {
		c, err := certificate.Parse(mint.Root(t, "CA").Issue(t, mint.Request{Subject: pkix.Name{ExtraNames: names}}).Cert.Raw)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	cn := pkix.AttributeTypeAndValue{Type: []int{2, 5, 4, 3}, Value: "unit"}
	o := pkix.AttributeTypeAndValue{Type: []int{2, 5, 4, 10}, Value: "office"}
	unit := parse(cn, o)
	general := func(c *certificate.Certificate) []byte {
		var b cryptobyte.Builder
		b.AddASN1(asn1.Tag(4).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(c.Subject.Raw) })
		return b.BytesOrPanic()
	}
	for _, c := range []struct {
		name             string
		tsa              []byte
		matches, inOrder bool
	}{{"its own", general(unit), true, true}, {"turned", general(parse(o, cn)), true, false},
		{"another", general(parse(cn)), false, false}} {
		got := authority(c.tsa, unit)
		if got == nil || got.Matches != c.matches || got.InOrder != c.inOrder {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if authority(nil, unit) != nil || authority([]byte{0x30}, unit) != nil {
		t.Error("what is not there is told")
	}
}

// TestTraceOfUses: every use of an algorithm is told, also where the course of validation ended before, and judged as
// the policy has it.
func TestTraceOfUses(t *testing.T) {
	w := newWorld(t)
	document := mint.XML{Signer: mint.Root(t, "Nobody's CA").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "x"}}),
		At:     mint.Day,
		Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}}}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	s := doc.Signatures[0]
	s.Algorithms = append(s.Algorithms, s.Algorithms[0])
	s.Algorithms[len(s.Algorithms)-1].Algorithm = "MD5"
	tr := holds(t, doc, w.evidence(), DefaultPolicy(), mint.Day.Add(2*time.Hour))
	uses := tr.Signatures[0].Uses
	if tr.Signatures[0].Conclusion.SubIndication != "NO_CERTIFICATE_CHAIN_FOUND" || len(uses) < len(s.Algorithms) {
		t.Fatalf("%+v: %+v", tr.Signatures[0].Conclusion, uses)
	}
	for i, u := range s.Algorithms {
		if got := uses[i]; got.Algorithm != u.Algorithm || got.Purpose != u.Purpose || got.Secure != (u.Algorithm != "MD5") ||
			(got.Why == "") != got.Secure {
			t.Errorf("%+v of %+v", got, u)
		}
	}
}

// TestTraceOfOrigins: where evidence beside the document is from is told, and nothing that nobody knows of.
func TestTraceOfOrigins(t *testing.T) {
	w := newWorld(t)
	document := mint.XML{Signer: w.officer, At: mint.Day}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	crl := w.ca.CRL(t, mint.Day.Add(time.Hour), nil)
	for origin, want := range map[string]trace.Source{"CACHED": trace.FromCache, "EXTERNAL": trace.FromNetwork,
		"SIGNATURE": trace.FromOutside, "": trace.FromOutside} {
		ev := w.evidence(crl)
		ev.Origins = map[[32]byte]string{sha256.Sum256(crl): origin}
		tr := judgeTraced(t, doc, ev, DefaultPolicy(), mint.Day.Add(2*time.Hour)).Trace
		if len(tr.Revocations) != 1 || tr.Revocations[0].Source != want {
			t.Errorf("%q: %+v", origin, tr.Revocations)
		}
	}
}

// TestTraceOfAnswers: a certificate that came in an answer is said to be from there, too.
func TestTraceOfAnswers(t *testing.T) {
	w := newWorld(t)
	at := mint.Day.Add(time.Hour)
	answer, err := ocsp.CreateResponse(w.ca.Cert, w.ca.Cert, ocsp.Response{Status: ocsp.Good, Certificate: w.ca.Cert,
		SerialNumber: w.officer.Cert.SerialNumber, ThisUpdate: at, NextUpdate: at.Add(time.Hour)}, w.ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	document := mint.XML{Signer: w.officer, At: mint.Day}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	ev := w.evidence(w.ca.CRL(t, at, nil))
	ev.OCSPs = [][]byte{answer}
	tr := holds(t, doc, ev, DefaultPolicy(), at)
	authority := tr.Certificates[1]
	if want := []trace.Source{trace.FromTrustedList, trace.FromOCSP}; !slices.Equal(authority.Sources, want) {
		t.Errorf("%s is from %v, want %v", authority.CommonName, authority.Sources, want)
	}
}

// TestTraceBeside: what evidence says of a certificate is told where no conclusion rests on it, too, and told apart;
// that of another authority, or by another key, says nothing.
func TestTraceBeside(t *testing.T) {
	w := newWorld(t)
	nobody, other := mint.Root(t, "Nobody's CA"), mint.Root(t, "Another CA")
	officer := nobody.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "x"}})
	document := mint.XML{Signer: officer, At: mint.Day}.Sign(t, letter)
	doc, err := Open(budget.New(t.Context(), len(document)), document)
	if err != nil {
		t.Fatal(err)
	}
	forged := mint.Root(t, "Nobody's CA")
	for name, c := range map[string]struct {
		by     mint.Party
		crl    map[*x509.Certificate]time.Time
		status string
	}{"good": {nobody, nil, "good"}, "revoked": {nobody,
		map[*x509.Certificate]time.Time{officer.Cert: mint.Day.AddDate(0, 0, -1)}, "revoked"},
		"another authority's": {other, nil, ""}, "of another key": {forged, nil, ""}} {
		ev := w.evidence(c.by.CRL(t, mint.Day.Add(time.Hour), c.crl))
		ev.Certificates = append(ev.Certificates, nobody.Cert.Raw)
		tr := holds(t, doc, ev, DefaultPolicy(), mint.Day.Add(2*time.Hour))
		if tr.Signatures[0].Conclusion.SubIndication != "NO_CERTIFICATE_CHAIN_FOUND" || len(tr.Signatures[0].Chain) != 2 {
			t.Fatalf("%s: %+v", name, tr.Signatures[0])
		}
		got := ""
		for _, s := range tr.Certificates[0].Revocations {
			got += s.Status
		}
		if got != c.status || got != "" && len(tr.Revocations[0].Blocks) != 0 {
			t.Errorf("%s: told %q, %+v", name, got, tr.Revocations)
		}
	}
}
