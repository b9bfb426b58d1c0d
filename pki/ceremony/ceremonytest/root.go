// Package ceremonytest makes roots on machines of their own for tests, and certificates that they should not have signed.
package ceremonytest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"trustcore/pki/ceremony"
	"trustcore/pki/profile"
)

// RootPlan is the plan of a root alone, the second one.
func RootPlan(base string) []byte { return RootPlanNumber(base, 2) }

// RootPlanNumber is the plan of the root with a number.
func RootPlanNumber(base string, number int) []byte {
	return []byte(strings.NewReplacer("@NUMBER@", strconv.Itoa(number), "@", base).Replace(`version: 1
title: Root @NUMBER@
place: a machine without a network
organization: Demonstration data centre
country: PL
base_url: "@"
attendees:
  - {name: officer-1, role: administrator}
  - {name: officer-3, role: witness}
root: {label: root-@NUMBER@, algorithm: P-384, common_name: Demonstration Root CA @NUMBER@, valid: 20y}
root_crl: 180d
`))
}

// Root makes the second root with a key in memory.
func Root(t testing.TB, base string) *ceremony.Result {
	t.Helper()
	return RootNumber(t, base, 2)
}

// RootNumber makes the root with a number and a key in memory.
func RootNumber(t testing.TB, base string, number int) *ceremony.Result {
	t.Helper()
	plan, err := ceremony.ParseRoot(RootPlanNumber(base, number))
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

// Answer has a root sign any certificate as its answer to a request, past its own checks.
func Answer(t testing.TB, root *ceremony.Result, request []byte, certificate *x509.Certificate) []byte {
	t.Helper()
	a := ceremony.Answer{Version: 1, Request: ceremony.Digest(request), Certificate: certificate.Raw, Root: root.Root.Certificate.Raw,
		Name: "root", List: root.RootCRL}
	message := fmt.Sprintf("trustcore ceremony answer v1\n%s\n%s\n%s\n%s\n%s\n", a.Request, ceremony.Digest(a.Certificate), ceremony.Digest(a.Root),
		a.Name, ceremony.Digest(a.List))
	digest := sha512.Sum384([]byte(message))
	var err error
	if a.Signature, err = root.Root.Key.Sign(rand.Reader, digest[:], crypto.SHA384); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// SignTranscript has a root's key sign a transcript that was changed, as somebody does who holds that key.
func SignTranscript(t testing.TB, root ceremony.Authority, changed *ceremony.Transcript) {
	t.Helper()
	digest := sha512.Sum384([]byte("trustcore ceremony transcript v1\n" + changed.Steps[len(changed.Steps)-1].Hash + "\n"))
	var err error
	if changed.Signature, err = root.Key.Sign(rand.Reader, digest[:], crypto.SHA384); err != nil {
		t.Fatal(err)
	}
}
