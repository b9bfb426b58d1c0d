package policy

import (
	"unicode"
	"unicode/utf8"
)

// isText reports whether a text has so many printable characters and no space around it.
func isText(text string, least, most int) bool {
	if len(text) > 4*most || !utf8.ValidString(text) {
		return false
	}
	n := 0
	for _, r := range text {
		n++
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return n >= least && n <= most && (n == 0 || text[0] != ' ' && text[len(text)-1] != ' ')
}
