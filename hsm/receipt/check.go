package receipt

import (
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

// What is told of what is wrong.
const (
	missing   = "it is missing"
	unwanted  = "leave it out: a receipt of this kind has no place for it"
	unprinted = "write characters that can be seen, in UTF-8, with spaces between words alone"
)

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check refuses what a receipt may not say. Absence refuses: each field that the law asks for must be there.
func (f Facts) check() error {
	if !slices.Contains(Kinds, f.Kind) {
		return &FieldError{"kind", "write upo, upp or upd"}
	}
	for _, c := range []error{
		text("id", f.ID, MaxID, true),
		f.checkParties(),
		f.checkTimes(),
		text("case", f.Case, MaxName, false),
		text("document.id", f.Document.ID, MaxName, true),
		f.checkNotes(),
	} {
		if c != nil {
			return c
		}
	}
	switch {
	case f.Kind == Submission && f.Case != "":
		return &FieldError{"case", unwanted}
	case !hexDigest.MatchString(f.Document.SHA256):
		return &FieldError{"document.sha256", "write 64 small hexadecimal digits, as sha256sum does"}
	}
	return nil
}

func (f Facts) checkParties() error {
	if f.Kind == Submission && f.Issuer != (Party{}) {
		return &FieldError{"issuer", unwanted}
	}
	for _, p := range []struct {
		field string
		party Party
		need  bool
	}{
		{"issuer", f.Issuer, f.Kind != Submission},
		{"addressee", f.Addressee, true},
		{"sender", f.Sender, f.Kind != Delivery},
	} {
		if !p.need && p.party == (Party{}) {
			continue
		}
		if err := p.party.check(p.field); err != nil {
			return err
		}
	}
	return nil
}

func (p Party) check(field string) error {
	if err := text(field+".name", p.Name, MaxName, true); err != nil {
		return err
	}
	if err := text(field+".id", p.ID, MaxID, p.IDType != ""); err != nil {
		return err
	}
	return text(field+".id_type", p.IDType, MaxID, p.ID != "")
}

// checkTimes: both times are there, in years that XML Schema writes with four digits, and in their order.
func (f Facts) checkTimes() error {
	for field, t := range map[string]time.Time{"received": f.Received, "issued": f.Issued} {
		switch {
		case t.IsZero():
			return &FieldError{field, missing}
		case t.UTC().Year() < 1000 || t.UTC().Year() > 9998:
			return &FieldError{field, "write a year of four digits"}
		}
	}
	if f.Issued.Before(f.Received) {
		return &FieldError{"received", "it is after the time at which the receipt is made"}
	}
	return nil
}

func (f Facts) checkNotes() error {
	if len(f.Notes) > MaxNotes {
		return &FieldError{"notes", fmt.Sprintf("leave some out: at most %d are taken", MaxNotes)}
	}
	for i, n := range f.Notes {
		field := fmt.Sprintf("notes[%d]", i)
		if err := text(field+".type", n.Type, MaxName, true); err != nil {
			return err
		}
		if n.Type == digestNote || n.Type == senderNote {
			return &FieldError{field + ".type", "write another one: this is what the receipt itself says"}
		}
		if err := text(field+".text", n.Text, MaxNote, true); err != nil {
			return err
		}
	}
	return nil
}

// text refuses what people could not read as it is meant: other than UTF-8, control and format characters (a turned
// direction, a character without width), line breaks, and spaces at the ends or in a row, which readers of XML fold.
func text(field, s string, most int, needed bool) error {
	switch {
	case s == "" && needed:
		return &FieldError{field, missing}
	case utf8.RuneCountInString(s) > most:
		return &FieldError{field, fmt.Sprintf("shorten it: at most %d characters are taken", most)}
	}
	before := ' '
	for _, r := range s { // what is no UTF-8 reads as RuneError
		if !unicode.IsPrint(r) || r == utf8.RuneError || r == ' ' && before == ' ' {
			return &FieldError{field, unprinted}
		}
		before = r
	}
	if s != "" && before == ' ' {
		return &FieldError{field, unprinted}
	}
	return nil
}
