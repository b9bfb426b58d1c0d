package cache_test

import (
	"bytes"
	"errors"
	"testing"

	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/internal/mint"
	"trustcore/verify/revocation"
)

// list is a CRL of the party with its key.
func list(t *testing.T, by mint.Party) ([]byte, *algorithm.PublicKey) {
	t.Helper()
	issuer, err := certificate.Parse(by.Cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	key, err := issuer.Key()
	if err != nil {
		t.Fatal(err)
	}
	return by.CRL(t, mint.Day, nil), key
}

// verifyList parses a list through the cache and verifies it.
func verifyList(c *cache.Cache, der []byte, key *algorithm.PublicKey, allowed error) error {
	l, err := c.ParseCRL(der)
	if err != nil {
		return err
	}
	scheme, err := algorithm.FromCertificate(l.SignatureAlgorithm)
	if err != nil {
		return err
	}
	signed := revocation.Signed{Object: l.Digest(), Message: l.RawTBS, Signature: l.Signature}
	_, err = c.Verify(scheme, key, signed, func() error { return allowed })
	return err
}

// TestEvidenceOfOneOctetMore: evidence that differs in any one octet shares neither what was read nor the verdict.
func TestEvidenceOfOneOctetMore(t *testing.T) {
	c, root := newCache(t), mint.Root(t, "root")
	der, key := list(t, root)
	if err := verifyList(c, der, key, nil); err != nil {
		t.Fatal(err)
	}
	if err := verifyList(c, der, key, errors.New("computed anew")); err != nil {
		t.Fatal("the verdict was not remembered:", err)
	}
	for i := range der {
		other := bytes.Clone(der)
		other[i] ^= 1
		if verifyList(c, other, key, nil) == nil {
			t.Errorf("octet %d changed, and the signature of the other list counts", i)
		}
	}
	if err := verifyList(c, der, key, errors.New("computed anew")); err != nil {
		t.Error("what others brought changed the verdict:", err)
	}
}

// TestVerdictIsOfTheKey: a verdict under one key is none under another.
func TestVerdictIsOfTheKey(t *testing.T) {
	c := newCache(t)
	der, key := list(t, mint.Root(t, "root"))
	_, stranger := list(t, mint.Root(t, "stranger"))
	if err := verifyList(c, der, stranger, nil); !errors.Is(err, algorithm.ErrSignature) {
		t.Fatal(err)
	}
	if err := verifyList(c, der, key, nil); err != nil {
		t.Error(err)
	}
	if err := verifyList(c, der, stranger, nil); !errors.Is(err, algorithm.ErrSignature) {
		t.Error(err)
	}
}

// TestVerifyRefused: a refusal is handed on and not remembered.
func TestVerifyRefused(t *testing.T) {
	c, refused := newCache(t), errors.New("refused")
	der, key := list(t, mint.Root(t, "root"))
	if err := verifyList(c, der, key, refused); !errors.Is(err, refused) {
		t.Error(err)
	}
	if err := verifyList(c, der, key, nil); err != nil {
		t.Error("a refusal was remembered:", err)
	}
	if err := verifyList(nil, der, key, refused); !errors.Is(err, refused) {
		t.Error("without a cache nobody asks whether it is allowed:", err)
	}
}

// TestEvidenceKeepsNoDocument: what is remembered does not lean on the bytes that it was read from.
func TestEvidenceKeepsNoDocument(t *testing.T) {
	c := newCache(t)
	der, key := list(t, mint.Root(t, "root"))
	document := bytes.Clone(der)
	if _, err := c.ParseCRL(document); err != nil {
		t.Fatal(err)
	}
	clear(document)
	if err := verifyList(c, der, key, nil); err != nil {
		t.Error("the list went with its document:", err)
	}
}

// TestEvidenceOfAnotherKind: what was read as a list is no answer, though its octets are known.
func TestEvidenceOfAnotherKind(t *testing.T) {
	c := newCache(t)
	der, _ := list(t, mint.Root(t, "root"))
	if _, err := c.ParseCRL(der); err != nil {
		t.Fatal(err)
	}
	if r, err := c.ParseOCSP(der); err == nil {
		t.Errorf("a list was taken for an answer: %+v", r)
	}
}

// TestEvidenceIsBounded: a piece that would push out many others is read and not kept.
func TestEvidenceIsBounded(t *testing.T) {
	c, err := cache.New(cache.Config{Certificates: 1, Verdicts: 1, Evidence: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	der, _ := list(t, mint.Root(t, "root"))
	first, err := c.ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.ParseCRL(der); err != nil || again == first {
		t.Error("a list of more than an eighth of the bound was kept:", err)
	}
}
