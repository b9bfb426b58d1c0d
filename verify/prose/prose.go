// Package prose shows what strangers wrote. Whoever makes a document or a certificate chooses the names in it, and may
// choose them so that a sentence says something else than the verdict: by closing it and going on, by a line or a page of
// its own, by turning the direction of writing. Every name goes through here before it stands in a sentence.
package prose

import (
	"strings"
	"unicode"
)

// maxName bounds a name in characters. RFC 5280, appendix A.1 allows 64 for most attributes.
const maxName = 120

// maxDetail bounds a remark that is shown as a whole between marks; it is part of a Text.
const maxDetail = 400

// maxText bounds a remark that may hold several names.
const maxText = 1000

// Name puts a stranger's text between English quotation marks, where no mark within can end them.
func Name(text string) string { return In("en", text) }

// In is Name in a language: "pl" or "en".
func In(language, text string) string {
	opening := "“"
	if language == "pl" {
		opening = "„"
	}
	return opening + strings.Map(apostrophe, Short(text)) + "”"
}

// Detail is a remark that a name is a part of, between the marks as a whole.
func Detail(text string) string {
	return "“" + strings.Map(apostrophe, bounded(text, maxDetail)) + "”"
}

// Short is a name without marks, for a field that holds nothing else.
func Short(text string) string { return bounded(text, maxName) }

// Text is a remark that may hold names.
func Text(text string) string { return bounded(text, maxText) }

// Printable makes text safe to show: what moves the cursor of a terminal, begins a line of its own, turns the
// direction of writing or cannot be seen at all becomes U+FFFD, white space a space.
func Printable(text string) string {
	if plain(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r <= '~': // most are, and cost no search
			return r
		case strings.ContainsRune("\u115f\u1160\u3164\uffa0\u2800\u034f", r): // letters and marks that show nothing
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, text)
}

// plain tells of text that is printable ASCII alone, as most is.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// bounded is Printable up to a length in characters; an ellipsis stands for the rest.
func bounded(text string, limit int) string {
	if len(text) <= limit {
		return Printable(text)
	}
	n := 0
	for i := range text {
		if n == limit {
			return Printable(text[:i]) + "…"
		}
		n++
	}
	return Printable(text)
}

// apostrophe replaces whatever looks like a quotation mark.
func apostrophe(r rune) rune {
	if r < unicode.MaxASCII && r != '"' {
		return r // most are, and cost no search
	}
	if unicode.In(r, unicode.Pi, unicode.Pf) || strings.ContainsRune("\"„‚ˮ˝″‶〃〝〞〟＂❛❜❝❞❟❠⹂「」『』", r) {
		return '\''
	}
	return r
}
