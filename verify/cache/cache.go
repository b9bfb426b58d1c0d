// Package cache remembers pure functions of bytes: what was parsed from them, whether a key signed them, and what was
// concluded of them under one trust. What it answers is what computing anew would give, so no verdict depends on it.
package cache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/maypok86/otter/v2"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// A Cache holds parsed certificates, CRLs and OCSP responses by the digest of their DER, and the verdict on a signature
// by the key and the signed object. All are bounded. It is safe for concurrent use. A nil *Cache works and remembers
// nothing.
type Cache struct {
	certificates *otter.Cache[[32]byte, *certificate.Certificate]
	evidence     *otter.Cache[[32]byte, evidence] // nil keeps none
	maxEvidence  uint32                           // weight of the largest piece that is kept
	links        *otter.Cache[linkKey, verdict]
	objects      *otter.Cache[objectKey, verdict]
	conclusions  conclusions
	known        *known
}

// A verdict is what came of verifying one signature.
type verdict struct {
	notes []string
	err   error
}

// A linkKey holds the SHA-256 of the issuer's SubjectPublicKeyInfo, which names algorithm, parameters and key, and the
// SHA-256 of the whole signed certificate, which covers the signed bytes, the signature and its algorithm.
type linkKey struct{ issuer, object [32]byte }

// Config bounds a Cache. A certificate takes about 6 kB, a verdict about 250 bytes.
type Config struct {
	Certificates int // parsed certificates kept, more than 0
	Verdicts     int // signature verdicts kept, on certificates and on other objects each, more than 0
	// Evidence is how many octets parsed CRLs and OCSP responses take, about; a quarter of it more is for conclusions on
	// chains. 0 keeps none of them.
	Evidence int
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
	objects, err := otter.New(&otter.Options[objectKey, verdict]{MaximumSize: config.Verdicts})
	if err != nil {
		return nil, fmt.Errorf("cache of verdicts: %w", err)
	}
	c := &Cache{certificates: certificates, links: links, objects: objects, known: newKnown()}
	c.conclusions.room = max(config.Evidence, 0) / conclusionShare / 2
	return c, c.keepEvidence(config.Evidence)
}

// Parse reads a certificate, or returns the one that was read from the same bytes before. The bytes are kept.
func (c *Cache) Parse(der []byte) (*certificate.Certificate, error) {
	if c == nil {
		return certificate.Parse(der)
	}
	return c.ParseOf(sha256.Sum256(der), der)
}

// ParseOf is Parse for who knows the SHA-256 of the bytes.
func (c *Cache) ParseOf(digest [32]byte, der []byte) (*certificate.Certificate, error) {
	if c == nil {
		return certificate.Parse(der)
	}
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

// KeyOf is the public key of a certificate, nil when it or its key cannot be read.
func (c *Cache) KeyOf(der []byte) *algorithm.PublicKey {
	parsed, err := c.Parse(der)
	if err != nil {
		return nil
	}
	key, err := parsed.Key()
	if err != nil {
		return nil
	}
	return key
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

// An objectKey names one signature of a CRL, an OCSP response or another object that is no certificate on a path: the
// scheme with its parameters, the SHA-256 of the SubjectPublicKeyInfo, and that of the whole object.
type objectKey struct {
	scheme      algorithm.Scheme
	key, object [sha256.Size]byte
}

// Verify is scheme.Verify with a memory, for CRLs, OCSP responses and other objects than certificates. Before a
// public-key operation allowed is asked, and an error of it is returned as it is; nil allows all.
func (c *Cache) Verify(
	scheme algorithm.Scheme, key *algorithm.PublicKey, signed revocation.Signed, allowed func() error,
) ([]string, error) {
	cached := c != nil && key != nil && key.SPKI() != nil
	var id objectKey
	if cached {
		id = objectKey{scheme, sha256.Sum256(key.SPKI()), signed.Object}
		if v, ok := c.objects.GetIfPresent(id); ok {
			return v.notes, v.err
		}
	}
	if allowed != nil {
		if err := allowed(); err != nil {
			return nil, err
		}
	}
	notes, err := scheme.Verify(key, signed.Message, signed.Signature)
	if cached && !errors.Is(err, algorithm.ErrNeedsParameters) {
		c.objects.Set(id, verdict{notes, err})
	}
	return notes, err
}
