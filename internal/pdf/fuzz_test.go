package pdf

import (
	"bytes"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
)

// limit is what a file of the fuzz targets may cost.
var limit = budgettest.Limit{Time: 2 * time.Second, TimeAnOctet: 200 * time.Microsecond, Alloc: 8 << 20, AllocAnOctet: 64 << 10}

// FuzzOpen reads whatever comes as far as a caller would: nothing may panic, run away or cost more than its size
// allows.
func FuzzOpen(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), limit, func() { readAll(t, data) })
	})
}

func readAll(t *testing.T, data []byte) {
	d, err := Open(data)
	if err != nil {
		return
	}
	fields, err := d.Fields()
	if err != nil {
		return
	}
	d.SecurityStore()
	for i, r := range d.Revisions() {
		if r.End > int64(len(data)) || r.EOF > r.End || r.Start > r.EOF {
			t.Fatalf("revision %d is %+v", i, r)
		}
		if i < 4 {
			_, _ = d.ChangesSince(i)
		}
	}
	for _, f := range fields {
		if f.Signature == nil {
			continue
		}
		if before, after, ok := d.Covered(f.Signature); ok && f.Signature.Consistent {
			hole := int64(len(data)) - int64(len(before)) - int64(len(after))
			if f.Signature.Revision == len(d.Revisions())-1 && hole < f.Signature.HoleEnd-f.Signature.HoleStart {
				t.Fatal("the covered ranges overlap the hole")
			}
		}
	}
}

// FuzzPrepare signs whatever can be opened and reads it again.
func FuzzPrepare(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), limit, func() {
			p, err := Prepare(data, fuzzOptions)
			if err != nil {
				return
			}
			out, err := p.Finish([]byte{0x30, 0})
			if err != nil || !bytes.HasPrefix(out, data) {
				t.Fatalf("the update changed the original: %v", err)
			}
		})
	})
}

var fuzzOptions = SignOptions{SubFilter: SubFilterCAdES, ContentsSize: 16, Time: time.Unix(1770000000, 0)}

func prepared(t testing.TB, document []byte) []byte {
	t.Helper()
	p, err := Prepare(document, fuzzOptions)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Finish([]byte{0x30, 0})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// BenchmarkFindSignatures is what it costs to find the signatures of a file, without reading them.
func BenchmarkFindSignatures(b *testing.B) {
	for name, data := range map[string][]byte{
		"table":   prepared(b, prepared(b, mint())),
		"streams": prepared(b, variant(b, "--object-streams=generate")),
		"rebuilt": bytes.Replace(prepared(b, mint()), []byte("startxref\n"), []byte("startxref\n9"), 2),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				d, err := Open(data)
				if err != nil {
					b.Fatal(err)
				}
				if fields, err := d.Fields(); err != nil || len(fields) == 0 {
					b.Fatal(len(fields), err)
				}
			}
		})
	}
}

// BenchmarkPrepare appends an update to a small document.
func BenchmarkPrepare(b *testing.B) {
	data := mint()
	for b.Loop() {
		prepared(b, data)
	}
}
