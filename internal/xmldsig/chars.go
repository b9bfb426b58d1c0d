package xmldsig

import "unicode/utf8"

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
