package pades

import (
	"fmt"
	"strings"
	"testing"
)

// TestWhatASearchFinds: objects, catalogs and members of object streams that no cross reference names, in whatever way
// they are written, and the words that only look like some.
func TestWhatASearchFinds(t *testing.T) {
	f := form()
	signed := newOffice(t).signDraft(t, f, "")
	const header, hidden = "an object begins in a way that only some programs read", "programs that search for objects show it"
	const catalog, taken = "a trailer that belongs to no cross reference", "may take a stream for some"
	object := func(text string) update { return update{objects: draft{99: text}} }
	before := func(text string) update { return update{objects: draft{12: f[12]}, before: text} }
	packed := func(keys, data string) update {
		return object(stream(keys+fmt.Sprintf("/First %d", strings.Index(data, "<")), data))
	}
	for name, row := range map[string]struct {
		update
		why string
	}{
		"comment between the numbers": {before("16 %c\n0 obj<</X 1>>endobj\n"), header}, "comment before obj": {before("16 0 %c\robj<</X 1>>endobj\n"), header},
		"two comments": {before("16 %c\n%d\n 0 %e\n%\nobj<</X 1>>endobj\n"), header}, "comment with a number": {before("16 0 %7 0\nobj<</X 1>>endobj\n"), ""},
		"header within a comment": {before("16 0 %12 0 obj\nobj<</X 1>>endobj\n"), header}, "sign": {before("16 +0 obj<</X 1>>endobj\n"), header},
		"point": {before("16 0. obj<</X 1>>endobj\n"), header}, "vertical tabs": {before("16\v0\vobj<</X 1>>endobj\n"), header},
		"comment, in a string": {object("(\n16 %c\n0 obj<</X 1>>endobj)"), header}, "comment, in a stream": {object(stream("", "16 0 %c\nobj<</X 1>>endobj")), header},
		"trailer in a string":      {object("(trailer<</Root 98 0 R>>)"), catalog},
		"trailer in a stream":      {object(stream("", "\ntrailer %c\n<</Root 98 0 R>>\n")), catalog},
		"trailer with a key twice": {before("trailer<</Root 98 0 R/Root 1 0 R>>\n"), catalog}, "trailer of another generation": {before("trailer<</Root 1 1 R>>\n"), catalog},
		"trailer with encryption":        {before("trailer<</Root 1 0 R/Encrypt<</Filter/Standard>>>>\n"), catalog},
		"trailer with other information": {before("trailer<</Root 1 0 R/Info 8 0 R>>\n"), catalog}, "trailer without a catalog": {before("trailer<</Size 9>>\n"), catalog},
		"references to another catalog": {object(stream("/Type/XRef/Root 98 0 R/Size 1/W[1 1 1]", "abc")), taken},
		"references, type twice":        {object(stream("/Type/XRef/Type/X/Root 98 0 R", "abc")), taken}, "references, type escaped": {object(stream("/Type/X#52ef/Type/X/Root 98 0 R", "abc")), taken},
		"references, type indirect": {update{objects: draft{99: stream("/Type 97 0 R/Root 98 0 R", "abc"), 97: "/XRef"}}, taken},
		"unnamed member":            {packed("/Type/ObjStm/N 1", "16 0 <</X 1>>"), hidden}, "unnamed member of a new number": {packed("/Type/ObjStm/N 1", "160 0 <</X 1>>"), hidden},
		"unnamed member, type escaped": {packed("/Type/Obj#53tm/N 1", "16 0 <</X 1>>"), hidden},
		"unnamed member, type twice":   {packed("/Type/ObjStm/Type/X/N 1", "16 0 <</X 1>>"), taken},
		"broken object stream":         {object(stream("/Type/ObjStm/N 1/First 99", "16 0 <<>>")), "an object stream cannot be read"},
		"a stream of another length":   {object("<</Length 3>>\nstream\nabcdef\nendstream"), "programs see different ends"},
		"a word":                       {object("(trailer, 16 objects)"), "-"}, "a word after a comment": {object("(x %c\n obj)"), "-"},
		"references to the catalog": {object(stream("/Type/XRef/Root 1 0 R/Size 1/W[1 1 1]", "abc")), "-"},
		"the trailer again":         {before("trailer<</Root 1 0 R/Info 12 0 R>>\n"), "-"}, "a key twice": {object(stream("/A 1/A 2", "x")), "-"},
	} {
		got := whys(first(t, row.append(signed)))
		if row.why == "-" && got != "" || row.why != "-" && (got == "" || !strings.Contains(got, row.why)) {
			t.Errorf("%s: %q, want %q", name, got, row.why)
		}
	}
	own := mangle{from: "/Root", to: "/X(trailer<</Root 98 0 R>>)/Root"}
	if got := whys(first(t, own.apply(t, update{packed: draft{12: f[12]}, packer: 50}.append(signed), len(signed)))); !strings.Contains(got, catalog) {
		t.Errorf("a trailer in the dictionary of the cross references: %q", got)
	}
}

// TestWhatASearchPrefers: what an update wrote and the next took back lies last in the file.
func TestWhatASearchPrefers(t *testing.T) {
	f := form()
	signed := newOffice(t).signDraft(t, f, "")
	at := fmt.Sprintf("%010d 00000 n\r\n", strings.Index(string(signed), "\n16 0 obj")+1)
	evil := stream("", "BT (9999) Tj ET")
	for name, row := range map[string]struct {
		first, then update
		want        bool
	}{
		"packed, taken back":   {update{packed: draft{5: "<<>>", 99: "<</X 1>>"}, packer: 50}, update{objects: draft{5: f[5]}, entries: map[int]string{16: at}}, false},
		"packed, then another": {update{packed: draft{16: "<</X 1>>"}, packer: 50}, update{entries: map[int]string{16: at}}, true},
		"dangling, freed":      {update{objects: draft{60: evil}}, update{free: []int{60}}, true},
		"unknown, freed":       {update{objects: draft{150: evil}}, update{free: []int{150}}, false},
	} {
		if got := whys(first(t, row.then.append(row.first.append(signed)))); (got != "") != row.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
