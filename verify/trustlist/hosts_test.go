package trustlist_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"trustcore/verify/trustlist"
)

func TestHosts(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Office Root"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		OCSPServer: []string{"http://OCSP.example.pl:8080/x", "::"}, IssuingCertificateURL: []string{"https://pki.example.pl/a.cer", "ldap:///CN=x"},
		CRLDistributionPoints: []string{"http://pki.example.pl/a.crl", "http://crl.example.pl/a.crl"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "root.der")
	if err := os.WriteFile(file, der, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := trustlist.Load(t.Context(), trustlist.Sources{Anchors: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(s.Hosts()))
	if want := []string{"crl.example.pl", "ocsp.example.pl", "pki.example.pl"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
