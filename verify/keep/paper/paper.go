// Package paper writes PDF (ISO 32000-1): text in two embedded faces, lines and boxes, with the tags by which programs
// read a document aloud. It knows no links, scripts, forms and files, so that no document of its has any.
//
// A text becomes numbers of glyphs in hexadecimal, never a string of the PDF: no letter in it can end it, and be an
// operator. What the faces lack shows as a box. The same calls give the same octets.
package paper

import (
	"fmt"
	"math"
	"strings"
	"time"

	"trustcore/internal/typeface"
)

// A4, in points.
const (
	Width  = 595.0
	Height = 842.0
)

// Info is what the document says of itself.
type Info struct {
	Title, Language string // Language such as "pl"
	Made            time.Time
	ID              [16]byte // tells this document from others
}

// Colour is red, green and blue, 0 to 1 each.
type Colour [3]float64

// Document is one while it is written.
type Document struct {
	info  Info
	pages []*Page
	used  [2]map[uint16]rune // glyphs of each face, with a letter of theirs
	roots []*element         // of the structure, in the order of reading
}

// Face is one of the two that a document is set in.
type Face int

// The faces.
const (
	Plain Face = iota
	Bold
)

var faces = [...]func() *typeface.Face{typeface.Plain, typeface.Bold}

// Width is how wide a text is in a face of a size, all in points.
func (f Face) Width(text string, size float64) float64 { return faces[f]().Width(text, size) }

// Page is one while it is written. Its origin is the upper left corner.
type Page struct {
	of      *Document
	number  int
	content strings.Builder
	marks   []*element // by number of the marked content
	open    bool
}

// element is a part of the structure: what is read in one go.
type element struct {
	tag, alt   string
	page, mark int
}

// New begins a document.
func New(info Info) *Document {
	return &Document{info: info, used: [2]map[uint16]rune{{}, {}}}
}

// Page begins a page.
func (d *Document) Page() *Page {
	p := &Page{of: d, number: len(d.pages)}
	d.pages = append(d.pages, p)
	return p
}

// Pages are those that were begun.
func (d *Document) Pages() []*Page { return d.pages }

// The tags of ISO 32000-1 14.8.4 that reports need.
const (
	Heading1  = "H1"
	Heading2  = "H2"
	Heading3  = "H3"
	Paragraph = "P"
	Figure    = "Figure"
)

// Tagged has draw write what is read as one, by a tag above; alt is what is read of a picture.
func (p *Page) Tagged(tag, alt string, draw func()) {
	e := &element{tag: tag, alt: alt, page: p.number, mark: len(p.marks)}
	p.marks = append(p.marks, e)
	p.of.roots = append(p.of.roots, e)
	fmt.Fprintf(&p.content, "/%s <</MCID %d>> BDC\n", tag, e.mark)
	p.open = true
	draw()
	p.open = false
	p.content.WriteString("EMC\n")
}

// draw writes operators; those outside a tag are for the eye alone.
func (p *Page) draw(format string, args ...any) {
	if p.open {
		fmt.Fprintf(&p.content, format, args...)
		return
	}
	p.content.WriteString("/Artifact BMC\n")
	fmt.Fprintf(&p.content, format, args...)
	p.content.WriteString("EMC\n")
}

// digits are those of glyphs' numbers.
const digits = "0123456789ABCDEF"

// Text writes a line that begins at x, with its base at y.
func (p *Page) Text(x, y float64, f Face, size float64, c Colour, line string) {
	var glyphs strings.Builder
	of := faces[f]()
	for _, r := range line {
		g, shown := of.Glyph(r)
		p.of.used[f][g] = shown
		glyphs.Write([]byte{digits[g>>12], digits[g>>8&15], digits[g>>4&15], digits[g&15]})
	}
	p.draw("%srg BT /F%d %s Tf %s %s Td <%s> Tj ET\n", c.operands(), f, number(size), number(x), number(Height-y),
		glyphs.String())
}

// Box fills a box, and draws its edge unless edge is fill.
func (p *Page) Box(x, y, width, height float64, fill, edge Colour) {
	operator := "B"
	if fill == edge {
		operator = "f"
	}
	p.draw("%srg %sRG %s %s %s %s re %s\n", fill.operands(), edge.operands(), number(x), number(Height-y-height),
		number(width), number(height), operator)
}

// Line draws from point to point.
func (p *Page) Line(width float64, c Colour, points ...[2]float64) {
	var path strings.Builder
	for i, at := range points {
		operator := "l"
		if i == 0 {
			operator = "m"
		}
		fmt.Fprintf(&path, "%s %s %s ", number(at[0]), number(Height-at[1]), operator)
	}
	p.draw("%sRG %s w %sS\n", c.operands(), number(width), path.String())
}

// Circle fills a circle and draws its edge.
func (p *Page) Circle(x, y, radius float64, fill, edge Colour) {
	const kappa = 0.5523 // of Bézier curves that look like a circle
	at := func(dx, dy float64) string { return number(x+dx*radius) + " " + number(Height-y+dy*radius) }
	p.draw("%srg %sRG %s m %s %s %s c %s %s %s c %s %s %s c %s %s %s c B\n", fill.operands(), edge.operands(), at(1, 0),
		at(1, kappa), at(kappa, 1), at(0, 1), at(-kappa, 1), at(-1, kappa), at(-1, 0),
		at(-1, -kappa), at(-kappa, -1), at(0, -1), at(kappa, -1), at(1, -kappa), at(1, 0))
}

func (c Colour) operands() string {
	return number(c[0]) + " " + number(c[1]) + " " + number(c[2]) + " "
}

// number is one with two places behind the point at most.
func number(n float64) string {
	return fmt.Sprintf("%g", math.Round(n*100)/100)
}
