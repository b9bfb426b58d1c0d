package pades

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/pdf"
	"trustcore/verify/signature"
)

// The rules as the tables name them.
const (
	visual    = "/PdfVisualDifference"
	pageCount = "/PdfPageDifference"
	undefined = "/UndefinedChanges"
	certified = "/DocMDP"
)

// told lists kind and rule of the first signature's changes, each once.
func told(s *signature.Signature) string {
	seen := map[string]bool{}
	for _, c := range s.Changes {
		key := string(c.Kind)
		if c.Rule != "" {
			key += "/" + string(c.Rule)
		}
		seen[key] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(seen)), " ")
}

// first returns the oldest signature, which has to be intact whatever followed.
func first(t *testing.T, data []byte) *signature.Signature {
	t.Helper()
	doc := open(t, data)
	if len(doc.Signatures) == 0 {
		t.Fatal("no signature")
	}
	s := doc.Signatures[0]
	if !s.Intact || !s.ReferencesIntact() || len(s.Structure) != 0 || s.Unchecked != "" {
		t.Fatalf("intact %v, references %v, structure %v, unchecked %q", s.Intact, s.References, s.Structure, s.Unchecked)
	}
	return s
}

// change is one row of a table: what is appended to the signed form, and what has to be told.
type change struct {
	name string
	update
	want string
}

// TestForbiddenChanges: no row may come without a rule that forbids it.
func TestForbiddenChanges(t *testing.T) {
	f := form()
	evil := stream("", "BT /F 12 Tf 20 200 Td (Zaplac 9999 zl) Tj ET")
	rows := []change{
		{"content replaced", update{objects: draft{4: evil}}, "content" + visual},
		{"content freed", update{free: []int{4}}, "content" + visual},
		{"content null", update{objects: draft{4: "null"}}, "content" + visual},
		{"content of another name", update{objects: draft{3: f.edit(3, "/Contents 4 0 R", "/Contents 70 0 R")[3], 70: evil}}, "content" + visual},
		{"content of another generation", update{objects: f.edit(3, "/Contents 4 0 R", "/Contents 4 1 R")}, "content" + visual},
		{"content typed as cross references", update{objects: draft{4: stream("/Type/XRef", "BT ET")}}, "content" + visual},
		{"content typed as object stream", update{objects: draft{4: stream("/Type/ObjStm", "BT ET")}}, "content" + visual + " other" + undefined},
		{"content typed as metadata", update{objects: draft{4: stream("/Type/Metadata", "BT ET")}}, "content" + visual},
		{"font", update{objects: draft{5: "<</Type/Font/Subtype/Type3>>"}}, "content" + visual},
		{"form XObject", update{objects: draft{18: stream("/Type/XObject/Subtype/Form/BBox[0 0 20 20]", "0 0 300 300 re f")}}, "content" + visual},
		{"dangling resource defined", update{objects: draft{60: evil}}, "content" + visual},
		{"resources", update{objects: f.edit(3, "/X 18 0 R", "/X 16 0 R")}, "content" + visual},
		{"resource added", update{objects: f.edit(3, "/X 18 0 R", "/X 18 0 R/Z 16 0 R")}, "content" + visual},
		{"media box", update{objects: f.edit(3, "[0 0 300 300]", "[0 0 300 100]")}, "content" + visual},
		{"crop box", update{objects: f.edit(3, "/Contents", "/CropBox[0 0 9 9]/Contents")}, "content" + visual},
		{"rotation", update{objects: f.edit(3, "/Contents", "/Rotate 180/Contents")}, "content" + visual},
		{"user unit", update{objects: f.edit(3, "/Contents", "/UserUnit 5/Contents")}, "content" + visual},
		{"action of a page", update{objects: f.edit(3, "/Contents", "/AA<</O<</S/JavaScript/JS(1)>>>>/Contents")}, "other" + undefined},
		{"a key twice on a page", update{objects: draft{3: f.edit(3, "/Contents 4 0 R", "/Contents 70 0 R/Contents 4 0 R")[3], 70: evil}}, "content" + visual},
		{"page is a stream", update{objects: draft{3: stream(strings.TrimSuffix(strings.TrimPrefix(f[3], "<<"), ">>"), "x")}},
			"content" + visual + " other" + undefined},
		{"inherited rotation", update{objects: f.edit(2, "/Count 2", "/Count 2/Rotate 90")}, "content" + visual},
		{"page replaced", update{objects: draft{2: "<</Type/Pages/Kids[71 0 R 13 0 R]/Count 2>>", 71: f.edit(3, "/Contents 4 0 R", "/Contents 14 0 R")[3]}}, "content" + visual},
		{"pages swapped", update{objects: f.edit(2, "[3 0 R 13 0 R]", "[13 0 R 3 0 R]")}, "content" + visual},
		{"page added", update{objects: draft{2: "<</Type/Pages/Kids[3 0 R 13 0 R 71 0 R]/Count 3>>", 71: f[13]}}, "content" + visual + " page" + pageCount},
		{"page removed", update{objects: draft{2: "<</Type/Pages/Kids[3 0 R]/Count 1>>"}}, "content" + visual + " page" + pageCount},
		{"count alone", update{objects: f.edit(2, "/Count 2", "/Count 1")}, "content" + visual + " page" + pageCount},
		{"another page tree", update{objects: draft{1: f.edit(1, "/Pages 2 0 R", "/Pages 71 0 R")[1], 71: "<</Type/Pages/Kids[13 0 R]/Count 1>>"}},
			"content" + visual + " page" + pageCount},
		{"catalog swapped", update{objects: draft{72: f[1]}, root: 72}, "other" + undefined},
		{"catalog is a stream", update{objects: draft{1: stream(strings.TrimSuffix(strings.TrimPrefix(f[1], "<<"), ">>"), "x")}}, "other" + undefined},
		{"a key twice in the catalog", update{objects: f.edit(1, "/Pages", "/Pages 71 0 R/Pages")}, "other" + undefined},
		{"open action", update{objects: f.edit(1, "/OpenAction[3 0 R/Fit]", "/OpenAction<</S/JavaScript/JS(1)>>")}, "other" + undefined},
		{"additional actions", update{objects: f.edit(1, "/Lang", "/AA<</WC<</S/JavaScript/JS(1)>>>>/Lang")}, "other" + undefined},
		{"base address of links", update{objects: f.edit(1, "/Lang", "/URI<</Base(https://zly.example/)>>/Lang")}, "other" + undefined},
		{"JavaScript names", update{objects: f.edit(1, "/Names<<", "/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS(1)>>]>>")}, "other" + undefined},
		{"embedded file replaced", update{objects: draft{44: stream("/Type/EmbeddedFile", "inny")}}, "other" + undefined},
		{"embedded file added", update{objects: f.edit(40, "(a.txt)", "(b.txt)<</Type/Filespec/F(b.txt)>>(a.txt)")}, "other" + undefined},
		{"destinations", update{objects: f.edit(1, "/Lang", "/Dests<</a[13 0 R/Fit]>>/Lang")}, "other" + undefined},
		{"layer hidden", update{objects: f.edit(41, "/ON", "/OFF")}, "content" + visual},
		{"layers removed", update{objects: f.edit(1, "/OCProperties 41 0 R", "")}, "content" + visual},
		{"outline", update{objects: f.edit(46, "Poczatek", "Koniec")}, "other" + undefined},
		{"page labels", update{objects: f.edit(1, "/S/D", "/S/R")}, "other" + undefined},
		{"viewer preferences", update{objects: f.edit(1, "/HideMenubar false", "/HideMenubar true")}, "other" + undefined},
		{"language", update{objects: f.edit(1, "(pl)", "(en)")}, "other" + undefined},
		{"portfolio", update{objects: f.edit(1, "/Lang", "/Collection<</View/T>>/Lang")}, "other" + undefined},
		{"output intent", update{objects: f.edit(1, "/Lang", "/OutputIntents[<</S/GTS_PDFA1>>]/Lang")}, "other" + undefined},
		{"requirements", update{objects: f.edit(1, "/Lang", "/Requirements[<</S/EnableJavaScripts>>]/Lang")}, "other" + undefined},
		{"structure tree", update{objects: f.edit(1, "/Lang", "/StructTreeRoot<</K[]>>/Lang")}, "other" + undefined},
		{"usage rights", update{objects: f.edit(1, "/Perms<<", "/Perms<</UR3 11 0 R")}, "other" + undefined},
		{"certification taken back", update{objects: f.edit(1, "/Perms<</DocMDP 11 0 R>>", "")}, "other" + undefined},
		{"XFA", update{objects: f.edit(6, "/SigFlags", "/XFA 4 0 R/SigFlags")}, "content" + visual},
		{"order of calculation", update{objects: f.edit(6, "/SigFlags", "/CO[7 0 R]/SigFlags")}, "other" + undefined},
		{"appearances to be made anew", update{objects: f.edit(6, "/SigFlags", "/NeedAppearances true/SigFlags")}, "other" + undefined},
		{"font of the form", update{objects: f.edit(6, "/F 5 0 R", "/F 71 0 R").with(draft{71: "<</Type/Font/Subtype/Type3>>"})}, "other" + undefined},
		{"append-only flag taken back", update{objects: f.edit(6, "/SigFlags 3", "/SigFlags 1")}, "other" + undefined},
		{"another form without a field", update{objects: f.edit(6, "7 0 R 9 0 R", "9 0 R")}, "removal" + visual},
		{"text field added", update{objects: draft{6: f.edit(6, "7 0 R", "7 0 R 73 0 R")[6], 73: "<</FT/Tx/T(nowe)/V(1)>>"}}, "other" + undefined},
		{"appearance of a field", update{objects: draft{17: stream("/Type/XObject/Subtype/Form/BBox[0 0 180 20]", "(9999) Tj")}}, "removal" + visual},
		{"state of a check box alone", update{objects: f.edit(9, "/AS/Off", "/AS/Tak")}, "removal" + visual},
		{"appearance given to a field", update{objects: f.edit(22, "/V(Jan)", "/V(Jan)/AP<</N 17 0 R>>")}, "removal" + visual},
		{"place of a field", update{objects: f.edit(7, "[20 100 200 120]", "[0 0 300 300]")}, "removal" + visual},
		{"field hidden", update{objects: f.edit(7, "/P 3 0 R", "/F 2/P 3 0 R")}, "removal" + visual},
		{"action of a field", update{objects: f.edit(7, "/P 3 0 R", "/AA<</K<</S/JavaScript/JS(1)>>>>/P 3 0 R")}, "other" + undefined},
		{"name of a field", update{objects: f.edit(7, "(kwota)", "(kara)")}, "other" + undefined},
		{"own signature shown", update{objects: f.edit(10, "/Rect[0 0 0 0]", "/Rect[0 0 300 300]/AP<</N 16 0 R>>")}, "removal" + visual},
		{"empty signature field shown", update{objects: f.edit(20, "/P 3 0 R", "/AP<</N 16 0 R>>/P 3 0 R")}, "removal" + visual},
		{"signature field with an action", update{objects: draft{6: f.edit(6, "7 0 R", "7 0 R 75 0 R")[6],
			75: "<</Type/Annot/Subtype/Widget/FT/Sig/T(Trzeci)/Rect[0 0 0 0]/AA<</U<</S/JavaScript/JS(1)>>>>>>"}},
			"annotation other" + undefined},
		{"comment removed", update{objects: f.edit(15, "8 0 R ", "")}, "removal" + undefined},
		{"comment changed", update{objects: f.edit(8, "(uwaga)", "(inna)")}, "removal" + undefined},
		{"comment hidden", update{objects: f.edit(8, "/P 3 0 R", "/F 2/P 3 0 R")}, "removal" + undefined},
		{"comments in another order", update{objects: f.edit(15, "7 0 R 8 0 R", "8 0 R 7 0 R")}, "removal" + undefined},
		{"annotations gone", update{objects: f.edit(3, "/Annots 15 0 R", "")}, "removal" + visual + " removal" + undefined},
		{"address of a link", update{objects: f.edit(23, "urzad", "zly")}, "removal" + undefined},
		{"document encrypted", update{trailer: "/Encrypt<</Filter/Standard/V 1/R 2>>"}, "other" + undefined},
	}
	signed := newOffice(t).signDraft(t, f, "")
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := first(t, row.append(signed))
			if got := told(s); got != row.want {
				t.Errorf("told %q, want %q: %v", got, row.want, s.Changes)
			}
			if s.References[0].Full {
				t.Error("full, though something follows")
			}
		})
	}
}

// Objects of the signed revision that play two parts are frozen by either.
func TestObjectsOfTwoParts(t *testing.T) {
	f := form()
	evil := stream("", "BT /F 12 Tf (Zaplac 9999 zl) Tj ET")
	rows := []struct {
		change
		signed draft // beside the form
	}{
		{change{"evidence and content", update{objects: draft{4: evil}}, "content" + visual}, f.edit(1, "/Lang", "/DSS<</Certs[4 0 R]>>/Lang")},
		{change{"evidence and page", update{objects: f.edit(3, "/Contents 4 0 R", "/Contents 14 0 R")}, "content" + visual}, f.edit(1, "/Lang", "/DSS<</Certs[3 0 R]>>/Lang")},
		{change{"metadata and content", update{objects: draft{4: evil}}, "content" + visual}, f.edit(1, "/Metadata 42 0 R", "/Metadata 4 0 R")},
		{change{"extension and layers", update{objects: draft{41: "<</OCGs[]>>"}}, "content" + visual}, f.edit(1, "/Lang", "/Extensions 41 0 R/Lang")},
		{change{"annotations and contents in one array", update{objects: draft{76: "[8 0 R 77 0 R]", 77: evil}}, "content" + visual + " other" + undefined},
			f.edit(13, "/Contents 14 0 R", "/Contents 76 0 R").with(f.edit(3, "/Annots 15 0 R", "/Annots 76 0 R")).with(draft{76: "[8 0 R]"})},
		{change{"field and font of a page", update{objects: draft{7: strings.Replace(f[7], "(10)", "(99)", 1)}}, "content" + visual + " field"},
			f.edit(3, "/F 5 0 R", "/F 7 0 R")},
		{change{"fields and names", update{objects: draft{78: "[10 0 R 75 0 R]", 75: "<</FT/Sig/T(Trzeci)/Names[(a)<</S/JavaScript/JS(1)>>]>>"}}, "annotation other" + undefined},
			f.edit(1, "/Names<<", "/Names<</JavaScript<</Kids 78 0 R>>").with(draft{6: "<</Fields 78 0 R/SigFlags 3>>", 78: "[10 0 R]"})},
		{change{"comment without an object", update{objects: draft{79: "<</Type/Annot/Subtype/FreeText/Rect[0 0 300 300]/Contents(9999)>>"}}, "removal" + undefined},
			f.edit(15, "8 0 R", "8 0 R 79 0 R")},
		{change{"content that was null", update{objects: draft{80: evil}}, "content" + visual}, f.edit(3, "/Contents 4 0 R", "/Contents[4 0 R 80 0 R]").with(draft{80: "null"})},
		{change{"page without an object", update{objects: draft{81: f[13]}}, "content" + visual + " other" + undefined}, f.edit(2, "13 0 R", "13 0 R 81 0 R")},
		{change{"field and font, first seen behind a comment", update{objects: f.edit(7, "(10)", "(99)")}, "content" + visual + " field"},
			f.edit(15, "8 0 R", "8 0 R<</Subtype/Text/X 84 0 R>>").with(f.edit(13, "<</Font<</F 5 0 R>>>>", " 84 0 R")).with(draft{84: "<</Font 85 0 R>>", 85: "<</F 7 0 R>>"})},
		{change{"parent outside the tree", update{objects: draft{86: "<</Kids[13 0 R]/Rotate 180>>"}}, "content" + visual},
			f.edit(13, "/Parent 2 0 R", "/Parent 86 0 R").with(draft{86: "<</Kids[13 0 R]>>"})},
		{change{"field and comment share a look", update{objects: draft{17: f[16]}}, "removal" + visual}, draft{}},
		{change{"look given where looks are made anew", update{objects: f.edit(22, "(Jan)", "(Jan)/AP<</N 16 0 R>>")}, "field"}, f.edit(6, "/SigFlags", "/NeedAppearances true/SigFlags")},
		{change{"structure with text for what is shown", update{objects: draft{101: "<</S/Document/K[0 103 0 R]/P 100 0 R>>", 103: "<</S/P/ActualText(9999)/K 0/P 101 0 R>>"}}, "other" + undefined}, structure(f)},
		{change{"widget for an old field", update{objects: draft{20: "<</FT/Sig/T(Drugi)/Kids[92 0 R 93 0 R]>>", 93: "<</Subtype/Widget/Rect[0 0 300 300]/AP<</N 16 0 R>>>>"}},
			"other" + undefined}, draft{20: "<</FT/Sig/T(Drugi)/Kids[92 0 R]>>", 92: "<</Subtype/Widget/Rect[0 0 9 9]>>"}},
		{change{"field of an old comment", update{objects: draft{6: f.edit(6, "7 0 R", "7 0 R 75 0 R")[6], 75: "<</FT/Sig/T(Trzeci)/Kids[8 0 R]>>"}}, "other" + undefined}, draft{}},
		{change{"structure with text for a comment", update{objects: draft{101: "<</S/Document/K[0 103 0 R]/P 100 0 R>>",
			103: "<</S/Annot/ActualText(9999)/K<</Type/OBJR/Obj 8 0 R>>/P 101 0 R>>"}}, "other" + undefined}, structure(f)},
		{change{"structure with other text", update{objects: draft{101: "<</S/Document/K[0]/P 100 0 R/ActualText(9999)>>"}}, "other" + undefined}, structure(f)},
		{change{"structure shrinks", update{objects: draft{101: "<</S/Document/K[]/P 100 0 R>>"}}, "other" + undefined}, structure(f)},
		{change{"structure names a comment", update{objects: draft{101: "<</S/Document/K[0 103 0 R]/P 100 0 R>>", 103: "<</S/Annot/K<</Type/OBJR/Obj 83 0 R>>/P 101 0 R>>",
			102: "<</Nums[0[101 0 R]1 103 0 R]>>", 15: f.edit(15, "8 0 R", "8 0 R 83 0 R")[15], 83: "<</Subtype/Text/StructParent 1>>"}}, "annotation metadata"}, structure(f)},
		{change{"encryption", update{objects: draft{82: "<</Filter/Standard/V 4>>"}}, "other" + undefined}, draft{82: "<</Filter/None>>", 1: f.edit(1, "/Lang", "/Legal 82 0 R/Lang")[1]}},
	}
	o := newOffice(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := told(first(t, row.append(o.signDraft(t, f.with(row.signed), "")))); got != row.want {
				t.Errorf("told %q, want %q", got, row.want)
			}
		})
	}
}

// structure tags the form.
func structure(f draft) draft {
	return draft{1: f.edit(1, "/Lang", "/StructTreeRoot 100 0 R/Lang")[1], 100: "<</Type/StructTreeRoot/K 101 0 R/ParentTree 102 0 R>>",
		101: "<</S/Document/K[0]/P 100 0 R>>", 102: "<</Nums[0[101 0 R]]>>"}
}

// TestCrossReferenceTricks: what programs read in different ways is forbidden, whatever we read.
func TestCrossReferenceTricks(t *testing.T) {
	f := form()
	o := newOffice(t)
	hidden := "4 0 obj\n" + stream("", "BT (9999) Tj ET") + "\nendobj\n"
	signed := o.signDraft(t, f, "")
	object := func(n int) string {
		return fmt.Sprintf("%010d 00000 n\r\n", bytes.Index(signed, fmt.Appendf(nil, "\n%d 0 obj", n))+1)
	}
	shadow := o.signUpdate(t, []byte("%PDF-1.7\n"+hidden), update{objects: f}, 11, "")
	old := string(signed[bytes.LastIndex(signed, []byte("startxref")):])
	// inside is a section that the signed bytes hide: it changes nothing, and whoever wrote it knew what follows.
	inside := func(prev, start int) []byte {
		section := fmt.Sprintf("xref\n90 1\n0000000000 00000 f\r\ntrailer\n<</Size 200/Root 1 0 R/Info 12 0 R/Prev %010d>>\n", prev)
		return o.signUpdate(t, []byte("%PDF-1.7\n"), update{objects: f, before: section, start: start}, 11, "")
	}
	table := bytes.LastIndex(inside(0, 0), []byte("\nxref\n")) + 1
	hiding, linear := inside(table, 0), inside(table, 9)
	// two has a table that leaves the content as it is, and a stream for those who read it that does not.
	evil := "4 0 obj\n" + stream("", "BT (9999) Tj ET") + "\nendobj\n"
	at := len(signed)
	second := "96 0 obj\n" + stream("/Type/XRef/W[1 3 1]/Index[4 1]/Size 200", string([]byte{1, byte(at >> 16), byte(at >> 8), byte(at), 0})) + "\nendobj\n"
	two := update{entries: map[int]string{4: object(4)}, before: evil + second, trailer: fmt.Sprintf("/XRefStm %d", at+len(evil))}
	rows := []struct {
		name string
		data []byte
		want string // part of what is told; "" for what is told and allowed
	}{
		{"object without cross reference", update{objects: draft{4: f[4]}, bare: true}.append(signed), "other" + undefined},
		{"object beside an update", update{objects: draft{12: f[12]}, before: hidden}.append(signed), "other" + undefined},
		{"object behind an update", update{objects: draft{12: f[12]}, after: hidden}.append(signed), "other" + undefined},
		{"object, old startxref again", update{objects: draft{4: f[4]}, bare: true, after: old}.append(signed), "other" + undefined},
		{"startxref to nowhere", update{objects: draft{4: f[4]}, bare: true, after: "startxref\n7\n%%EOF\n"}.append(signed), "other" + undefined},
		{"trailer to another catalog", update{bare: true, after: "trailer\n<</Size 90/Root 13 0 R>>\n"}.append(signed), "other" + undefined},
		{"trailer that cannot be read", update{bare: true, after: "trailer\n<</Size 90/Root 13"}.append(signed), "other" + undefined},
		{"entry to another object", update{entries: map[int]string{4: object(14)}}.append(signed), "content" + visual},
		{"entry to an object that was hidden", update{entries: map[int]string{4: "0000000009 00000 n\r\n"}}.append(shadow), "content" + visual},
		{"entry of another generation", update{entries: map[int]string{4: strings.Replace(object(4), " 00000 ", " 00001 ", 1)}}.append(signed), "content" + visual},
		{"catalog to nowhere", update{entries: map[int]string{1: object(13)}}.append(signed), "other" + undefined},
		{"row that is none", fmt.Appendf(bytes.Clone(signed), "xref\n110 4\n%strailer\n<</Size 200/Root 1 0 R/Info 12 0 R%s>>\nstartxref\n%d\n%%%%EOF\n",
			"0000000000 00001 f\r\n0000000000 00001 f\r\nxxxxxxxxxx 00000 n\r\n0000000000 00001 f\r\n", previous(signed), len(signed)), "other" + undefined},
		{"fewer objects", update{size: 4}.append(signed), "other" + undefined},
		{"references from inside the signed bytes", append(bytes.Clone(hiding), "startxref\n9\n%%EOF\n"...), "other" + undefined},
		{"two kinds of references", two.append(signed), "other" + undefined},
		{"references that cannot be read", update{objects: draft{12: f[12]}, trailer: "/XRefStm 7"}.append(signed), "other" + undefined},
		{"another chain", bytes.Replace(update{objects: draft{12: f[12]}}.append(linear), []byte("/Prev 9>>"), fmt.Appendf(nil, "/Prev %d>>", table), 1), "other" + undefined},
		{"garbage alone", append(bytes.Clone(signed), "<!-- proxy -->"...), ""},
		{"trailer alone", append(bytes.Clone(signed), "trailer\n<</Size 90/Root 1 0 R>>\n"...), ""},
	}
	if got := whys(first(t, append(bytes.Clone(hiding), "startxref\n9\n%%EOF\n"...))); !strings.Contains(got, "from inside the signed bytes") {
		t.Errorf("references from inside the signed bytes: %q", got)
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := first(t, row.data)
			got := told(s)
			if row.want == "" && got != "other" || !strings.Contains(got, row.want) {
				t.Errorf("told %q, want %q", got, row.want)
			}
			if s.References[0].Full {
				t.Error("full, though something follows")
			}
		})
	}
}

// what each level of certification makes of a change that nothing forbids without one.
type allowed struct {
	name string
	update
	plain, p1, p2, p3 string
}

// TestAllowedChanges: what signers and time-stamp authorities add is told and stands, as far as a certification lets it.
func TestAllowedChanges(t *testing.T) {
	f := form()
	popup := "<</Type/Annot/Subtype/Popup/Rect[0 0 99 99]/Parent 83 0 R>>"
	dss := update{objects: draft{1: f.edit(1, "/Lang", "/DSS 85 0 R/Extensions<</ESIC<</BaseVersion/1.7/ExtensionLevel 1>>>>/Version/2.0/Lang")[1],
		85: "<</Certs[86 0 R]/VRI<</AB<</Cert[86 0 R]>>>>>>", 86: stream("", "0")}}
	empty := "<</Type/Annot/Subtype/Widget/FT/Sig/T(Trzeci)/Rect[%s]/P 13 0 R>>"
	withField := func(rect string) update {
		return update{objects: draft{6: f.edit(6, "7 0 R", "7 0 R 75 0 R")[6], 13: f.edit(13, "[23 0 R]", "[23 0 R 75 0 R]")[13],
			75: fmt.Sprintf(empty, rect)}}
	}
	came := func(annotation string) update {
		return update{objects: draft{13: f.edit(13, "[23 0 R]", "[23 0 R 83 0 R]")[13], 83: "<</Type/Annot/Rect[0 0 300 300]" + annotation + ">>"}}
	}
	filled := f.edit(7, "/V(10)/Rect[20 100 200 120]/AP<</N 17 0 R>>", "/V(99)/Rect[20 100 200 120]/AP<</N 90 0 R>>/F 64/Ff 1")
	const annotation, field, metadata, evidence, removal, other = "annotation", "field", "metadata", "validation-data", "removal", "other"
	rows := []allowed{
		{"security store", dss, evidence, evidence, evidence, evidence},
		{"dates and producer", update{objects: f.edit(12, "(test)", "(inny)/ModDate(D:20260302)").with(draft{42: stream("/Type/Metadata/Subtype/XML", xmp("2"))})},
			metadata, metadata, metadata, metadata},
		{"title", update{objects: f.edit(12, "(Decyzja)", "(Inna)")}, metadata, metadata + certified, metadata + certified, metadata + certified},
		{"text filled in", update{objects: filled.with(draft{90: f[17]})}, field, field + certified, field, field},
		{"nested text filled in", update{objects: f.edit(22, "(Jan)", "(Anna)/AP<</N 17 0 R>>")}, field, field + certified, field, field},
		{"check box", update{objects: f.edit(9, "/V/Off/AS/Off", "/V/Tak/AS/Tak")}, field, field + certified, field, field},
		{"comment", update{objects: draft{15: f.edit(15, "8 0 R", "8 0 R 83 0 R 84 0 R")[15], 84: popup,
			83: "<</Type/Annot/Subtype/Text/Contents(nowa)/Rect[0 0 300 300]/Popup 84 0 R/AP<</N 16 0 R>>>>"}},
			annotation, annotation + certified, annotation + certified, annotation},
		{"pop-up of a comment", update{objects: draft{15: f.edit(15, "8 0 R", "8 0 R 84 0 R")[15], 84: popup, 8: f.edit(8, "/P", "/M(D:2026)/Popup 84 0 R/P")[8]}},
			annotation, annotation + certified, annotation + certified, annotation},
		{"comment removed", update{objects: f.edit(15, "8 0 R ", "")}, removal + undefined, removal + certified, removal + certified, removal},
		{"comment changed", update{objects: f.edit(8, "(uwaga)", "(inna)")}, removal + undefined, removal + certified, removal + certified, removal},
		{"field taken off the page", update{objects: f.edit(15, "7 0 R ", "")}, removal + visual, removal + certified, removal + certified, removal + certified},
		{"field with a list of no widgets", update{objects: f.edit(9, "/V/Off", "/Kids[]/V/Off")}, "other" + undefined, "other" + certified, "other" + certified, "other" + certified},
		{"content", update{objects: draft{4: "null"}}, "content" + visual, "content" + certified, "content" + certified, "content" + certified},
		{"page", update{objects: draft{2: "<</Type/Pages/Kids[3 0 R]/Count 1>>"}}, "content" + visual + " page" + pageCount,
			"content" + certified + " page" + pageCount, "content" + certified + " page" + pageCount, "content" + certified + " page" + pageCount},
		{"empty field, not seen", withField("0 0 0 0"), annotation, annotation + certified, annotation, annotation},
		{"empty field, seen", withField("0 0 300 300"), annotation, annotation + certified, annotation + certified, annotation + certified},
		{"object written anew", update{objects: draft{4: f[4], 5: f[5], 3: strings.Replace(f[3], "[0 0 300 300]", "[0 0.0 300.00 300]", 1), 6: f[6]}}, "other", "other", "other", "other"},
		{"resources under another number", update{objects: draft{3: f.edit(3, "/X 18 0 R", "/X 88 0 R")[3], 88: f[18]}}, "other", "other", "other", "other"},
		{"white space", update{bare: true, after: "\n\n"}, "other", "other", "other", "other"},
	}
	for _, comment := range []string{"/Subtype/FreeText/Contents(nowa)/AP<</N 16 0 R>>", "/Subtype/Highlight/QuadPoints[0 0 1 0 0 1 1 1]", "/Subtype/Stamp", "/Subtype/Ink/InkList[[0 0 1 1]]"} {
		rows = append(rows, allowed{comment, came(comment), annotation, annotation + certified, annotation + certified, annotation})
	}
	const script = "<</S/JavaScript/JS(app.alert\\(1\\))>>"
	for _, more := range []string{
		"/Subtype/Link/A<</S/URI/URI(https://zly.example/)>>", "/Subtype/Link/Dest[3 0 R/Fit]", "/Subtype/Link", "/Subtype/Screen/AA<</PV" + script + ">>",
		"/Subtype/Text/A" + script, "/Subtype/Text/AA<</E" + script + ">>", "/Subtype/Link/PA" + script, "/Subtype/Widget", "/Subtype/Screen", "/Subtype/Movie",
		"/Subtype/RichMedia", "/Subtype/3D", "/Subtype/Sound", "/Subtype/FileAttachment/FS<</F(a.exe)>>", "/Subtype/Watermark/AP<</N 16 0 R>>",
		"/Subtype/Redact", "/Subtype/PrinterMark", "/Subtype/Nieznana", "",
	} {
		rows = append(rows, allowed{more, came(more), other + undefined, other + certified, other + certified, other + certified})
	}
	o := newOffice(t)
	for level, signed := range [][]byte{o.signDraft(t, f, ""), o.signDraft(t, f, docMDP(1)), o.signDraft(t, f, docMDP(2)), o.signDraft(t, f, docMDP(3))} {
		for _, row := range rows {
			t.Run(fmt.Sprintf("%s, certified %d", row.name, level), func(t *testing.T) {
				s := first(t, row.append(signed))
				if got, want := told(s), []string{row.plain, row.p1, row.p2, row.p3}[level]; got != want {
					t.Errorf("told %q, want %q: %v", got, want, s.Changes)
				}
			})
		}
	}
}

// TestFurtherSignatures: approval signatures, in new fields and in one that was left empty, seen or not, and document
// time-stamps under each certification.
func TestFurtherSignatures(t *testing.T) {
	f := form()
	o := newOffice(t)
	const signing, stamped, seen = "signature", "timestamp", "annotation"
	inEmpty := update{objects: f.edit(20, "/T(Drugi)", "/T(Drugi)/V 91 0 R/F 132/AP<</N 16 0 R>>")}
	inNew := func(rect, value string) update {
		return update{objects: draft{6: f.edit(6, "7 0 R", "7 0 R 75 0 R")[6], 13: f.edit(13, "[23 0 R]", "[23 0 R 75 0 R]")[13],
			75: "<</Type/Annot/Subtype/Widget/FT/Sig/T(Trzeci)/V " + value + "/AP<</N 16 0 R>>/P 13 0 R/Rect[" + rect + "]>>"}}
	}
	for level, want := range [][]string{
		{signing, signing, signing, stamped, seen},
		{signing + certified, signing + certified, signing + certified, stamped, seen + certified},
		{signing, signing, signing, stamped, seen + certified},
		{signing, signing, signing, stamped, seen + certified},
	} {
		signed := o.signDraft(t, f, "")
		if level > 0 {
			signed = o.signDraft(t, f, docMDP(level))
		}
		for i, data := range [][]byte{
			o.signUpdate(t, signed, inEmpty, 91, ""), o.signUpdate(t, signed, inNew("0 0 0 0", "91 0 R"), 91, ""),
			o.signUpdate(t, signed, inNew("0 0 300 300", "91 0 R"), 91, ""),
			o.stampUpdate(t, signed, inNew("0 0 0 0", "91 0 R"), 91), o.stampUpdate(t, signed, inNew("0 0 300 300", "91 0 R"), 91),
		} {
			s := first(t, data)
			if got := told(s); got != want[i] {
				t.Errorf("level %d, row %d: told %q, want %q: %v", level, i, got, want[i], s.Changes)
			}
			if page := s.Changes[0].Page; page != []int{1, 0, 2, 0, 2}[i] {
				t.Errorf("level %d, row %d: page %d", level, i, page)
			}
		}
	}
	// The widget of a field may be an object of its own.
	apart := f.with(f.edit(15, "20 0 R", "92 0 R")).with(draft{20: "<</FT/Sig/T(Drugi)/Kids[92 0 R]>>", 92: "<</Subtype/Widget/Parent 20 0 R/Rect[200 20 280 60]>>"})
	s := first(t, o.signUpdate(t, o.signDraft(t, apart, docMDP(2)), update{objects: draft{20: "<</FT/Sig/T(Drugi)/Kids[92 0 R]/V 91 0 R>>",
		92: "<</Subtype/Widget/Parent 20 0 R/Rect[200 20 280 60]/AP<</N 16 0 R>>>>"}}, 91, ""))
	if got := told(s); got != signing || s.Changes[0].Page != 1 {
		t.Errorf("widget apart: %q, page %d", got, s.Changes[0].Page)
	}
	two := o.signUpdate(t, o.signDraft(t, f, ""), inEmpty, 91, "")
	doc := open(t, two)
	if len(doc.Signatures) != 2 || len(doc.Signatures[1].Changes) != 0 || !doc.Signatures[1].References[0].Full {
		t.Errorf("the second signature: %+v", doc.Signatures[1].Changes)
	}
}

// TestLockedFields: FieldMDP and Lock forbid to fill what they name, and nothing else.
func TestLockedFields(t *testing.T) {
	f := form()
	const mdp, locked = "field/FieldMDP", "field/SigFieldLock"
	sum := update{objects: f.edit(7, "/V(10)", "/V(99)")}
	name := update{objects: f.edit(22, "/V(Jan)", "/V(Anna)")}
	lock := func(text string) draft {
		return f.edit(10, "/T(Podpis)", "/T(Podpis)/Lock<</Type/SigFieldLock"+text+">>")
	}
	rows := []struct {
		name, reference string
		lock            draft
		change          update
		want            string
	}{
		{"all", fieldMDP("All", ""), nil, sum, mdp},
		{"unknown action", fieldMDP("Some", "(imie)"), nil, sum, mdp},
		{"included", fieldMDP("Include", "(kwota)"), nil, sum, mdp},
		{"not included", fieldMDP("Include", "(dane)"), nil, sum, "field"},
		{"included through its parent", fieldMDP("Include", "(dane)"), nil, name, mdp},
		{"value of a parent and of its kid", fieldMDP("Include", "(dane.imie)"), f.edit(21, "/FT", "/V(x)/FT"),
			update{objects: f.edit(21, "/FT", "/V(y)/FT").with(f.edit(22, "(Jan)", "(Anna)"))}, "field " + mdp},
		{"beginning of a name alone", fieldMDP("Include", "(dan)"), nil, name, "field"},
		{"excluded", fieldMDP("Exclude", "(kwota)"), nil, sum, "field"},
		{"not excluded", fieldMDP("Exclude", "(kwota)"), nil, name, mdp},
		{"lock on all", "", lock("/Action/All"), sum, locked},
		{"lock on one", "", lock("/Action/Include/Fields[(kwota)]"), sum, locked},
		{"lock on another", "", lock("/Action/Include/Fields[(kwota)]"), name, "field"},
		{"lock of the document", "", lock("/Action/Include/Fields[]/P 1"), sum, locked},
		{"lock that leaves forms", "", lock("/Action/Include/Fields[]/P 2"), sum, "field"},
		{"lock of no known level", "", lock("/Action/Include/Fields[]/P 7"), sum, locked},
		{"certification of no known level", docMDP(0), nil, sum, "field/DocMDP"},
		{"certification and lock", docMDP(2), lock("/Action/Include/Fields[]/P 1"), sum, locked},
	}
	o := newOffice(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := told(first(t, row.change.append(o.signDraft(t, f.with(row.lock), row.reference)))); got != row.want {
				t.Errorf("told %q, want %q", got, row.want)
			}
		})
	}
}

// A certification binds the signatures that come after it, and not the one before.
func TestCertificationBindsLaterSignatures(t *testing.T) {
	f := form()
	o := newOffice(t)
	signed := o.signDraft(t, f.with(f.edit(1, "/Perms<</DocMDP 11 0 R>>", "")), "")
	certifying := update{objects: f.edit(20, "/T(Drugi)", "/T(Drugi)/V 91 0 R").with(f.edit(1, "DocMDP 11", "DocMDP 91"))}
	data := update{objects: f.edit(7, "/V(10)", "/V(99)")}.append(o.signUpdate(t, signed, certifying, 91, docMDP(1)))
	doc := open(t, data)
	if got := told(doc.Signatures[0]); got != "field signature" {
		t.Errorf("before: %q", got)
	}
	if got := told(doc.Signatures[1]); got != "field/DocMDP" {
		t.Errorf("certification: %q", got)
	}
	bogus := f.edit(20, "/T(Drugi)", "/T(Drugi)/V<</Type/Sig/SubFilter/adbe.pkcs7.detached/ByteRange[0 1 2 3]/Contents<3000>"+docMDP(1)+">>")
	for _, s := range open(t, update{objects: bogus}.append(signed)).Signatures {
		if got := told(s); s.Intact && got != "signature" {
			t.Errorf("one that was put there to look earlier: %q", got)
		}
	}
}

// Objects in object streams, and places behind the signed bytes that its cross references name already.
func TestPlacesOfObjects(t *testing.T) {
	f := form()
	o := newOffice(t)
	evil := stream("", "BT (9999) Tj ET")
	loose := maps.Clone(f)
	delete(loose, 5)
	delete(loose, 7)
	delete(loose, 13)
	packed := o.signUpdate(t, []byte("%PDF-1.7\n"), update{objects: loose, packed: draft{5: f[5], 7: f[7], 13: f[13]}, packer: 50}, 11, "")
	at := func(offset int) map[int]string { return map[int]string{4: fmt.Sprintf("%010d 00000 n\r\n", offset)} }
	missing := maps.Clone(f)
	delete(missing, 4)
	beyond := func(shift int) []byte {
		size := len(o.signUpdate(t, []byte("%PDF-1.7\n"), update{objects: missing, entries: at(0)}, 11, ""))
		return o.signUpdate(t, []byte("%PDF-1.7\n"), update{objects: missing, entries: at(size + shift)}, 11, "")
	}
	open := strings.Replace(f[4], "/Length 42", "/Length 9999", 1)
	rows := []change{
		{"packed, another container", update{packed: draft{5: "<</Type/Font/Subtype/Type3>>", 7: f[7], 13: f[13]}, packer: 50}, "content" + visual},
		{"packed, container replaced alone", update{objects: draft{50: stream("/Type/ObjStm/N 3/First 16", "5 0 7 30 13 200 <</Type/Font/Subtype/Type3>>  "+f[7]+
			strings.Repeat(" ", 170-len(f[7]))+f[13])}}, "content" + visual},
		{"packed, another index", update{packed: draft{5: f[5]}, packer: 62, objects: draft{4: evil}}, "content" + visual},
		{"packed anew", update{packed: draft{5: f[5], 7: f[7]}, packer: 62}, "other"},
		{"packed and filled", update{packed: f.edit(7, "(10)", "(99)"), packer: 62}, "field"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := first(t, row.append(packed))
			if got := told(s); got != row.want {
				t.Errorf("told %q, want %q: %v", got, row.want, s.Changes)
			}
		})
	}
	filtered := o.signUpdate(t, []byte("%PDF-1.7\n"), update{objects: loose.with(draft{95: "/ASCIIHexDecode"}), packed: draft{5: f[5], 7: f[7], 13: f[13]}, packer: 50, filter: 95}, 11, "")
	if got := told(first(t, update{objects: draft{95: "null"}}.append(filtered))); !strings.Contains(got, "content"+visual) {
		t.Errorf("a container with another filter: %q", got)
	}
	later := update{bare: true, after: "4 0 obj\n" + evil + "\nendobj\n"}.append(beyond(0))
	if got := told(first(t, later)); !strings.Contains(got, "other") && !strings.Contains(got, "content"+visual) {
		t.Errorf("an entry that leads behind the signed bytes: %q", got)
	}
	later = update{objects: draft{12: f[12], 4: evil}}.append(beyond(len("12 0 obj\n\nendobj\n") + len(f[12])))
	if got := told(first(t, later)); !strings.Contains(got, "content"+visual) {
		t.Errorf("an entry that leads into an update: %q", got)
	}
	growing := o.signDraft(t, f.with(draft{4: open}), "")
	i := bytes.Index(growing, []byte("/Length 9999")) + len("/Length 9999>>\nstream\n")
	pad := strings.Repeat(" ", i+9999-len(growing)-len("12 0 obj\n(")-1)
	later = update{objects: draft{12: "(" + pad + "\nendstream)"}}.append(growing)
	if got := told(first(t, later)); !strings.Contains(got, "content"+visual) {
		t.Errorf("a stream that grows into the update: %q", got)
	}
}

// A kind of change that nobody gave a meaning is forbidden.
func TestKindsWithoutMeaning(t *testing.T) {
	l := &limits{permission: never}
	if got := l.judge(pdf.Change{Kind: 99}); got.Rule != signature.RuleUndefined {
		t.Errorf("%+v", got)
	}
}

// TestObjectsThatASearchFinds: what hides in a string of an update is found by programs that search for objects.
func TestObjectsThatASearchFinds(t *testing.T) {
	signed := newOffice(t).signDraft(t, form(), "")
	for name, c := range map[string]struct {
		object, before string
		want           bool
	}{
		"in a string": {"<</A(\n16 0 obj<</X 1>>endobj\n)>>", "", true}, "none": {"<</A(\n16 0 ob)>>", "", false},
		"a new number": {"<<>>", "150 0 obj\n<<>>\nendobj\n", true}, "superseded by a named one": {"<<>>", "99 0 obj\n<</X 1>>\nendobj\n", true},
	} {
		s := first(t, update{objects: draft{99: c.object}, before: c.before}.append(signed))
		if got := strings.Contains(told(s), "other/UndefinedChanges"); got != c.want {
			t.Errorf("%s: %t: %v", name, got, s.Changes)
		}
	}
}

// TestSignatureFieldsInDisguise: a field is a signature's alone where its annotation is a widget, and one whose
// rectangle nobody can read may be seen.
func TestSignatureFieldsInDisguise(t *testing.T) {
	f := form()
	o := newOffice(t)
	signed := o.signDraft(t, f, docMDP(2))
	field := func(kind, rest string) update {
		return update{objects: draft{6: f.edit(6, "7 0 R", "7 0 R 75 0 R")[6], 13: f.edit(13, "[23 0 R]", "[23 0 R 75 0 R]")[13],
			75: "<</Type/Annot/Subtype/" + kind + "/FT/Sig/T(Trzeci)/P 13 0 R" + rest +
				"/V 91 0 R>>"}}
	}
	for name, c := range map[string]struct {
		data update
		want bool
	}{
		"a widget": {field("Widget", "/Rect[0 0 0 0]"), true}, "a polygon": {field("Polygon", "/Rect[0 0 0 0]/Vertices[0 0 300 300]"), false},
		"a link": {field("Link", "/Rect[0 0 0 0]"), false}, "a broken rectangle": {field("Widget", "/Rect[0 0 300.- 300.-]"), false},
		"a short rectangle": {field("Widget", "/Rect[0 0 300]"), false},
	} {
		s := first(t, o.stampUpdate(t, signed, c.data, 91))
		if got := told(s) == "timestamp"; got != c.want {
			t.Errorf("%s: %q", name, told(s))
		}
	}
}

// TestSupersededBySearch: an update that points back to the signed object changes nothing by its cross references, and
// everything for a program that takes the object that lies last.
func TestSupersededBySearch(t *testing.T) {
	f := form()
	signed := newOffice(t).signDraft(t, f, "")
	signedAt := bytes.Index(signed, []byte("\n16 0 obj")) + 1
	evil := update{objects: draft{16: f[16] + " "}}.append(signed)
	back := update{entries: map[int]string{16: fmt.Sprintf("%010d 00000 n\r\n", signedAt)}}.append(evil)
	if s := first(t, back); !strings.Contains(told(s), "other/UndefinedChanges") {
		t.Errorf("an object is superseded by what lies before it: told %q: %v", told(s), s.Changes)
	}
}

// TestReferencesOfAnotherGeneration: a reference to another generation of an object is one to nothing for some readers.
func TestReferencesOfAnotherGeneration(t *testing.T) {
	f := form()
	signed := newOffice(t).signDraft(t, f, "")
	for name, u := range map[string]update{
		"a field": {objects: draft{6: f.edit(6, "7 0 R", "7 1 R")[6]}}, "an annotation": {objects: draft{13: f.edit(13, "[23 0 R]", "[23 1 R]")[13]}},
	} {
		if s := first(t, u.append(signed)); !strings.Contains(told(s), "removal/") {
			t.Errorf("%s: %q: %v", name, told(s), s.Changes)
		}
	}
}

// TestTimestampsThatAreNone: a field that says it holds a time-stamp, and none that anybody can read, is no evidence.
func TestTimestampsThatAreNone(t *testing.T) {
	f := form()
	o := newOffice(t)
	value := func(text string) update {
		return update{objects: draft{6: f.edit(6, "7 0 R", "7 0 R 75 0 R")[6], 75: "<</Type/Annot/Subtype/Widget/FT/Sig/T(Trzeci)/Rect[0 0 0 0]/V " + text + ">>"}}
	}
	signed := o.signDraft(t, f, docMDP(1))
	good := o.stampUpdate(t, signed, value("91 0 R"), 91)
	token := fmt.Sprintf("<%x>", o.token(t, make([]byte, 32), day))
	sum := sha256.Sum256(slices.Concat(signed[:10], signed[20:], []byte("6 0 obj\n<<")))
	part := fmt.Sprintf("<%x>", o.token(t, sum[:], day))
	signs := value("91 0 R")
	signs.objects[75] = strings.Replace(signs.objects[75], "/V 91 0 R", "/Kids[<</T(a)/V 91 0 R>><</T(b)/V 90 0 R>>]", 1)
	signs.objects[90] = "<<" + stamping + "/ByteRange[0 1 2 3]/Contents<00>>>"
	for name, data := range map[string][]byte{
		"a token": good, "no token": value("<<" + stamping + "/ByteRange[0 1 2 3]/Contents<00>>>").append(signed),
		"a token about something else": value("<<" + stamping + "/ByteRange[0 1 2 3]/Contents" + token + ">>").append(signed),
		"a token about a part":         value(fmt.Sprintf("<<%s/ByteRange[0 10 20 %d]/Contents%s>>", stamping, len(signed)-10, part)).append(signed),
		"another imprint":              bytes.Replace(good, []byte("/T(Trzeci)"), []byte("/T(Tretii)"), 1),
		"a signature beside it":        o.signUpdate(t, signed, signs, 91, ""),
	} {
		want := "annotation" + certified
		if name == "a token" {
			want = "timestamp"
		}
		if got := told(first(t, data)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	stamped := o.stampUpdate(t, []byte("%PDF-1.7\n"), update{objects: f.with(f.edit(20, "/T(Drugi)", "/T(Drugi)/V 90 0 R"))}, 90)
	again := o.signUpdate(t, stamped, update{objects: draft{10: f[10]}}, 11, docMDP(1))
	if got := told(first(t, value("90 0 R").append(again))); got != "annotation"+certified {
		t.Errorf("an old one again: %q", got)
	}
}

// TestFormsWithoutFillableFields: what programs draw signature fields by is frozen as well. Resources that no text is
// drawn with may change, and so they do where signers put their own looks there.
func TestFormsWithoutFillableFields(t *testing.T) {
	f := form()
	f = f.with(f.edit(6, "7 0 R 9 0 R 20 0 R 21 0 R", "20 0 R")).with(draft{15: "[10 0 R 8 0 R 20 0 R]"})
	f = f.with(f.edit(6, "/DR<<", "/DR<</XObject<</L 16 0 R>>"))
	redrawn := f.with(f.edit(6, "/SigFlags", "/NeedAppearances true/SigFlags"))
	o := newOffice(t)
	const other = "other" + undefined
	for _, row := range []struct {
		name string
		draft
		from, to, want string
	}{
		{"looks to be made anew", f, "/SigFlags", "/NeedAppearances true/SigFlags", other}, {"by a reference", f, "/SigFlags", "/NeedAppearances 98 0 R/SigFlags", other},
		{"not to be made anew", f, "/SigFlags", "/NeedAppearances false/SigFlags", "other"}, {"no more to be made anew", redrawn, "true", "false", other},
		{"alignment", f, "/SigFlags", "/Q 1/SigFlags", other}, {"look of text", f, "/F 12 Tf", "/F 1 Tf", other}, {"no look of text", f, "/DA(/F 12 Tf)", "", other},
		{"font", f, "/F 5 0 R", "/F 16 0 R", other}, {"no font", f, "/F 5 0 R", "", other}, {"no resources", f, "/DR", "/Old", other},
		{"further font", f, "/F 5 0 R", "/F 5 0 R/G 5 0 R", "other"}, {"further form", f, "/L 16 0 R", "/M 18 0 R", "other"},
		{"further form, looks made anew", redrawn, "/L 16 0 R", "/M 18 0 R", other}, {"form in XML", f, "/SigFlags", "/XFA 4 0 R/SigFlags", "content" + visual},
	} {
		u := update{objects: row.draft.edit(6, row.from, row.to).with(draft{98: "true"})}
		if s := first(t, u.append(o.signDraft(t, row.draft, ""))); told(s) != row.want {
			t.Errorf("%s: told %v, want %q", row.name, s.Changes, row.want)
		}
	}
	if s := first(t, update{objects: draft{5: "<</Type/Font/Subtype/Type3>>"}}.append(o.signDraft(t, f.with(draft{3: f[13], 13: strings.Replace(f[13], "/F 5 0 R", "", 1)}).with(
		draft{3: strings.Replace(f[3], "/F 5 0 R", "", 1)}), ""))); told(s) != other {
		t.Errorf("font written anew: %v", s.Changes)
	}
}

// TestWordsOfTheStructure: what is read out in the place of what is shown is told by its name, and comes for what is
// new alone.
func TestWordsOfTheStructure(t *testing.T) {
	f := form()
	tagged := f.with(structure(f)).with(draft{101: "<</S/Document/K[0 104 0 R]/P 100 0 R>>", 104: "<</S/Figure/K 1/P 101 0 R/Alt(10)>>"})
	signed := newOffice(t).signDraft(t, tagged, "")
	direct := f.edit(15, "8 0 R", "8 0 R 83 0 R<</Subtype/Text/Rect[0 0 9 9]>>")[15]
	names := func(element string) draft {
		return draft{101: "<</S/Document/K[0 104 0 R 103 0 R]/P 100 0 R>>", 103: element, 15: direct, 83: "<</Subtype/Text/StructParent 1>>"}
	}
	const allowed, was = "the structure of the document names what was added", "the words that stand for what is shown were changed: "
	for name, row := range map[string]struct {
		draft
		what string
		rule signature.Rule
	}{
		"a comment": {names("<</S/Annot/K<</Type/OBJR/Obj 83 0 R>>>>"), allowed, ""}, "an old comment": {names("<</S/Annot/K<</Type/OBJR/Obj 8 0 R>>>>"), allowed, ""},
		"a comment, with words":      {names("<</S/Annot/Alt(nowa)/K<</Type/OBJR/Obj 83 0 R>>>>"), allowed + ", and has words for it", ""},
		"an old comment, with words": {names("<</S/Annot/Alt(9999)/K<</Type/OBJR/Obj 8 0 R>>>>"), "", signature.RuleUndefined},
		"words above":                {names("<</S/Sect/Alt(9999)/K[<</S/Annot/K<</Type/OBJR/Obj 8 0 R>>>>]>>"), "", signature.RuleUndefined},
		"Obj of an element":          {names("<</Type/OBJR/S/P/Obj 83 0 R/K 0/Alt(9999)>>"), "", signature.RuleUndefined}, "a form XObject": {names("<</S/P/K<</Type/OBJR/Obj 18 0 R>>>>"), "", signature.RuleUndefined},
		"marked content": {names("<</S/P/K<</Type/MCR/Stm 4 0 R/Obj 83 0 R>>/Alt(9999)>>"), "", signature.RuleUndefined}, "no object": {names("<</S/P/K<</Type/OBJR>>>>"), "", signature.RuleUndefined},
		"marked content of two types": {names("<</S/P/K<</Type/OBJR/MCID 0/Obj 83 0 R>>/Alt(9999)>>"), "", signature.RuleUndefined},
		"an expansion":                {names("<</S/Annot/E(9999)/K<</Type/OBJR/Obj 83 0 R>>>>"), "", signature.RuleUndefined},
		"Alt":                         {draft{104: "<</S/Figure/K 1/P 101 0 R/Alt(9999)>>"}, was + "Alt", signature.RuleUndefined},
		"no Alt":                      {draft{104: "<</S/Figure/K 1/P 101 0 R>>"}, was + "Alt", signature.RuleUndefined},
		"E and actual":                {draft{104: "<</S/Figure/K 1/P 101 0 R/Alt(10)/E(9)/ActualText(9)>>"}, was + "ActualText E", signature.RuleUndefined},
	} {
		s := first(t, update{objects: row.draft}.append(signed))
		found := slices.ContainsFunc(s.Changes, func(c signature.Change) bool {
			return c.Rule == row.rule && (c.What == row.what || row.what == "" && strings.Contains(c.What, "“StructTreeRoot”"))
		})
		if !found || row.rule == "" && whys(s) != "" {
			t.Errorf("%s: %v, want %q", name, s.Changes, row.what)
		}
	}
}
