package paper

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"

	"trustcore/internal/typeface"
)

// The numbers of the objects that every document has; the pages follow.
const (
	catalog = iota + 1
	pageTree
	information
	structure
	parents
	firstFace                   // five objects a face
	firstPage = firstFace + 2*5 // two objects a page
)

// file is the document while it is written: objects in the order of their numbers.
type file struct {
	bytes.Buffer
	places []int
}

// Bytes is the document.
func (d *Document) Bytes() []byte {
	f := new(file)
	f.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	firstElement := firstPage + 2*len(d.pages)
	f.object("<</Type/Catalog/Pages %d 0 R/Lang %s/MarkInfo<</Marked true>>/StructTreeRoot %d 0 R"+
		"/ViewerPreferences<</DisplayDocTitle true>>>>", pageTree, text(d.info.Language), structure)
	f.object("<</Type/Pages/Count %d/Kids[%s]>>", len(d.pages), references(firstPage, 2, len(d.pages)))
	f.object("<</Title %s/Producer(trust core)/CreationDate(%s)>>", text(d.info.Title),
		d.info.Made.UTC().Format("D:20060102150405Z"))
	f.object("<</Type/StructTreeRoot/K[%s]/ParentTree %d 0 R>>", references(firstElement, 1, len(d.roots)), parents)
	f.object("<</Nums[%s]>>", d.parentTree(firstElement))
	for i, face := range faces {
		d.writeFace(f, Face(i), face())
	}
	for i, p := range d.pages {
		f.object("<</Type/Page/Parent %d 0 R/MediaBox[0 0 %g %g]/Contents %d 0 R/StructParents %d/Tabs/S"+
			"/Resources<</Font<</F0 %d 0 R/F1 %d 0 R>>>>>>", pageTree, Width, Height, firstPage+2*i+1, i, firstFace, firstFace+5)
		f.stream("", []byte(p.content.String()))
	}
	for _, e := range d.roots {
		alt := ""
		if e.alt != "" {
			alt = "/Alt " + text(e.alt)
		}
		f.object("<</Type/StructElem/S/%s/P %d 0 R/Pg %d 0 R/K %d%s>>", e.tag, structure, firstPage+2*e.page, e.mark, alt)
	}
	return f.end(d.info.ID)
}

// parentTree names, for each page, the elements of its marks.
func (d *Document) parentTree(firstElement int) string {
	var b strings.Builder
	next := map[*element]int{}
	for i, e := range d.roots {
		next[e] = firstElement + i
	}
	for i, p := range d.pages {
		fmt.Fprintf(&b, "%d[", i)
		for _, e := range p.marks {
			fmt.Fprintf(&b, "%d 0 R ", next[e])
		}
		b.WriteString("]")
	}
	return b.String()
}

// writeFace writes a face as a composite font whose codes are glyphs (ISO 32000-1 9.7).
func (d *Document) writeFace(f *file, which Face, of *typeface.Face) {
	own := firstFace + 5*int(which)
	f.object("<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>",
		of.Name, own+1, own+4)
	var widths strings.Builder
	for _, g := range typeface.Sorted(d.used[which]) {
		fmt.Fprintf(&widths, "%d[%d]", g, of.Advance(g))
	}
	f.object("<</Type/Font/Subtype/CIDFontType2/BaseFont/%s"+
		"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R"+
		"/CIDToGIDMap/Identity/DW 600/W[%s]>>", of.Name, own+2, widths.String())
	f.object("<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[%d %d %d %d]/ItalicAngle 0/Ascent %d/Descent %d"+
		"/CapHeight %d/StemV 80/FontFile2 %d 0 R>>", of.Name, of.Box[0], of.Box[1], of.Box[2], of.Box[3], of.Ascent, of.Descent,
		of.Ascent, own+3)
	f.stream(fmt.Sprintf("/Length1 %d", len(of.File)), of.File)
	f.stream("", typeface.ToUnicode(d.used[which]))
}

func (f *file) object(format string, args ...any) {
	f.places = append(f.places, f.Len())
	fmt.Fprintf(f, "%d 0 obj\n"+format+"\nendobj\n", append([]any{len(f.places)}, args...)...)
}

func (f *file) stream(keys string, content []byte) {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, _ = w.Write(content) // a Buffer never fails
	_ = w.Close()
	f.places = append(f.places, f.Len())
	fmt.Fprintf(f, "%d 0 obj\n<</Length %d/Filter/FlateDecode%s>>\nstream\n", len(f.places), packed.Len(), keys)
	f.Write(packed.Bytes())
	f.WriteString("\nendstream\nendobj\n")
}

// end writes the table of objects and the trailer (ISO 32000-1 7.5.4).
func (f *file) end(id [16]byte) []byte {
	start := f.Len()
	fmt.Fprintf(f, "xref\n0 %d\n0000000000 65535 f \n", len(f.places)+1)
	for _, at := range f.places {
		fmt.Fprintf(f, "%010d 00000 n \n", at)
	}
	name := hex.EncodeToString(id[:])
	fmt.Fprintf(f, "trailer\n<</Size %d/Root %d 0 R/Info %d 0 R/ID[<%s><%s>]>>\nstartxref\n%d\n%%%%EOF\n",
		len(f.places)+1, catalog, information, name, name, start)
	return f.Bytes()
}

// references are so many, each with a number by step above the one before.
func references(first, step, count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "%d 0 R ", first+step*i)
	}
	return b.String()
}

// text is a text string in hexadecimal (ISO 32000-1 7.9.2.2): no letter can end it.
func text(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteString(">")
	return b.String()
}
