package revocation

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/certificate"
)

const uri = "http://pki.example.pl/ca.crl"

func named(holders ...*holder) func(certificate.Name) []*certificate.Certificate {
	return func(name certificate.Name) (found []*certificate.Certificate) {
		for _, h := range holders {
			if h.cert.Subject.Equal(name) {
				found = append(found, h.cert)
			}
		}
		return found
	}
}

func trustAll(*certificate.Certificate) error { return nil }

func directoryPoint(names ...[]byte) []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				for _, name := range names {
					addDirectory(b, name)
				}
			})
		})
	})
}

// relativePoint names a distribution point by one attribute below its CRL issuer.
func relativePoint(cn string) []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(der.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{2, 5, 4, 3})
					b.AddASN1(der.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(cn)) })
				})
			})
		})
	})
}

func certificateIssuer(name []byte) pkix.Extension {
	value := build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { addDirectory(b, name) })
	})
	return extension(asn1.ObjectIdentifier{2, 5, 29, 29}, true, value)
}

func TestCRLScopeAndTime(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	stranger := mint(t, nil, "Stranger", nil, asCA)
	plain := mint(t, ca, "plain", nil, nil)
	pointed := mint(t, ca, "pointed", nil, crlPoints(distributionPoint{name: point(uri)}))
	relative := mint(t, ca, "relative", nil, crlPoints(distributionPoint{name: relativePoint("R1")}))
	subCA := mint(t, ca, "Sub", nil, asCA)
	crlIssuerSelf := mint(t, ca, "self", nil, crlPoints(distributionPoint{name: point(uri), issuer: ca.cert.RawSubject}))
	unknown := extension(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, true, []byte{5, 0})
	base := list{this: day(1), next: day(20), number: 1}
	revokes := func(h *holder, reason Reason) []entry {
		return []entry{{serial: h.cert.Serial, date: day(0), reason: reason}}
	}
	week := 7 * 24 * time.Hour
	hour := time.Hour
	for _, c := range []struct {
		name   string
		leaf   *holder
		list   func(l *list)
		signer *holder
		ask    func(q *Question)
		want   Status
		code   Code
	}{
		{name: "good", leaf: plain, want: Good},
		{name: "revoked", leaf: plain, list: func(l *list) { l.entries = revokes(plain, KeyCompromise) }, want: Revoked, code: CertificateRevoked},
		{name: "on hold", leaf: plain, list: func(l *list) { l.entries = revokes(plain, CertificateHold) }, want: Revoked, code: CertificateOnHold},
		{name: "revoked without reason", leaf: plain, list: func(l *list) { l.entries = revokes(plain, NoReason) }, want: Revoked, code: CertificateRevoked},
		{name: "another's signature", leaf: plain, list: func(l *list) { l.issuer = ca.cert.RawSubject }, signer: stranger, want: Invalid, code: BadSignature},
		{name: "another issuer", leaf: plain, signer: stranger, want: Unknown, code: NoEvidence},
		{name: "nextUpdate passed", leaf: plain, ask: func(q *Question) { q.Time = day(21) }, want: Invalid, code: Stale},
		{name: "from the future", leaf: plain, ask: func(q *Question) { q.Time = day(0) }, want: Invalid, code: NotYetValid},
		{name: "freshness replaces nextUpdate", leaf: plain, ask: func(q *Question) { q.Time, q.Freshness = day(25), new(30*24*time.Hour) }, want: Good},
		{name: "not fresh", leaf: plain, ask: func(q *Question) { q.Freshness = &hour }, want: Invalid, code: NotFresh},
		{name: "maximum age", leaf: plain, ask: func(q *Question) { q.MaxAge = week }, want: Invalid, code: NotFresh},
		{name: "too early", leaf: plain, ask: func(q *Question) { q.IssuedAfter = day(2) }, want: Invalid, code: TooEarly},
		{name: "no nextUpdate", leaf: plain, list: func(l *list) { l.next = time.Time{} }, want: Invalid, code: NoNextUpdate},
		{name: "no nextUpdate by policy", leaf: plain, list: func(l *list) { l.next = time.Time{} }, ask: func(q *Question) { q.WithoutNextUpdate = AnyAge }, want: Good},
		{name: "no issuing point serves any point", leaf: pointed, want: Good},
		{name: "issuing point of the name", leaf: pointed, list: func(l *list) { l.idp = idp(point(uri), nil) }, want: Good},
		{name: "issuing point of another name", leaf: pointed, list: func(l *list) { l.idp = idp(point(uri+"x"), nil) }, want: Unknown, code: OutOfScope},
		{name: "issuing point for a certificate without", leaf: plain, list: func(l *list) { l.idp = idp(point(uri), nil) }, want: Unknown, code: OutOfScope},
		{name: "issuing point of the issuer's name", leaf: plain, list: func(l *list) { l.idp = idp(directoryPoint(ca.cert.RawSubject), nil) }, want: Good},
		{name: "relative names", leaf: relative, list: func(l *list) { l.idp = idp(relativePoint("R1"), nil) }, want: Good},
		{name: "other relative name", leaf: relative, list: func(l *list) { l.idp = idp(relativePoint("R2"), nil) }, want: Unknown, code: OutOfScope},
		{name: "only CA certificates", leaf: plain, list: func(l *list) { l.idp = idp(nil, map[int]byte{2: 0xff}) }, want: Unknown, code: OutOfScope},
		{name: "only CA certificates, a CA", leaf: subCA, list: func(l *list) { l.idp = idp(nil, map[int]byte{2: 0xff}) }, want: Good},
		{name: "only user certificates", leaf: plain, list: func(l *list) { l.idp = idp(nil, map[int]byte{1: 0xff}) }, want: Good},
		{name: "only user certificates, a CA", leaf: subCA, list: func(l *list) { l.idp = idp(nil, map[int]byte{1: 0xff}) }, want: Unknown, code: OutOfScope},
		{name: "only attribute certificates", leaf: plain, list: func(l *list) { l.idp = idp(nil, map[int]byte{5: 0xff}) }, want: Unknown, code: OutOfScope},
		{name: "cRLIssuer without an indirect list", leaf: crlIssuerSelf, list: func(l *list) { l.idp = idp(point(uri), nil) }, want: Unknown, code: OutOfScope},
		{name: "some reasons", leaf: plain, list: func(l *list) { l.idp = idp(nil, map[int]byte{3: 0x60}) }, want: Invalid, code: ReasonsNotCovered},
		{name: "unknown critical extension", leaf: plain, list: func(l *list) { l.extra = []pkix.Extension{unknown} }, want: Invalid, code: UnknownCritical},
		{name: "unknown critical extension, listed", leaf: plain, list: func(l *list) { l.extra, l.entries = []pkix.Extension{unknown}, revokes(plain, KeyCompromise) }, want: Revoked, code: CertificateRevoked},
		{name: "unknown critical extension of a stranger's entry", leaf: plain,
			list: func(l *list) {
				l.entries = []entry{{serial: []byte{7}, date: day(0), reason: NoReason, extra: []pkix.Extension{unknown}}}
			}, want: Invalid, code: UnknownCritical},
		{name: "expired before, not kept", leaf: plain, list: func(l *list) { l.this, l.next = day(320), day(340) }, ask: func(q *Question) { q.Time = day(330) }, want: Invalid, code: ExpiredNotCovered},
		{name: "expired before, kept", leaf: plain,
			list: func(l *list) {
				l.this, l.next = day(320), day(340)
				l.extra = []pkix.Extension{extension(asn1.ObjectIdentifier{2, 5, 29, 60}, false, build(func(b *cryptobyte.Builder) { addGeneralized(b, day(0)) }))}
			}, ask: func(q *Question) { q.Time = day(330) }, want: Good},
		{name: "before issuance", leaf: plain, list: func(l *list) { l.this = day(-40) }, ask: func(q *Question) { q.AfterIssuance = true }, want: Invalid, code: BeforeIssuance},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, signer := base, ca
			if c.list != nil {
				c.list(&l)
			}
			if c.signer != nil {
				signer = c.signer
			}
			q := question(t, ca, c.leaf)
			if c.ask != nil {
				c.ask(&q)
			}
			got := CheckCRL(q, []*CRL{l.crl(t, signer)})
			if got.Status != c.want || got.Code != c.code {
				t.Fatalf("%s %q %s, want %s %q", got.Status, got.Code, got.Detail, c.want, c.code)
			}
			if got.Named != (c.want != Unknown) {
				t.Errorf("named is %v", got.Named)
			}
		})
	}
}

func TestCRLReasonsOfSeveralLists(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	// 0x60 is keyCompromise and cACompromise.
	leaf := mint(t, ca, "leaf", nil, crlPoints(
		distributionPoint{name: point(uri), reasons: 0x60}, distributionPoint{name: point(uri + "2")}))
	some := list{this: day(1), next: day(20), idp: idp(point(uri), map[int]byte{3: 0x60})}
	rest := list{this: day(1), next: day(20), idp: idp(point(uri+"2"), nil)}
	q := question(t, ca, leaf)
	if got := CheckCRL(q, []*CRL{some.crl(t, ca)}); got.Status != Invalid || got.Code != ReasonsNotCovered {
		t.Fatalf("some reasons alone: %v %q", got.Status, got.Code)
	}
	if got := CheckCRL(q, []*CRL{some.crl(t, ca), rest.crl(t, ca)}); got.Status != Good || len(got.Evidence) != 2 {
		t.Fatalf("both: %v %q, %d lists", got.Status, got.Code, len(got.Evidence))
	}
	rest.entries = []entry{{serial: leaf.cert.Serial, date: day(0), reason: Superseded}}
	if got := CheckCRL(q, []*CRL{some.crl(t, ca), rest.crl(t, ca)}); got.Status != Revoked || got.Reason != Superseded {
		t.Fatalf("revoked on the second: %v %q", got.Status, got.Code)
	}
}

func TestIndirectCRL(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	other := mint(t, nil, "Other CA", nil, asCA)
	issuer := mint(t, ca, "CRL issuer", nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	weak := mint(t, ca, "CRL issuer", issuer.key, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	dp := crlPoints(distributionPoint{name: point(uri), issuer: issuer.cert.RawSubject})
	leaf := mint(t, ca, "leaf", nil, dp)
	indirect := idp(point(uri), map[int]byte{4: 0xff})
	at := func(serial []byte, extra ...pkix.Extension) entry {
		return entry{serial: serial, date: day(0), reason: NoReason, extra: extra}
	}
	serial, strange := leaf.cert.Serial, []byte{9}
	for _, c := range []struct {
		name    string
		idp     []byte
		entries []entry
		signers []*holder
		trusted func(*certificate.Certificate) error
		want    Status
		code    Code
	}{
		{name: "listed under the CA", idp: indirect, entries: []entry{at(serial, certificateIssuer(ca.cert.RawSubject))}, want: Revoked, code: CertificateRevoked},
		{name: "sticky issuer", idp: indirect, entries: []entry{at(strange, certificateIssuer(ca.cert.RawSubject)), at(serial)}, want: Revoked, code: CertificateRevoked},
		{name: "under another CA", idp: indirect, entries: []entry{at(serial, certificateIssuer(other.cert.RawSubject))}, want: Good},
		{name: "under the list's issuer", idp: indirect, entries: []entry{at(serial)}, want: Good},
		{name: "issuer changes back", idp: indirect, entries: []entry{at(strange, certificateIssuer(ca.cert.RawSubject)), at(serial, certificateIssuer(other.cert.RawSubject))}, want: Good},
		{name: "same serial under two CAs", idp: indirect, entries: []entry{at(serial, certificateIssuer(other.cert.RawSubject)), at(serial, certificateIssuer(ca.cert.RawSubject))}, want: Revoked, code: CertificateRevoked},
		{name: "not marked indirect", idp: idp(point(uri), nil), want: Unknown, code: NoEvidence},
		{name: "issuer without cRLSign", idp: indirect, signers: []*holder{weak}, want: Invalid, code: SignerNotAuthorised},
		{name: "issuer not trusted", idp: indirect, trusted: func(*certificate.Certificate) error { return errors.New("another anchor") }, want: Invalid, code: SignerNotTrusted},
		{name: "issuer not found", idp: indirect, signers: []*holder{other}, want: Invalid, code: SignerNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := question(t, ca, leaf)
			signers := c.signers
			if signers == nil {
				signers = []*holder{weak, issuer}
			}
			q.CRLIssuers, q.Trusted = named(signers...), c.trusted
			if q.Trusted == nil {
				q.Trusted = trustAll
			}
			l := list{this: day(1), next: day(20), idp: c.idp, entries: c.entries}
			got := CheckCRL(q, []*CRL{l.crl(t, issuer)})
			if got.Status != c.want || got.Code != c.code {
				t.Fatalf("%s %q %s, want %s %q", got.Status, got.Code, got.Detail, c.want, c.code)
			}
		})
	}
}

func TestDeltaCRL(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	stranger := mint(t, nil, "CA", nil, asCA)
	leaf := mint(t, ca, "leaf", nil, nil)
	listed := func(reason Reason) []entry {
		return []entry{{serial: leaf.cert.Serial, date: day(0), reason: reason}}
	}
	complete := list{this: day(1), next: day(20), number: 5}
	delta := list{this: day(5), next: day(20), number: 7, base: 5}
	for _, c := range []struct {
		name   string
		change func(complete, delta *list)
		signer *holder
		alone  bool
		time   time.Time
		want   Status
		code   Code
	}{
		{name: "nothing new", want: Good},
		{name: "revoked since", change: func(_, d *list) { d.entries = listed(KeyCompromise) }, want: Revoked, code: CertificateRevoked},
		{name: "hold lifted", change: func(c, d *list) { c.entries, d.entries = listed(CertificateHold), listed(RemoveFromCRL) }, want: Good},
		{name: "hold stays", change: func(c, _ *list) { c.entries = listed(CertificateHold) }, want: Revoked, code: CertificateOnHold},
		{name: "hold made final", change: func(c, d *list) { c.entries, d.entries = listed(CertificateHold), listed(KeyCompromise) }, want: Revoked, code: CertificateRevoked},
		{name: "removal of a final revocation", change: func(c, d *list) { c.entries, d.entries = listed(KeyCompromise), listed(RemoveFromCRL) }, want: Revoked, code: CertificateRevoked},
		{name: "removal where nothing is to be removed", alone: true, change: func(_, d *list) { *d = complete; d.entries = listed(RemoveFromCRL) }, want: Revoked, code: CertificateRevoked},
		{name: "base is newer than the list", change: func(_, d *list) { d.base, d.entries = 6, listed(KeyCompromise) }, want: Good},
		{name: "older than the list", change: func(_, d *list) { d.number, d.base, d.entries = 5, 4, listed(KeyCompromise) }, want: Good},
		{name: "other scope", change: func(_, d *list) { d.idp, d.entries = idp(nil, map[int]byte{1: 0xff}), listed(KeyCompromise) }, want: Good},
		{name: "another key's", signer: stranger, change: func(_, d *list) { d.entries = listed(KeyCompromise) }, want: Good},
		{name: "keeps an old list current", change: func(c, _ *list) { c.next = day(4) }, want: Good},
		{name: "old list with an old delta", change: func(c, d *list) { c.next, d.next = day(4), day(6) }, want: Invalid, code: Stale},
		{name: "alone", alone: true, want: Invalid, code: DeltaWithoutBase},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole, part, signer := complete, delta, ca
			if c.change != nil {
				c.change(&whole, &part)
			}
			if c.signer != nil {
				signer = c.signer
			}
			crls := []*CRL{part.crl(t, signer)}
			if !c.alone {
				crls = append(crls, whole.crl(t, ca))
			}
			got := CheckCRL(question(t, ca, leaf), crls)
			if got.Status != c.want || got.Code != c.code {
				t.Fatalf("%s %q %s, want %s %q", got.Status, got.Code, got.Detail, c.want, c.code)
			}
		})
	}
}

func TestCRLOfTheIssuersOtherKey(t *testing.T) {
	root := mint(t, nil, "Root", nil, asCA)
	old := mint(t, root, "CA", nil, asCA)
	renewed := mint(t, root, "CA", nil, asCA)
	leaf := mint(t, old, "leaf", nil, nil)
	crl := list{this: day(1), next: day(20)}.crl(t, renewed)
	q := question(t, old, leaf)
	if got := CheckCRL(q, []*CRL{crl}); got.Status != Invalid || got.Code != BadSignature {
		t.Fatalf("without the other key: %s %q", got.Status, got.Code)
	}
	q.CRLIssuers, q.Trusted = named(old, renewed), trustAll
	got := CheckCRL(q, []*CRL{crl})
	if got.Status != Good || len(got.Signers) != 1 || got.Signers[0] != renewed.cert {
		t.Fatalf("with it: %s %q", got.Status, got.Code)
	}
}

func TestNewestDecides(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	leaf := mint(t, ca, "leaf", nil, nil)
	hold := []entry{{serial: leaf.cert.Serial, date: day(0), reason: CertificateHold}}
	older := list{this: day(1), next: day(20), number: 1, entries: hold}.crl(t, ca)
	newer := list{this: day(2), next: day(20), number: 2}.crl(t, ca)
	good := answer{produced: day(3), singles: []single{{serial: leaf.cert.Serial, issuer: ca, status: Good, this: day(3), next: day(12)}}}.response(t, ca)
	bad := answer{produced: day(4), singles: []single{{serial: leaf.cert.Serial, issuer: ca, status: Revoked, at: day(4), reason: KeyCompromise, this: day(4), next: day(12)}}}.response(t, ca)
	future := answer{produced: day(11), singles: []single{{serial: leaf.cert.Serial, issuer: ca, status: Good, this: day(11), next: day(12)}}}.response(t, ca)
	for _, c := range []struct {
		name      string
		crls      []*CRL
		responses []*Response
		want      Status
		source    string
	}{
		{"nothing", nil, nil, Unknown, ""},
		{"older and newer list", []*CRL{older, newer}, nil, Good, "CRL"},
		{"list says hold, newer answer good", []*CRL{older}, []*Response{good}, Good, "OCSP"},
		{"newest answer says revoked", []*CRL{newer}, []*Response{good, bad}, Revoked, "OCSP"},
		{"an answer from after the time does not serve", []*CRL{newer}, []*Response{future, good, bad}, Revoked, "OCSP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Check(question(t, ca, leaf), c.responses, c.crls)
			if got.Status != c.want || got.Source != c.source || got.Named != (c.want != Unknown) {
				t.Fatalf("%s %q by %q", got.Status, got.Code, got.Source)
			}
		})
	}
}

func TestParseCRLRefusals(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	good := list{this: day(1), next: day(20), entries: []entry{{serial: []byte{1}, date: day(0), reason: KeyCompromise}}}
	raw := good.der(t, ca)
	if _, err := ParseCRL(append(bytes.Clone(raw), 0, 0)); err != nil {
		t.Errorf("padding: %v", err)
	}
	twice := good
	number := extension(asn1.ObjectIdentifier{2, 5, 29, 20}, false, integer(1))
	twice.extra = []pkix.Extension{number, number}
	both := good
	both.idp = idp(nil, map[int]byte{1: 0xff, 2: 0xff})
	empty := good
	empty.idp = idp(nil, nil)
	for name, data := range map[string][]byte{
		"nothing": nil, "half": raw[:len(raw)/2], "more": append(bytes.Clone(raw), 1), "text": []byte("no list"),
		"extension twice": twice.der(t, ca), "user and CA": both.der(t, ca), "empty issuing point": empty.der(t, ca),
	} {
		if _, err := ParseCRL(data); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func TestDuplicateEntries(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	l := list{this: day(1), next: day(20), entries: []entry{
		{serial: []byte{5}, date: day(-3), reason: KeyCompromise},
		{serial: []byte{5}, date: day(-5), reason: CertificateHold},
		{serial: []byte{5}, date: day(-1), reason: Superseded},
		{serial: []byte{0, 5}, date: day(-4), reason: Superseded}, // not the shortest form of 5
		{serial: []byte{0xfb}, date: day(-2), reason: NoReason},   // negative
	}}
	c := l.crl(t, ca)
	if c.Len() != 2 || !c.Has(FindingDuplicate) {
		t.Fatalf("%d entries, %v", c.Len(), c.Findings)
	}
	if e, ok := c.Find(ca.cert.Subject, []byte{5}); !ok || !e.RevocationDate.Equal(day(-5)) || e.Reason != CertificateHold {
		t.Errorf("earliest does not count: %v %v", e, ok)
	}
	if _, ok := c.Find(ca.cert.Subject, []byte{0xfb}); !ok {
		t.Error("negative serial is not found")
	}
	if _, ok := c.Find(ca.cert.Subject, []byte{6}); ok {
		t.Error("finds what is not listed")
	}
}

// TestFloodOfOneSerial lists one certificate a hundred thousand times: the index must not slow down by it.
func TestFloodOfOneSerial(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	l := list{this: day(1), next: day(20)}
	for range 100000 {
		l.entries = append(l.entries, entry{serial: []byte{1, 2, 3}, date: day(0), reason: KeyCompromise})
	}
	if c := l.crl(t, ca); c.Len() != 1 {
		t.Fatalf("%d entries", c.Len())
	}
}
