package pdf

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSignatureOfField(t *testing.T) {
	s := newSigner(t)
	opts := approval()
	opts.FieldName, opts.Name, opts.Location, opts.Certify = "Pieczęć", "officer-1", "Przykładowo", 2
	once := s.sign(t, mint(), opts)
	twice := s.sign(t, once, approval())
	fields, err := mustOpen(t, twice).Fields()
	if err != nil || len(fields) != 2 {
		t.Fatalf("%d fields, %v", len(fields), err)
	}
	f := fields[0]
	if f.Name != "Pieczęć" || f.Visible || f.Signature == nil {
		t.Fatalf("field %+v", f)
	}
	g := f.Signature
	if g.SubFilter != SubFilterCAdES || g.Name != "officer-1" || g.Location != "Przykładowo" || g.Reason != "Zatwierdzam (ż)" ||
		!g.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("signature %+v", g)
	}
	if len(g.References) != 1 || g.References[0].Method != "DocMDP" || g.References[0].Permission != 2 {
		t.Errorf("references %+v", g.References)
	}
	if g.Revision != 1 || fields[1].Signature.Revision != 2 || len(g.Problems) != 0 {
		t.Errorf("revisions %d and %d, %v", g.Revision, fields[1].Signature.Revision, g.Problems)
	}
	before, after, ok := mustOpen(t, twice).Covered(g)
	if !ok || len(before)+len(after)+2*4096+2 != len(once) {
		t.Error("the covered ranges are not those of the first revision")
	}
}

// A form with names, types and values that kids inherit.
func TestFieldInheritance(t *testing.T) {
	form := "/AcroForm <</Fields [<</T (umowa) /FT /Sig /Kids [<</T (strona1) /V <</Type /Sig /SubFilter /ETSI.CAdES.detached /Contents <30> /ByteRange [0 1 2 3]>>>>" +
		" <</T (strona2) /Kids [<</Subtype /Widget /Rect [0 0 9 9]>>]>>]>> <</T (kwota) /FT /Tx /V (5)>>]>>"
	data := bytes.Replace(mint(), []byte("/Pages 2 0 R"), []byte("/Pages 2 0 R "+form), 1)
	fields, err := mustOpen(t, data).Fields()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range fields {
		state := "empty"
		if f.Signature != nil {
			state = "signed"
		}
		if f.Visible {
			state += " visible"
		}
		got = append(got, f.Name+" "+state)
	}
	if s := strings.Join(got, ", "); s != "umowa.strona1 signed, umowa.strona2 empty visible" {
		t.Error(s)
	}
}

// A field whose cross-reference entry is wrong is found all the same, as viewers find it.
func TestMisplacedField(t *testing.T) {
	signed := newSigner(t).sign(t, mint(), approval())
	field := bytes.LastIndex(signed, []byte("8 0 obj"))
	entry := fmt.Appendf(nil, "%010d 00000 n", field)
	if field < 0 || !bytes.Contains(signed, entry) {
		t.Fatal("the document is not as expected")
	}
	d := mustOpen(t, bytes.Replace(signed, entry, fmt.Appendf(nil, "%010d 00000 n", field+3), 1))
	fields, err := d.Fields()
	if err != nil || len(fields) != 1 || fields[0].Signature == nil || !d.Rebuilt() {
		t.Fatalf("%+v, %v", fields, err)
	}
	if p := fields[0].Signature.Problems; len(p) != 0 || fields[0].Signature.Revision != 1 {
		t.Errorf("revision %d, %v", fields[0].Signature.Revision, p)
	}
}

func TestByteRange(t *testing.T) {
	signed := newSigner(t).sign(t, mint(), approval())
	change := func(from, to string) []byte { // keeps the length
		if len(from) != len(to) || !bytes.Contains(signed, []byte(from)) {
			t.Fatalf("cannot replace %q by %q", from, to)
		}
		return bytes.Replace(signed, []byte(from), []byte(to), 1)
	}
	start := bytes.Index(signed, []byte("/ByteRange [0 "))
	numbers := strings.Fields(string(signed[start+len("/ByteRange [") : start+60]))
	pad := func(s string) string { return s + strings.Repeat(" ", rangeWidth-len(s)) }
	cases := []struct {
		name string
		data []byte
		want string // part of a problem; "" for none
	}{
		{"right", signed, ""},
		{"hole too wide", change("[0 "+pad(numbers[1]), "[0 "+pad("100")), "not the Contents"},
		{"overlap", change("[0 "+pad(numbers[1]), "[0 "+pad("9999999")[:rangeWidth]), "beyond the file"},
		{"not from the first byte", change("/ByteRange [0 ", "/ByteRange [1 "), "first byte"},
		{"short end", change(pad(strings.TrimRight(numbers[3], "]"))[:8], pad("10")[:8]), "end of a revision"},
		{"three numbers", change("/ByteRange [0 ", "/ByteRange [  "), "two ranges"},
		{"appended text", append(bytes.Clone(signed), "9 0 obj null endobj"...), ""},
	}
	for _, c := range cases {
		d, err := Open(c.data)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		fields, err := d.Fields()
		if err != nil || len(fields) != 1 || fields[0].Signature == nil {
			t.Errorf("%s: fields %v, %v", c.name, fields, err)
			continue
		}
		problems := strings.Join(fields[0].Signature.Problems, "; ")
		if c.want == "" && problems != "" || !strings.Contains(problems, c.want) {
			t.Errorf("%s: problems %q", c.name, problems)
		}
	}
}

func TestChangesSince(t *testing.T) {
	s := newSigner(t)
	signed := s.sign(t, mint(), approval())
	update := func(data []byte, change func(u *increment)) []byte {
		u, err := newIncrement(mustOpen(t, data))
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		out, _, err := u.bytes()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	page := Ref{Number: 3}
	cases := []struct {
		name string
		data []byte
		want ChangeKind // the last in the order of kinds; 0 for none
	}{
		{"nothing", signed, 0},
		{"further signature", s.sign(t, signed, approval()), ChangeSignature},
		{"title", update(signed, func(u *increment) { u.replace(Ref{Number: 6}, Dict{"Title": textString("Inna")}) }), ChangeDescription},
		{"number written otherwise", update(signed, func(u *increment) {
			d, err := u.mutable(page)
			if err != nil {
				t.Fatal(err)
			}
			d["MediaBox"] = Array{Real("0.0"), Integer(0), Real("595.2760"), Real("841.890")}
		}), 0},
		{"number", update(signed, func(u *increment) {
			d, err := u.mutable(page)
			if err != nil {
				t.Fatal(err)
			}
			d["MediaBox"] = Array{Integer(0), Integer(0), Integer(595), Integer(9)}
		}), ChangeContent},
		{"annotation", update(signed, func(u *increment) {
			d, err := u.mutable(page)
			if err != nil {
				t.Fatal(err)
			}
			note := u.add(Dict{"Type": Name("Annot"), "Subtype": Name("Text"), "Rect": Array{Integer(0), Integer(0), Integer(9), Integer(9)}})
			if err := u.push(d, "Annots", note); err != nil {
				t.Fatal(err)
			}
		}), ChangeComment},
		{"content", update(signed, func(u *increment) {
			u.replace(Ref{Number: 4}, &Stream{Dict: Dict{}, data: []byte("BT ET"), fresh: true})
		}), ChangeContent},
		{"page added", update(signed, func(u *increment) {
			u.replace(Ref{Number: 2}, Dict{"Type": Name("Pages"), "Kids": Array{page, page}, "Count": Integer(2)})
		}), ChangeContent},
		{"open action", update(signed, func(u *increment) {
			d, err := u.mutable(Ref{Number: 1})
			if err != nil {
				t.Fatal(err)
			}
			d["OpenAction"] = Array{page}
		}), ChangeOther},
	}
	for _, c := range cases {
		changes, err := mustOpen(t, c.data).ChangesSince(1)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		worst := ChangeKind(0)
		for _, g := range changes {
			worst = max(worst, g.Kind)
		}
		if worst != c.want {
			t.Errorf("%s: %v", c.name, changes)
		}
	}
}
