package paper

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

//go:embed font/text.ttf
var textFont []byte

//go:embed font/bold.ttf
var boldFont []byte

// Face is one of the two that a document is set in.
type Face int

// The faces.
const (
	Plain Face = iota
	Bold
)

// missing stands for what the faces have no glyph for.
const missing = '□'

// face is what is known of a face: TrueType, with a cmap of format 4 for Unicode (ISO/IEC 14496-22).
type face struct {
	name            string
	file            []byte
	unit            float64 // of the face in an em
	ascent, descent int
	box             [4]int
	advance         []int // by glyph
	glyphs          map[rune]uint16
}

// faces are a part of the program: what is wrong with them is a fault of the build.
var faces = sync.OnceValue(func() (list [2]*face) {
	for i, from := range []struct {
		name string
		file []byte
	}{{"DejaVuSans", textFont}, {"DejaVuSans-Bold", boldFont}} {
		f, err := readFace(from.name, from.file)
		if err != nil {
			panic(err)
		}
		list[i] = f
	}
	return list
})

var errFace = errors.New("paper: the face can't be read")

// readFace reads a face of this program.
func readFace(name string, file []byte) (*face, error) {
	const directory, record = 12, 16
	tables := map[string][]byte{}
	for i := range int(binary.BigEndian.Uint16(file[4:])) {
		r := file[directory+i*record:]
		from, length := binary.BigEndian.Uint32(r[8:]), binary.BigEndian.Uint32(r[12:])
		tables[string(r[:4])] = file[from : from+length]
	}
	word := func(table string, at int) int { return int(int16(binary.BigEndian.Uint16(tables[table][at:]))) }
	f := &face{name: name, file: file, unit: float64(word("head", 18)), ascent: word("hhea", 4), descent: word("hhea", 6),
		glyphs: map[rune]uint16{}}
	for i := range f.box {
		f.box[i] = word("head", 36+2*i)
	}
	metrics := word("hhea", 34)
	for glyph := range word("maxp", 4) {
		f.advance = append(f.advance, word("hmtx", 4*min(glyph, metrics-1)))
	}
	return f, f.readCharacters(tables["cmap"])
}

// readCharacters reads which glyph each letter has.
func (f *face) readCharacters(cmap []byte) error {
	for i := range int(binary.BigEndian.Uint16(cmap[2:])) {
		r := cmap[4+8*i:]
		sub := cmap[binary.BigEndian.Uint32(r[4:]):]
		if binary.BigEndian.Uint32(r) == 3<<16|1 && binary.BigEndian.Uint16(sub) == 4 {
			f.readSegments(sub)
			return nil
		}
	}
	return fmt.Errorf("%w: %s has no cmap of format 4", errFace, f.name)
}

func (f *face) readSegments(sub []byte) {
	word := func(at int) int { return int(binary.BigEndian.Uint16(sub[at:])) }
	const head = 14
	segments := word(6) / 2
	for s := range segments {
		ends, starts := head+2*s, head+2*segments+2+2*s
		delta, offset := starts+2*segments, starts+4*segments
		for c := word(starts); c <= word(ends) && c != 0xffff; c++ {
			glyph := c + word(delta)
			if word(offset) != 0 {
				if glyph = word(offset + word(offset) + 2*(c-word(starts))); glyph != 0 {
					glyph += word(delta)
				}
			}
			if glyph &= 0xffff; glyph != 0 {
				f.glyphs[rune(c)] = uint16(glyph)
			}
		}
	}
}

// glyph is that of a letter, or of missing.
func (f *face) glyph(r rune) (uint16, rune) {
	if g, ok := f.glyphs[r]; ok {
		return g, r
	}
	return f.glyphs[missing], missing
}

// Width is how wide a text is in a face of a size, all in points.
func (f Face) Width(text string, size float64) float64 {
	of, total := faces()[f], 0
	for _, r := range text {
		g, _ := of.glyph(r)
		total += of.advance[g]
	}
	return float64(total) * size / of.unit
}
