package judge

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// TestLatestFirst puts time-stamps into the order in which they are judged.
func TestLatestFirst(t *testing.T) {
	stamp := func(id string, at int64, covers ...string) proof {
		s := &signature.Timestamp{ID: id, Time: time.Unix(at, 0), Token: []byte(id)}
		for _, c := range covers {
			s.Covers = append(s.Covers, sha256.Sum256([]byte(c)))
		}
		return proof{stamp: s}
	}
	for _, c := range []struct {
		name string
		list []proof
		want []string
	}{
		{"of other times", []proof{stamp("a", 1), stamp("b", 3), stamp("c", 2)}, []string{"b", "c", "a"}},
		{"of one time", []proof{stamp("a", 1), stamp("b", 1), stamp("c", 1)}, []string{"c", "b", "a"}},
		{"that cover one another", []proof{stamp("a", 1, "b"), stamp("b", 1, "c"), stamp("c", 1)}, []string{"a", "b", "c"}},
		{"that cover later ones", []proof{stamp("a", 1, "b"), stamp("b", 2)}, []string{"b", "a"}},
		{"in a circle", []proof{stamp("a", 1, "b"), stamp("b", 1, "a")}, []string{"a", "b"}},
	} {
		var got []string
		for _, p := range latestFirst(c.list) {
			got = append(got, p.stamp.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestEveryPieceIsProven: where several pieces of evidence decide, each must be older than its signer's end.
func TestEveryPieceIsProven(t *testing.T) {
	now, end := time.Unix(1000, 0), time.Unix(500, 0)
	signer := &certificate.Certificate{NotAfter: end}
	pieces := [][32]byte{{1}, {2}}
	for proven, want := range map[int]bool{0: false, 1: false, 2: true} {
		x := &x509{validator: &validator{ev: &Evidence{Lists: &trustlist.Snapshot{}}, existence: newExistence(now)}}
		x.existence.prove(time.Unix(400, 0), pieces[:proven])
		r := revocation.Result{Evidence: pieces, Signers: []*certificate.Certificate{signer}}
		if got := x.signerOfEvidence(0, r); got.passed() != want {
			t.Errorf("%d of two proven: %s", proven, got.Indication)
		}
	}
}

// TestExistence keeps the earliest proof.
func TestExistence(t *testing.T) {
	e := newExistence(time.Unix(9, 0))
	object := [32]byte{1}
	for _, c := range []struct{ at, want int64 }{{10, 9}, {5, 5}, {7, 5}, {3, 3}} {
		e.prove(time.Unix(c.at, 0), [][32]byte{object})
		if got := e.earliest(object); got.Unix() != c.want {
			t.Errorf("proven at %d: earliest %d, want %d", c.at, got.Unix(), c.want)
		}
	}
}
