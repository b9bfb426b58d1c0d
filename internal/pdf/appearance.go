package pdf

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math"
	"strings"

	"trustcore/internal/typeface"
)

// Appearance is what a signature shows on a page: lines of text in a frame. It says nothing that a verifier looks at.
type Appearance struct {
	Page          int     // from 1; 0 is the first
	X, Y          float64 // of the lower left corner on the page, in points from its lower left corner
	Width, Height float64 // in points
	Lines         []string
}

// Limits of an appearance.
const (
	maxLines   = 12
	maxLine    = 200 // letters
	leastFrame = 20  // points, in either direction
	largestFit = 12  // points: larger letters than these are not made, however large the frame
	leastFit   = 3   // points: smaller ones nobody can read
	lineHeight = 1.25
	frameInset = 4 // points
)

func (a *Appearance) check() error {
	letters := 0
	for _, l := range a.Lines {
		letters = max(letters, len([]rune(l)))
	}
	switch {
	case len(a.Lines) == 0 || len(a.Lines) > maxLines || letters > maxLine:
		return fmt.Errorf("pdf: a visible signature has 1 to %d lines of at most %d letters", maxLines, maxLine)
	case !(a.Width >= leastFrame) || !(a.Height >= leastFrame) || math.IsInf(a.Width+a.Height, 0) || !(a.X >= 0) ||
		!(a.Y >= 0):
		return fmt.Errorf("pdf: a visible signature is at least %d points wide and high, not left of or below the page",
			leastFrame)
	case a.Page < 0:
		return fmt.Errorf("pdf: there is no page %d", a.Page)
	case a.size() < leastFit:
		return fmt.Errorf("pdf: in %g x %g points nobody can read these lines: make the frame larger", a.Width, a.Height)
	}
	return nil
}

// size is that of the letters: the largest in which every line fits.
func (a *Appearance) size() float64 {
	size := min(largestFit, (a.Height-2*frameInset)/(lineHeight*float64(len(a.Lines))))
	for _, l := range a.Lines {
		if wide := typeface.Plain().Width(l, 1); wide > 0 {
			size = min(size, (a.Width-2*frameInset)/wide)
		}
	}
	return size
}

// rect is the place on the page.
func (a *Appearance) rect() Array {
	if a == nil {
		return Array{Integer(0), Integer(0), Integer(0), Integer(0)}
	}
	return Array{points(a.X), points(a.Y), points(a.X + a.Width), points(a.Y + a.Height)}
}

func points(n float64) Real { return Real(fmt.Sprintf("%.2f", n)) }

// appear adds the form that a signature field shows (ISO 32000-2, 12.5.5). Text is numbers of glyphs: no letter can
// end it.
func (u *increment) appear(a *Appearance) Ref {
	used := map[uint16]rune{}
	size := a.size()
	var b strings.Builder
	fmt.Fprintf(&b, "q 0.2 0.2 0.5 RG 0.8 w 0.5 0.5 %.2f %.2f re S 0 0 0.2 rg BT /F0 %.2f Tf %.2f TL %d %.2f Td\n",
		a.Width-1, a.Height-1, size, size*lineHeight, frameInset, a.Height-frameInset-size)
	for _, l := range a.Lines {
		b.WriteString("<")
		for _, r := range l {
			g, shown := typeface.Plain().Glyph(r)
			used[g] = shown
			fmt.Fprintf(&b, "%04X", g)
		}
		b.WriteString("> Tj T*\n")
	}
	b.WriteString("ET Q")
	form := packed([]byte(b.String()))
	form.Dict["Type"], form.Dict["Subtype"] = Name("XObject"), Name("Form")
	form.Dict["BBox"] = Array{Integer(0), Integer(0), points(a.Width), points(a.Height)}
	form.Dict["Resources"] = Dict{"Font": Dict{"F0": u.font(typeface.Plain(), used)}}
	return u.add(form)
}

// font adds a composite font whose codes are glyphs (ISO 32000-2, 9.7).
func (u *increment) font(f *typeface.Face, used map[uint16]rune) Ref {
	file := packed(f.File)
	file.Dict["Length1"] = Integer(len(f.File))
	var box, widths Array
	for _, n := range f.Box {
		box = append(box, Integer(n))
	}
	for _, g := range typeface.Sorted(used) {
		widths = append(widths, Integer(g), Array{Integer(f.Advance(g))})
	}
	descriptor := u.add(Dict{"Type": Name("FontDescriptor"), "FontName": Name(f.Name), "Flags": Integer(4),
		"FontBBox":    box,
		"ItalicAngle": Integer(0), "Ascent": Integer(f.Ascent), "Descent": Integer(f.Descent),
		"CapHeight": Integer(f.Ascent),
		"StemV":     Integer(80), "FontFile2": u.add(file)})
	descendant := u.add(Dict{"Type": Name("Font"), "Subtype": Name("CIDFontType2"), "BaseFont": Name(f.Name),
		"CIDToGIDMap": Name("Identity"),
		"CIDSystemInfo": Dict{"Registry": Bytes([]byte("Adobe")), "Ordering": Bytes([]byte("Identity")),
			"Supplement": Integer(0)},
		"FontDescriptor": descriptor, "DW": Integer(600), "W": widths})
	return u.add(Dict{"Type": Name("Font"), "Subtype": Name("Type0"), "BaseFont": Name(f.Name),
		"Encoding":        Name("Identity-H"),
		"DescendantFonts": Array{descendant}, "ToUnicode": u.add(packed(typeface.ToUnicode(used)))})
}

// packed is a stream of deflated data.
func packed(data []byte) *Stream {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, _ = w.Write(data) // a Buffer never fails
	_ = w.Close()
	return &Stream{Dict: Dict{"Filter": Name("FlateDecode")}, data: out.Bytes(), fresh: true}
}

// place finds the page of an appearance, and refuses a place where nobody would see it.
func (u *increment) place(root Dict, a *Appearance) (Ref, error) {
	if a == nil {
		return u.firstPage(root)
	}
	left := max(a.Page, 1)
	visits := 0
	tree, _ := root["Pages"].(Ref)
	page, box, err := u.pageAt(tree, &left, &visits, 0, nil)
	if err != nil {
		return Ref{}, err
	}
	if left > 0 {
		return Ref{}, fmt.Errorf("pdf: there is no page %d", a.Page)
	}
	if len(box) == 4 && (a.X+a.Width > math.Abs(box[2]-box[0]) || a.Y+a.Height > math.Abs(box[3]-box[1])) {
		return Ref{}, fmt.Errorf("pdf: the frame of the visible signature leaves the page, which is %g x %g points",
			math.Abs(box[2]-box[0]), math.Abs(box[3]-box[1]))
	}
	return page, nil
}

// pageAt counts down to a page of the tree, and gives its media box, which may be inherited (ISO 32000-2, 7.7.3).
func (u *increment) pageAt(node Ref, left, visits *int, depth int, box []float64) (Ref, []float64, error) {
	if *visits++; *visits > maxFields || depth > maxTreeDepth {
		return Ref{}, nil, errLimit
	}
	dict, _ := u.doc.Resolve(node).(Dict)
	if dict == nil {
		return Ref{}, nil, nil
	}
	if own := u.doc.numbers(dict["MediaBox"]); len(own) == 4 {
		box = own
	}
	kids := u.doc.Array(dict["Kids"])
	if len(kids) == 0 {
		if u.doc.Name(dict["Type"]) != "Pages" {
			*left--
		}
		return node, box, nil
	}
	for _, kid := range kids {
		r, ok := kid.(Ref)
		if !ok {
			continue
		}
		page, its, err := u.pageAt(r, left, visits, depth+1, box)
		if err != nil || *left == 0 {
			return page, its, err
		}
	}
	return Ref{}, nil, nil
}

// numbers resolves o to the numbers of an array; nil where one of them is none.
func (d *Document) numbers(o Object) []float64 {
	var out []float64
	for _, item := range d.Array(o) {
		switch n := d.Resolve(item).(type) {
		case Integer:
			out = append(out, float64(n))
		case Real:
			var f float64
			if _, err := fmt.Sscan(string(n), &f); err != nil {
				return nil
			}
			out = append(out, f)
		default:
			return nil
		}
		if len(out) > 4 {
			return nil
		}
	}
	return out
}
