// Package picture draws what a report says of a signature: when things happened, and which certificates vouch for whom,
// as inline SVG or for whoever draws shapes. A picture has a text alternative that says the same, in the reader's
// language. It has no colours of its own: its parts are of the classes line, box, bar, mark, ok, bad and open, label and
// note, which the page around it paints. It is laid out for a width of 320 and may be shown wider.
package picture

import (
	"fmt"
	"strings"
	"time"

	"trustcore/verify"
	"trustcore/verify/prose"
)

// Width is that of every picture, in its own units: the narrowest screen that is thought of, in CSS pixels.
const Width = 320

// Picture is a drawing: shapes, in the order in which they are drawn, and what they say.
type Picture struct {
	Title  string
	Told   string // the text alternative
	Height int    // in units of Width
	Shapes []Shape
}

// Shape is one of a path, a box, a circle and a line of text.
type Shape struct {
	Kind   Kind
	Class  string // what it is, and how it is painted: see the package
	At     Point  // the upper left corner, the middle of a circle, the beginning of a text's base line
	Size   Point  // of a box
	Radius int    // of a circle, or of a box's corners
	Path   []Point
	Text   string // as long as there is room
}

// Point is a place, or a width and a height.
type Point struct{ X, Y int }

// Kind is the kind of a shape.
type Kind int

// The kinds.
const (
	Path Kind = iota
	Box
	Circle
	Text
)

// drawing is a picture while it is drawn.
type drawing struct {
	shapes []Shape
	told   []string // the text alternative, sentence by sentence
}

// text writes a line that begins at x; what does not fit into the picture is cut.
func (d *drawing) text(x, y int, class, line string) {
	d.shapes = append(d.shapes, Shape{Kind: Text, Class: class, At: Point{x, y},
		Text: fit(prose.Printable(line), Width-x, class)})
}

func (d *drawing) path(points ...Point) {
	d.shapes = append(d.shapes, Shape{Kind: Path, Class: "line", Path: points})
}

func (d *drawing) box(class string, x, y, width, height, radius int) {
	d.shapes = append(d.shapes, Shape{Kind: Box, Class: class, At: Point{x, y}, Size: Point{width, height},
		Radius: radius})
}

func (d *drawing) tell(format string, args ...any) {
	d.told = append(d.told, prose.Printable(fmt.Sprintf(format, args...)))
}

func (d *drawing) picture(title string, height int) Picture {
	return Picture{Title: title, Told: strings.Join(d.told, " "), Height: height, Shapes: d.shapes}
}

// The advance of a letter in tenths of a unit, on the safe side for the faces that systems have.
var advance = map[string]int{"label": 70, "note": 62}

// fit cuts a line to a width.
func fit(line string, room int, class string) string {
	letters := []rune(line)
	if most := room * 10 / advance[class]; len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return line
}

func moment(t time.Time) string { return t.In(verify.Zone()).Format("2006-01-02 15:04") }

func day(t time.Time) string { return t.In(verify.Zone()).Format(time.DateOnly) }

// The tones of what passed, what failed and what is neither.
const (
	Good = "ok"
	Bad  = "bad"
	Open = "open"
)

// Tone is the class of what has an indication.
func Tone(i verify.Indication) string {
	switch i {
	case verify.TotalPassed, verify.Passed:
		return Good
	case verify.TotalFailed, verify.Failed:
		return Bad
	}
	return Open
}
