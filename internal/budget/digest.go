package budget

import (
	"cmp"
	"context"
	"crypto/sha256"
	"sync"
)

// heldDigest is what a digest takes that is kept, in octets.
const heldDigest = 128

// digests are those of octets by where these lie in memory, which are held as long as the digest is.
type digests struct {
	mu sync.Mutex
	of map[extent][sha256.Size]byte
}

type extent struct {
	first *byte
	size  int
}

// sumKey is that of a function in a context.
type sumKey struct{}

// WithDigests returns a context whose budgets take the SHA-256 of octets from sum, which may know some.
func WithDigests(ctx context.Context, sum func(octets []byte) [sha256.Size]byte) context.Context {
	return context.WithValue(ctx, sumKey{}, sum)
}

func sumOf(ctx context.Context) func([]byte) [sha256.Size]byte {
	if sum, ok := ctx.Value(sumKey{}).(func([]byte) [sha256.Size]byte); ok {
		return sum
	}
	return sha256.Sum256
}

// Digest is the SHA-256 of octets of the document that nobody changes while the budget is in use: readers and the judge
// know evidence by it. It is computed and spent for once; the error is that of Work or Hold.
func (b *Budget) Digest(octets []byte) ([sha256.Size]byte, error) {
	if len(octets) == 0 {
		return sha256.Sum256(nil), b.Err()
	}
	at := extent{&octets[0], len(octets)}
	if sum, known := b.digests.get(at); known {
		return sum, nil
	}
	if err := cmp.Or(b.Octets(len(octets)), b.Hold(heldDigest)); err != nil {
		return [sha256.Size]byte{}, err
	}
	sum := b.sum(octets)
	b.digests.put(at, sum)
	return sum, nil
}

func (d *digests) get(at extent) (sum [sha256.Size]byte, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum, known = d.of[at]
	return sum, known
}

func (d *digests) put(at extent, sum [sha256.Size]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = map[extent][sha256.Size]byte{}
	}
	d.of[at] = sum
}
