package poland

import (
	"regexp"
	"strings"

	"trustcore/verify/certificate"
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

// personal finds the numbers that are somebody's own: with a word or prefix that says so, whatever they are, as the
// semantic identifiers of EN 319 412-1 5.1.3 for persons; and numbers that stand alone and can be a PESEL.
var personal = regexp.MustCompile(`(?i)((?:PNO|TIN|IDC|PAS|TAX)[A-Z]{2}[-: ]+|PESEL[A-Z]{0,2}\W{1,3}|\bNIP\W{1,3})` +
	`([0-9A-Z]*[0-9][0-9A-Z]*)|[0-9]{11,}`)

// Mask replaces the personal numbers in a text. Digits that are a part of a longer number stay.
func Mask(text string) string {
	if !hasDigits(text) {
		return text
	}
	var out strings.Builder
	last := 0
	for _, m := range personal.FindAllStringSubmatchIndex(text, -1) {
		from, to := m[0], m[1]
		if m[2] >= 0 {
			from = m[4]
		} else if !PESEL(text[from:to]) {
			continue
		}
		out.WriteString(text[last:from])
		out.WriteString(Masked(text[from:to]))
		last = to
	}
	return out.String() + text[last:]
}

// hasDigits tells whether five digits stand side by side: most texts hold none, and cost no search then.
func hasDigits(text string) bool {
	run := 0
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			run = 0
		} else if run++; run == 5 {
			return true
		}
	}
	return false
}

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
