package pdf

import (
	"bytes"
	"testing"
	"time"
)

// FuzzOpen reads whatever comes as far as a caller would: nothing may panic or run away.
func FuzzOpen(f *testing.F) {
	signed := prepared(f, mint())
	f.Add(mint())
	f.Add(hybrid())
	f.Add(signed)
	f.Add(prepared(f, signed))
	f.Add([]byte("%PDF-1.7\n1 0 obj <</Type /Catalog /AcroForm <</Fields [2 0 R]>>>> endobj 2 0 obj <</FT /Sig /T (a) /V 3 0 R>> endobj 3 0 obj <</ByteRange [0 1 2 3] /Contents <30>>> endobj trailer <</Root 1 0 R>>"))
	f.Add([]byte("%PDF-1.7\n1 0 obj<</Type /XRef /W [1 2 1] /Index [0 2] /Root 2 0 R /Length 8>>stream\n01234567\nendstream endobj startxref\n9\n%%EOF"))
	f.Fuzz(func(t *testing.T, data []byte) {
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
			if before, after, ok := d.Covered(f.Signature); ok && len(f.Signature.Problems) == 0 {
				hole := int64(len(data)) - int64(len(before)) - int64(len(after))
				if f.Signature.Revision == len(d.Revisions())-1 && hole < f.Signature.HoleEnd-f.Signature.HoleStart {
					t.Fatal("the covered ranges overlap the hole")
				}
			}
		}
	})
}

// FuzzPrepare signs whatever can be opened and reads it again.
func FuzzPrepare(f *testing.F) {
	f.Add(mint())
	f.Add(hybrid())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Prepare(data, fuzzOptions)
		if err != nil {
			return
		}
		out, err := p.Finish([]byte{0x30, 0})
		if err != nil || !bytes.HasPrefix(out, data) {
			t.Fatalf("the update changed the original: %v", err)
		}
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
