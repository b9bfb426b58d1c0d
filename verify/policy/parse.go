package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// noEnd is how a file says that no end of an algorithm is known.
const noEnd = "no end"

// Parse reads a policy in our form, YAML or JSON, strictly: unknown and repeated fields, wrong levels, dates and sizes are
// refused, and so is what falls below a floor. Errors are *FieldError where a field is wrong.
func Parse(data []byte) (*Policy, error) {
	root, err := readYAML(data)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	r := &reader{newPolicy()}
	if err := r.top(root); err != nil {
		return nil, err
	}
	if err := r.policy.check(); err != nil {
		return nil, err
	}
	if err := r.policy.unaccepted(); err != nil {
		return nil, err
	}
	return r.policy, r.policy.seal()
}

func newPolicy() *Policy {
	return &Policy{constraints: map[key]Constraint{}, suites: map[Context]*Suite{}}
}

// readYAML gives the one document that the file holds.
func readYAML(data []byte) (*yaml.Node, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(data), MaxFile)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := d.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, errors.New(brief(strings.Join(strings.Fields(err.Error()), " ")))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file goes on after the policy; put each policy into a file of its own")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errors.New("the file holds no fields")
	}
	return doc.Content[0], nil
}

// reader fills a policy from the nodes of a file.
type reader struct{ policy *Policy }

func (r *reader) top(root *yaml.Node) error {
	p := r.policy
	return fields(root, "", func(name string, n *yaml.Node) (err error) {
		switch name {
		case "Name":
			p.name, err = text(n, name)
		case "Version":
			p.version, err = text(n, name)
		case "Description":
			p.description, err = text(n, name)
			p.description = strings.Join(strings.Fields(p.description), " ")
		case "NotHonoured":
			err = r.notHonoured(n)
		case suiteElement:
			p.global, err = readSuite(n, name)
		default:
			err = r.element(n, name)
		}
		return err
	})
}

// notHonoured reads the paths of what the policy's author knows to be judged less strictly than it is written.
func (r *reader) notHonoured(n *yaml.Node) error {
	list, err := texts(n, "NotHonoured")
	if err != nil {
		return err
	}
	for _, path := range list {
		if byPath[path] == nil {
			return wrong(n, "NotHonoured", "%q is no constraint: write its path, as trustctl policy check tells it", brief(path))
		}
	}
	r.policy.accepted = list
	return nil
}

// element reads a constraint, or a group of them.
func (r *reader) element(n *yaml.Node, path string) error {
	if rule := byPath[path]; rule != nil {
		return r.constraint(n, rule)
	}
	if c, ok := suitePaths[path]; ok {
		s, err := readSuite(n, path)
		r.policy.suites[c] = s
		return err
	}
	if !groups[path] {
		return wrong(n, path, "there is no constraint of this name here; take it out or mend its name and place")
	}
	return fields(n, path, func(name string, child *yaml.Node) error { return r.element(child, path+"/"+name) })
}

// constraint reads a level alone, or a level with what else the constraint has.
func (r *reader) constraint(n *yaml.Node, rule *rule) error {
	var c Constraint
	if n.Kind == yaml.ScalarNode {
		level, err := level(n, rule.path)
		if err != nil {
			return err
		}
		c.Level = level
	} else if err := c.read(n, rule); err != nil {
		return err
	}
	return r.policy.set(rule, c, n.Line)
}

func (c *Constraint) read(n *yaml.Node, rule *rule) error {
	hasLevel := false
	err := fields(n, rule.path, func(name string, child *yaml.Node) (err error) {
		field := rule.path + "/" + name
		switch unit, isUnit := units[name]; {
		case name == "Level":
			hasLevel = true
			c.Level, err = level(child, field)
		case name == "Values" && rule.kind == values:
			c.Values, err = texts(child, field)
		case isUnit && rule.kind == period && c.Period == 0:
			c.Period, err = span(child, field, unit)
		default:
			err = wrong(child, field, "there is no such field here, or it stands beside another unit; take it out")
		}
		return err
	})
	if err == nil && !hasLevel {
		return wrong(n, rule.path+"/Level", "write FAIL, WARN, INFORM or IGNORE")
	}
	return err
}

// set enters a constraint. What is ignored is not kept, so that two policies of one effect are the same.
func (p *Policy) set(rule *rule, c Constraint, line int) error {
	if c.Level == Ignore {
		return nil
	}
	switch {
	case rule.kind == values:
		if err := checkValues(c.Values); err != nil {
			return &FieldError{rule.path + "/Values", line, err.Error()}
		}
	case rule.kind == period && c.Period == 0:
		return &FieldError{rule.path, line, "say how long: Days, Hours, Minutes, Seconds or Milliseconds, above 0"}
	}
	p.constraints[key{rule.context, rule.name}] = c
	return nil
}

// units are the names of a period's field, and of DSS's units in upper case.
var units = map[string]time.Duration{
	"Days": 24 * time.Hour, "Hours": time.Hour, "Minutes": time.Minute, "Seconds": time.Second, "Milliseconds": time.Millisecond,
}

func span(n *yaml.Node, field string, unit time.Duration) (time.Duration, error) {
	value, err := text(n, field)
	if err != nil {
		return 0, err
	}
	d, err := spanOf(value, unit)
	if err != nil {
		return 0, wrong(n, field, "%v", err)
	}
	return d, nil
}

// spanOf reads a count of units that lies within the bounds.
func spanOf(value string, unit time.Duration) (time.Duration, error) {
	count, err := strconv.ParseUint(value, 10, 63)
	if most := uint64(maxDays * 24 * time.Hour / unit); err != nil || count > most {
		return 0, fmt.Errorf("%q: write a whole number up to %d", brief(value), most)
	}
	return time.Duration(count) * unit, nil
}

func readSuite(n *yaml.Node, path string) (*Suite, error) {
	s := &Suite{Level: Fail, LevelAfterUpdate: Fail, digests: map[string]time.Time{}, keys: map[string][]Line{}}
	err := fields(n, path, func(name string, child *yaml.Node) (err error) {
		field := path + "/" + name
		switch name {
		case "Level":
			s.Level, err = level(child, field)
		case "LevelAfterUpdate":
			s.LevelAfterUpdate, err = level(child, field)
		case "UpdateDate":
			s.UpdateDate, err = date(child, field)
		case "Source":
			s.Source, err = text(child, field)
		case "Digests":
			err = fields(child, field, func(name string, end *yaml.Node) error { return s.digest(name, end, field+"/"+name) })
		case "Keys":
			err = fields(child, field, func(name string, lines *yaml.Node) error { return s.key(name, lines, field+"/"+name) })
		default:
			err = wrong(child, field, "there is no such field here; take it out")
		}
		return err
	})
	if err == nil && s.Source != "" && !isText(s.Source, 1, maxValue) {
		err = wrong(n, path+"/Source", "write at most %d printable characters", maxValue)
	}
	return s, err
}

func (s *Suite) digest(name string, n *yaml.Node, field string) error {
	if !digestNames[name] {
		return wrong(n, field, "this digest is not known here; write it as SHA256, SHA3-256")
	}
	until, err := end(n, field)
	if err != nil {
		return err
	}
	if err := checkCeiling(name, 0, until); err != nil {
		return wrong(n, field, "%v", err)
	}
	s.digests[name] = until
	return nil
}

func (s *Suite) key(name string, n *yaml.Node, field string) error {
	if !isKeyKind(name) {
		return wrong(n, field, "keys of this kind are not known here; write RSA, RSA-PSS, ECDSA, DSA, Ed25519, Ed448, ML-DSA or SLH-DSA")
	}
	err := fields(n, field, func(size string, child *yaml.Node) error {
		bits, err := bitsOf(size)
		if err != nil {
			return wrong(child, field, "%v", err)
		}
		until, err := end(child, field+"/"+size)
		if err != nil {
			return err
		}
		if err := checkCeiling(name, bits, until); err != nil {
			return wrong(child, field+"/"+size, "%v", err)
		}
		s.keys[name] = append(s.keys[name], Line{bits, until})
		return nil
	})
	if err == nil && len(s.keys[name]) == 0 {
		return wrong(n, field, "write at least one size with its end, such as 3000: %s", noEnd)
	}
	sortLines(s.keys[name])
	return err
}

// bitsOf reads a size of a key. Of one number there is one spelling, so that it can't stand twice.
func bitsOf(text string) (int, error) {
	bits, err := strconv.ParseUint(text, 10, 32)
	if err != nil || bits > maxBits || strconv.FormatUint(bits, 10) != text {
		return 0, fmt.Errorf("%q is no size of a key: write bits, up to %d", brief(text), maxBits)
	}
	return int(bits), nil
}

// end reads a date, or that there is none.
func end(n *yaml.Node, field string) (time.Time, error) {
	if value, err := text(n, field); err != nil || value == noEnd {
		return time.Time{}, err
	}
	return date(n, field)
}

func date(n *yaml.Node, field string) (time.Time, error) {
	value, err := text(n, field)
	if err != nil {
		return time.Time{}, err
	}
	t, err := parseDay(value)
	if err != nil {
		return time.Time{}, wrong(n, field, "%v", err)
	}
	return t, nil
}

func level(n *yaml.Node, field string) (Level, error) {
	value, err := text(n, field)
	if err != nil {
		return Fail, err
	}
	l, err := parseLevel(value)
	if err != nil {
		return Fail, wrong(n, field, "%v", err)
	}
	return l, nil
}

// fields calls each for the fields of a mapping, and refuses what is none and what stands twice.
func fields(n *yaml.Node, path string, each func(name string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return wrong(n, orFile(path), "write fields here, each with its value, without anchors and tags")
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, err := text(n.Content[i], orFile(path))
		if err != nil {
			return err
		}
		if seen[name] {
			return wrong(n.Content[i], orFile(path), "%q stands twice; leave one out", brief(name))
		}
		seen[name] = true
		if err := each(name, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func orFile(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// text is a plain value.
func text(n *yaml.Node, field string) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!null" {
		return "", wrong(n, field, "write one value here, without anchors and tags")
	}
	return n.Value, nil
}

func texts(n *yaml.Node, field string) ([]string, error) {
	if n.Kind != yaml.SequenceNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return nil, wrong(n, field, "write a list here, such as [one, two]")
	}
	if len(n.Content) > maxValues {
		return nil, wrong(n, field, "%d values, at most %d are read", len(n.Content), maxValues)
	}
	list := make([]string, 0, len(n.Content))
	for _, child := range n.Content {
		value, err := text(child, field)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

func wrong(n *yaml.Node, field, format string, args ...any) error {
	return &FieldError{shown(field), n.Line, fmt.Sprintf(format, args...)}
}

// maxField bounds in octets what a message shows of a path, whose last part a stranger may have written.
const maxField = 250

func shown(field string) string {
	if len(field) > maxField {
		field = field[:maxField] + "..."
	}
	if !isText(field, 0, maxField+3) {
		return strconv.Quote(field)
	}
	return field
}
