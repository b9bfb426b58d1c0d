package past_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify/certificate"
	"trustcore/verify/past"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// serial makes serial numbers that differ.
var serial atomic.Int64

// on is midnight of a day.
func on(year, month, day int) time.Time {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}

// An entity is a minted certificate and its key.
type entity struct {
	key  crypto.Signer
	std  *x509.Certificate
	cert *certificate.Certificate
}

// ca makes a template a CA's.
func ca(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

// mint makes a certificate, signed by the issuer; a nil issuer signs itself.
func mint(t testing.TB, issuer *entity, name string, from, to time.Time, changes ...func(*x509.Certificate)) *entity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to}
	for _, change := range changes {
		change(template)
	}
	parent, signer := template, crypto.Signer(key)
	if issuer != nil {
		parent, signer = issuer.std, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	std, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certificate.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{key, std, cert}
}

// A mark is one line of a minted CRL.
type mark struct {
	who    *entity
	at     time.Time
	reason revocation.Reason
}

// list makes a CRL.
func list(t testing.TB, issuer *entity, this, next time.Time, marks ...mark) *revocation.CRL {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(serial.Add(1)), ThisUpdate: this, NextUpdate: next}
	for _, m := range marks {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: m.who.std.SerialNumber, RevocationTime: m.at, ReasonCode: int(m.reason)})
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

// answer makes an OCSP response of the issuer. It is produced at the real time, so its world lies in the future.
func answer(t testing.TB, who, issuer *entity, status int, this, next time.Time) *revocation.Response {
	t.Helper()
	der, err := ocsp.CreateResponse(issuer.std, issuer.std,
		ocsp.Response{Status: status, SerialNumber: who.std.SerialNumber, ThisUpdate: this, NextUpdate: next, RevokedAt: this}, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	response, err := revocation.ParseOCSP(der)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// A world is a chain of three: the root is the anchor.
type world struct {
	root, middle, leaf *entity
}

// newWorld has a CA of 2008 to 2020 and a leaf of 2010 to 2014.
func newWorld(t testing.TB) world {
	root := mint(t, nil, "root", on(2000, 1, 1), on(2030, 1, 1), ca)
	middle := mint(t, root, "middle", on(2008, 1, 1), on(2020, 1, 1), ca)
	return world{root, middle, mint(t, middle, "leaf", on(2010, 1, 1), on(2014, 1, 1))}
}

func (w world) chain() []*certificate.Certificate {
	return []*certificate.Certificate{w.leaf.cert, w.middle.cert}
}

func anchorOf(t testing.TB, e *entity) *path.Anchor {
	t.Helper()
	a, err := path.AnchorFrom(e.cert)
	if err != nil {
		t.Fatal(err)
	}
	return &a
}

// request asks at a time about the world's chain, with CRLs as evidence.
func (w world) request(t testing.TB, at time.Time, crls ...*revocation.CRL) past.Request {
	t.Helper()
	return past.Request{
		Chain: w.chain(), Anchor: anchorOf(t, w.root), Time: at, Existence: past.NewExistence(at),
		Evidence: func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return nil, crls },
	}
}

// prove makes proofs of all certificates and CRLs at a time.
func prove(r *past.Request, at time.Time, crls ...*revocation.CRL) {
	for _, c := range r.Chain {
		r.Existence = r.Existence.With(at, c.Fingerprint)
	}
	for _, crl := range crls {
		r.Existence = r.Existence.With(at, crl.Digest())
	}
}
