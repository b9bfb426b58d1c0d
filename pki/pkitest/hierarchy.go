// Package pkitest makes a root, an issuing authority and its delegates for tests, with keys in memory.
package pkitest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trustcore/pki/ceremony"
	"trustcore/pki/profile"
)

// SoftwareKey is a ceremony.MakeKey that keeps the key in memory and says of it what a token would say.
func SoftwareKey(_ context.Context, label, algorithm string) (string, crypto.Signer, map[string]string, error) {
	attributes := map[string]string{"CKA_SENSITIVE": "true", "CKA_EXTRACTABLE": "false"}
	var key crypto.Signer
	var err error
	switch algorithm {
	case ceremony.P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ceremony.P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ceremony.RSA3072:
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		err = fmt.Errorf("no %s keys in tests", algorithm)
	}
	return label, key, attributes, err
}

// Perform carries out the default plan with keys in memory. Certificates point to baseURL.
func Perform(t testing.TB, baseURL string) *ceremony.Result {
	t.Helper()
	return PerformPlan(t, ceremony.Default(baseURL))
}

// PerformPlan carries out a plan with keys in memory.
func PerformPlan(t testing.TB, text []byte) *ceremony.Result {
	t.Helper()
	plan, err := ceremony.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	result, err := ceremony.Perform(t.Context(), plan, SoftwareKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Leaf signs a client certificate with a fresh P-256 key, past the CA and its inventory.
func Leaf(t testing.TB, issuer ceremony.Authority, serial *big.Int, places profile.Places) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template, err := profile.PartnerClient.Template(time.Now().Add(-time.Minute), time.Now().Add(time.Hour), places)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = serial, pkix.Name{CommonName: "leaf " + serial.Text(16)}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Certificate, key.Public(), issuer.Key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// WritePEM writes blocks of one kind to a new file and returns its path.
func WritePEM(t testing.TB, kind string, ders ...[]byte) string {
	t.Helper()
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
