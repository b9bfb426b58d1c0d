// Package ceremonytest makes roots on machines of their own for tests, and certificates that they should not have signed.
package ceremonytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"context"

	"trustcore/pki/ceremony"
	"trustcore/pki/profile"
)

// RootPlan is the plan of a root alone.
func RootPlan(base string) []byte {
	return []byte(strings.ReplaceAll(`version: 1
title: Second root
place: a machine without a network
organization: Demonstration data centre
country: PL
base_url: "@"
attendees:
  - {name: officer-1, role: administrator}
  - {name: officer-3, role: witness}
root: {label: root-2, algorithm: P-384, common_name: Demonstration Root CA 2, valid: 20y}
root_crl: 180d
`, "@", base))
}

// Root makes a root with a key in memory.
func Root(t testing.TB, base string) *ceremony.Result {
	t.Helper()
	plan, err := ceremony.ParseRoot(RootPlan(base))
	if err != nil {
		t.Fatal(err)
	}
	made, err := ceremony.PerformRoot(t.Context(), plan, key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func key(context.Context, string, string) (string, crypto.Signer, map[string]string, error) {
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	return "root", k, map[string]string{"CKA_SENSITIVE": "true", "CKA_EXTRACTABLE": "false"}, err
}

// Remade has a root sign a changed copy of a certificate.
func Remade(t testing.TB, like *x509.Certificate, root ceremony.Authority, public crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	c := *like
	c.SignatureAlgorithm, c.PublicKey = 0, public
	change(&c)
	var err error
	if c.SerialNumber, err = profile.NewSerial(); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, root.Certificate, public, root.Key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
