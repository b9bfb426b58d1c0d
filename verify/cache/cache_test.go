package cache_test

import (
	"bytes"
	"crypto/x509/pkix"
	"errors"
	"testing"

	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/internal/mint"
)

func newCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{Certificates: 100, Verdicts: 1000, Evidence: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCacheKeepsNoDocument: what is remembered does not lean on the bytes that it was read from, which may be a piece of
// a large document or of a file that is unmapped with it.
func TestCacheKeepsNoDocument(t *testing.T) {
	c := newCache(t)
	der := mint.Root(t, "root").Cert.Raw
	document := bytes.Clone(der)
	if _, err := c.Parse(document); err != nil {
		t.Fatal(err)
	}
	clear(document)
	known, err := c.Parse(der)
	if err != nil || !bytes.Equal(known.Raw, der) || known.Subject.CommonName() != "root" {
		t.Error("the certificate went with its document:", err)
	}
}

// TestVerifyIssued: a refusal is handed on and not remembered, and a verdict is remembered for the key that it is about.
func TestVerifyIssued(t *testing.T) {
	c, root, refused := newCache(t), mint.Root(t, "root"), errors.New("refused")
	leaf, err := certificate.Parse(root.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "leaf"}}).Cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(by mint.Party, allowed error) error {
		issuer, err := certificate.Parse(by.Cert.Raw)
		if err != nil {
			t.Fatal(err)
		}
		key, err := issuer.Key()
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.VerifyIssued(leaf, key, issuer.KeyFingerprint, func() error { return allowed })
		return err
	}
	if err := verify(root, refused); !errors.Is(err, refused) {
		t.Errorf("not allowed: %v", err)
	}
	if err := verify(root, nil); err != nil {
		t.Errorf("a refusal was remembered: %v", err)
	}
	if err := verify(root, refused); err != nil {
		t.Errorf("the verdict was not remembered: %v", err)
	}
	if err := verify(mint.Root(t, "other"), nil); !errors.Is(err, algorithm.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
}
