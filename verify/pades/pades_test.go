package pades

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
)

func open(t testing.TB, data []byte) *signature.Document {
	t.Helper()
	doc, err := Open(budget.New(t.Context(), len(data)), data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestLevels(t *testing.T) {
	o := newOffice(t)
	bb := o.sign(t, blank(100), false)
	bt := o.sign(t, blank(100), true)
	lt := o.store(t, bt)
	cases := []struct {
		data  []byte
		level string
		scope string
	}{
		{bb, "B-B", "full PDF"},
		{bt, "B-T", "full PDF"},
		{o.stamp(t, bb), "B-T", "partial PDF: revision 2 of 3"},
		{lt, "B-LT", "partial PDF: revision 2 of 3"},
		{o.stamp(t, lt), "B-LTA", "partial PDF: revision 2 of 4"},
	}
	for _, c := range cases {
		doc := open(t, c.data)
		if len(doc.Signatures) != 1 || len(doc.Timestamps) != 0 {
			t.Fatalf("%s: %d signatures, %d loose time-stamps", c.level, len(doc.Signatures), len(doc.Timestamps))
		}
		s := doc.Signatures[0]
		if s.Format != signature.PAdES || s.Level != c.level {
			t.Errorf("%s %s, want %s", s.Format, s.Level, c.level)
		}
		for _, change := range s.Changes {
			if change.Rule != "" {
				t.Errorf("%s: %+v", c.level, change)
			}
		}
		if !s.Intact || !s.ReferencesIntact() || len(s.Structure) != 0 || s.Binding != signature.BindingMatches {
			t.Errorf("%s: intact %v, references %v, structure %v, binding %v", c.level, s.Intact, s.References, s.Structure, s.Binding)
		}
		if !bytes.Equal(s.Signer, o.officer.cert.Raw) || !s.SigningTime.Equal(day) {
			t.Errorf("%s: another signer or time", c.level)
		}
		if r := s.References[0]; r.Type != "byte-range" || r.Scope != c.scope || r.Full != (c.scope == "full PDF") {
			t.Errorf("%s: reference %+v", c.level, r)
		}
		for _, stamp := range s.Timestamps {
			if !stamp.Intact || !stamp.Imprint || !stamp.CoversSignature || len(stamp.Structure) != 0 {
				t.Errorf("%s: %s: %+v", c.level, stamp.Type, stamp.Structure)
			}
		}
	}
}

// What a document time-stamp proves to have existed: the signature, its time-stamp, and the store.
func TestDocumentTimestampCovers(t *testing.T) {
	o := newOffice(t)
	data := o.stamp(t, o.store(t, o.sign(t, blank(100), true)))
	later := o.store(t, o.sign(t, data, false))
	doc := open(t, later)
	first, second := doc.Signatures[0], doc.Signatures[1]
	if len(first.Timestamps) != 2 || len(second.Timestamps) != 0 {
		t.Fatalf("%d and %d time-stamps", len(first.Timestamps), len(second.Timestamps))
	}
	stamp := first.Timestamps[1]
	covers := func(object []byte) bool { return slices.Contains(stamp.Covers, sha256.Sum256(object)) }
	if !slices.Contains(stamp.Covers, first.Value) || slices.Contains(stamp.Covers, second.Value) {
		t.Error("the time-stamp covers the signatures before it and no others")
	}
	if !covers(first.CRLs[0]) || !covers(first.Timestamps[0].Token) || !covers(o.ca.cert.Raw) {
		t.Error("the store and the signature time-stamp are not covered")
	}
	if covers(first.CRLs[len(first.CRLs)-1]) {
		t.Error("evidence that came later is covered")
	}
}

func TestTimestampWithoutSignature(t *testing.T) {
	o := newOffice(t)
	doc := open(t, o.stamp(t, blank(100)))
	if len(doc.Signatures) != 0 || len(doc.Timestamps) != 1 || !doc.Timestamps[0].Imprint || doc.Timestamps[0].CoversSignature {
		t.Errorf("%+v", doc)
	}
}

func TestTampered(t *testing.T) {
	o := newOffice(t)
	signed := o.sign(t, blank(100), true)
	change := func(from, to string) []byte { return bytes.Replace(signed, []byte(from), []byte(to), 1) }
	cases := []struct {
		name      string
		data      []byte
		structure string // part of a structure problem; "" where the digest tells
	}{
		{"content", change("[0 0 595 842]", "[0 0 595 843]"), ""},
		{"reason", change("/Reason <", "/Reasom <"), ""},
		{"hole", change("/Contents <", "/Contents ("), "Contents"},
		{"cut", signed[:len(signed)-8], "beyond the file"},
	}
	for _, c := range cases {
		doc, err := Open(budget.New(t.Context(), len(c.data)), c.data)
		if err != nil || len(doc.Signatures) == 0 {
			continue // nothing is reported as signed
		}
		s := doc.Signatures[0]
		if s.ReferencesIntact() && len(s.Structure) == 0 {
			t.Errorf("%s: taken for whole", c.name)
		}
		if c.structure != "" && !strings.Contains(strings.Join(s.Structure, "; "), c.structure) {
			t.Errorf("%s: structure %v", c.name, s.Structure)
		}
	}
}

func FuzzOpen(f *testing.F) {
	o := newOffice(f)
	f.Add(o.sign(f, blank(10), true))
	f.Add(o.stamp(f, o.store(f, o.sign(f, blank(10), false))))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Open(budget.New(t.Context(), len(data)), data)
		if err != nil {
			return
		}
		for _, s := range doc.Signatures {
			if s.ID == "" || s.Format == "" {
				t.Error("a signature without a name")
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	o := newOffice(b)
	data := o.stamp(b, o.store(b, o.sign(b, blank(72<<10), true)))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Open(budget.New(b.Context(), len(data)), data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHash is the limit of BenchmarkOpen on large files: each byte range has to be hashed.
func BenchmarkHash(b *testing.B) {
	data := blank(20 << 20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		sha256.Sum256(data)
	}
}

func BenchmarkOpenLarge(b *testing.B) {
	data := newOffice(b).sign(b, blank(20<<20), true)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Open(budget.New(b.Context(), len(data)), data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenSignedOften has eight signatures: the file is hashed once all the same.
func BenchmarkOpenSignedOften(b *testing.B) {
	o := newOffice(b)
	data := blank(20 << 20)
	for range 8 {
		data = o.sign(b, data, false)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		doc, err := Open(budget.New(b.Context(), len(data)), data)
		if err != nil || len(doc.Signatures) != 8 || !doc.Signatures[7].ReferencesIntact() {
			b.Fatal(err)
		}
	}
}
