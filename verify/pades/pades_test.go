package pades

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms"
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

// FuzzOpen reads whatever comes: nothing may panic, run away or cost more than its size allows. The seeds lie in
// testdata: small files, signed, changed in one way each.
func FuzzOpen(f *testing.F) {
	limit := budgettest.Limit{Time: 2 * time.Second, TimeAnOctet: 200 * time.Microsecond, Alloc: 8 << 20, AllocAnOctet: 64 << 10}
	f.Fuzz(func(t *testing.T, data []byte) {
		var doc *signature.Document
		budgettest.Check(t, len(data), limit, func() { doc, _ = Open(budget.New(t.Context(), len(data)), data) })
		if doc == nil {
			return
		}
		for _, s := range doc.Signatures {
			if s.ID == "" || s.Format == "" {
				t.Error("a signature without a name")
			}
			for _, r := range s.References {
				if r.Full && len(s.Changes) > 0 {
					t.Error("full and changed")
				}
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

// What a byte range covers besides a revision, or a CMS besides the byte range, is not what a reader shows.
func TestInconsistentRangeIsNotIntact(t *testing.T) {
	o := newOffice(t)
	signed := o.sign(t, blank(100), false)
	i := bytes.Index(signed, []byte("/Contents <"))
	numbers := bytes.Fields(signed[bytes.Index(signed, []byte("/ByteRange [0 "))+len("/ByteRange ["):])
	before := string(numbers[1])
	narrow := bytes.Replace(signed, []byte("[0 "+before), []byte("[0 "+strings.Repeat("0", len(before)-1)+"9"), 1)
	for name, data := range map[string][]byte{
		"hole too wide":    narrow,
		"range too short":  bytes.Replace(signed, fmt.Appendf(nil, "%-10d", len(signed)-atoi(numbers[2])), []byte("50        "), 1),
		"hole in the tail": append(bytes.Clone(signed[:i]), bytes.Replace(signed[i:], []byte("/Contents <"), []byte("/Contents  "), 1)...),
	} {
		doc, err := Open(budget.New(t.Context(), len(data)), data)
		if err != nil || len(doc.Signatures) == 0 {
			continue
		}
		if s := doc.Signatures[0]; s.ReferencesIntact() || s.References != nil && s.References[0].Full {
			t.Errorf("%s: %+v", name, s.References)
		}
	}
}

func atoi(text []byte) int {
	n := 0
	for _, c := range bytes.TrimRight(text, "]") {
		n = 10*n + int(c-'0')
	}
	return n
}

// Viewers take two fields of one full name for one field, and show one signature.
func TestTwoFieldsOfOneName(t *testing.T) {
	o := newOffice(t)
	f := form()
	signed := o.signDraft(t, f, "")
	for name, want := range map[string]bool{"Podpis": true, "Inny": false} {
		field := draft{6: f.edit(6, "7 0 R", "7 0 R 75 0 R")[6], 75: "<</FT/Sig/T(" + name + ")/V 91 0 R/Rect[0 0 0 0]>>"}
		doc := open(t, o.signUpdate(t, signed, update{objects: field}, 91, ""))
		if len(doc.Signatures) != 2 || len(doc.Signatures[0].Structure) != 0 {
			t.Fatalf("%d signatures", len(doc.Signatures))
		}
		got := strings.Contains(strings.Join(doc.Signatures[1].Structure, ";"), "same full name")
		if got != want {
			t.Errorf("%s: structure %v", name, doc.Signatures[1].Structure)
		}
	}
}

// A store that replaces another takes no evidence away, but the level goes by the newest.
func TestStoresOfAllRevisions(t *testing.T) {
	o := newOffice(t)
	f := form()
	store := func(name string, number int, crl []byte) draft {
		return draft{1: f.edit(1, "/Lang", "/DSS "+name+" 0 R/Lang")[1], number: fmt.Sprintf("<</CRLs[%d 0 R]>>", number+1), number + 1: stream("", string(crl))}
	}
	first, second := o.crl(t), []byte("another list")
	data := update{objects: store("102", 102, second)}.append(update{objects: store("100", 100, first)}.append(o.signDraft(t, f, "")))
	s := open(t, data).Signatures[0]
	if len(s.CRLs) != 2 || !bytes.Equal(s.CRLs[1], first) {
		t.Errorf("%d lists", len(s.CRLs))
	}
	if s.Level != "B-B" && s.Level != "BES" {
		t.Errorf("level %s", s.Level)
	}
}

// A CMS that brings what it is about along is about that, not about the file.
func TestOwnContentIsNotIntact(t *testing.T) {
	o := newOffice(t)
	out, start, end := update{objects: form()}.prepare([]byte("%PDF-1.7\n"), 11, approval, 12000)
	covered := slices.Concat(out[:start], out[end:])
	signed, err := cms.Sign(cms.SignConfig{Signer: o.officer.key, Certificate: o.officer.cert.Raw, Hash: crypto.SHA256, Content: covered})
	if err != nil {
		t.Fatal(err)
	}
	copy(out[start+1:], fmt.Sprintf("%x", signed))
	s := open(t, out).Signatures[0]
	if !s.Intact || s.ReferencesIntact() || len(s.Structure) == 0 {
		t.Errorf("intact %v, references %v, structure %v", s.Intact, s.References, s.Structure)
	}
}
