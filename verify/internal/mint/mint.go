// Package mint makes keys, certificates, revocation lists, signed documents and trusted lists for the tests
// of verify. Everything is made anew in every run; nothing is read.
package mint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"trustcore/internal/cms"
)

// Day is when everything in the tests happens.
var Day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Party is a key with its certificate.
type Party struct {
	Key  crypto.Signer
	Cert *x509.Certificate
}

// Request says what Issue certifies. A zero validity is from a year before Day to a year after it.
type Request struct {
	Subject    pkix.Name
	From, To   time.Time
	RSA        bool // a 2048 bit key in place of P-256
	CA, TSU    bool
	Extensions []pkix.Extension
}

// NewKey makes a P-256 key.
func NewKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Root makes a self-signed authority that is valid for decades.
func Root(t testing.TB, name string) Party {
	t.Helper()
	r := Request{Subject: pkix.Name{CommonName: name, Country: []string{"PL"}}, From: Day.AddDate(-20, 0, 0), To: Day.AddDate(20, 0, 0), CA: true}
	key := NewKey(t)
	template := r.template(t)
	return Party{key, create(t, template, template, key.Public(), key)}
}

// Issue certifies a new key.
func (p Party) Issue(t testing.TB, r Request) Party {
	t.Helper()
	key := NewKey(t)
	if r.RSA {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	return Party{key, create(t, r.template(t), p.Cert, key.Public(), p.Key)}
}

func (r Request) template(t testing.TB) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	if r.From.IsZero() {
		r.From, r.To = Day.AddDate(-1, 0, 0), Day.AddDate(1, 0, 0)
	}
	c := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: r.Subject, NotBefore: r.From, NotAfter: r.To,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, ExtraExtensions: r.Extensions, SubjectKeyId: serial.Bytes(),
	}
	if r.CA {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
	if r.TSU {
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true,
			Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08}})
	}
	return c
}

func create(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Qualified are the statements of a qualified certificate for signatures (EN 319 412-5), with the key in a device.
func Qualified(t testing.TB) pkix.Extension {
	t.Helper()
	return statements(t, asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 1})
}

// QualifiedSeal are those of a qualified certificate for seals.
func QualifiedSeal(t testing.TB) pkix.Extension {
	t.Helper()
	return statements(t, asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 2})
}

func statements(t testing.TB, kind asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	type statement struct{ ID asn1.ObjectIdentifier }
	type typed struct {
		ID    asn1.ObjectIdentifier
		Types []asn1.ObjectIdentifier
	}
	der, err := asn1.Marshal([]any{
		statement{asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 1}}, statement{asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 4}},
		typed{asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6}, []asn1.ObjectIdentifier{kind}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: der}
}

// CRL makes a list that is valid for a week; revoked certificates are revoked at the given times.
func (p Party) CRL(t testing.TB, at time.Time, revoked map[*x509.Certificate]time.Time) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(at.Unix()), ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 7)}
	for c, when := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: when, ReasonCode: 1})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// sha256ID is the AlgorithmIdentifier of SHA-256.
var sha256ID = []byte{0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}

// Stamp makes a time-stamp token about data.
func (p Party) Stamp(t testing.TB, data []byte, at time.Time) []byte {
	t.Helper()
	policy, err := cms.ParseOID("1.3.6.1.4.1.32473.1.1")
	if err != nil {
		t.Fatal(err)
	}
	imprint := sha256.Sum256(data)
	token, err := cms.SignTimestamp(cms.TimestampConfig{
		Signer: p.Key, Certificate: p.Cert.Raw, Hash: crypto.SHA256, Policy: policy, HashAlgorithm: sha256ID,
		Imprint: imprint[:], Serial: big.NewInt(at.UnixMilli()), Time: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// CMS signs content, attached.
func (p Party) CMS(t testing.TB, content []byte, at time.Time) []byte {
	t.Helper()
	der, err := cms.Sign(cms.SignConfig{Signer: p.Key, Certificate: p.Cert.Raw, Hash: crypto.SHA256, Content: content, SigningTime: at})
	if err != nil {
		t.Fatal(err)
	}
	return der
}
