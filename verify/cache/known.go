package cache

import (
	"bytes"
	"crypto/sha256"
	"hash/maphash"
	"sync/atomic"
)

// What is asked for again and again is known by its octets: to compare them costs a tenth of a SHA-256. The table holds
// what the cache kept once, at most 64 MB of it.
const (
	knownPieces = 1 << 12
	maxKnown    = 16 << 10 // octets of a piece
)

type known struct {
	seed   maphash.Seed
	pieces [knownPieces]atomic.Pointer[piece]
}

type piece struct {
	octets []byte
	digest [sha256.Size]byte
}

func newKnown() *known { return &known{seed: maphash.MakeSeed()} }

// sum is the SHA-256 of octets.
func (c *Cache) sum(octets []byte) [sha256.Size]byte {
	if len(octets) > maxKnown {
		return sha256.Sum256(octets)
	}
	slot := &c.known.pieces[maphash.Bytes(c.known.seed, octets)%knownPieces]
	if p := slot.Load(); p != nil && bytes.Equal(p.octets, octets) {
		return p.digest
	}
	digest := sha256.Sum256(octets)
	// The octets are those of a document: what is kept are the same ones of the cache.
	if kept := c.kept(digest); bytes.Equal(kept, octets) {
		slot.Store(&piece{kept, digest})
	}
	return digest
}

// kept are the octets of what the cache keeps by a digest, nil for nothing.
func (c *Cache) kept(digest [sha256.Size]byte) []byte {
	if certificate, ok := c.certificates.GetIfPresent(digest); ok {
		return certificate.Raw
	}
	if c.evidence == nil {
		return nil
	}
	switch e, _ := c.evidence.GetIfPresent(digest); {
	case e.list != nil:
		return e.list.Raw
	case e.response != nil:
		return e.response.Raw
	}
	return nil
}
