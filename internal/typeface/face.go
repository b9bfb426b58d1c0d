// Package typeface has the two faces in which this program sets text in PDF files: DejaVu Sans, which knows the
// letters of Polish and its neighbours. It measures text, and says of glyphs what a PDF has to know of them (ISO
// 32000-1, 9.7 and 9.10.3).
package typeface

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

// Missing stands for what the faces have no glyph for.
const Missing = '□'

// Face is what is known of a face: TrueType, with a cmap of format 4 for Unicode (ISO/IEC 14496-22). It is not to be
// changed.
type Face struct {
	Name            string
	File            []byte
	Ascent, Descent int    // in thousandths of an em, as the following ones
	Box             [4]int // that holds every glyph

	unit    float64 // of the face in an em
	advance []int   // by glyph
	glyphs  map[rune]uint16
}

// Plain and Bold are the faces. They are a part of the program: what is wrong with them is a fault of the build.
func Plain() *Face { return faces()[0] }

// Bold is the heavier one.
func Bold() *Face { return faces()[1] }

var faces = sync.OnceValue(func() (list [2]*Face) {
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

var errFace = errors.New("typeface: the face can't be read")

// readFace reads a face of this program.
func readFace(name string, file []byte) (*Face, error) {
	const directory, record = 12, 16
	tables := map[string][]byte{}
	for i := range int(binary.BigEndian.Uint16(file[4:])) {
		r := file[directory+i*record:]
		from, length := binary.BigEndian.Uint32(r[8:]), binary.BigEndian.Uint32(r[12:])
		tables[string(r[:4])] = file[from : from+length]
	}
	word := func(table string, at int) int { return int(int16(binary.BigEndian.Uint16(tables[table][at:]))) }
	f := &Face{Name: name, File: file, unit: float64(word("head", 18)), glyphs: map[rune]uint16{}}
	f.Ascent, f.Descent = f.thousandths(word("hhea", 4)), f.thousandths(word("hhea", 6))
	for i := range f.Box {
		f.Box[i] = f.thousandths(word("head", 36+2*i))
	}
	metrics := word("hhea", 34)
	for glyph := range word("maxp", 4) {
		f.advance = append(f.advance, word("hmtx", 4*min(glyph, metrics-1)))
	}
	return f, f.readCharacters(tables["cmap"])
}

// readCharacters reads which glyph each letter has.
func (f *Face) readCharacters(cmap []byte) error {
	for i := range int(binary.BigEndian.Uint16(cmap[2:])) {
		r := cmap[4+8*i:]
		sub := cmap[binary.BigEndian.Uint32(r[4:]):]
		if binary.BigEndian.Uint32(r) == 3<<16|1 && binary.BigEndian.Uint16(sub) == 4 {
			f.readSegments(sub)
			return nil
		}
	}
	return fmt.Errorf("%w: %s has no cmap of format 4", errFace, f.Name)
}

func (f *Face) readSegments(sub []byte) {
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

func (f *Face) thousandths(n int) int { return int(float64(n) * 1000 / f.unit) }

// Glyph is that of a letter, or of Missing; shown is the letter that it shows.
func (f *Face) Glyph(r rune) (glyph uint16, shown rune) {
	if g, ok := f.glyphs[r]; ok {
		return g, r
	}
	return f.glyphs[Missing], Missing
}

// Advance is how wide a glyph is, in thousandths of an em.
func (f *Face) Advance(glyph uint16) int { return f.thousandths(f.advance[glyph]) }

// Width is how wide a text is in a size, both in points.
func (f *Face) Width(text string, size float64) float64 {
	total := 0
	for _, r := range text {
		g, _ := f.Glyph(r)
		total += f.advance[g]
	}
	return float64(total) * size / f.unit
}
