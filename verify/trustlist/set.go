package trustlist

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Set is the lists in force: the chain of lists of the lists that leads from the signers whom the Official Journal names to
// the newest one, and the newest list of each territory (TS 119 615, 4.1 and 4.2). It is the one place that decides whether
// a list may take the place of another, however it came. It is not safe for concurrent use.
type Set struct {
	signers  []Signers
	chain    []*Checked          // lists of the lists, the one in force last
	national map[string]*Checked // by territory
	extra    map[string]*Checked // outside the list of the lists, by the name that the administrator gave
}

// NewSet returns an empty set for the signers of the list of the lists.
func NewSet(signers []Signers) *Set {
	return &Set{signers: signers, national: map[string]*Checked{}, extra: map[string]*Checked{}}
}

// Why a list is not taken.
var (
	// ErrSame is no failure: the list is in force already.
	ErrSame = errors.New("the list is in use already")
	// ErrSigner tells that nobody who is trusted names the signer: for the list of the lists, a pivot may be missing.
	ErrSigner = errors.New("nobody names its signer")
	// ErrOlder tells of a list that would take back what a newer one said.
	ErrOlder = errors.New("it is older than the one in use")
)

// LOTL is the list of the lists in force, nil before there is one.
func (s *Set) LOTL() *Checked {
	if len(s.chain) == 0 {
		return nil
	}
	return s.chain[len(s.chain)-1]
}

// Take takes a list into force or says why not: then everything stays as it is. now is the time at which a list that has
// run out does not take the place of one that has not; zero leaves that out.
func (s *Set) Take(c *Checked, now time.Time) error {
	if c.LOTL() {
		return s.takeLOTL(c, now)
	}
	lotl := s.LOTL()
	if lotl == nil {
		return errors.New("no list of the lists is in use, and nobody else says who may sign it")
	}
	if !lotl.names(c) {
		return fmt.Errorf("the LOTL names no such signer for this territory: %w", ErrSigner)
	}
	if err := newer(s.national[c.Territory], c, now); err != nil {
		return err
	}
	s.national[c.Territory] = c
	return nil
}

// TakeExtra takes a list outside the list of the lists, signed by one of the given certificates.
func (s *Set) TakeExtra(name string, c *Checked, signers [][]byte, now time.Time) error {
	if c.LOTL() {
		return errors.New("it is a list of the lists")
	}
	if !containsDER(signers, c.Signer) {
		return fmt.Errorf("its signer is none of those that the configuration names: %w", ErrSigner)
	}
	if err := newer(s.extra[name], c, now); err != nil {
		return err
	}
	s.extra[name] = c
	return nil
}

// takeLOTL takes a list of the lists that one before it leads to: each names in its pointer to itself who may sign the next,
// and nobody else may: who is left out there was taken out. The first is led to by the Official Journal, and so is
// the first after a newer issue of it.
func (s *Set) takeLOTL(c *Checked, now time.Time) error {
	tip := s.LOTL()
	if err := newer(tip, c, now); err != nil {
		return err
	}
	if !containsDER(s.mayFollow(tip), c.Signer) {
		return fmt.Errorf("its signer is not named by the LOTL before it, nor, for the first, by the Official Journal's certificates: %w", ErrSigner)
	}
	s.chain = append(s.chain, c)
	s.shorten()
	return nil
}

// mayFollow are the certificates that may sign the list of the lists after one.
func (s *Set) mayFollow(tip *Checked) [][]byte {
	var all [][]byte
	for _, j := range s.signers {
		if tip == nil || tip.Issued.Before(j.Since) {
			all = append(all, j.Certificates...)
		}
	}
	if tip == nil {
		return all
	}
	for i := range tip.Pointers {
		if p := &tip.Pointers[i]; p.Type == typeLOTL {
			all = append(all, p.Signers...)
		}
	}
	return all
}

// shorten leaves out the list before the newest where the one before it leads to the newest as well: the pivots stay.
func (s *Set) shorten() {
	n := len(s.chain)
	if n < 2 {
		return
	}
	var before *Checked
	if n > 2 {
		before = s.chain[n-3]
	}
	if containsDER(s.mayFollow(before), s.chain[n-1].Signer) {
		s.chain = append(s.chain[:n-2:n-2], s.chain[n-1])
	}
}

// newer says why a list may not take the place of another one, which may be nil.
func newer(old, c *Checked, now time.Time) error {
	if old == nil {
		return nil
	}
	switch {
	case old.Digest == c.Digest:
		return ErrSame
	case c.Sequence < old.Sequence:
		return fmt.Errorf("superseded by sequence number %d: this one has %d: %w", old.Sequence, c.Sequence, ErrOlder)
	case c.Sequence == old.Sequence:
		return fmt.Errorf("it is another list of the same sequence number %d: %w", c.Sequence, ErrOlder)
	case c.Issued.Before(old.Issued):
		return fmt.Errorf("it was issued on %s, the one in use on %s: %w", day(c.Issued), day(old.Issued), ErrOlder)
	case c.RanOut(now) && !old.RanOut(now):
		return fmt.Errorf("its next update was due on %s, that of the one in use has not passed", day(c.NextUpdate))
	}
	return nil
}

func day(t time.Time) string { return t.Format(time.DateOnly) }

// RanOut tells whether the list's next update has passed. A list that is closed has none.
func (l *List) RanOut(now time.Time) bool {
	return !now.IsZero() && !l.NextUpdate.IsZero() && l.NextUpdate.Before(now)
}

// names reports whether the list points to a list of c's type and territory and to its signer; what either does not say
// names nobody.
func (l *List) names(c *Checked) bool {
	return slices.ContainsFunc(l.Pointers, func(p Pointer) bool {
		return p.Type != "" && p.Type == c.Type && p.Territory != "" && p.Territory == c.Territory && containsDER(p.Signers, c.Signer)
	})
}

func containsDER(list [][]byte, der []byte) bool {
	return slices.ContainsFunc(list, func(x []byte) bool { return bytes.Equal(x, der) })
}

// Member is one list of a set.
type Member struct {
	*Checked
	Role string // as in Status
	Name string // of an extra list
	// Unused says why the list is not in use though nothing newer is there: the list of the lists names its signer no more.
	Unused error
}

// Key is what the list's place in the set is known by: "EU" for the list of the lists in force, the territory of a national
// list, the name of an extra one, and nothing for a pivot.
func (m Member) Key() string {
	switch m.Role {
	case "lotl":
		return KeyLOTL
	case "pivot":
		return ""
	}
	return cmp.Or(m.Name, m.Territory)
}

// location is where the list of the lists in force says that a list lies; "" for what it does not name.
func (s *Set) location(m Member) string {
	lotl := s.LOTL()
	if lotl == nil || m.Role != "lotl" && m.Role != "national" {
		return ""
	}
	for _, p := range lotl.Pointers {
		if p.Type == m.Type && p.Territory == m.Territory && (p.MIME == "" || p.MIME == mimeList) {
			return p.Location
		}
	}
	return ""
}

// mimeList is that of a trusted list, beside which a pointer may name a PDF of it.
const mimeList = "application/vnd.etsi.tsl+xml"

// KeyLOTL is the key of the list of the lists.
const KeyLOTL = "EU"

// Members are the lists of the set: the chain from the oldest on, then territories in their order, so that a verdict can
// be repeated to the byte, then the extra ones.
func (s *Set) Members() []Member {
	var all []Member
	for _, c := range s.chain {
		all = append(all, Member{Checked: c, Role: "pivot"})
	}
	if n := len(all); n > 0 {
		all[n-1].Role = "lotl"
	}
	for _, territory := range slices.Sorted(maps.Keys(s.national)) {
		m := Member{Checked: s.national[territory], Role: "national"}
		if lotl := s.LOTL(); lotl == nil || !lotl.names(m.Checked) {
			m.Unused = fmt.Errorf("the LOTL names no such signer for this territory: %w", ErrSigner)
		}
		all = append(all, m)
	}
	for _, name := range slices.Sorted(maps.Keys(s.extra)) {
		all = append(all, Member{Checked: s.extra[name], Role: "extra", Name: name})
	}
	return all
}

// Order sorts lists so that each may follow the ones before it: lists of the lists first, older ones before newer.
func Order(a, b *Checked) int {
	if a.LOTL() != b.LOTL() {
		if a.LOTL() {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.Sequence, b.Sequence)
}

// Clone returns a set with the same lists.
func (s *Set) Clone() *Set {
	return &Set{signers: s.signers, chain: slices.Clone(s.chain), national: maps.Clone(s.national), extra: maps.Clone(s.extra)}
}

// National is the list of a territory, nil where there is none.
func (s *Set) National(territory string) *Checked { return s.national[territory] }

// Extra is the extra list of a name, nil where there is none.
func (s *Set) Extra(name string) *Checked { return s.extra[name] }
