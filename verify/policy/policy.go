// Package policy holds validation policies as data (EN 319 102-1 4.2.3, 5.1.4.2): which constraint, in which context,
// refuses, warns, informs or is not asked, and until when an algorithm is relied on.
//
// Constraints have the names of DSS's policy, those that DSS does not know stand in a block of their own. A policy is
// read from a file (Parse for our YAML or JSON, ParseDSS for DSS's XML) or is one of the two that are shipped (Named).
// No policy can switch off what it means that a signature verifies: each such constraint has a floor, with its clause.
package policy

import (
	"cmp"
	"slices"
	"time"
)

// Policy is one validation policy. It is made by Parse, ParseDSS or Named, not changed afterwards, and safe for
// concurrent use.
type Policy struct {
	name, version, description string
	constraints                map[key]Constraint
	global                     *Suite
	suites                     map[Context]*Suite
	accepted                   []string // constraints that are known to be judged less strictly than written
	imported                   []Remark // what could not be taken over from DSS's form
	canonical                  []byte
	digest                     string
}

// Constraint is what a policy says of one constraint in one context.
type Constraint struct {
	Level Level
	// Values are what is accepted, sorted, where the constraint is about a list.
	Values []string
	// Period is the length of time, where the constraint is about one.
	Period time.Duration
}

// Name is the name that reports give.
func (p *Policy) Name() string { return p.name }

// Version tells editions of one name apart.
func (p *Policy) Version() string { return p.version }

// Description says in a sentence what the policy is for.
func (p *Policy) Description() string { return p.description }

// Digest is the SHA-256 of the canonical data, in lower-case hex: two files that say the same have the same.
func (p *Policy) Digest() string { return p.digest }

// Canonical is the policy as JSON, keys sorted, without what is not asked. Parse reads it back.
func (p *Policy) Canonical() []byte { return slices.Clone(p.canonical) }

// Constraint is what the policy says in a context. What it does not name is IGNORE. A constraint that the context does
// not have is FAIL: who asks for what nobody can set is not let pass.
func (p *Policy) Constraint(c Context, n Name) Constraint {
	k := key{c, n}
	if byKey[k] == nil {
		return Constraint{Level: Fail}
	}
	if c, named := p.constraints[k]; named {
		return c
	}
	return Constraint{Level: Ignore}
}

// Level is Constraint's level.
func (p *Policy) Level(c Context, n Name) Level { return p.Constraint(c, n).Level }

// Suite are the cryptographic constraints of a context: its own, or those of the whole policy.
func (p *Policy) Suite(c Context) *Suite {
	if s := p.suites[c]; s != nil {
		return s
	}
	return p.global
}

// Acceptable reports whether an algorithm may be relied on in a context at a time, that of the proof of existence
// (EN 319 102-1 5.2.8), and why not. Names are those of the registry (verify/algorithm): a digest, a scheme, a key; bits
// are those of the key. Where it may with a warning, the reason is that.
func (p *Policy) Acceptable(c Context, name string, bits int, at time.Time) (ok bool, reason string) {
	level, reason := p.Suite(c).Judge(name, bits, at)
	return level != Fail, reason
}

// Remark is a constraint that is judged otherwise than its level says.
type Remark struct {
	Constraint string `json:"constraint"` // its path
	Level      Level  `json:"level"`      // what the policy says
	Text       string `json:"text"`
	// Laxer is true where the product refuses less than the policy asks.
	Laxer bool `json:"laxer"`
}

// Remarks are the constraints that the product judges otherwise than the policy's level says, sorted by path, and what
// could not be taken over from DSS's form.
func (p *Policy) Remarks() []Remark {
	list := append([]Remark{}, p.imported...)
	for i := range rules {
		r := &rules[i]
		if text, laxer := r.differs(p); text != "" {
			list = append(list, Remark{r.path, p.Level(r.context, r.name), text, laxer})
		}
	}
	slices.SortFunc(list, func(a, b Remark) int {
		return cmp.Or(cmp.Compare(a.Constraint, b.Constraint), cmp.Compare(a.Text, b.Text))
	})
	return list
}

// differs says how the product judges a constraint otherwise than by its level, "" where it does not.
func (r *rule) differs(p *Policy) (text string, laxer bool) {
	c := p.Constraint(r.context, r.name)
	switch {
	case r.judged == ByOther:
		if l := p.Level(r.other, r.name); l != c.Level {
			return "judged as in " + r.other.String() + ", " + l.String(), l < c.Level
		}
	case c.Level > Ignore && r.fixed != nil && !slices.Equal(c.Values, r.fixed):
		return "judged by other values, always the same", true
	case r.judged == AlwaysFails && c.Level < Fail:
		return "refused always", false
	case r.judged == AlwaysTold && c.Level < Warn:
		return "told always", false
	case r.judged == AlwaysTold && c.Level == Fail:
		return "told, and refuses nobody", true
	case r.judged == NotJudged && c.Level > Ignore && !takesAll(c.Values):
		return "not judged", true
	}
	return "", false
}

// takesAll reports whether a list accepts whatever there is.
func takesAll(values []string) bool {
	return slices.Contains(values, "*") || slices.Contains(values, "ANY_POLICY") && slices.Contains(values, "NO_POLICY")
}
