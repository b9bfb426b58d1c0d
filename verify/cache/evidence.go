package cache

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/maypok86/otter/v2"

	"trustcore/verify/revocation"
)

// evidence is what one piece of DER was read as: a CRL or an OCSP response. Whoever asks for the other kind reads anew.
type evidence struct {
	list     *revocation.CRL
	response *revocation.Response
}

const (
	// evidenceOverhead is what a piece takes beside its octets: the entry and the parsed head; in octets.
	evidenceOverhead = 2_000
	// evidenceFactor is how many octets a parsed piece takes for one of its DER, the index of a list or the responder's
	// certificates included.
	evidenceFactor = 3
	// evidenceShares is how many of the largest pieces the bound has room for: one document must not push out all others.
	evidenceShares = 8
)

func weight(der []byte) uint32 { return uint32(evidenceOverhead + evidenceFactor*len(der)) } // of at most 64 MiB

func (c *Cache) keepEvidence(octets int) error {
	if octets <= 0 {
		return nil
	}
	kept, err := otter.New(&otter.Options[[32]byte, evidence]{
		MaximumWeight: uint64(octets),
		Weigher: func(_ [32]byte, e evidence) uint32 {
			if e.list != nil {
				return weight(e.list.Raw)
			}
			return weight(e.response.Raw)
		},
	})
	if err != nil {
		return fmt.Errorf("cache of evidence: %w", err)
	}
	c.evidence, c.maxEvidence = kept, uint32(min(octets/evidenceShares, 1<<31))
	return nil
}

// ParseCRL is revocation.ParseCRL with a memory. The bytes are kept.
func (c *Cache) ParseCRL(der []byte) (*revocation.CRL, error) {
	if !c.keeps(der) {
		return revocation.ParseCRL(der)
	}
	return c.ParseCRLOf(sha256.Sum256(der), der)
}

// ParseCRLOf is ParseCRL for who knows the SHA-256 of the bytes.
func (c *Cache) ParseCRLOf(digest [32]byte, der []byte) (*revocation.CRL, error) {
	if !c.keeps(der) {
		return revocation.ParseCRL(der)
	}
	if known, ok := c.evidence.GetIfPresent(digest); ok && known.list != nil {
		return known.list, nil
	}
	list, err := revocation.ParseCRL(bytes.Clone(der))
	if err == nil {
		c.evidence.Set(digest, evidence{list: list})
	}
	return list, err
}

// ParseOCSP is revocation.ParseOCSP with a memory. The bytes are kept.
func (c *Cache) ParseOCSP(der []byte) (*revocation.Response, error) {
	if !c.keeps(der) {
		return revocation.ParseOCSP(der)
	}
	return c.ParseOCSPOf(sha256.Sum256(der), der)
}

// ParseOCSPOf is ParseOCSP for who knows the SHA-256 of the bytes.
func (c *Cache) ParseOCSPOf(digest [32]byte, der []byte) (*revocation.Response, error) {
	if !c.keeps(der) {
		return revocation.ParseOCSP(der)
	}
	if known, ok := c.evidence.GetIfPresent(digest); ok && known.response != nil {
		return known.response, nil
	}
	response, err := revocation.ParseOCSP(bytes.Clone(der))
	if err == nil {
		c.evidence.Set(digest, evidence{response: response})
	}
	return response, err
}

// keeps tells whether evidence of this size is kept.
func (c *Cache) keeps(der []byte) bool {
	return c != nil && c.evidence != nil && len(der) <= revocation.MaxCRLSize && weight(der) <= c.maxEvidence
}
