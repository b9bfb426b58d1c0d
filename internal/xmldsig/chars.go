package xmldsig

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Classes of bytes, for the parser's inner loops.
const (
	classText  = 1 << iota // ordinary in character data: needs no look, copied as it is by canonical XML
	classValue             // ordinary in attribute values, both quotes excluded
	className              // may stand in a name (every byte above 0x7F included)
	classSpace
)

var class = func() (table [256]uint8) {
	for c := range 256 {
		b := byte(c)
		if c >= 0x20 && b != '<' && b != '>' && b != '&' && b != ']' {
			table[c] |= classText
		}
		if c >= 0x20 && b != '<' && b != '&' && b != '"' && b != '\'' {
			table[c] |= classValue
		}
		if c >= 0x80 || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' ||
			b == '-' || b == '.' || b == '_' || b == ':' {
			table[c] |= className
		}
	}
	for _, b := range []byte(" \t\r\n") {
		table[b] |= classSpace
	}
	table['\t'] |= classText
	table['\n'] |= classText
	return table
}()

// A word of eight octets, for looks at all of them at once (Lamport: Multiple byte processing with full-word
// instructions, 1975).
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// below marks octets below n, which is at most 0x80, and perhaps octets behind such a one.
func below(word, n uint64) uint64 { return (word - ones*n) &^ word & highs }

// equal marks octets that are c, and perhaps octets behind such a one.
func equal(word uint64, c byte) uint64 { return below(word^ones*uint64(c), 1) }

// The automaton of UTF-8 (Unicode 15, table 3-7). A state is the number of its bits in the entries of the table: the
// entry of an octet holds for each state the one that follows (Vognsen: Shift-based DFA).
const (
	utf8Bad  = 6 * iota // remains
	utf8Good            // between two characters
	utf8One             // one, two, three octets of continuation are to come
	utf8Two
	utf8Three
	utf8E0 // two, of which the first is not overlong, or no surrogate
	utf8ED
	utf8F0 // three, of which the first is not overlong, or not beyond U+10FFFF
	utf8F4

	utf8State = 63 // what of a number is the state
)

var utf8Steps = func() (table [256]uint64) {
	step := func(from, to byte, state, next uint64) {
		for c := int(from); c <= int(to); c++ {
			table[c] |= next << state
		}
	}
	step(0x00, 0x7F, utf8Good, utf8Good)
	step(0xC2, 0xDF, utf8Good, utf8One)
	step(0xE0, 0xE0, utf8Good, utf8E0)
	step(0xE1, 0xEC, utf8Good, utf8Two)
	step(0xED, 0xED, utf8Good, utf8ED)
	step(0xEE, 0xEF, utf8Good, utf8Two)
	step(0xF0, 0xF0, utf8Good, utf8F0)
	step(0xF1, 0xF3, utf8Good, utf8Three)
	step(0xF4, 0xF4, utf8Good, utf8F4)
	step(0x80, 0xBF, utf8One, utf8Good)
	step(0x80, 0xBF, utf8Two, utf8One)
	step(0x80, 0xBF, utf8Three, utf8Two)
	step(0xA0, 0xBF, utf8E0, utf8One)
	step(0x80, 0x9F, utf8ED, utf8One)
	step(0x90, 0xBF, utf8F0, utf8Two)
	step(0x80, 0x8F, utf8F4, utf8Two)
	return table
}()

// look is what a document is made of.
type look struct {
	valid   bool // in UTF-8
	control bool // with control characters other than white space
	returns bool // with carriage returns

	noncharacters bool // perhaps with U+FFFE or U+FFFF
}

// inspect looks at every octet of a document, at several together where these are characters of ASCII, and tells passed
// what it has looked at.
func inspect(b []byte, passed func([]byte)) (found look) {
	state := uint64(utf8Good)
	for window := range slices.Chunk(b, windowSize) {
		state = found.inspect(window, state)
		if state&utf8State == utf8Bad {
			return look{}
		}
		passed(window)
	}
	found.valid = state&utf8State == utf8Good
	return found
}

// windowSize is how many octets of a large document are looked at before they are let go.
const windowSize = 1 << 20

// inspect looks at octets that come after others which led to the state, and returns where they lead to.
func (l *look) inspect(b []byte, state uint64) uint64 {
	for len(b) >= 8 {
		if state&utf8State == utf8Good {
			b = l.ascii(b)
		}
		if len(b) < 8 {
			break
		}
		word := binary.LittleEndian.Uint64(b)
		for range 8 {
			state = utf8Steps[byte(word)] >> (state & utf8State)
			l.see(byte(word))
			word >>= 8
		}
		if state&utf8State == utf8Bad {
			return state
		}
		b = b[8:]
	}
	for _, c := range b {
		state = utf8Steps[c] >> (state & utf8State)
		l.see(c)
	}
	return state
}

// ascii looks at words of nothing but ASCII, and returns what comes after them.
func (l *look) ascii(b []byte) []byte {
	for len(b) >= 16 {
		one, two := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		if (one|two)&highs != 0 {
			break
		}
		// The sum leaves the high bit of those octets alone that are below 0x20.
		const above = ones * (0x80 - 0x20)
		if (one+above)&(two+above)&highs != highs {
			l.controls(one, ^(one+above)&highs)
			l.controls(two, ^(two+above)&highs)
		}
		b = b[16:]
	}
	return b
}

// controls looks at the octets of a word that are marked by their high bit.
func (l *look) controls(word, marks uint64) {
	for ; marks != 0; marks &= marks - 1 {
		l.see(byte(word >> (bits.TrailingZeros64(marks) - 7)))
	}
}

func (l *look) see(c byte) {
	switch {
	case c >= 0x20:
		l.noncharacters = l.noncharacters || c == firstOfNoncharacters
	case c == '\r':
		l.returns = true
	case class[c]&classSpace == 0:
		l.control = true
	}
}

// firstOfNoncharacters is the first octet of U+FFFE and U+FFFF, and of other characters.
const firstOfNoncharacters = 0xEF

// holdsSpecial tells whether there is an octet that an attribute value between quotation marks does not hold as it is
// in canonical XML.
func holdsSpecial(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		word := binary.LittleEndian.Uint64(b)
		if below(word, 0x20)|equal(word, '<')|equal(word, '&')|equal(word, '"') != 0 {
			return true
		}
	}
	for _, c := range b {
		if class[c]&classValue == 0 && c != '\'' {
			return true
		}
	}
	return false
}

// isNCName tells whether s is a name without a colon (XML Namespaces 1.0, production 4).
func isNCName(s []byte) bool {
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(s[i:])
		}
		if !(nameStart(r) || i > 0 && nameLater(r)) {
			return false
		}
		i += n
	}
	return len(s) > 0
}

// nameStart is NameStartChar of XML 1.0, fifth edition, without the colon.
func nameStart(r rune) bool {
	switch {
	case r < 0x80:
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
	case r < 0x300:
		return r >= 0xC0 && r != 0xD7 && r != 0xF7
	case r < 0x2000:
		return r >= 0x370 && r != 0x37E
	case r < 0x3001:
		return r == 0x200C || r == 0x200D || r >= 0x2070 && r <= 0x218F || r >= 0x2C00 && r <= 0x2FEF
	}
	return r <= 0xD7FF || r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFFD || r >= 0x10000 && r <= 0xEFFFF
}

// nameLater is what NameChar adds to NameStartChar.
func nameLater(r rune) bool {
	return r >= '0' && r <= '9' || r == '-' || r == '.' || r == 0xB7 ||
		r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}

// isChar is Char of XML 1.0.
func isChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}
