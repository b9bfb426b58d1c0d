package policy

import (
	"fmt"
	"slices"
	"time"
)

// suites makes our cryptographic constraints of DSS's.
func (d *dssReader) suites() error {
	s, err := d.suite(d.global)
	if err != nil {
		return err
	}
	d.policy.global = s
	for c := range contextCount {
		own := d.parts[c]
		if own == nil || *own == (dssSuite{}) {
			continue // the whole policy's
		}
		if d.policy.suites[c], err = d.suite(own.over(d.global)); err != nil {
			return err
		}
	}
	return nil
}

// over completes a context's constraints by those of the whole policy.
func (s *dssSuite) over(global *dssSuite) *dssSuite {
	return &dssSuite{
		level: first(s.level, global.level), encryption: first(s.encryption, global.encryption),
		sizes: first(s.sizes, global.sizes), digests: first(s.digests, global.digests), validity: first(s.validity, global.validity),
	}
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// absent is a part that neither the context nor the whole policy has.
var absent = &dssPart{path: suiteElement}

func (d *dssReader) suite(raw *dssSuite) (*Suite, error) {
	encryption, sizes := first(raw.encryption, absent), first(raw.sizes, absent)
	digests, validity := first(raw.digests, absent), first(raw.validity, absent)
	for _, p := range []*dssPart{encryption, sizes, digests} {
		if l := first(p.level, raw.level); l == nil || *l != Fail {
			return nil, &FieldError{p.path, p.line, "what is not listed fails under every policy (EN 319 102-1 5.2.8): write " +
				"Level FAIL and list the algorithm or the size"}
		}
	}
	s := &Suite{Level: Fail, UpdateDate: validity.updateDate, digests: map[string]time.Time{}, keys: map[string][]Line{}}
	if l := first(validity.level, raw.level); l != nil {
		s.Level = *l
	}
	s.LevelAfterUpdate = *first(validity.afterUpdate, &s.Level)
	if err := d.acceptDigests(s, digests, validity); err != nil {
		return nil, err
	}
	return s, d.acceptKeys(s, encryption, sizes, validity)
}

// foreignDigests are digests that DSS knows and nothing here computes: what rests on them never verifies.
var foreignDigests = []string{"MD2", "WHIRLPOOL", "SHAKE256-512"}

func (d *dssReader) acceptDigests(s *Suite, accepted, validity *dssPart) error {
	for _, a := range accepted.algorithms {
		name := digestName(a.name)
		if slices.Contains(foreignDigests, name) {
			d.remark(accepted.path+"/"+name, "not computed here: what rests on it never verifies", false)
			continue
		}
		if !digestNames[name] {
			return &FieldError{shown(accepted.path + "/" + a.name), accepted.line, "this digest is not known here; take it out"}
		}
		var until time.Time
		for _, v := range validity.algorithms {
			if digestName(v.name) == name {
				until = v.until
			}
		}
		if err := checkCeiling(name, 0, until); err != nil {
			return &FieldError{validity.path + "/" + name, validity.line, err.Error()}
		}
		s.digests[name] = until
	}
	return nil
}

// dssKeys are DSS's names of kinds of keys, and ours. PLAIN-ECDSA is another encoding of the same signature.
var dssKeys = map[string][]string{
	"RSA": {"RSA"}, "RSASSA-PSS": {"RSA-PSS"}, "DSA": {"DSA"}, "ECDSA": {"ECDSA"}, "PLAIN-ECDSA": {"ECDSA"},
	"EdDSA": {"Ed25519", "Ed448"}, "ML-DSA": {"ML-DSA"}, "SLH-DSA": {"SLH-DSA"},
}

func (d *dssReader) acceptKeys(s *Suite, accepted, sizes, validity *dssPart) error {
	for _, a := range accepted.algorithms {
		kinds := dssKeys[a.name]
		if kinds == nil {
			return &FieldError{shown(accepted.path + "/" + a.name), accepted.line, "keys of this kind are not known here; take it out"}
		}
		lines := linesOf(a.name, sizes, validity)
		for _, kind := range kinds {
			for _, l := range lines {
				if err := checkCeiling(kind, l.Bits, l.Until); err != nil {
					return &FieldError{fmt.Sprintf("%s/%s/%d", validity.path, kind, l.Bits), validity.line, err.Error()}
				}
			}
			if before := s.keys[kind]; before != nil && !slices.Equal(before, lines) {
				return &FieldError{validity.path + "/" + a.name, validity.line, "ECDSA and PLAIN-ECDSA are one algorithm here: give both the same sizes and ends"}
			}
			s.keys[kind] = lines
		}
	}
	return nil
}

// linesOf joins the shortest key that is accepted with the ends by size: an end holds from its size up to the next.
func linesOf(name string, sizes, validity *dssPart) []Line {
	shortest := 0
	for _, a := range sizes.algorithms {
		if a.name == name {
			shortest = a.bits
		}
	}
	var lines []Line
	for _, a := range validity.algorithms {
		if a.name == name {
			lines = append(lines, Line{a.bits, a.until})
		}
	}
	if lines == nil {
		return []Line{{shortest, time.Time{}}}
	}
	sortLines(lines)
	for len(lines) > 1 && lines[1].Bits <= shortest {
		lines = lines[1:]
	}
	lines[0].Bits = max(lines[0].Bits, shortest)
	return lines
}

func (d *dssReader) remark(path, text string, laxer bool) {
	r := Remark{Constraint: path, Level: Fail, Text: text, Laxer: laxer}
	if !slices.Contains(d.policy.imported, r) {
		d.policy.imported = append(d.policy.imported, r)
	}
}
