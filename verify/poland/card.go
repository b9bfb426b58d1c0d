package poland

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Limits of a file of service cards.
const (
	MaxCards    = 1 << 20 // bytes of a file
	maxServices = 10_000
	maxDays     = 365
)

// LeastDays is the shortest time to remove a formal defect (art. 64 § 2 k.p.a.).
const LeastDays = 7

// Card says which kinds of signatures a service accepts (karta usługi).
type Card struct {
	ID      string            `yaml:"id"`
	Name    map[string]string `yaml:"name"` // by language; the ID where there is none
	Accepts []Kind            `yaml:"accepts"`
	Days    int               `yaml:"days"` // to remove a formal defect; LeastDays where it is left out
}

// NameIn is the name in a language.
func (c *Card) NameIn(language string) string {
	if name := c.Name[language]; name != "" {
		return name
	}
	return c.ID
}

// Cards are the cards of an installation by the service's identifier.
type Cards map[string]*Card

// cardID bounds what stands in addresses and on command lines.
var cardID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// ParseCards reads service cards, YAML or JSON: version 1, and cards with id, accepts, and if wanted name and days. A field
// that is not known is an error, as is a kind that no card can accept.
func ParseCards(data []byte) (Cards, error) {
	if len(data) > MaxCards {
		return nil, fmt.Errorf("service cards: %d bytes, at most %d are read", len(data), MaxCards)
	}
	var f struct {
		Version int    `yaml:"version"`
		Cards   []Card `yaml:"cards"`
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("service cards: %w", err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("service cards: more than one document")
	}
	if f.Version != 1 || len(f.Cards) == 0 || len(f.Cards) > maxServices {
		return nil, fmt.Errorf("service cards: version must be 1, with 1 to %d cards", maxServices)
	}
	cards := Cards{}
	for i := range f.Cards {
		c := &f.Cards[i]
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("service cards: cards[%d]: %w", i, err)
		}
		if cards[c.ID] != nil {
			return nil, fmt.Errorf("service cards: cards[%d]: the id %q occurs twice", i, c.ID)
		}
		cards[c.ID] = c
	}
	return cards, nil
}

func (c *Card) check() error {
	if c.Days == 0 {
		c.Days = LeastDays
	}
	switch {
	case !cardID.MatchString(c.ID):
		return fmt.Errorf("id: %q: letters, digits, '.', '_' and '-' are allowed", c.ID)
	case len(c.Accepts) == 0:
		return errors.New("accepts: name at least one kind")
	case c.Days < LeastDays || c.Days > maxDays:
		return fmt.Errorf("days: %d: art. 64 § 2 k.p.a. gives at least %d, and at most %d are taken", c.Days, LeastDays, maxDays)
	}
	known := []Kind{Qualified, Trusted, Personal, Seal}
	for i, k := range c.Accepts {
		if !slices.Contains(known, k) || slices.Contains(c.Accepts[:i], k) {
			return fmt.Errorf("accepts: %q: each of qualified, trusted, personal, seal at most once", k)
		}
	}
	return nil
}

// Filing is what a card looks at of a document.
type Filing struct {
	Signatures []Filed // without counter-signatures
	Receipt    bool    // the document is a receipt, which is no letter
	Cut        bool    // it was not read to its end
}

// Filed is one signature of it.
type Filed struct {
	Kind      Kind
	Qualified bool // QESig or QESeal: a seal that is not is none in the sense of art. 14 § 1a k.p.a.
	Standing  Standing
	Failed    bool // proven to be wrong
	Lacking   bool // more data may yet confirm it
	Whole     bool // it speaks for all that a reader sees
}

// Outcome is what becomes of a document.
type Outcome string

// The outcomes.
const (
	Accepted     Outcome = "accepted"
	FormalDefect Outcome = "formal-defect" // brak formalny
	Undecided    Outcome = "open"          // a person has to look, or it is to be asked again: nobody is summoned yet
)

// Why is the reason of an outcome.
type Why string

// The reasons.
const (
	WhyUnsigned    Why = "unsigned"
	WhyKind        Why = "kind"
	WhyFailed      Why = "failed"
	WhyOneFailed   Why = "one-failed"
	WhyUnconfirmed Why = "unconfirmed"
	WhyUnproven    Why = "unproven"
	WhyPart        Why = "part"
	WhyReceipt     Why = "receipt"
	WhyCut         Why = "cut"
)

// Decision is an outcome with its reason.
type Decision struct {
	Outcome      Outcome
	Why          Why  // "" for Accepted
	Of           int  // the signature that the reason is about, -1 for none
	KindAccepted bool // a signature that is confirmed or open is of an accepted kind
}

// takes tells whether the card accepts the kind. A seal counts where it is qualified.
func (c *Card) takes(s *Filed) bool {
	return slices.Contains(c.Accepts, s.Kind) && (s.Kind != Seal || s.Qualified)
}

// Decide tells what becomes of a document: one confirmed signature of an accepted kind over all of it is enough, where no
// other one is proven to be wrong. Nobody is summoned because something could not be found out.
func (c *Card) Decide(f Filing) Decision {
	switch {
	case f.Cut:
		return Decision{Undecided, WhyCut, -1, false}
	case len(f.Signatures) == 0:
		return Decision{FormalDefect, WhyUnsigned, -1, false}
	case f.Receipt:
		return Decision{FormalDefect, WhyReceipt, -1, false}
	}
	best, failed := Decision{Outcome: ""}, false
	for i := range f.Signatures {
		s := &f.Signatures[i]
		failed = failed || s.Failed
		if d := c.decide(s, i); best.Outcome == "" || rank[d.Outcome] > rank[best.Outcome] {
			best = d
		}
	}
	if best.Outcome == Accepted && failed {
		return Decision{Undecided, WhyOneFailed, -1, true}
	}
	return best
}

// rank orders outcomes: the best of a document's signatures counts.
var rank = map[Outcome]int{FormalDefect: 1, Undecided: 2, Accepted: 3}

func (c *Card) decide(s *Filed, i int) Decision {
	takes := c.takes(s)
	switch {
	case s.Failed:
		return Decision{FormalDefect, WhyFailed, i, false}
	case s.Standing == Unproven && s.Lacking:
		return Decision{Undecided, WhyUnconfirmed, i, false}
	case s.Standing == Unproven:
		return Decision{FormalDefect, WhyUnproven, i, false}
	case !takes:
		return Decision{FormalDefect, WhyKind, i, false}
	case s.Standing == Open:
		return Decision{Undecided, WhyUnconfirmed, i, true}
	case !s.Whole:
		return Decision{Undecided, WhyPart, i, true}
	}
	return Decision{Accepted, "", i, true}
}
