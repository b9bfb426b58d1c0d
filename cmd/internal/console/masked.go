package console

import (
	"regexp"
	"strings"
)

// words finds the words and numbers of a text: a PESEL is no part of a longer one.
var words = regexp.MustCompile(`[0-9A-Za-z]+`)

// masked hides the personal numbers (PESEL) in a text that people wrote, all but their last four digits, which tell two
// apart. Exports and proofs have the text as it was recorded. The rule of verify/poland knows more numbers; who holds keys
// does not link what judges documents, so this is the one of them that offices write.
func masked(text string) string {
	return words.ReplaceAllStringFunc(text, func(word string) string {
		if !isPESEL(word) {
			return word
		}
		return "*******" + word[7:]
	})
}

// isPESEL checks the date of birth and the check digit (Act of 24 September 2010 on population records, Art. 15-16).
func isPESEL(word string) bool {
	if len(word) != 11 || strings.Trim(word, "0123456789") != "" {
		return false
	}
	sum := 0
	for i, weight := range []int{1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1} {
		sum += weight * int(word[i]-'0')
	}
	month, day := int(word[2]-'0')*10+int(word[3]-'0'), int(word[4]-'0')*10+int(word[5]-'0')
	return sum%10 == 0 && month%20 >= 1 && month%20 <= 12 && day >= 1 && day <= 31
}
