package pades

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/cms"
)

// draft is a PDF as its objects, by number. Object 1 is the catalog, 12 the information dictionary.
type draft map[int]string

// stream is the text of a stream object.
func stream(dict, data string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dict, len(data), data)
}

// form has two pages with a form: a text, a check box and a nested text, an empty signature field, a comment, a
// link, a layer, an embedded file, an outline and a font. Object 10 is the signature field, 11 its dictionary, which
// the permissions name whether it certifies or not.
func form() draft {
	return draft{
		1: "<</Type/Catalog/Pages 2 0 R/AcroForm 6 0 R/Names<</EmbeddedFiles 40 0 R>>/Perms<</DocMDP 11 0 R>>/OCProperties 41 0 R/Metadata 42 0 R" +
			"/Outlines 43 0 R/OpenAction[3 0 R/Fit]/PageLabels<</Nums[0<</S/D>>]>>/ViewerPreferences<</HideMenubar false>>/Lang(pl)>>",
		2:  "<</Type/Pages/Kids[3 0 R 13 0 R]/Count 2>>",
		3:  "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<</X 18 0 R/Y 60 0 R>>>>/Annots 15 0 R>>",
		4:  stream("", "BT /F 12 Tf 20 200 Td (Zaplac 10 zl) Tj ET"),
		5:  "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
		6:  "<</Fields[10 0 R 7 0 R 9 0 R 20 0 R 21 0 R]/SigFlags 3/DR<</Font<</F 5 0 R>>>>/DA(/F 12 Tf)>>",
		7:  "<</Type/Annot/Subtype/Widget/FT/Tx/T(kwota)/V(10)/Rect[20 100 200 120]/AP<</N 17 0 R>>/P 3 0 R>>",
		8:  "<</Type/Annot/Subtype/Text/Contents(uwaga)/Rect[0 0 20 20]/AP<</N 17 0 R>>/P 3 0 R>>",
		9:  "<</Type/Annot/Subtype/Widget/FT/Btn/T(zgoda)/V/Off/AS/Off/Rect[20 60 40 80]/AP<</N<</Tak 17 0 R/Off 16 0 R>>>>/P 3 0 R>>",
		10: "<</Type/Annot/Subtype/Widget/FT/Sig/T(Podpis)/V 11 0 R/F 132/Rect[0 0 0 0]/P 3 0 R>>",
		12: "<</Title(Decyzja)/Producer(test)>>",
		13: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 14 0 R/Resources<</Font<</F 5 0 R>>>>/Annots[23 0 R]>>",
		14: stream("", "BT /F 12 Tf 20 200 Td (Strona 2) Tj ET"),
		15: "[10 0 R 7 0 R 8 0 R 9 0 R 20 0 R 22 0 R]",
		16: stream("/Type/XObject/Subtype/Form/BBox[0 0 20 20]", "q Q"),
		17: stream("/Type/XObject/Subtype/Form/BBox[0 0 180 20]", "(10) Tj"),
		18: stream("/Type/XObject/Subtype/Form/BBox[0 0 20 20]", "0 0 5 5 re f"),
		20: "<</Type/Annot/Subtype/Widget/FT/Sig/T(Drugi)/Rect[200 20 280 60]/P 3 0 R>>",
		21: "<</T(dane)/FT/Tx/Kids[22 0 R]>>",
		22: "<</Type/Annot/Subtype/Widget/T(imie)/V(Jan)/Rect[20 140 200 160]/P 3 0 R/Parent 21 0 R>>",
		23: "<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(https://urzad.example/)>>>>",
		40: "<</Names[(a.txt)<</Type/Filespec/F(a.txt)/EF<</F 44 0 R>>>>]>>",
		41: "<</OCGs[45 0 R]/D<</ON[45 0 R]>>>>",
		42: stream("/Type/Metadata/Subtype/XML", xmp("1")),
		43: "<</First 46 0 R/Last 46 0 R/Count 1>>",
		44: stream("/Type/EmbeddedFile", "zalacznik"),
		45: "<</Type/OCG/Name(tlo)>>",
		46: "<</Title(Poczatek)/Parent 43 0 R/Dest[3 0 R/Fit]>>",
	}
}

// xmp is a metadata stream that says nothing but a number.
func xmp(number string) string {
	return `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">` +
		`<rdf:Description rdf:about="" x:n="` + number + `"/></rdf:RDF></x:xmpmeta>`
}

// with returns the draft with other objects; an empty text takes one away.
func (d draft) with(objects draft) draft {
	out := maps.Clone(d)
	maps.Copy(out, objects)
	maps.DeleteFunc(out, func(_ int, text string) bool { return text == "" })
	return out
}

// edit replaces text in one object.
func (d draft) edit(number int, from, to string) draft {
	if !strings.Contains(d[number], from) {
		panic(fmt.Sprintf("object %d has no %q", number, from))
	}
	return draft{number: strings.Replace(d[number], from, to, 1)}
}

// update is what an incremental update appends.
type update struct {
	objects draft
	free    []int          // numbers whose entries become free
	entries map[int]string // entries that the table has instead of the right ones
	trailer string         // keys that come first in the trailer, so that they are not the last of a kind
	size    int            // of the trailer, 0 for enough
	root    int
	info    int    // of the trailer, 0 for object 12
	start   int    // of startxref, 0 for the table
	before  string // bytes before the objects
	after   string // bytes after the end
	bare    bool   // the objects alone
	packed  draft  // objects that lie in object stream packer; the cross references are a stream then, the next object
	packer  int
	filter  int // object with the packer's filter, ASCIIHexDecode, 0 for none
}

const trailerSize = 200

// append writes an update behind a file.
func (u update) append(file []byte) []byte {
	out := append(bytes.Clone(file), u.before...)
	rows := map[int]string{}
	for _, n := range slices.Sorted(maps.Keys(u.objects)) {
		rows[n] = fmt.Sprintf("%010d 00000 n\r\n", len(out))
		out = fmt.Appendf(out, "%d 0 obj\n%s\nendobj\n", n, u.objects[n])
	}
	if u.bare {
		return append(out, u.after...)
	}
	for _, n := range u.free {
		rows[n] = "0000000000 00001 f\r\n"
	}
	maps.Copy(rows, u.entries)
	if u.packer > 0 {
		return append(u.appendStream(out, rows, previous(file)), u.after...)
	}
	at := len(out)
	out = append(out, "xref\n"...)
	if len(rows) == 0 {
		out = append(out, "0 0\n"...)
	}
	for _, n := range slices.Sorted(maps.Keys(rows)) {
		out = fmt.Appendf(out, "%d 1\n%s", n, rows[n])
	}
	size, root := max(u.size, 1), max(u.root, 1)
	if u.size == 0 {
		size = trailerSize
	}
	info := max(u.info, 12)
	out = fmt.Appendf(out, "trailer\n<<%s/Size %d/Root %d 0 R/Info %d 0 R%s>>\n", u.trailer, size, root, info, previous(file))
	if u.start > 0 {
		at = u.start
	}
	out = fmt.Appendf(out, "startxref\n%d\n%%%%EOF\n", at)
	return append(out, u.after...)
}

// previous is the key that leads to the cross references of a file.
func previous(file []byte) string {
	i := bytes.LastIndex(file, []byte("startxref\n"))
	if i < 0 {
		return ""
	}
	return "/Prev " + strings.Fields(string(file[i+len("startxref\n"):]))[0]
}

// appendStream writes the packed objects and a cross-reference stream.
func (u update) appendStream(out []byte, rows map[int]string, prev string) []byte {
	var head, body string
	table := map[int][]byte{}
	for i, n := range slices.Sorted(maps.Keys(u.packed)) {
		head += fmt.Sprintf("%d %d ", n, len(body))
		body += u.packed[n] + " "
		table[n] = []byte{2, 0, byte(u.packer >> 8), byte(u.packer), byte(i)}
	}
	offset := func(at int) []byte { return []byte{1, byte(at >> 16), byte(at >> 8), byte(at), 0} }
	for n, row := range rows {
		var at int
		_, _ = fmt.Sscanf(row, "%d", &at)
		table[n] = offset(at)
	}
	table[u.packer] = offset(len(out))
	dict, data := fmt.Sprintf("/Type/ObjStm/N %d/First %d", len(u.packed), len(head)), head+body
	if u.filter > 0 {
		dict, data = fmt.Sprintf("%s/Filter %d 0 R", dict, u.filter), fmt.Sprintf("%x>", data)
	}
	out = fmt.Appendf(out, "%d 0 obj\n%s\nendobj\n", u.packer, stream(dict, data))
	at := len(out)
	table[u.packer+1] = offset(at)
	var index string
	data = ""
	for _, n := range slices.Sorted(maps.Keys(table)) {
		index += fmt.Sprintf("%d 1 ", n)
		data += string(table[n])
	}
	dict = fmt.Sprintf("/Type/XRef/W[1 3 1]/Index[%s]/Size %d/Root 1 0 R/Info 12 0 R%s", index, trailerSize, prev)
	return fmt.Appendf(out, "%d 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n", u.packer+1, stream(dict, data), at)
}

// sign writes the draft and signs it. The reference, of DocMDP or FieldMDP, may be empty.
func (o office) signDraft(t testing.TB, d draft, reference string) []byte {
	t.Helper()
	return o.signUpdate(t, []byte("%PDF-1.7\n"), update{objects: d}, 11, reference)
}

// signUpdate appends an update that holds a signature dictionary and signs it.
func (o office) signUpdate(t testing.TB, file []byte, u update, number int, reference string) []byte {
	t.Helper()
	return o.signPrepared(t, file, u, number, approval+reference)
}

// signPrepared is signUpdate for a dictionary with the given keys.
func (o office) signPrepared(t testing.TB, file []byte, u update, number int, keys string) []byte {
	t.Helper()
	const hole = 1200
	out, start, end := u.prepare(file, number, keys, hole)
	h := sha256.New()
	h.Write(out[:start])
	h.Write(out[end:])
	signed, err := cms.Sign(cms.SignConfig{Signer: o.officer.key, Certificate: o.officer.cert.Raw, Hash: crypto.SHA256, Digest: h.Sum(nil)})
	if err != nil || len(signed) > hole {
		t.Fatal(len(signed), err)
	}
	copy(out[start+1:], fmt.Sprintf("%x", signed))
	return out
}

// stampUpdate appends an update that holds the dictionary of a document time-stamp.
func (o office) stampUpdate(t testing.TB, file []byte, u update, number int) []byte {
	t.Helper()
	out, start, end := u.prepare(file, number, stamping, 4000)
	h := sha256.New()
	h.Write(out[:start])
	h.Write(out[end:])
	copy(out[start+1:], fmt.Sprintf("%x", o.token(t, h.Sum(nil), day)))
	return out
}

// What a dictionary says of itself.
const (
	approval = "/Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(D:20260301120000Z)"
	stamping = "/Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161"
)

// prepare appends the update with a signature dictionary that has a hole for so many bytes, from start to end.
func (u update) prepare(file []byte, number int, keys string, hole int) (out []byte, start, end int) {
	const width = 10
	mark := strings.Repeat("*", width)
	u.objects = u.objects.with(draft{number: "<<" + keys + "/ByteRange[0 " + mark + " " + mark + " " + mark + "]/Contents<" + strings.Repeat("00", hole) + ">>>"})
	out = u.append(file)
	start = bytes.LastIndex(out, []byte("/Contents<")) + len("/Contents")
	end = start + 2*hole + 2
	for _, n := range []int{start, end, len(out) - end} {
		i := bytes.Index(out, []byte(mark))
		copy(out[i:], fmt.Sprintf("%-*d", width, n))
	}
	return out, start, end
}

// docMDP is the reference of a certification.
func docMDP(p int) string {
	return fmt.Sprintf("/Reference[<</Type/SigRef/TransformMethod/DocMDP/Data 1 0 R/TransformParams<</Type/TransformParams/P %d/V/1.2>>>>]", p)
}

// fieldMDP is the reference of a signature that locks fields.
func fieldMDP(action, fields string) string {
	return fmt.Sprintf("/Reference[<</Type/SigRef/TransformMethod/FieldMDP/Data 1 0 R/TransformParams<</Type/TransformParams/Action/%s/Fields[%s]/V/1.2>>>>]", action, fields)
}
