package revocation

import (
	"crypto/sha256"
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

var (
	sha256OID      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	nonceOID       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	cutoffOID      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}
	extendedOID    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 9}
	certHashOID    = asn1.ObjectIdentifier{1, 3, 36, 8, 3, 13}
	noCheckOID     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	unknownOID     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	timestampsOID  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 5}
	sampleNonce    = []byte("sixteen octets..")
	unknownFlagged = extension(unknownOID, true, []byte{5, 0})
)

func octets(b []byte) []byte {
	return build(func(c *cryptobyte.Builder) { c.AddASN1OctetString(b) })
}

func certHash(data []byte) pkix.Extension {
	sum := sha256.Sum256(data)
	return extension(certHashOID, false, build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(sha256OID) })
			b.AddASN1OctetString(sum[:])
		})
	}))
}

func cutoff(t time.Time) pkix.Extension {
	return extension(cutoffOID, false, build(func(b *cryptobyte.Builder) { addGeneralized(b, t) }))
}

func TestOCSPAnswers(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	leaf := mint(t, ca, "leaf", nil, nil)
	other := mint(t, ca, "other", nil, nil)
	base := single{serial: leaf.cert.Serial, issuer: ca, status: Good, reason: NoReason, this: day(9), next: day(12)}
	like := func(change func(s *single)) single {
		s := base
		change(&s)
		return s
	}
	revoked := like(func(s *single) { s.status, s.at, s.reason = Revoked, day(8), KeyCompromise })
	unknown := like(func(s *single) { s.status = Unknown })
	never := like(func(s *single) { s.status, s.at, s.reason = Revoked, time.Unix(0, 0), CertificateHold })
	for _, c := range []struct {
		name    string
		singles []single
		extra   []pkix.Extension
		ask     func(q *Question)
		want    Status
		code    Code
	}{
		{name: "good", singles: []single{base}, want: Good},
		{name: "good by SHA-256", singles: []single{like(func(s *single) { s.hash = sha256OID })}, want: Good},
		{name: "revoked", singles: []single{revoked}, want: Revoked, code: CertificateRevoked},
		{name: "unknown", singles: []single{unknown}, want: Unknown, code: StatusUnknown},
		{name: "on hold", singles: []single{like(func(s *single) { s.status, s.at, s.reason = Revoked, day(8), CertificateHold })}, want: Revoked, code: CertificateOnHold},
		{name: "never issued", singles: []single{never}, extra: []pkix.Extension{extension(extendedOID, false, []byte{5, 0})}, want: Revoked, code: NeverIssued},
		{name: "1970 without extended revoke", singles: []single{never}, want: Revoked, code: CertificateOnHold},
		{name: "nobody", want: Unknown, code: CertIDMismatch},
		{name: "another certificate", singles: []single{like(func(s *single) { s.serial = other.cert.Serial })}, want: Unknown, code: CertIDMismatch},
		{name: "another key", singles: []single{like(func(s *single) { s.keyHash = make([]byte, 20) })}, want: Unknown, code: CertIDMismatch},
		{name: "worst of good and revoked", singles: []single{base, revoked}, want: Revoked, code: CertificateRevoked},
		{name: "worst of revoked and good", singles: []single{revoked, base}, want: Revoked, code: CertificateRevoked},
		{name: "worst of unknown and good", singles: []single{unknown, base}, want: Unknown, code: StatusUnknown},
		{name: "among others", singles: []single{like(func(s *single) { s.serial, s.status = other.cert.Serial, Unknown }), base}, want: Good},
		{name: "stale", singles: []single{base}, ask: func(q *Question) { q.Time = day(13) }, want: Invalid, code: Stale},
		{name: "skew", singles: []single{base}, ask: func(q *Question) { q.Time, q.Skew = day(12).Add(time.Minute), 5*time.Minute }, want: Good},
		{name: "from the future", singles: []single{base}, ask: func(q *Question) { q.Time = day(8) }, want: Invalid, code: NotYetValid},
		{name: "no nextUpdate", singles: []single{like(func(s *single) { s.next = time.Time{} })}, want: Invalid, code: NoNextUpdate},
		{name: "no nextUpdate by policy", singles: []single{like(func(s *single) { s.next = time.Time{} })}, ask: func(q *Question) { q.WithoutNextUpdate = 48 * time.Hour }, want: Good},
		{name: "maximum age", singles: []single{base}, ask: func(q *Question) { q.MaxAge = time.Hour }, want: Invalid, code: NotFresh},
		{name: "critical in the response", singles: []single{base}, extra: []pkix.Extension{unknownFlagged}, want: Invalid, code: UnknownCritical},
		{name: "critical in the answer", singles: []single{like(func(s *single) { s.extra = []pkix.Extension{unknownFlagged} })}, want: Invalid, code: UnknownCritical},
		{name: "critical time-stamps of certificate transparency", singles: []single{like(func(s *single) { s.extra = []pkix.Extension{extension(timestampsOID, true, []byte{4, 0})} })}, want: Good},
		{name: "certHash", singles: []single{like(func(s *single) { s.extra = []pkix.Extension{certHash(leaf.cert.Raw)} })}, want: Good},
		{name: "certHash of another", singles: []single{like(func(s *single) { s.extra = []pkix.Extension{certHash(other.cert.Raw)} })}, want: Invalid, code: HashMismatch},
		{name: "nonce", singles: []single{base}, extra: []pkix.Extension{extension(nonceOID, false, octets(sampleNonce))}, ask: func(q *Question) { q.Nonce, q.NonceRequired = sampleNonce, true }, want: Good},
		{name: "raw nonce", singles: []single{base}, extra: []pkix.Extension{extension(nonceOID, false, sampleNonce)}, ask: func(q *Question) { q.Nonce = sampleNonce }, want: Good},
		{name: "another nonce", singles: []single{base}, extra: []pkix.Extension{extension(nonceOID, false, octets([]byte("x")))}, ask: func(q *Question) { q.Nonce = sampleNonce }, want: Invalid, code: NonceMismatch},
		{name: "no nonce", singles: []single{base}, ask: func(q *Question) { q.Nonce = sampleNonce }, want: Good},
		{name: "no nonce where needed", singles: []single{base}, ask: func(q *Question) { q.Nonce, q.NonceRequired = sampleNonce, true }, want: Invalid, code: NonceMissing},
		{name: "expired before", singles: []single{like(func(s *single) { s.this, s.next = day(320), day(340) })}, ask: func(q *Question) { q.Time = day(330) }, want: Invalid, code: ExpiredNotCovered},
		{name: "archive cutoff", singles: []single{like(func(s *single) { s.this, s.next, s.extra = day(320), day(340), []pkix.Extension{cutoff(day(0))} })}, ask: func(q *Question) { q.Time = day(330) }, want: Good},
		{name: "expired before, kept by declaration", singles: []single{like(func(s *single) { s.this, s.next = day(320), day(340) })}, ask: func(q *Question) { q.Time, q.KeptSince = day(330), day(0) }, want: Good},
		{name: "archive cutoff after the expiry", singles: []single{like(func(s *single) { s.this, s.next, s.extra = day(320), day(340), []pkix.Extension{cutoff(day(310))} })}, ask: func(q *Question) { q.Time = day(330) }, want: Invalid, code: ExpiredNotCovered},
		{name: "expired before, certHash", singles: []single{like(func(s *single) {
			s.this, s.next, s.extra = day(320), day(340), []pkix.Extension{certHash(leaf.cert.Raw)}
		})}, ask: func(q *Question) { q.Time = day(330) }, want: Good},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := question(t, ca, leaf)
			if c.ask != nil {
				c.ask(&q)
			}
			produced := day(9)
			if len(c.singles) > 0 {
				produced = c.singles[0].this
			}
			got := CheckOCSP(q, answer{produced: produced, singles: c.singles, extra: c.extra}.response(t, ca))
			if got.Status != c.want || got.Code != c.code {
				t.Fatalf("%s %q %s, want %s %q", got.Status, got.Code, got.Detail, c.want, c.code)
			}
		})
	}
}

func TestOCSPResponders(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	twin := mint(t, nil, "CA", nil, asCA) // same name, another key
	leaf := mint(t, ca, "leaf", nil, nil)
	delegate := mint(t, ca, "Responder", nil, asResponder)
	renewed := mint(t, ca, "CA", ca.key, asCA)
	expired := mint(t, ca, "Responder", nil, all(asResponder, func(c *x509.Certificate) { c.NotAfter = day(8) }))
	plain := mint(t, ca, "Responder", nil, nil)
	anyUse := mint(t, ca, "Responder", nil, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })
	wrongUse := mint(t, ca, "Responder", nil, all(asResponder, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }))
	foreign := mint(t, twin, "Responder", nil, asResponder)
	authority := mint(t, ca, "Responder", nil, all(asResponder, asCA, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }))
	critical := mint(t, ca, "Responder", nil, all(asResponder, with(unknownFlagged)))
	noCheck := mint(t, ca, "Responder", nil, all(asResponder, with(extension(noCheckOID, false, []byte{5, 0}))))
	usage := extension(asn1.ObjectIdentifier{2, 5, 29, 37}, false, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x09"))
	twice := mint(t, ca, "Responder", nil, all(with(usage), with(usage)))
	malformed := mint(t, ca, "Responder", nil, all(asResponder, with(extension(asn1.ObjectIdentifier{2, 5, 29, 17}, false, []byte{5, 0}))))
	silent := mint(t, ca, "Responder", nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	free := mint(t, ca, "Responder", nil, with(usage))
	early := mint(t, ca, "Responder", nil, all(asResponder, func(c *x509.Certificate) { c.NotBefore = day(9).Add(time.Second) }))
	local := mint(t, nil, "Local responder", nil, asResponder)
	refuse := func(*certificate.Certificate) error { return errors.New("revoked") }
	for _, c := range []struct {
		name   string
		signer *holder
		with   []*holder
		byKey  bool
		named  *holder
		ask    func(q *Question)
		want   Status
		code   Code
	}{
		{name: "issuer", signer: ca, want: Good},
		{name: "issuer by key", signer: ca, byKey: true, want: Good},
		{name: "issuer's certificate inside", signer: ca, with: []*holder{ca}, want: Good},
		{name: "issuer's renewed certificate inside", signer: ca, with: []*holder{renewed}, byKey: true, want: Good},
		{name: "issuer under another name", signer: ca, named: leaf, want: Invalid, code: SignerNotFound},
		{name: "same name, another key", signer: twin, with: []*holder{twin}, want: Invalid, code: SignerNotAuthorised},
		{name: "delegate", signer: delegate, with: []*holder{delegate}, want: Good},
		{name: "delegate by key", signer: delegate, with: []*holder{delegate}, byKey: true, want: Good},
		{name: "delegate behind others", signer: delegate, with: []*holder{plain, ca, delegate}, want: Good},
		{name: "delegate left out", signer: delegate, want: Invalid, code: SignerNotFound},
		{name: "delegate from elsewhere", signer: delegate, ask: func(q *Question) { q.Responders = []*certificate.Certificate{delegate.cert} }, want: Good},
		{name: "delegate signed by nobody named", signer: plain, with: []*holder{delegate}, want: Invalid, code: BadSignature},
		{name: "any certificate of the CA", signer: plain, with: []*holder{plain}, want: Invalid, code: SignerNotAuthorised},
		{name: "any extended key usage", signer: anyUse, with: []*holder{anyUse}, want: Invalid, code: SignerNotAuthorised},
		{name: "delegate whose key may not sign", signer: wrongUse, with: []*holder{wrongUse}, want: Invalid, code: SignerNotAuthorised},
		{name: "delegate of another key", signer: foreign, with: []*holder{foreign}, want: Invalid, code: SignerNotAuthorised},
		{name: "CA as delegate", signer: authority, with: []*holder{authority}, want: Invalid, code: SignerNotAuthorised},
		{name: "delegate with a critical extension", signer: critical, with: []*holder{critical}, want: Invalid, code: SignerNotAuthorised},
		{name: "delegate that says a thing twice", signer: twice, with: []*holder{twice}, want: Invalid, code: SignerNotAuthorised},
		{name: "delegate with a malformed extension", signer: malformed, with: []*holder{malformed}, want: Invalid, code: SignerNotAuthorised},
		{name: "delegate of no purpose", signer: silent, with: []*holder{silent}, want: Invalid, code: SignerNotAuthorised},
		{name: "delegate of no key usage", signer: free, with: []*holder{free}, want: Good},
		{name: "delegate still to come", signer: early, with: []*holder{early}, want: Invalid, code: SignerNotAuthorised},
		{name: "expired delegate", signer: expired, with: []*holder{expired}, want: Invalid, code: SignerNotAuthorised},
		{name: "leaf for itself", signer: leaf, with: []*holder{leaf}, want: Invalid, code: SignerNotAuthorised},
		{name: "stranger", signer: local, with: []*holder{local}, want: Invalid, code: SignerNotAuthorised},
		{name: "locally trusted", signer: local, with: []*holder{local}, ask: func(q *Question) {
			q.LocalResponder = func(c *certificate.Certificate) bool { return c.Fingerprint == local.cert.Fingerprint }
		}, want: Good},
		{name: "revoked delegate", signer: delegate, with: []*holder{delegate}, ask: func(q *Question) { q.DelegateRevoked = refuse }, want: Invalid, code: SignerNotTrusted},
		{name: "delegate without check", signer: noCheck, with: []*holder{noCheck}, ask: func(q *Question) { q.DelegateRevoked = refuse }, want: Good},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := answer{produced: day(9), byKey: c.byKey, singles: []single{
				{serial: leaf.cert.Serial, issuer: ca, status: Good, this: day(9), next: day(12)}}}
			if c.named != nil {
				a.name = c.named.cert.RawSubject
			}
			for _, h := range c.with {
				a.certificates = append(a.certificates, h.cert.Raw)
			}
			q := question(t, ca, leaf)
			if c.ask != nil {
				c.ask(&q)
			}
			got := CheckOCSP(q, a.response(t, c.signer))
			if got.Status != c.want || got.Code != c.code {
				t.Fatalf("%s %q %s, want %s %q", got.Status, got.Code, got.Detail, c.want, c.code)
			}
		})
	}
}

func TestOCSPErrorStatus(t *testing.T) {
	r, err := ParseOCSP([]byte{0x30, 3, 0x0a, 1, 3})
	if err != nil || r.Status.String() != "tryLater" {
		t.Fatalf("%v %v", r, err)
	}
	ca := mint(t, nil, "CA", nil, asCA)
	if got := CheckOCSP(question(t, ca, mint(t, ca, "leaf", nil, nil)), r); got.Status != Unknown || got.Code != ResponderError {
		t.Fatalf("%s %q", got.Status, got.Code)
	}
}

// TestOCSPFlood gives thousands of answers with false signatures: the work must stay bounded, and a good answer that is
// newer is found.
func TestOCSPFlood(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	twin := mint(t, nil, "CA", nil, asCA)
	leaf := mint(t, ca, "leaf", nil, nil)
	forged := answer{produced: day(8), singles: []single{{serial: leaf.cert.Serial, issuer: ca, status: Good, this: day(8), next: day(12)}}}.der(t, twin)
	var responses []*Response
	for range 3000 {
		r, err := ParseOCSP(forged)
		if err != nil {
			t.Fatal(err)
		}
		responses = append(responses, r)
	}
	tries := 0
	q := question(t, ca, leaf)
	q.Verify = countVerify(&tries)
	if got := Check(q, responses, nil); got.Status != Invalid || tries > 2*maxResponseTries {
		t.Fatalf("%s after %d signatures", got.Status, tries)
	}
	good := answer{produced: day(9), singles: []single{{serial: leaf.cert.Serial, issuer: ca, status: Good, this: day(9), next: day(12)}}}.response(t, ca)
	if got := Check(q, append(responses, good), nil); got.Status != Good {
		t.Fatalf("%s %q", got.Status, got.Code)
	}
}
