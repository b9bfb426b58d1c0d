// Package cache remembers pure functions of bytes: what was parsed from them, and whether a key signed them. What it
// answers is what computing anew would give, so no verdict depends on it.
package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/maypok86/otter/v2"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// A Cache holds parsed certificates by the digest of their DER, and the verdict on a signature by the key and the
// signed object. Both are bounded. It is safe for concurrent use. A nil *Cache works and remembers nothing.
type Cache struct {
	certificates *otter.Cache[[32]byte, *certificate.Certificate]
	links        *otter.Cache[linkKey, verdict]
	messages     *otter.Cache[messageKey, verdict]
}

// A verdict is what came of verifying one signature.
type verdict struct {
	notes []string
	err   error
}

// A linkKey holds the SHA-256 of the issuer's SubjectPublicKeyInfo, which names algorithm, parameters and key, and the
// SHA-256 of the whole signed certificate, which covers the signed bytes, the signature and its algorithm.
type linkKey struct{ issuer, object [32]byte }

// Config bounds a Cache. A certificate takes about 6 kB, a verdict about 150 bytes.
type Config struct {
	Certificates int // parsed certificates kept, more than 0
	Verdicts     int // signature verdicts kept, on certificates and on other objects each, more than 0
}

// New makes an empty cache.
func New(config Config) (*Cache, error) {
	if config.Certificates <= 0 || config.Verdicts <= 0 {
		return nil, errors.New("cache without bounds")
	}
	certificates, err := otter.New(&otter.Options[[32]byte, *certificate.Certificate]{MaximumSize: config.Certificates})
	if err != nil {
		return nil, fmt.Errorf("cache of certificates: %w", err)
	}
	links, err := otter.New(&otter.Options[linkKey, verdict]{MaximumSize: config.Verdicts})
	if err != nil {
		return nil, fmt.Errorf("cache of verdicts: %w", err)
	}
	messages, err := otter.New(&otter.Options[messageKey, verdict]{MaximumSize: config.Verdicts})
	if err != nil {
		return nil, fmt.Errorf("cache of verdicts: %w", err)
	}
	return &Cache{certificates, links, messages}, nil
}

// Parse reads a certificate, or returns the one that was read from the same bytes before. The bytes are kept.
func (c *Cache) Parse(der []byte) (*certificate.Certificate, error) {
	if c == nil {
		return certificate.Parse(der)
	}
	digest := sha256.Sum256(der)
	if known, ok := c.certificates.GetIfPresent(digest); ok {
		return known, nil
	}
	// A certificate points into its bytes, and these may be a piece of a large document or of a mapped file: what is
	// kept beyond the document is a copy.
	parsed, err := certificate.Parse(bytes.Clone(der))
	if err == nil {
		c.certificates.Set(digest, parsed)
	}
	return parsed, err
}

// VerifyIssued checks a certificate's signature with its issuer's key; digest is the SHA-256 of the key's
// SubjectPublicKeyInfo, zero for a key that came without one. Before a public-key operation allowed is asked, and an
// error of it is returned as it is.
func (c *Cache) VerifyIssued(child *certificate.Certificate, key *algorithm.PublicKey, digest [32]byte, allowed func() error) ([]string, error) {
	id := linkKey{digest, child.Fingerprint}
	cached := c != nil && digest != [32]byte{}
	if cached {
		if v, ok := c.links.GetIfPresent(id); ok {
			return v.notes, v.err
		}
	}
	scheme, err := algorithm.FromCertificate(child.SignatureAlgorithm)
	if err != nil {
		return nil, err
	}
	if err := allowed(); err != nil {
		return nil, err
	}
	if child.Has(certificate.BadBitString) {
		return nil, fmt.Errorf("%w: it has unused bits", algorithm.ErrSignature)
	}
	notes, err := scheme.Verify(key, child.RawTBS, child.Signature)
	if errors.Is(err, algorithm.ErrKeyMismatch) || errors.Is(err, algorithm.ErrNeedsParameters) || errors.Is(err, algorithm.ErrUnsupported) {
		return nil, err // said without a computation, and not of the bytes alone
	}
	if cached {
		c.links.Set(id, verdict{notes, err})
	}
	return notes, err
}

// A messageKey names one signature over any bytes: the scheme with its parameters, and the SHA-256 of key, signature and
// message, each with its length before it.
type messageKey struct {
	scheme algorithm.Scheme
	digest [sha256.Size]byte
}

// Verify is scheme.Verify with a memory, for CRLs, OCSP responses and other objects than certificates. Before a
// public-key operation allowed is asked, and an error of it is returned as it is; nil allows all.
func (c *Cache) Verify(scheme algorithm.Scheme, key *algorithm.PublicKey, message, signature []byte, allowed func() error) ([]string, error) {
	cached := c != nil && key != nil && key.SPKI() != nil
	var id messageKey
	if cached {
		id = messageID(scheme, key, message, signature)
		if v, ok := c.messages.GetIfPresent(id); ok {
			return v.notes, v.err
		}
	}
	if allowed != nil {
		if err := allowed(); err != nil {
			return nil, err
		}
	}
	notes, err := scheme.Verify(key, message, signature)
	if cached && !errors.Is(err, algorithm.ErrNeedsParameters) {
		c.messages.Set(id, verdict{notes, err})
	}
	return notes, err
}

// VerifyWithin returns Verify that spends of a document's budget: for the octets, and for the key where the cache does not
// answer. Nothing verifies beyond the budget.
func (c *Cache) VerifyWithin(b *budget.Budget) func(algorithm.Scheme, *algorithm.PublicKey, []byte, []byte) ([]string, error) {
	return func(scheme algorithm.Scheme, key *algorithm.PublicKey, message, signature []byte) ([]string, error) {
		if err := b.Octets(len(message)); err != nil {
			return nil, err
		}
		return c.Verify(scheme, key, message, signature, func() error { return b.Work(key.Cost()) })
	}
}

func messageID(scheme algorithm.Scheme, key *algorithm.PublicKey, message, signature []byte) messageKey {
	id := messageKey{scheme: scheme}
	h := sha256.New()
	for _, part := range [][]byte{key.SPKI(), signature, message} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	h.Sum(id.digest[:0])
	return id
}
