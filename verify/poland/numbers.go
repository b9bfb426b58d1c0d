package poland

import (
	"slices"
	"strings"

	"trustcore/verify/certificate"
	"trustcore/verify/person"
)

// Numbers are the personal numbers that certificates hold. The zero value knows none.
type Numbers struct {
	known map[string]bool // in capital letters
	first uint64          // a bit for each octet that they begin with, counted from '0'
}

// leastDigits are those of a personal number; with fewer it is a number within an office.
const leastDigits = 5

// Add takes the numbers out of the subject of a person's certificate: its serialNumber, whatever state or authority
// gave it (EN 319 412-1 5.1.3), and what can be a personal number among its names. An organization's numbers are nobody's
// own (5.1.4).
func (n *Numbers) Add(subject certificate.Name) {
	if !isPerson(subject) {
		return
	}
	for i := range subject.Attributes {
		a := &subject.Attributes[i]
		switch a.Type {
		case certificate.AttrSerialNumber, certificate.AttrUserID:
			if kind, number := semantics(a.Text()); kind == "" || isPersons(kind) {
				n.take(number, func(text string) bool { return digitCount(text) >= leastDigits })
			}
		case certificate.AttrCommonName, certificate.AttrSurname, certificate.AttrGivenName, certificate.AttrPseudonym,
			certificate.AttrDNQualifier, certificate.AttrTitle:
			n.take(a.Text(), person.Possible)
		}
	}
}

// isPerson tells of a subject that names a natural person, as EN 319 412-2 4.2.4 says how.
func isPerson(subject certificate.Name) bool {
	kind, _ := semantics(subject.SerialNumber())
	return subject.GivenName() != "" || subject.Surname() != "" ||
		subject.First(certificate.AttrPseudonym) != "" || isPersons(kind)
}

// semantics splits an identifier as EN 319 412-1 5.1.3 and 5.1.4 write it: three letters of its kind, two of the
// country and a hyphen. Kind is "" for another one, which is all number.
func semantics(text string) (kind, number string) {
	const prefix = 5
	if len(text) <= prefix+1 || text[prefix] != '-' {
		return "", text
	}
	for i := range prefix {
		if c := text[i] | 0x20; c < 'a' || c > 'z' {
			return "", text
		}
	}
	return strings.ToUpper(text[:3]), text[prefix+1:]
}

// isPersons tells of a kind of identifiers of natural persons (EN 319 412-1 5.1.3).
func isPersons(kind string) bool {
	return slices.Contains([]string{"PNO", "IDC", "PAS", "TIN", "TAX"}, kind)
}

// take keeps the words of a text that are numbers.
func (n *Numbers) take(text string, isNumber func(string) bool) {
	for at := 0; at < len(text); {
		from, to := nextWord(text, at)
		long := joined(text, to)
		for _, end := range []int{long, to} {
			if word := strings.ToUpper(text[from:end]); isNumber(word) {
				n.learn(word)
				n.learn(strings.Map(alphanumeric, word))
				to = end
				break
			}
		}
		at = to
	}
}

func (n *Numbers) learn(word string) {
	if n.known == nil {
		n.known = map[string]bool{}
	}
	n.known[word] = true
	n.first |= 1 << (word[0] - '0')
}

// mayBegin tells of a word with which a known number may begin: all others cost no search.
func (n *Numbers) mayBegin(word string) bool {
	if word == "" {
		return false
	}
	c := word[0]
	if c >= 'a' {
		c -= 'a' - 'A'
	}
	return n.first&(1<<(c-'0')) != 0
}

// Hide is Mask for a text in which these numbers may stand.
func (n *Numbers) Hide(text string) string {
	if len(n.known) == 0 || digitCount(text) < leastDigits {
		return Mask(text)
	}
	var out strings.Builder
	last := 0
	for at := 0; at < len(text); {
		from, to := nextWord(text, at)
		if !n.mayBegin(text[from:to]) {
			at = to
			continue
		}
		for _, end := range []int{joined(text, to), to} {
			if from < end && n.known[strings.ToUpper(text[from:end])] {
				out.WriteString(text[last:from])
				out.WriteString(Masked(text[from:end]))
				last, to = end, end
				break
			}
		}
		at = to
	}
	if last == 0 {
		return Mask(text)
	}
	return Mask(out.String() + text[last:])
}

// nextWord is the next run of letters and digits of ASCII from a place of a text on.
func nextWord(text string, at int) (from, to int) {
	for from = at; from < len(text) && alphanumeric(rune(text[from])) < 0; from++ {
	}
	for to = from; to < len(text) && alphanumeric(rune(text[to])) >= 0; to++ {
	}
	return from, to
}

// joined is the end of the word that a sign of those that stand within numbers joins to the one that ends at a place;
// that place where none does.
func joined(text string, at int) int {
	if at+1 >= len(text) || !strings.ContainsRune("-+/", rune(text[at])) {
		return at
	}
	if from, to := nextWord(text, at+1); from == at+1 {
		return to
	}
	return at
}

func alphanumeric(r rune) rune {
	if r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' {
		return r
	}
	return -1
}

func digitCount(text string) (n int) {
	for i := range len(text) {
		if isDigit(text[i]) {
			n++
		}
	}
	return n
}
