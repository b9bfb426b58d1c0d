package audit

import (
	"fmt"
	"slices"
	"time"
)

// Fact is something in the database that only an act of the log can have made: a certificate, a key, a decision.
type Fact struct {
	Action, Subject string    // of the entry that has to stand in the log, granted
	Actor           string    // the entry's actor, "" for anybody
	At              time.Time // when the database says that it was; older ones than a reset of the log are not looked for
}

func (f Fact) key() [2]string { return [2]string{f.Action, f.Subject} }

// Facts holds what is in the database against the entries of a log, for Against.Each.
type Facts struct {
	left  map[[2]string][]Fact
	count int
	since time.Time // of the newest reset of the log
}

// NewFacts takes what has to be in the log.
func NewFacts(facts []Fact) *Facts {
	f := &Facts{left: make(map[[2]string][]Fact, len(facts)), count: len(facts)}
	for _, one := range facts {
		f.left[one.key()] = append(f.left[one.key()], one)
	}
	return f
}

// Each takes the next entry.
func (f *Facts) Each(r Recorded) error {
	if r.Action == ResetAction {
		f.since = r.Time
	}
	if r.Outcome != Granted {
		return nil
	}
	key := [2]string{r.Action, r.Subject}
	f.left[key] = slices.DeleteFunc(f.left[key], func(one Fact) bool { return one.Actor == "" || one.Actor == r.Actor.String() })
	return nil
}

// Missing is an error that names what no entry allowed, nil when there is none; held is how many facts were looked for.
func (f *Facts) Missing() (held int, err error) {
	var missing []Fact
	for _, left := range f.left {
		missing = append(missing, slices.DeleteFunc(slices.Clone(left), func(one Fact) bool { return one.At.Before(f.since) })...)
	}
	if len(missing) == 0 {
		return f.count, nil
	}
	slices.SortFunc(missing, func(a, b Fact) int { return a.At.Compare(b.At) })
	first := missing[0]
	by := ""
	if first.Actor != "" {
		by = " by " + first.Actor
	}
	return f.count, fmt.Errorf("the database has %d things that no entry of the log allowed, the first: %s of %s%s at %s", len(missing), first.Action,
		first.Subject, by, first.At.UTC().Format(time.RFC3339))
}
