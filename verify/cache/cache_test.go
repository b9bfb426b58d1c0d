package cache_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"errors"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/internal/mint"
)

func newCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{Certificates: 100, Verdicts: 1000})
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

// TestVerifyWithin spends for what the cache does not know, and verifies nothing beyond the budget.
func TestVerifyWithin(t *testing.T) {
	root, err := certificate.Parse(mint.Root(t, "root").Cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	key, err := root.Key()
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := algorithm.FromCertificate(root.SignatureAlgorithm)
	if err != nil {
		t.Fatal(err)
	}
	octets := budget.Octet * int64(len(root.RawTBS))
	for name, c := range map[string]*cache.Cache{"cache": newCache(t), "none": nil} {
		verify := c.VerifyWithin(budget.Of(context.Background(), key.Cost()+3*octets, 0))
		if _, err := verify(scheme, key, root.RawTBS, root.Signature); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := verify(scheme, key, root.RawTBS, root.Signature)
		if again := errors.Is(err, budget.ErrExceeded); again != (c == nil) {
			t.Errorf("%s: the same again: %v", name, err)
		}
		if _, err = verify(scheme, key, root.RawTBS[1:], root.Signature); !errors.Is(err, budget.ErrExceeded) {
			t.Errorf("%s: another message: %v", name, err)
		}
	}
	c := newCache(t)
	if _, err := c.Verify(scheme, key, root.RawTBS, root.Signature, nil); err != nil {
		t.Fatal(err)
	}
	few := budget.Of(context.Background(), octets-1, 0)
	if _, err := c.VerifyWithin(few)(scheme, key, root.RawTBS, root.Signature); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("the octets of a message that the cache knows: %v", err)
	}
}
