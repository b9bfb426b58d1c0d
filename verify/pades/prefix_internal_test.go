package pades

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"hash"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/cades/signerinfo"
)

// TestPrefixes hashes byte ranges that begin alike: each digest is that of its own octets, and each octet is spent once
// for each algorithm.
func TestPrefixes(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 1000)
	const units = 1 << 30
	b := budget.Of(t.Context(), units, 0)
	p := prefixes{budget: b, data: data, states: map[string][]prefix{}}
	for _, fresh := range []func() hash.Hash{sha256.New, sha512.New} {
		for _, r := range [][3]int{{2000, 2500, 3000}, {5000, 5500, 6000}, {3000, 3500, 3600}, {0, 10, 20}} {
			got, want := fresh(), fresh()
			if err := p.write(signerinfo.Spending(b, got), r[0], data[r[1]:r[2]]); err != nil {
				t.Fatal(err)
			}
			want.Write(data[:r[0]])
			want.Write(data[r[1]:r[2]])
			if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
				t.Errorf("%v: another digest than that of the octets", r)
			}
		}
	}
	// 5000 and 1000 more, for the third 1000 of its beginning again, and what is behind the holes.
	if spent := units - b.Left(); spent > 2*budget.Octet*(5000+1000+500+500+100+10) {
		t.Errorf("%d units", spent)
	}
	if got, err := p.digest(); err != nil || !bytes.Equal(got, sum(data)) {
		t.Errorf("the digest of the file: %x, %v", got, err)
	}
	few := budget.Of(t.Context(), 10, 0)
	over := prefixes{budget: few, data: data, states: map[string][]prefix{}}
	if err := over.write(signerinfo.Spending(few, sha256.New()), 100, nil); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("nothing was spent: %v", err)
	}
}

func sum(data []byte) []byte {
	s := sha256.Sum256(data)
	return s[:]
}
