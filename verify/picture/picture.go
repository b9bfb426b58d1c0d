// Package picture draws what a report says of a signature as inline SVG: when things happened, and which certificates
// vouch for whom. A picture has a text alternative that says the same, in the reader's language. It has no colours of its
// own: its parts are of the classes line, box, bar, mark, ok, bad and open, which the page around it paints. It is laid
// out for a width of 320 and may be shown wider.
package picture

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"trustcore/verify"
)

// width is that of every picture, in its own units: the narrowest screen that is thought of, in CSS pixels.
const width = 320

// drawing is a picture while it is drawn.
type drawing struct {
	body strings.Builder
	told []string // the text alternative, sentence by sentence
}

// escape makes text safe in an element and in an attribute's value.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

// text writes a line that begins at x; what does not fit into the picture is cut.
func (d *drawing) text(x, y int, class, line string) {
	fmt.Fprintf(&d.body, `<text class="%s" x="%d" y="%d">%s</text>`, class, x, y, escape.Replace(fit(line, width-x, class)))
}

func (d *drawing) line(x1, y1, x2, y2 int) {
	fmt.Fprintf(&d.body, `<path class="line" d="M%d %dL%d %d"/>`, x1, y1, x2, y2)
}

func (d *drawing) tell(format string, args ...any) {
	d.told = append(d.told, fmt.Sprintf(format, args...))
}

// svg closes the picture. id is unique on the page that it is for.
func (d *drawing) svg(id, title string, height int) string {
	return fmt.Sprintf(`<svg class="picture" viewBox="0 0 %d %d" role="img" aria-labelledby="%s-t %s-d" focusable="false">`+
		`<title id="%s-t">%s</title><desc id="%s-d">%s</desc>%s</svg>`, width, height, id, id, id, escape.Replace(title), id,
		escape.Replace(strings.Join(d.told, " ")), d.body.String())
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

// zone is where the readers are; verify brings the files of zones along.
var zone = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		return time.UTC
	}
	return l
})

func moment(t time.Time) string { return t.In(zone()).Format("2006-01-02 15:04") }

func day(t time.Time) string { return t.In(zone()).Format(time.DateOnly) }

// tone is the class of what has an indication.
func tone(i verify.Indication) string {
	switch i {
	case verify.TotalPassed, verify.Passed:
		return "ok"
	case verify.TotalFailed, verify.Failed:
		return "bad"
	}
	return "open"
}
