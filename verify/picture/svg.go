package picture

import (
	"fmt"
	"strings"
)

// escape makes text safe in an element and in an attribute's value.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

// SVG is the picture as an element of a page. id is unique on the page.
func (p Picture) SVG(id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="picture" viewBox="0 0 %d %d" role="img" aria-labelledby="%s-t %s-d" focusable="false">`+
		`<title id="%s-t">%s</title><desc id="%s-d">%s</desc>`, Width, p.Height, id, id, id, escape.Replace(p.Title), id,
		escape.Replace(p.Told))
	for i := range p.Shapes {
		p.Shapes[i].write(&b)
	}
	b.WriteString("</svg>")
	return b.String()
}

func (s *Shape) write(b *strings.Builder) {
	class := strings.TrimSpace(s.Class)
	switch s.Kind {
	case Path:
		fmt.Fprintf(b, `<path class="%s" d="`, class)
		for i, at := range s.Path {
			fmt.Fprintf(b, "%c%d %d", "ML"[min(i, 1)], at.X, at.Y)
		}
		b.WriteString(`"/>`)
	case Box:
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`, class, s.At.X, s.At.Y,
			s.Size.X, s.Size.Y, s.Radius)
	case Circle:
		fmt.Fprintf(b, `<circle class="%s" cx="%d" cy="%d" r="%d"/>`, class, s.At.X, s.At.Y, s.Radius)
	case Text:
		fmt.Fprintf(b, `<text class="%s" x="%d" y="%d">%s</text>`, class, s.At.X, s.At.Y, escape.Replace(s.Text))
	}
}
