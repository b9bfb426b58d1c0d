package typeface

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// Sorted are glyphs in their order.
func Sorted(used map[uint16]rune) []uint16 { return slices.Sorted(maps.Keys(used)) }

// ToUnicode says which letter each glyph is (ISO 32000-1, 9.10.3): programs search and read aloud by it.
func ToUnicode(used map[uint16]rune) []byte {
	const most = 100 // of one block
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n" +
		"/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n" +
		"/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n")
	glyphs := Sorted(used)
	for len(glyphs) > 0 {
		some := glyphs[:min(most, len(glyphs))]
		glyphs = glyphs[len(some):]
		fmt.Fprintf(&b, "%d beginbfchar\n", len(some))
		for _, g := range some {
			fmt.Fprintf(&b, "<%04X> <%04X>\n", g, used[g]) // the faces hold the first plane alone
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return b.Bytes()
}
