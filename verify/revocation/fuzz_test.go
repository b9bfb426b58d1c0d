package revocation

import (
	"crypto/x509/pkix"
	"testing"
)

// FuzzCRL reads a list and asks it about a certificate.
func FuzzCRL(f *testing.F) {
	ca := mint(f, nil, "CA", nil, asCA)
	leaf := mint(f, ca, "leaf", nil, crlPoints(distributionPoint{name: point(uri)}))
	full := list{this: day(1), next: day(20), number: 3, idp: idp(point(uri), map[int]byte{3: 0x60, 4: 0xff}), extra: []pkix.Extension{unknownFlagged},
		entries: []entry{{serial: leaf.cert.Serial, date: day(0), reason: KeyCompromise, extra: []pkix.Extension{certificateIssuer(ca.cert.RawSubject)}},
			{serial: []byte{1}, date: day(0), reason: NoReason}}}
	for _, l := range []list{{this: day(1)}, full, {this: day(1), next: day(2), number: 4, base: 3}} {
		f.Add(l.der(f, ca))
	}
	f.Add([]byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"))
	q := question(f, ca, leaf)
	key := mustKey(f, ca)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCRL(data)
		if err != nil {
			return
		}
		c.Find(c.Issuer, leaf.cert.Serial)
		_ = c.Strict()
		if got := CheckCRL(q, []*CRL{c, c}); got.Status == Good || got.Status == Revoked {
			if _, err := c.VerifySignature(key); err != nil {
				t.Fatalf("%s without a signature of the issuer", got.Status)
			}
		}
	})
}

// FuzzOCSP reads a response and asks it about a certificate.
func FuzzOCSP(f *testing.F) {
	ca := mint(f, nil, "CA", nil, asCA)
	leaf := mint(f, ca, "leaf", nil, nil)
	delegate := mint(f, ca, "Responder", nil, asResponder)
	good := single{serial: leaf.cert.Serial, issuer: ca, status: Good, this: day(9), next: day(12), extra: []pkix.Extension{certHash(leaf.cert.Raw), cutoff(day(0))}}
	bad := single{serial: leaf.cert.Serial, issuer: ca, status: Revoked, at: day(1), reason: KeyCompromise, this: day(9)}
	f.Add(answer{produced: day(9), singles: []single{good}}.der(f, ca))
	f.Add(answer{produced: day(9), byKey: true, singles: []single{bad, good}, certificates: [][]byte{delegate.cert.Raw},
		extra: []pkix.Extension{extension(nonceOID, false, octets(sampleNonce))}}.der(f, delegate))
	f.Add([]byte{0x30, 3, 0x0a, 1, 3})
	q := question(f, ca, leaf)
	q.Nonce = sampleNonce
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseOCSP(data)
		if err != nil {
			return
		}
		r.Certificates()
		got := CheckOCSP(q, r)
		if (got.Status == Good || got.Status == Revoked) && len(got.Uses) == 0 {
			t.Fatalf("%s without a signature", got.Status)
		}
	})
}
