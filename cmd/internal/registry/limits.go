package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits narrow how the keys of an authorisation, or one of them, may be used. A zero field does not.
type Limits struct {
	PerSecond int64    `json:"per_second,omitempty" yaml:"per_second"` // signatures
	PerDay    int64    `json:"per_day,omitempty" yaml:"per_day"`       // by the data centre's days
	Uses      int64    `json:"uses,omitempty" yaml:"uses"`             // in all, until an order renews this one
	Hours     string   `json:"hours,omitempty" yaml:"hours"`           // such as 07:00-18:00, by the data centre's clock
	Documents []string `json:"documents,omitempty" yaml:"documents"`   // types, one of which the application has to name
}

// Bounds of limits: a number that counts whatever an HSM does, and as many types as an office has forms.
const (
	maxLimit     = 1e12
	maxDocuments = 32
)

// check names the field that is wrong, behind field.
func (l *Limits) check(field string) error {
	if l == nil {
		return nil
	}
	for _, n := range []struct {
		name  string
		value int64
	}{{"per_second", l.PerSecond}, {"per_day", l.PerDay}, {"uses", l.Uses}} {
		if n.value < 0 || n.value > maxLimit {
			return &FieldError{field + "." + n.name, "write how many signatures, from 1 on, or leave it out"}
		}
	}
	if _, _, err := l.Day(); err != nil {
		return &FieldError{field + ".hours", err.Error()}
	}
	if len(l.Documents) > maxDocuments {
		return &FieldError{field + ".documents", fmt.Sprintf("list at most %d types", maxDocuments)}
	}
	for i, d := range l.Documents {
		if !partnerID.MatchString(d) || slices.Contains(l.Documents[:i], d) {
			return &FieldError{fmt.Sprintf("%s.documents[%d]", field, i),
				fmt.Sprintf("%q: lower-case letters, digits and hyphens, at most 40 characters, each once", d)}
		}
	}
	return nil
}

// Day returns the hours as times of a day; both are zero where it is the whole day.
func (l *Limits) Day() (from, until time.Duration, err error) {
	if l == nil || l.Hours == "" {
		return 0, 0, nil
	}
	first, last, ok := strings.Cut(l.Hours, "-")
	begin, err1 := time.Parse("15:04", first)
	end, err2 := time.Parse("15:04", last)
	if !ok || err1 != nil || err2 != nil || begin.Equal(end) {
		return 0, 0, fmt.Errorf("%q: write from when to when, such as 07:00-18:00", l.Hours)
	}
	midnight := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) // time.Parse's
	return begin.Sub(midnight), end.Sub(midnight), nil
}

// String is for people who decide about them.
func (l *Limits) String() string {
	var parts []string
	for _, n := range []struct {
		value int64
		unit  string
	}{{l.PerSecond, "/s"}, {l.PerDay, "/d"}, {l.Uses, "×"}} {
		if n.value > 0 {
			parts = append(parts, fmt.Sprint(n.value, n.unit))
		}
	}
	if l.Hours != "" {
		parts = append(parts, l.Hours)
	}
	return strings.Join(append(parts, l.Documents...), ", ")
}
