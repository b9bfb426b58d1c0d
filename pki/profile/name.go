package profile

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how many characters a name may have: RFC 5280's upper bound of common and organisation names.
const MaxName = 64

// IsName reports whether a text may be a name in a certificate or in the transcript of a ceremony: 1 to MaxName
// characters without spaces around, each of which can be seen. What hides, breaks the line or turns the direction
// of what follows (U+202E) makes a name look like another one.
func IsName(text string) bool {
	return text != "" && utf8.ValidString(text) && utf8.RuneCountInString(text) <= MaxName &&
		strings.TrimSpace(text) == text &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}
