package inflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"strings"
	"testing"

	"trustcore/internal/inflate"
)

// limit of what a test lets come out.
const limit = 1 << 20

func pack(t testing.TB, text string, level int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unpack(packed []byte) ([]byte, error) {
	r := inflate.NewReader(packed)
	defer r.Release()
	return io.ReadAll(io.LimitReader(r, limit))
}

func texts() []string {
	return []string{"", "a", strings.Repeat("Zażółć gęślą jaźń. ", 5000), "%PDF-1.7\n" + strings.Repeat("\x00\xff", 40_000)}
}

// TestReader: what comes out is what went in, of every kind of block, and a Reader that was used forgets what it read,
// faults included.
func TestReader(t *testing.T) {
	for _, text := range texts() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
			packed := pack(t, text, level)
			for range 2 {
				if got, err := unpack(packed); err != nil || string(got) != text {
					t.Errorf("level %d: %d octets, want %d; %v", level, len(got), len(text), err)
				}
				if _, err := unpack([]byte{0x07}); err == nil {
					t.Error("a block of no known kind is read")
				}
			}
			if _, err := unpack(packed[:len(packed)-1]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("level %d: a cut stream gives %v", level, err)
			}
		}
	}
}

// FuzzReader: the decompressor agrees with the standard library's on what is a stream, and on what comes out of it. How much
// comes out before a fault may differ, not what.
func FuzzReader(f *testing.F) {
	for _, text := range texts() {
		f.Add(pack(f, text[:min(len(text), 200)], flate.BestCompression))
		f.Add(pack(f, text[:min(len(text), 200)], flate.NoCompression))
	}
	f.Add([]byte{0x07})
	f.Add([]byte{0x4b, 0x04, 0x92, 0x00}) // points before the beginning
	f.Add(pack(f, texts()[2], flate.BestCompression)[:100])
	f.Fuzz(func(t *testing.T, packed []byte) {
		want, wrong := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), limit))
		got, err := unpack(packed)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%v, the standard library says %v", err, wrong)
		}
		if common := min(len(got), len(want)); wrong != nil {
			got, want = got[:common], want[:common]
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d octets come out, %d of the standard library", len(got), len(want))
		}
	})
}
