package cache

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"trustcore/verify/internal/mint"
)

// TestKnownPieces: what is known is what the cache keeps, with its own digest: no piece of a document, and no list that is
// kept by the digest of itself and of what followed it.
func TestKnownPieces(t *testing.T) {
	c, err := New(Config{Certificates: 10, Verdicts: 10, Evidence: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	root := mint.Root(t, "root")
	crl := root.CRL(t, mint.Day, nil)
	documents := [][]byte{bytes.Clone(root.Cert.Raw), bytes.Clone(crl), append(bytes.Clone(crl), 0)}
	for _, octets := range documents {
		_, _ = c.Parse(octets)
		_, _ = c.ParseCRL(octets)
		c.sum(octets)
	}
	found := 0
	for i := range c.known.pieces {
		p := c.known.pieces[i].Load()
		if p == nil {
			continue
		}
		if found++; sha256.Sum256(p.octets) != p.digest {
			t.Errorf("%d octets are known by the digest of others", len(p.octets))
		}
		for _, octets := range documents {
			if &p.octets[0] == &octets[0] {
				t.Error("a piece of a document is kept")
			}
		}
	}
	if found != 2 {
		t.Errorf("%d pieces are known, not the certificate and the list", found)
	}
}
