package console

import (
	"regexp"

	"trustcore/internal/pesel"
)

// words finds the words and numbers of a text: a PESEL is no part of a longer one.
var words = regexp.MustCompile(`[0-9A-Za-z]+`)

// masked hides the personal numbers (PESEL) in a text that people wrote, all but their last four digits, which tell two
// apart. Exports and proofs have the text as it was recorded. Of documents verify/poland hides more numbers; this is the one
// that offices write.
func masked(text string) string {
	return words.ReplaceAllStringFunc(text, func(word string) string {
		if !pesel.Valid(word) {
			return word
		}
		return "*******" + word[7:]
	})
}
