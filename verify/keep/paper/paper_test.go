package paper

import (
	"strings"
	"testing"
	"time"
)

// TestTextIsNumbers: a text that looks like the end of a string and an operator is glyphs alone.
func TestTextIsNumbers(t *testing.T) {
	d := New(Info{Title: ") /Title (stranger", Language: "pl", Made: time.Unix(0, 0)})
	p := d.Page()
	p.Tagged(Figure, "> /Alt (stranger", func() { p.Text(10, 10, Plain, 10, Colour{}, "> Tj ET (stranger) Tj <41") })
	if strings.Contains(p.content.String(), "stranger") || strings.Count(p.content.String(), "Tj") != 1 {
		t.Errorf("%s", p.content.String())
	}
	if strings.Contains(string(d.Bytes()), "stranger") {
		t.Error("the text stands in the PDF as it is")
	}
}
