package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"trustcore/verify/algorithm"
)

// Suite are cryptographic constraints: the algorithms and key sizes that are accepted, and until when. What is not
// listed, and a key shorter than the shortest listed, always fail.
type Suite struct {
	// Level is that of an end that has passed, LevelAfterUpdate that of one later than UpdateDate: a forecast.
	Level, LevelAfterUpdate Level
	UpdateDate              time.Time // zero: no end is a forecast
	Source                  string    // where the table is from, for reports
	digests                 map[string]time.Time
	keys                    map[string][]Line
}

// Line is until when keys of at least so many bits are relied on; a zero Until is without an end.
type Line struct {
	Bits  int
	Until time.Time
}

// Digests are the accepted digest algorithms with their ends.
func (s *Suite) Digests() map[string]time.Time { return s.digests }

// Keys are the accepted kinds of keys, each with its lines, the shortest first.
func (s *Suite) Keys() map[string][]Line { return s.keys }

// Judge says how an algorithm of the registry is judged at a time: IGNORE where nothing speaks against it, else the
// level and why. Of digest and key the graver counts.
func (s *Suite) Judge(name string, bits int, at time.Time) (Level, string) {
	kind, digest := split(name)
	level, reason := Ignore, ""
	if digest != "" {
		level, reason = s.judgeDigest(digest, at)
	}
	if kind == "" && digest != "" {
		return level, reason
	}
	if l, why := s.judgeKey(kind, bits, at); l > level {
		return l, why
	}
	return level, reason
}

// Until is the day until which an algorithm is relied on, of digest and key the earlier one; zero for one without an end,
// or that is not accepted.
func (s *Suite) Until(name string, bits int) time.Time {
	kind, digest := split(name)
	until := s.digests[digest]
	if l, ok := s.line(kind, bits); ok && !l.Until.IsZero() && (until.IsZero() || l.Until.Before(until)) {
		return l.Until
	}
	return until
}

// line is the one that keys of so many bits are judged by: that of the longest of which they have the length.
func (s *Suite) line(kind string, bits int) (Line, bool) {
	var longest Line
	found := false
	for _, l := range s.keys[kind] { // the shortest first
		if l.Bits <= bits {
			longest, found = l, true
		}
	}
	return longest, found
}

func (s *Suite) judgeDigest(digest string, at time.Time) (Level, string) {
	until, ok := s.digests[digest]
	if !ok {
		return Fail, digest + " is not accepted"
	}
	level, why := s.judgeEnd(until, ceiling(digest, 0), at)
	if why != "" {
		why = digest + why
	}
	return level, why
}

func (s *Suite) judgeKey(kind string, bits int, at time.Time) (Level, string) {
	level, why := Fail, " is not accepted"
	if l, ok := s.line(kind, bits); ok {
		level, why = s.judgeEnd(l.Until, ceiling(kind, bits), at)
	}
	if why != "" {
		why = fmt.Sprintf("%s with %d bits%s", kind, bits, why)
	}
	return level, why
}

// judgeEnd compares with the policy's end, whose day is its midnight as in DSS, and with the last day that any policy
// may give. What speaks against an algorithm follows its name.
func (s *Suite) judgeEnd(until, last, at time.Time) (Level, string) {
	if !last.IsZero() && at.After(last) {
		return Fail, " could be relied on until " + last.Format(time.DateOnly) + " at most, under any policy"
	}
	if until.IsZero() || !at.After(until) {
		return Ignore, ""
	}
	level := s.Level
	if !s.UpdateDate.IsZero() && until.After(s.UpdateDate) {
		level = s.LevelAfterUpdate
	}
	if level == Ignore {
		return Ignore, ""
	}
	reason := " could be relied on until " + until.Format(time.DateOnly)
	if s.Source != "" {
		reason += " (" + s.Source + ")"
	}
	return level, reason
}

// keyKinds are the kinds of keys that a suite lists, with the beginnings of the registry's names for schemes and keys.
var keyKinds = []struct {
	kind    string
	schemes string // its digest follows; "" where it has none
	keys    string // a key alone, or a scheme without a digest
	more    bool   // what follows keys is the curve or the parameter set
}{
	{"RSA", "RSA-PKCS1-", "RSA", false},
	{"RSA-PSS", "RSA-PSS-", "RSASSA-PSS", false},
	{"ECDSA", "ECDSA-", "EC ", true},
	{"DSA", "DSA-", "DSA", false},
	{"Ed25519", "", "Ed25519", true},
	{"Ed448", "", "Ed448", true},
	{"ML-DSA", "", "ML-DSA-", true},
	{"SLH-DSA", "", "SLH-DSA-", true},
}

// split takes a registry name apart: kind of key and digest of a scheme, either alone, or a kind that nobody knows.
func split(name string) (kind, digest string) {
	for _, k := range keyKinds {
		if rest, ok := strings.CutPrefix(name, k.schemes); ok && k.schemes != "" {
			return k.kind, rest
		}
	}
	if d := digestName(name); digestNames[d] {
		return "", d
	}
	for _, k := range keyKinds {
		if name == k.keys || k.more && strings.HasPrefix(name, k.keys) {
			return k.kind, ""
		}
	}
	return name, ""
}

// digestName turns the registry's name of a digest ("SHA-256", "SHA-512/256") into the one that stands in schemes and
// in policies ("SHA256", "SHA512-256").
func digestName(name string) string {
	if rest, ok := strings.CutPrefix(name, "SHA-"); ok {
		name = "SHA" + rest
	}
	return strings.ReplaceAll(name, "/", "-")
}

var digestNames = knownDigests()

func knownDigests() map[string]bool {
	known := map[string]bool{}
	for h := algorithm.NoHash + 1; h.Valid(); h++ {
		known[digestName(h.Name())] = true
	}
	return known
}

func isKeyKind(name string) bool {
	for _, k := range keyKinds {
		if k.kind == name {
			return true
		}
	}
	return false
}

// sortLines puts the shortest keys first.
func sortLines(lines []Line) {
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Bits, b.Bits) })
}
