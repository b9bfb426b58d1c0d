package keep

import (
	_ "embed"
	"fmt"
	"html"
	"strings"

	"trustcore/verify"
	"trustcore/verify/picture"
)

//go:embed report.css
var style string

// HTML is the report as one file that loads nothing, made to be printed.
func HTML(r Report) ([]byte, error) {
	p, err := r.prepared()
	if err != nil {
		return nil, err
	}
	w := &htmlWriter{Report: p}
	w.WriteString("<!doctype html>\n<html lang=\"" + p.Language + "\">\n<head>\n<meta charset=\"utf-8\">\n" +
		`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">` + "\n" +
		`<meta name="viewport" content="width=device-width, initial-scale=1">` + "\n")
	w.element("title", joined(" – ", p.Name, p.say("title")))
	w.WriteString("<style>\n" + style + "</style>\n</head>\n<body>\n<main>\n")
	p.tell(w)
	w.WriteString("</main>\n</body></html>\n")
	return []byte(w.String()), nil
}

// htmlWriter is a writer of HTML.
type htmlWriter struct {
	strings.Builder
	*Report
	drawn int // signatures
}

// element writes an element of text; open holds its name, and attributes of this package's own.
func (w *htmlWriter) element(open, text string) {
	name, _, _ := strings.Cut(open, " ")
	w.WriteString("<" + open + ">" + html.EscapeString(clean(text)) + "</" + name + ">\n")
}

func (w *htmlWriter) heading(level int, text string) { w.element(fmt.Sprintf("h%d", level), text) }

func (w *htmlWriter) paragraph(text string) { w.element("p", text) }

func (w *htmlWriter) notice(tone, text string) { w.element(`p class="notice `+tone+`"`, text) }

func (w *htmlWriter) rows(list []row) {
	w.WriteString("<dl>\n")
	for _, r := range list {
		w.WriteString("<div>")
		w.element("dt", r.question)
		for _, a := range r.answers {
			w.element("dd", a)
		}
		w.WriteString("</div>\n")
	}
	w.WriteString("</dl>\n")
}

func (w *htmlWriter) pictures(s *verify.SignatureReport) {
	w.drawn++
	w.WriteString("<div class=\"pair\">\n")
	for i, p := range w.drawings(s) {
		w.WriteString("<figure>")
		w.element("figcaption", p.Title)
		if p.Height > maxPicture {
			w.element("p", w.say("no-picture", cut(p.Told)))
		} else {
			w.WriteString(p.SVG(fmt.Sprintf("p%d-%d", w.drawn, i)))
		}
		w.WriteString("</figure>\n")
	}
	w.WriteString("</div>\n")
}

// maxPicture is the height, in units of pictures, beyond which a picture is told in words: more than a page has.
const maxPicture = 900

// drawings are the pictures of a signature.
func (r *Report) drawings(s *verify.SignatureReport) []picture.Picture {
	return []picture.Picture{picture.Timeline(s, r.Verdict.ValidationTime, r.Language), picture.Chain(s, r.Language)}
}

// cut is a text of a length that a page has room for.
func cut(text string) string {
	const most = 1500 // letters
	if letters := []rune(text); len(letters) > most {
		return string(letters[:most]) + "…"
	}
	return text
}
