// Package cmstest mints keys and certificates for tests of signatures and time-stamps, and runs
// openssl as the counterpart.
package cmstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"trustcore/internal/cms"
)

// Now is the time that the tests live in; certificates are valid around it.
var Now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

// Unix is Now for openssl's -attime.
const Unix = "1793613600"

// Policy is a policy of the arc for documentation (RFC 5612).
const Policy cms.OID = "\x2b\x06\x01\x04\x01\x81\xfd\x59\x01\x01" // 1.3.6.1.4.1.32473.1.1

// Identity is a self-signed certificate with its key.
type Identity struct {
	Key  crypto.Signer
	Cert *x509.Certificate
}

// NewKey makes a key: "rsa" (2048 bits), "p256", "p384" or "ed25519".
func NewKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no key of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// NewSigner makes the identity of a person.
func NewSigner(t testing.TB, kind, name string) Identity {
	t.Helper()
	return newIdentity(t, kind, name, nil)
}

// NewTSU makes the identity of a time-stamping unit: its sole purpose is critical.
func NewTSU(t testing.TB, kind, name string) Identity {
	t.Helper()
	return newIdentity(t, kind, name, []pkix.Extension{{Id: []int{2, 5, 29, 37}, Critical: true,
		Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08}}})
}

func newIdentity(t testing.TB, kind, name string, extensions []pkix.Extension) Identity {
	t.Helper()
	key := NewKey(t, kind)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Urząd Miasta Przykładowo"}},
		NotBefore:    Now.AddDate(-1, 0, 0), NotAfter: Now.AddDate(5, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: extensions == nil,
		SubjectKeyId: serial.Bytes(), ExtraExtensions: extensions,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Identity{key, cert}
}

// Files writes certificate and key in PEM for openssl.
func (id Identity) Files(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	Write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Cert.Raw}))
	Write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return cert, key
}

// Stamp makes a time-stamp token about data with SHA-256.
func (id Identity) Stamp(t testing.TB, data []byte, at time.Time) []byte {
	t.Helper()
	h := crypto.SHA256.New()
	h.Write(data)
	query, err := cms.NewTimestampRequest(crypto.SHA256, h.Sum(nil), "", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	req, err := cms.ParseTimestampRequest(query)
	if err != nil {
		t.Fatal(err)
	}
	token, err := cms.SignTimestamp(cms.TimestampConfig{
		Signer: id.Key, Certificate: id.Cert.Raw, Hash: crypto.SHA256, Policy: Policy,
		HashAlgorithm: req.HashAlgorithm, Imprint: req.Imprint, Serial: big.NewInt(1), Time: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Write writes a file or fails the test.
func Write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Read reads a file or fails the test.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// OpenSSL runs openssl and returns what it prints; it skips the test where there is none.
func OpenSSL(t testing.TB, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return out
}
