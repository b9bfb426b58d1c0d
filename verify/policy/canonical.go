package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// seal computes the canonical data and their digest.
func (p *Policy) seal() error {
	slices.Sort(p.accepted)
	p.accepted = slices.Compact(p.accepted)
	data, err := json.Marshal(p.tree())
	if err != nil {
		return fmt.Errorf("policy: canonical data: %w", err)
	}
	digest := sha256.Sum256(data)
	p.canonical, p.digest = data, hex.EncodeToString(digest[:])
	return nil
}

// Source is the policy in our form, YAML with sorted keys, as Parse reads it: the way from DSS's form to ours.
func (p *Policy) Source() ([]byte, error) { return yaml.Marshal(p.tree()) }

// tree is the policy as nested fields. Encoders sort them.
func (p *Policy) tree() map[string]any {
	root := map[string]any{"Name": p.name, "Version": p.version}
	if p.description != "" {
		root["Description"] = p.description
	}
	if len(p.accepted) > 0 {
		root["NotHonoured"] = p.accepted
	}
	for k, c := range p.constraints {
		enter(root, byKey[k].path, c.tree())
	}
	for c, s := range p.suites {
		enter(root, c.suitePath(), s.tree())
	}
	enter(root, suiteElement, p.global.tree())
	return root
}

// enter puts a value at a path.
func enter(at map[string]any, path string, value any) {
	steps := strings.Split(path, "/")
	last := len(steps) - 1
	for _, step := range steps[:last] {
		below, ok := at[step].(map[string]any)
		if !ok {
			below = map[string]any{}
			at[step] = below
		}
		at = below
	}
	at[steps[last]] = value
}

func (c Constraint) tree() any {
	switch {
	case c.Values != nil:
		return map[string]any{"Level": c.Level.String(), "Values": c.Values}
	case c.Period != 0:
		unit, count := inUnits(c.Period)
		return map[string]any{"Level": c.Level.String(), unit: count}
	}
	return c.Level.String()
}

// inUnits is a period in the largest unit that gives a whole number.
func inUnits(d time.Duration) (unit string, count int64) {
	for _, unit := range []string{"Days", "Hours", "Minutes", "Seconds"} {
		if d%units[unit] == 0 {
			return unit, int64(d / units[unit])
		}
	}
	return "Milliseconds", d.Milliseconds()
}

func (s *Suite) tree() map[string]any {
	digests, keys := map[string]any{}, map[string]any{}
	for name, until := range s.digests {
		digests[name] = endText(until)
	}
	for name, lines := range s.keys {
		sizes := map[string]any{}
		for _, l := range lines {
			sizes[strconv.Itoa(l.Bits)] = endText(l.Until)
		}
		keys[name] = sizes
	}
	tree := map[string]any{"Level": s.Level.String(), "LevelAfterUpdate": s.LevelAfterUpdate.String(), "Digests": digests, "Keys": keys}
	if !s.UpdateDate.IsZero() {
		tree["UpdateDate"] = endText(s.UpdateDate)
	}
	if s.Source != "" {
		tree["Source"] = s.Source
	}
	return tree
}

func endText(t time.Time) string {
	if t.IsZero() {
		return noEnd
	}
	return t.Format(time.DateOnly)
}

// Setting is one fact of a policy as text, for people and for comparing: a constraint, an end, the name.
type Setting struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// Settings are all facts of the policy, sorted by path.
func (p *Policy) Settings() []Setting { return flatten(nil, "", p.tree()) }

func flatten(list []Setting, path string, value any) []Setting {
	switch v := value.(type) {
	case map[string]any:
		if c, ok := v["Level"].(string); ok && byPath[path] != nil {
			return append(list, Setting{path, c + " " + besides(v)})
		}
		for _, name := range sortedKeys(v) {
			list = flatten(list, strings.TrimPrefix(path+"/"+name, "/"), v[name])
		}
		return list
	case []string:
		return append(list, Setting{path, strings.Join(v, ", ")})
	}
	return append(list, Setting{path, fmt.Sprint(value)})
}

// besides is what a constraint has beside its level.
func besides(fields map[string]any) string {
	if list, ok := fields["Values"].([]string); ok {
		return "[" + strings.Join(list, ", ") + "]"
	}
	for unit := range units {
		if count, ok := fields[unit]; ok {
			return fmt.Sprintf("(%v %s)", count, strings.ToLower(unit))
		}
	}
	return ""
}

func sortedKeys(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX == nil && errY == nil {
			return x - y
		}
		return strings.Compare(a, b)
	})
	return names
}

// Difference is one fact in which two policies differ, "" where one says nothing of it.
type Difference struct {
	Path string `json:"path"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Diff is in what two policies differ, sorted by path.
func Diff(a, b *Policy) []Difference {
	list := []Difference{}
	before, after, paths := map[string]string{}, map[string]string{}, map[string]any{}
	for _, s := range a.Settings() {
		before[s.Path], paths[s.Path] = s.Value, nil
	}
	for _, s := range b.Settings() {
		after[s.Path], paths[s.Path] = s.Value, nil
	}
	for _, path := range sortedKeys(paths) {
		if before[path] != after[path] {
			list = append(list, Difference{path, before[path], after[path]})
		}
	}
	return list
}
