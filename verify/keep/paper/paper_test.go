package paper

import (
	"strings"
	"testing"
	"time"
)

// TestFacesHaveTheLetters: what Polish, English and the names of the Union's citizens are written in has a glyph of a
// width in both faces, and what has none shows as a box.
func TestFacesHaveTheLetters(t *testing.T) {
	for f, face := range faces() {
		for _, r := range "aZ09 ąćęłńóśźżĄĆĘŁŃÓŚŹŻ„”–…·×ÄÖÜßàçéñøåœžščřďťňűőăâîșțģķļņŗīūāαΩЖщїґ€№✓✕□" {
			g, shown := face.glyph(r)
			if shown != r && r != '×' || face.advance[g] == 0 {
				t.Errorf("%s has no glyph of %q", face.name, r)
			}
		}
		if _, shown := face.glyph('漢'); shown != missing {
			t.Errorf("a letter without a glyph shows as %q", shown)
		}
		if wide, narrow := Face(f).Width("W", 10), Face(f).Width("i", 10); wide <= narrow || wide > 12 {
			t.Errorf("%s: W is %v wide, i is %v", face.name, wide, narrow)
		}
	}
}

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
