package keep

import (
	"crypto/sha256"
	"strings"

	"trustcore/verify"
	"trustcore/verify/keep/paper"
	"trustcore/verify/picture"
)

// The layout of a page, in points.
const (
	margin   = 50.0
	wide     = paper.Width - 2*margin
	top      = 50.0
	bottom   = paper.Height - 60
	question = 112.0 // the column of questions
	between  = 10.0
	scale    = 0.75 // of pictures
	leading  = 1.36 // of a line, in sizes of its letters
)

// The sizes of letters.
const (
	bodySize  = 9.0
	smallSize = 8.0
)

var headings = [...]struct {
	tag         string
	size, above float64
}{{paper.Heading1, 17, 0}, {paper.Heading2, 13, 18}, {paper.Heading3, 10.5, 10}}

var (
	black = paper.Colour{0.09, 0.1, 0.11}
	grey  = paper.Colour{0.29, 0.32, 0.36}
	edge  = paper.Colour{0.54, 0.57, 0.61}
	white = paper.Colour{1, 1, 1}
	blue  = paper.Colour{0.11, 0.37, 0.66}
)

// paints are the strong and the light colour of each tone.
var paints = map[string][2]paper.Colour{
	picture.Good: {{0.09, 0.41, 0.23}, {0.93, 0.97, 0.94}}, picture.Bad: {{0.64, 0.13, 0.16}, {0.98, 0.93, 0.93}},
	picture.Open: {{0.54, 0.35, 0}, {0.99, 0.96, 0.9}}, "": {edge, white},
}

// PDF is the report as PDF, A4.
func PDF(r Report) ([]byte, error) {
	p, err := r.prepared()
	if err != nil {
		return nil, err
	}
	at := p.Verdict.ValidationTime
	sum := sha256.Sum256([]byte(joined("\n", p.Verdict.SHA256, moment(at), p.Name, p.Language, string(p.Place))))
	info := paper.Info{Title: joined(" – ", p.Name, p.say("title")), Language: p.Language, Made: at,
		ID: [16]byte(sum[:16])}
	w := &pdfWriter{Report: p, document: paper.New(info)}
	w.turn()
	p.tell(w)
	w.number()
	return w.document.Bytes(), nil
}

// pdfWriter is a writer of PDF.
type pdfWriter struct {
	*Report
	document *paper.Document
	page     *paper.Page
	y        float64 // where the next thing begins
}

func (w *pdfWriter) turn() { w.page, w.y = w.document.Page(), top }

// need begins a page unless there is room for a height on this one.
func (w *pdfWriter) need(height float64) {
	if w.y+height > bottom && w.y > top {
		w.turn()
	}
}

// number writes at the foot of each page which it is, of how many, and of which document.
func (w *pdfWriter) number() {
	all := w.document.Pages()
	for i, p := range all {
		text := w.say("page", i+1, len(all)) + " · SHA-256 " + w.Verdict.SHA256
		p.Line(0.5, edge, [2]float64{margin, paper.Height - 45}, [2]float64{margin + wide, paper.Height - 45})
		p.Text(margin, paper.Height-33, paper.Plain, smallSize-1, grey, text)
	}
}

// letters is how a text is set.
type letters struct {
	tag    string
	face   paper.Face
	size   float64
	colour paper.Colour
}

var body = letters{paper.Paragraph, paper.Plain, bodySize, black}

func (l letters) height() float64 { return l.size * leading }

// set writes a text into a column from the present height on, over as many pages as it takes.
func (w *pdfWriter) set(x, width float64, l letters, text string) {
	lines := wrap(clean(text), l, width)
	for len(lines) > 0 {
		w.need(l.height())
		room := max(1, int((bottom-w.y)/l.height()))
		some := lines[:min(room, len(lines))]
		lines = lines[len(some):]
		w.page.Tagged(l.tag, "", func() {
			for _, line := range some {
				w.page.Text(x, w.y+l.size, l.face, l.size, l.colour, line)
				w.y += l.height()
			}
		})
	}
}

func (w *pdfWriter) heading(level int, text string) {
	h := headings[level-1]
	l := letters{h.tag, paper.Bold, h.size, black}
	w.y += h.above
	w.need(l.height() + 3*body.height())
	w.set(margin, wide, l, text)
	w.y += 4
}

func (w *pdfWriter) paragraph(text string) {
	w.set(margin, wide, body, text)
	w.y += 6
}

// notice writes a text in a box; one that is longer than a page is a paragraph.
func (w *pdfWriter) notice(tone, text string) {
	const inner = 10.0
	l := letters{paper.Paragraph, paper.Bold, bodySize + 0.5, black}
	height := float64(len(wrap(clean(text), l, wide-2*inner)))*l.height() + 2*inner - 4
	if height > bottom-top {
		w.paragraph(text)
		return
	}
	w.need(height)
	w.page.Box(margin, w.y, wide, height, paints[tone][1], paints[tone][1])
	w.page.Box(margin, w.y, 3, height, paints[tone][0], paints[tone][0])
	w.y += inner - 2
	w.set(margin+inner, wide-2*inner, l, text)
	w.y += inner + 4
}

func (w *pdfWriter) rows(list []row) {
	l := letters{paper.Paragraph, paper.Plain, bodySize, grey}
	for _, r := range list {
		w.need(float64(len(wrap(r.question, l, question))) * l.height())
		page, from := w.page, w.y
		w.set(margin, question, l, r.question)
		under := w.y
		w.y = from
		for i, a := range r.answers {
			if i > 0 {
				w.y += 2
			}
			w.set(margin+question+between, wide-question-between, body, a)
		}
		if w.page == page {
			w.y = max(w.y, under)
		}
		w.page.Line(0.4, paper.Colour{0.83, 0.85, 0.87}, [2]float64{margin, w.y + 1}, [2]float64{margin + wide, w.y + 1})
		w.y += 4
	}
	w.y += 4
}

// pictures draws the two pictures of a signature side by side.
func (w *pdfWriter) pictures(s *verify.SignatureReport) {
	l := letters{paper.Paragraph, paper.Bold, bodySize, black}
	drawn, height := []picture.Picture{}, 0.0
	for _, p := range w.drawings(s) {
		if p.Height > maxPicture {
			w.paragraph(w.say("no-picture", cut(p.Told)))
			continue
		}
		drawn, height = append(drawn, p), max(height, float64(p.Height)*scale)
	}
	if len(drawn) == 0 {
		return
	}
	w.need(height + 2*l.height())
	from := w.y
	for i, p := range drawn {
		w.y = from
		x := margin + float64(i)*(wide-picture.Width*scale)
		w.set(x, picture.Width*scale, l, p.Title)
		w.page.Tagged(paper.Figure, clean(p.Told), func() { w.draw(p, x, w.y+3) })
	}
	w.y = from + l.height() + height + 8
}

// draw draws the shapes of a picture from a place on.
func (w *pdfWriter) draw(p picture.Picture, x, y float64) {
	place := func(at picture.Point) [2]float64 { return [2]float64{x + float64(at.X)*scale, y + float64(at.Y)*scale} }
	for i := range p.Shapes {
		s := &p.Shapes[i]
		at := place(s.At)
		kind, tone, _ := strings.Cut(strings.TrimSpace(s.Class), " ")
		paint := paints[tone]
		switch s.Kind {
		case picture.Path:
			var points [][2]float64
			for _, to := range s.Path {
				points = append(points, place(to))
			}
			w.page.Line(1, edge, points...)
		case picture.Box:
			if kind == "bar" {
				paint = [2]paper.Colour{blue, blue}
			}
			w.page.Box(at[0], at[1], float64(s.Size.X)*scale, float64(s.Size.Y)*scale, paint[1], paint[0])
		case picture.Circle:
			if tone != "" && tone != picture.Open {
				paint[1] = paint[0]
			}
			w.page.Circle(at[0], at[1], float64(s.Radius)*scale, paint[1], paint[0])
		case picture.Text:
			l := letters{"", paper.Plain, 11 * scale, grey}
			if kind == "label" {
				l = letters{"", paper.Bold, 12 * scale, black}
			}
			room := (picture.Width-float64(s.At.X))*scale - 3
			w.page.Text(at[0], at[1], l.face, l.size, l.colour, fit(clean(s.Text), l, room))
		}
	}
}
