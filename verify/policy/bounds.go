package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxFile is the largest policy file that is read, in octets; DSS's own has 27 KiB.
const MaxFile = 256 << 10

// Limits of what a policy file may hold.
const (
	maxValues      = 500     // of one constraint
	maxValue       = 200     // characters of one
	maxName        = 100     // characters of name and version
	maxDescription = 2000    // characters
	maxBits        = 1 << 20 // of a key: the longest of the registry has some thousands
	maxDays        = 36_500  // of a period
	minYear        = 1990    // of an end: before, nobody signed
	maxYear        = 2100
)

// FieldError says which field of a policy file is wrong and what to write instead.
type FieldError struct {
	Field  string // path in the file, such as "Timestamp/Coherence"
	Line   int    // of the file, 0 where it is not known
	Remedy string
}

// Error returns field, line and remedy.
func (e *FieldError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d, %s: %s", e.Line, e.Field, e.Remedy)
	}
	return e.Field + ": " + e.Remedy
}

// ceilings are the last days on which any policy may rely on what is broken in public: from then on anybody could have
// forged the proof. A key counts below the given size.
var ceilings = []struct {
	name   string
	below  int // bits, 0 for digests
	until  time.Time
	source string
}{
	{"MD5", 0, day(2011, 3, 31), "RFC 6151: collisions are found in practice, no longer for digital signatures"},
	{"SHA1", 0, day(2020, 1, 5), "IACR ePrint 2020/014: a chosen-prefix collision was made"},
	{"RSA", 1024, day(2010, 12, 31), "IACR ePrint 2010/006: a modulus of 768 bits was factored"},
	{"RSA-PSS", 1024, day(2010, 12, 31), "IACR ePrint 2010/006: a modulus of 768 bits was factored"},
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

// ceiling is the last day on which any policy may rely on an algorithm, zero where there is none.
func ceiling(name string, bits int) time.Time {
	for _, c := range ceilings {
		if c.name == name && (c.below == 0 || bits < c.below) {
			return c.until
		}
	}
	return time.Time{}
}

// check holds the whole policy against the bounds that every policy keeps: its name, the floors, and what is judged less
// strictly than it is written.
func (p *Policy) check() error {
	switch {
	case !isText(p.name, 1, maxName):
		return &FieldError{"Name", 0, fmt.Sprintf("name the policy, in at most %d printable characters", maxName)}
	case !isText(p.version, 1, maxName):
		return &FieldError{"Version", 0, fmt.Sprintf("give the edition a version, in at most %d printable characters", maxName)}
	case len(p.description) > 4*maxDescription || len([]rune(p.description)) > maxDescription:
		return &FieldError{"Description", 0, fmt.Sprintf("at most %d characters", maxDescription)}
	case p.global == nil:
		return &FieldError{suiteElement, 0, "list the digests and keys that are accepted: without it nothing is"}
	}
	for i := range rules {
		r := &rules[i]
		if level := p.Level(r.context, r.name); level < r.floor {
			return &FieldError{r.path, 0, fmt.Sprintf("%s is below %s, which no policy may go under (%s): write %[2]s", level, r.floor, r.clause)}
		}
	}
	return nil
}

// unaccepted names the first constraint that should refuse, is judged less strictly, and is not listed as that.
func (p *Policy) unaccepted() error {
	var list []string
	for _, r := range p.Remarks() {
		if r.Laxer && r.Level == Fail && !slices.Contains(p.accepted, r.Constraint) {
			list = append(list, r.Constraint)
		}
	}
	if len(list) == 0 {
		return nil
	}
	text := "it is FAIL, and this version does not refuse by it: give it a lower level, or list it there to say that you know"
	if len(list) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(list)-1)
	}
	return &FieldError{"NotHonoured, " + list[0], 0, text}
}

// parseDay reads a date within the bounds.
func parseDay(text string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < minYear || t.Year() > maxYear {
		return time.Time{}, fmt.Errorf("%q is no date that serves: write it as 2029-01-01, from %d to %d", brief(text), minYear, maxYear)
	}
	return t, nil
}

// checkCeiling refuses an end later than any policy may give. Lines of a key hold up to the next longer one.
func checkCeiling(name string, bits int, until time.Time) error {
	last := ceiling(name, bits)
	if last.IsZero() || !until.IsZero() && !until.After(last) {
		return nil
	}
	for _, c := range ceilings {
		if c.name == name {
			return fmt.Errorf("no policy may rely on it after %s (%s): write an end not later than that", last.Format(time.DateOnly), c.source)
		}
	}
	return nil
}

var errNoValues = errors.New("list at least one value")

// checkValues sorts the list of a constraint and refuses what is empty, too long or there twice.
func checkValues(list []string) error {
	if len(list) == 0 {
		return errNoValues
	}
	if len(list) > maxValues {
		return fmt.Errorf("%d values, at most %d are read", len(list), maxValues)
	}
	slices.Sort(list)
	for i, v := range list {
		switch {
		case !isText(v, 1, maxValue):
			return fmt.Errorf("%q: write at most %d printable characters", brief(v), maxValue)
		case i > 0 && v == list[i-1]:
			return fmt.Errorf("%q stands twice; leave one out", brief(v))
		}
	}
	return nil
}
