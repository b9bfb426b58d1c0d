package poland

import (
	"regexp"
	"strings"

	"trustcore/internal/pesel"
	"trustcore/verify/certificate"
	"trustcore/verify/person"
)

// hidden stands for all but the last digits of a number that is a person's own.
const (
	hidden = "*******"
	shown  = 4 // digits; the first six of a PESEL are the date of birth
)

// Masked is a number of which the last four characters are shown, and not its length.
func Masked(number string) string {
	runes := []rune(number)
	return hidden + string(runes[max(0, len(runes)-shown):])
}

// named finds, where it begins, a number that is somebody's own whatever it is: a word or prefix says so, as the
// semantic identifiers of EN 319 412-1 5.1.3 for persons do. No word goes on before NIP. Numbers of some states have a sign
// behind the date.
var named = regexp.MustCompile(`^(?i)(?:(?:PNO|TIN|IDC|PAS|TAX)[A-Z]{2}[-: ]+|PESEL[A-Z]{0,2}\W{1,3}|NIP\W{1,3}|` +
	`(?:EGNT?|CNP|OIB|JMBG|EMSO): ?)([0-9]{6}[-+/][0-9]{3,5}[A-Z]?|[0-9A-Z]*[0-9][0-9A-Z]*)`)

// Mask replaces the personal numbers in a text: those that are named, and those that stand alone and can be a PESEL or
// evidently are another state's. Digits that are a part of a longer number stay. Numbers has more, where it is known of
// whom the text speaks.
func Mask(text string) string {
	if digitCount(text) < leastDigits {
		return text
	}
	var out strings.Builder
	last := 0
	for i := 0; i < len(text); {
		if !begins[text[i]] {
			i++
			continue
		}
		from, to := personal(text, i)
		if from < to {
			out.WriteString(text[last:from])
			out.WriteString(Masked(text[from:to]))
			last = to
		}
		i = to
	}
	if last == 0 {
		return text
	}
	return out.String() + text[last:]
}

// begins are the octets with which a number, or a name of one that names knows, may begin.
var begins = func() (table [256]bool) {
	for _, c := range []byte("0123456789ceijnoptCEIJNOPT") {
		table[c] = true
	}
	return table
}()

// personal is the number that stands, or is named, at a place of a text, empty where there is none; the search goes on at
// its end.
func personal(text string, at int) (from, to int) {
	if isDigit(text[at]) {
		to = at + digits(text[at:])
		if pesel.Valid(text[at:to]) || person.Evident(text[at:to]) {
			return at, to
		}
		return to, to
	}
	if begun := at > 0 && isWord(text[at-1]); names(text[at:]) && (!begun || text[at]|0x20 != 'n') {
		if m := named.FindStringSubmatchIndex(text[at:]); m != nil {
			return at + m[2], at + m[3]
		}
	}
	return at + 1, at + 1
}

// names tells of the first letters of what named may find, whichever case they are in: all other places cost no search.
func names(text string) bool {
	if len(text) < 3 {
		return false
	}
	switch [3]byte{text[0] | 0x20, text[1] | 0x20, text[2] | 0x20} {
	case [3]byte{'p', 'n', 'o'}, [3]byte{'t', 'i', 'n'}, [3]byte{'i', 'd', 'c'}, [3]byte{'p', 'a', 's'},
		[3]byte{'t', 'a', 'x'}, [3]byte{'p', 'e', 's'}, [3]byte{'n', 'i', 'p'}, [3]byte{'e', 'g', 'n'},
		[3]byte{'c', 'n', 'p'}, [3]byte{'o', 'i', 'b'},
		[3]byte{'j', 'm', 'b'}, [3]byte{'e', 'm', 's'}:
		return true
	case [3]byte{'p', 'a', longS}, [3]byte{'p', 'e', longS}, [3]byte{'e', 'm', longS}:
		return true
	}
	return false
}

// longS is the first octet of U+017F, a letter s of another case (with the bit that makes letters small).
const longS = 0xc5 | 0x20

// digits is how many digits a text begins with.
func digits(text string) int {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWord tells of what no word begins behind.
func isWord(c byte) bool { return isDigit(c) || c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// Identifier is a number by which a person or an organization is known.
type Identifier struct {
	Type   string // "PESEL", "TIN" or "VAT"
	Number string // never to be shown unmasked, where it is a person's
}

// prefixes are those of the numbers as certificates write them (EN 319 412-1, and what Polish issuers wrote before it).
var prefixes = []struct{ prefix, kind string }{
	{"PNOPL-", "PESEL"}, {"PESEL:", "PESEL"}, {"TINPL-", "TIN"}, {"NIP:", "TIN"}, {"VATPL-", "VAT"},
}

// IdentifierOf reads the Polish number of a certificate's holder; false where there is none.
func IdentifierOf(name certificate.Name) (Identifier, bool) {
	for _, text := range []string{name.SerialNumber(), name.OrganizationIdentifier()} {
		text = strings.ToUpper(strings.ReplaceAll(text, " ", ""))
		for _, p := range prefixes {
			if number, ok := strings.CutPrefix(text, p.prefix); ok && number != "" {
				return Identifier{p.kind, number}, true
			}
		}
	}
	return Identifier{}, false
}
