package pades

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"trustcore/verify/signature"
)

// mangle is a fault that one program mends and another takes as a cause to search the file for objects.
type mangle struct {
	name, from, to string
	why            string // what is told of an update that has it
}

// faults are mangles of a plain update that writes objects 12 and 99 anew, or of a whole file.
func faults() []mangle {
	const table, mended = "the cross references are broken", "startxref does not follow with the offset and the end"
	const prev, info = "Prev is not the offset of the cross references before", "Info leads to nothing"
	const size, comment = "Size does not count all objects", "a comment stands in the trailer"
	return []mangle{
		{"comment before xref", "xref\n12", "%x\nxref\n12", table}, {"junk before xref", "xref\n12", "     xref\n12", table},
		{"comment behind xref", "xref\n12", "xref%x\n12", table}, {"comment in a line of its own", "xref\n12", "xref\n%x\n12", table},
		{"tab in a heading", "\n12 1\n", "\n12\t1\n", table}, {"heading on two lines", "\n12 1\n", "\n12\n1\n", table},
		{"rows of 19 octets", "trailer", "100 2\n0000000000 00001 f\n0000000000 00001 f\ntrailer", table}, {"rows of 18 octets", " n\r\n99 1", " n99 1", ""},
		{"rows of 21 octets", " n\r\n99", " n \r\n99", table}, {"another letter in a row", " 00000 n\r\n99", " 00000 m\r\n99", ""},
		{"letter of a second row", "trailer", "100 2\n0000000000 00001 f\r\n0000000000 00001 x\r\ntrailer", ""},
		{"junk in a row", " n\r\n99", " nxx99", table}, {"row with a comment", " n\r\n99", " n%x\n99", table}, {"comment before trailer", "trailer\n", "%x\ntrailer\n", table},
		{"comment behind trailer", "trailer\n", "trailer%x\n", table}, {"form feed behind trailer", "trailer\n", "trailer\f", table},
		{"comment in the trailer", "/Root", "%x\n/Root", comment}, {"NUL behind trailer", "trailer\n", "trailer\x00", table},
		{"key twice", "/Root 1 0 R", "/Root 13 0 R/Root 1 0 R", "a key stands twice in the trailer"},
		{"key twice, escaped", "/Root 1 0 R", "/R#6fot 13 0 R/Root 1 0 R", "a key stands twice in the trailer"},
		{"key twice, inside", "/Root 1 0 R", "/Root 1 0 R/X<</A 1/A 2>>", "a key stands twice in the trailer"},
		{"Prev real", ">>\nstartxref", ".0>>\nstartxref", prev}, {"Prev zero", "/Prev ", "/Prev 0%", ""},
		{"Prev negative", "/Prev ", "/Prev -", ""}, {"Prev indirect", "/Prev ", "/Prev 12 0 R%", ""}, {"Prev out of the file", "/Prev ", "/Prev 99", ""},
		{"Prev a string", "/Prev ", "/Prev (1)%", ""}, {"no Prev", "/Prev ", "/Prow ", ""},
		{"Info dangling", "/Info 12 0 R", "/Info 77 0 R", info}, {"Info no dictionary", "/Info 12 0 R", "/Info 15 0 R", info},
		{"Info a stream", "/Info 12 0 R", "/Info 4 0 R", info}, {"Info direct", "/Info 12 0 R", "/Info<</Title(Decyzja)/Producer(test)>>", info},
		{"Size too small", "/Size 200", "/Size 99", size}, {"Size smaller than before", "/Size 200", "/Size 199", size},
		{"row beyond Size", "trailer", "250 1\n0000000000 00001 f\r\ntrailer", size},
		{"Size real", "/Size 200", "/Size 200.0", size}, {"Size indirect", "/Size 200", "/Size 12 0 R", size}, {"no Size", "/Size 200", "/Sizo 200", size},
		{"comment before the offset", "startxref\n", "startxref%x\n", mended}, {"comment behind the offset", "\n%%EOF", "%x\n%%EOF", mended},
		{"junk behind the offset", "\n%%EOF", "\nx\n%%EOF", mended}, {"sign", "startxref\n", "startxref\n+", ""}, {"no end", "%%EOF\n", "%%EOM\n", mended},
		{"startxref within a comment", "startxref\n", "%startxref\n", mended}, {"another word before", "startxref\n", "x startxref\n", mended},
		{"far from the end", "%%EOF\n", "%%EOF\n" + strings.Repeat(" ", 1200), "too many bytes follow them"},
		{"end far from startxref", "%%EOF", strings.Repeat(" ", 1200) + "%%EOF", "too many bytes follow them"},
		{"row to nowhere", "99 1\n0", "99 1\n9", "the entry of object 99 leads nowhere"},
		{"row without an offset", "trailer", "150 1\n0000000000 00000 n\r\ntrailer", "the entry of object 150 leads nowhere"},
		{"row of another generation", " 00000 n\r\ntrailer", " 00003 n\r\ntrailer", "the entry of object 99 leads nowhere"},
		{"comment in a header", "99 0 obj", "99 %x\n0 obj", "the entry of object 99 leads nowhere"},
		{"comment behind the generation", "99 0 obj", "99 0 %x\nobj", "the entry of object 99 leads nowhere"},
		{"white space in a header", "99 0 obj", "99  0 obj", "the entry of object 99 leads nowhere"},
		{"counted from 1", "xref\n12 1\n", "xref\n1 1\n0000000000 65535 f\r\n12 1\n", table},
	}
}

// apply mangles what stands behind the first so many octets of a file: its table, or the objects before.
func (m mangle) apply(t *testing.T, data []byte, from int) []byte {
	t.Helper()
	start, err := strconv.Atoi(strings.TrimPrefix(previous(data), "/Prev "))
	if err != nil {
		t.Fatal(err)
	}
	head, tail := string(data[from:start]), string(data[start:])
	if i := strings.LastIndex(tail, m.from); i >= 0 {
		tail = tail[:i] + m.to + tail[i+len(m.from):]
	} else if head = strings.Replace(head, m.from, m.to, 1); !strings.Contains(head, m.to) {
		t.Fatalf("no %q", m.from)
	}
	tail = strings.Replace(tail, fmt.Sprint(start), fmt.Sprint(from+len(head)), 1)
	return append(bytes.Clone(data[:from]), head+tail...)
}

// whys are the words of the changes that nothing allows.
func whys(s *signature.Signature) string {
	var out []string
	for _, c := range s.Changes {
		if c.Rule != signature.RuleNone {
			out = append(out, c.What)
		}
	}
	return strings.Join(out, "; ")
}

// TestUpdatesThatProgramsMend: an update that changes nothing and that programs read in different ways is forbidden.
func TestUpdatesThatProgramsMend(t *testing.T) {
	f := form()
	signed := newOffice(t).signDraft(t, f, "")
	plain := update{objects: draft{12: f[12], 99: "<<>>"}}.append(signed)
	if got := whys(first(t, plain)); got != "" {
		t.Fatalf("the update itself: %s", got)
	}
	for _, m := range faults() {
		t.Run(m.name, func(t *testing.T) {
			s := first(t, m.apply(t, plain, len(signed)))
			if !strings.Contains(told(s), "other"+undefined) || !strings.Contains(whys(s), m.why) {
				t.Errorf("told %v, want %q", s.Changes, m.why)
			}
		})
	}
}

// TestStreamsThatProgramsMend: the same for cross references that are a stream.
func TestStreamsThatProgramsMend(t *testing.T) {
	f := form()
	signed := newOffice(t).signDraft(t, f, "")
	plain := update{packed: draft{12: f[12]}, packer: 50}.append(signed)
	if got := whys(first(t, plain)); got != "" {
		t.Fatalf("the update itself: %s", got)
	}
	const rows, broken, end = "counts its rows wrongly", "the cross references are broken", "the cross-reference stream has no end"
	for _, m := range []mangle{
		{"four columns", "/W[1 3 1]", "/W[1 3 1 0]", rows}, {"a row too many", "51 1 ]", "51 2 ]", rows},
		{"another length", "/Length", "/Length 9999/Old", "another length"}, {"length indirect", "/Length", "/Length 77 0 R/Old", "another length"},
		{"filter indirect", "/W", "/Filter 77 0 R/W", "is read by what it leads to"}, {"comment in the header", "51 0 obj", "51 %x\n0 obj", broken},
		{"parameters indirect", "/W", "/DecodeParms<</Predictor 77 0 R>>/W", "is read by what it leads to"},
		{"key twice", "/Root", "/Root 13 0 R/Root", "a key stands twice"}, {"comment", "/Root", "%x\n/Root", "a comment stands in the trailer"},
		{"no endobj", "endobj\nstartxref", "startxref", end}, {"object between", "endobj\nstartxref", "endobj\n99 0 obj<<>>endobj\nstartxref", "startxref does not follow"},
		{"Index indirect", "/Index", "/Index 12 0 R/Old", ""}, {"Prev real", "/Length", ".0/Length", "Prev is not"},
		{"Size too small", "/Size 200", "/Size 50", "Size does not"},
		{"another index", "\x02\x00\x002\x00", "\x02\x00\x002\x01", "the entry of object 12 leads nowhere"},
	} {
		t.Run(m.name, func(t *testing.T) {
			s := first(t, m.apply(t, plain, len(signed)))
			if !strings.Contains(told(s), "other"+undefined) || !strings.Contains(whys(s), m.why) {
				t.Errorf("told %v, want %q", s.Changes, m.why)
			}
		})
	}
}

// TestFaultsOfTheSigner: what stood in the file when it was signed is no change, however programs read it.
func TestFaultsOfTheSigner(t *testing.T) {
	f := form()
	o := newOffice(t)
	base := update{objects: f}.append([]byte("%PDF-1.7\n"))
	plain := update{objects: draft{12: f[12], 99: "<<>>"}}.append(base)
	count := 0
	for _, m := range faults() {
		switch m.why {
		case "", "startxref does not follow with the offset and the end", "Prev is not the offset of the cross references before":
			continue // nobody signs those without mending them
		}
		signed := o.signUpdate(t, m.apply(t, plain, len(base)), update{objects: draft{}}, 11, "")
		for _, data := range [][]byte{signed, update{objects: draft{12: f[12]}}.append(signed)} {
			count++
			if s := first(t, data); whys(s) != "" {
				t.Errorf("%s: %s", m.name, whys(s))
			}
		}
	}
	nowhere := update{objects: f, info: 77}
	signed := o.signUpdate(t, []byte("%PDF-1.7\n"), nowhere, 11, "")
	if s := first(t, update{objects: draft{99: "<<>>"}, info: 77}.append(signed)); whys(s) != "" {
		t.Errorf("Info dangling then and now: %s", whys(s))
	}
	if count < 40 {
		t.Errorf("%d files", count)
	}
}

// TestBrokenAndSigned: where programs had to search the signed revision for objects, whatever follows is read in
// different ways; and so are offsets where bytes stand before the header.
func TestBrokenAndSigned(t *testing.T) {
	f := form()
	o := newOffice(t)
	broken := o.signUpdate(t, []byte("%PDF-1.7\n"), update{objects: f, start: 7}, 11, "")
	if got := told(first(t, broken)); got != "" {
		t.Errorf("broken: %q", got)
	}
	if got := whys(first(t, update{objects: draft{12: f[12]}}.append(broken))); !strings.Contains(got, "in its own way") {
		t.Errorf("broken, and something follows: %q", got)
	}
	late := o.signUpdate(t, []byte("junk\n%PDF-1.7\n"), update{objects: f}, 11, "")
	if got := told(first(t, late)); got != "" {
		t.Errorf("late header: %q", got)
	}
	if got := whys(first(t, update{objects: draft{12: f[12]}}.append(late))); !strings.Contains(got, "bytes stand before the header") {
		t.Errorf("late header, and something follows: %q", got)
	}
}

// TestHybridsThatProgramsMend: an update with a table and a stream for those who read it.
func TestHybridsThatProgramsMend(t *testing.T) {
	f := form()
	signed := newOffice(t).signDraft(t, f, "")
	for name, row := range map[string]struct{ head, keys, entry, real, why string }{
		"plain": {}, "real offset": {real: ".0", why: "XRefStm is no offset"}, "comment": {head: "%x\n", why: "the cross references are broken"},
		"another chain": {keys: "/Prev 9", why: "the stream beside a table leads elsewhere"}, "the same chain": {keys: previous(signed)},
		"another catalog": {keys: "/Root 13 0 R", why: "the stream beside a table leads elsewhere"},
		"key twice":       {keys: "/Size 5", why: "a key stands twice"}, "entry to nowhere": {entry: "\x01", why: "the entry of object 99 leads nowhere"},
	} {
		data := "\x00\x00\x00\x00\x00"
		if row.entry != "" {
			data = row.entry + data[1:]
		}
		section := "96 " + row.head + "0 obj\n" + stream(row.keys+"/Type/XRef/W[1 3 1]/Index[99 1]/Size 200", data) + "\nendobj\n"
		u := update{objects: draft{12: f[12]}, before: section, trailer: fmt.Sprintf("/XRefStm %d%s", len(signed), row.real)}
		s := first(t, u.append(signed))
		if got := whys(s); row.why == "" && got != "" || !strings.Contains(got, row.why) {
			t.Errorf("%s: %q, want %q", name, got, row.why)
		}
	}
}

// TestUpdatesBetween: each update is held against what was signed, and not the newest alone.
func TestUpdatesBetween(t *testing.T) {
	f := form()
	signed := newOffice(t).signDraft(t, f, "")
	for name, u := range map[string]update{
		"catalog": {objects: draft{12: f[12]}, root: 13}, "encryption": {objects: draft{12: f[12]}, trailer: "/Encrypt<</Filter/Standard/V 1/R 2>>"},
	} {
		if got := whys(first(t, update{objects: draft{12: f[12]}}.append(u.append(signed)))); !strings.Contains(got, "another catalog or encryption") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
