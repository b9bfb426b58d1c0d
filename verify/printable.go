package verify

import (
	"strings"
	"unicode"
)

// printable makes text of a document safe to show: what moves the cursor of a terminal, begins a line of its own or
// turns the direction of writing could make a report say something else than it does.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, text)
}

// printable makes all texts so that people read and that come from the document, whichever way.
func (r *SignatureReport) printable() {
	texts := []*string{&r.Filename, &r.Signer.CommonName, &r.Signer.GivenName, &r.Signer.Surname,
		&r.Signer.Organization, &r.Signer.Country, &r.Signer.Issuer}
	for i := range r.Scopes {
		texts = append(texts, &r.Scopes[i].Name, &r.Scopes[i].Scope)
	}
	for i := range r.Changes {
		texts = append(texts, &r.Changes[i].What)
	}
	for i := range r.Chain {
		texts = append(texts, &r.Chain[i].Subject)
	}
	for _, list := range [][]string{r.Reasons, r.Notes, r.Unsigned} {
		for i := range list {
			texts = append(texts, &list[i])
		}
	}
	for _, t := range texts {
		*t = printable(*t)
	}
}

func (t *TimestampReport) printable() {
	t.SignedBy = printable(t.SignedBy)
	for i := range t.Reasons {
		t.Reasons[i] = printable(t.Reasons[i])
	}
}
