package typeface

import "testing"

// TestFacesHaveTheLetters: what Polish, English and the names of the Union's citizens are written in has a glyph of a
// width in both faces, and what has none shows as a box.
func TestFacesHaveTheLetters(t *testing.T) {
	for _, face := range []*Face{Plain(), Bold()} {
		for _, r := range "aZ09 ąćęłńóśźżĄĆĘŁŃÓŚŹŻ„”–…·×ÄÖÜßàçéñøåœžščřďťňűőăâîșțģķļņŗīūāαΩЖщїґ€№✓✕□" {
			g, shown := face.Glyph(r)
			if shown != r && r != '×' || face.Advance(g) == 0 {
				t.Errorf("%s has no glyph of %q", face.Name, r)
			}
		}
		if _, shown := face.Glyph('漢'); shown != Missing {
			t.Errorf("a letter without a glyph shows as %q", shown)
		}
		if wide, narrow := face.Width("W", 10), face.Width("i", 10); wide <= narrow || wide > 12 {
			t.Errorf("%s: W is %v wide, i is %v", face.Name, wide, narrow)
		}
	}
}
