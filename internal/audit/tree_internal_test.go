package audit

import (
	"crypto/rand"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// TestAddAgain gives the tree a batch again that it has in part, as after a failure half-way, and ones that don't fit.
func TestAddAgain(t *testing.T) {
	private, _, err := note.GenerateKey(rand.Reader, "log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := openTree(t.Context(), t.TempDir(), signer)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.stop()
	entries := [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")}
	for _, n := range []int{2, 2, 4} {
		if err := tr.add(t.Context(), 0, entries[:n]); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range entries {
		if err := (&leaves{files: tr.files, size: 4}).compare(t.Context(), uint64(i), e); err != nil {
			t.Error(err)
		}
	}
	if tr.size() != 4 {
		t.Errorf("%d entries; want 4", tr.size())
	}
	for _, first := range []uint64{5, 9} {
		if err := tr.add(t.Context(), first, entries); err == nil {
			t.Errorf("a batch that begins at %d is taken", first)
		}
	}
	if err := tr.add(t.Context(), 0, entries[:1]); err == nil {
		t.Error("a batch that ends before the tree does is taken")
	}
}
