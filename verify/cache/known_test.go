package cache_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/internal/mint"
)

// TestDigestOfKnownOctets: what is known of a certificate or a list is no answer for octets that differ in any one, or
// end before.
func TestDigestOfKnownOctets(t *testing.T) {
	c, root := newCache(t), mint.Root(t, "root")
	digest := func(octets []byte) [sha256.Size]byte { // by a budget of its own, which remembers nothing
		sum, err := budget.New(cache.Within(t.Context(), c), len(octets)).Digest(octets)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	crl, _ := list(t, root)
	for _, der := range [][]byte{root.Cert.Raw, crl} {
		for range 2 { // the cache is empty at first
			for i := range der {
				other := bytes.Clone(der)
				other[i] ^= 1
				for _, octets := range [][]byte{der, other, der[:i], append(bytes.Clone(der), 0)} {
					if digest(octets) != sha256.Sum256(octets) {
						t.Fatalf("octet %d: the digest of others", i)
					}
				}
			}
			_, _ = c.Parse(der)
			_, _ = c.ParseCRL(der)
		}
	}
	const many = 40_000 // more than the table has places
	for i := range many {
		other := binary.BigEndian.AppendUint32(nil, uint32(i))
		if digest(other) != sha256.Sum256(other) {
			t.Fatalf("%x: the digest of others", other)
		}
	}
}
