package budget_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"trustcore/internal/budget"
)

// TestDigest: what is remembered of octets is no answer for others, though these begin where they begin, or say the same.
func TestDigest(t *testing.T) {
	b := budget.Of(t.Context(), 1<<40, 1<<40)
	octets := bytes.Repeat([]byte("octets"), 2000)
	for range 2 {
		for i := range 2000 {
			for _, piece := range [][]byte{octets[i:], octets[:i], octets[i : 2*i], bytes.Clone(octets[i:])} {
				if sum, err := b.Digest(piece); err != nil || sum != sha256.Sum256(piece) {
					t.Fatalf("%d octets from %d: %x, %v", len(piece), i, sum, err)
				}
			}
		}
	}
}

// TestDigestIsSpentOnce: the same octets cost nothing the second time, and others cost what they are long.
func TestDigestIsSpentOnce(t *testing.T) {
	octets := make([]byte, 100)
	b := budget.Of(t.Context(), 2*100*budget.Octet, 1<<20)
	for _, piece := range [][]byte{octets, octets, octets[:60], octets[60:], octets[:60], octets} {
		if _, err := b.Digest(piece); err != nil {
			t.Fatal(err)
		}
	}
	if b.Left() != 0 {
		t.Errorf("%d units are left", b.Left())
	}
	if _, err := b.Digest(octets[1:]); !errors.Is(err, budget.ErrExceeded) {
		t.Error("beyond the budget:", err)
	}
	if _, err := b.Digest(nil); !errors.Is(err, budget.ErrExceeded) {
		t.Error("nothing, beyond the budget:", err)
	}
}
