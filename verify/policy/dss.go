package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// dssNamespace is the namespace of DSS's constraint files.
const dssNamespace = "http://dss.esig.europa.eu/validation/policy"

// ParseDSS reads a constraint file of DSS 6 (XML, element ConstraintsParameters). An element that is not known here, and
// a level below a floor, are refused by name; what is known and not honoured stands in Remarks. The version is made of
// the file's digest, since DSS gives none. Errors are *FieldError where an element is wrong.
func ParseDSS(data []byte) (*Policy, error) {
	root, err := readXML(data)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	digest := sha256.Sum256(data)
	d := &dssReader{policy: newPolicy(), parts: map[Context]*dssSuite{}}
	d.policy.version = "dss-" + hex.EncodeToString(digest[:6])
	if err := d.top(root); err != nil {
		return nil, err
	}
	if err := d.policy.check(); err != nil {
		return nil, err
	}
	for _, r := range d.policy.Remarks() {
		if r.Laxer && r.Level == Fail && byPath[r.Constraint] != nil {
			d.policy.accepted = append(d.policy.accepted, r.Constraint)
		}
	}
	return d.policy, d.policy.seal()
}

// element is one element of the file.
type element struct {
	name     string
	line     int
	attrs    map[string]string
	octets   []byte // of the text, while the element is open
	text     string
	children []*element
}

// Limits of the file's form: DSS's own has depth 7 and 400 elements.
const (
	maxDepth    = 12
	maxElements = 5000
)

// xmlReader builds the tree of elements.
type xmlReader struct {
	decoder *xml.Decoder
	stack   []*element
	root    *element
	count   int
}

func readXML(data []byte) (*element, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(data), MaxFile)
	}
	r := &xmlReader{decoder: xml.NewDecoder(bytes.NewReader(data))}
	for {
		token, err := r.decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.take(token)
		}
		if err != nil {
			return nil, errors.New(brief(err.Error()))
		}
	}
	if r.root == nil {
		return nil, errors.New("the file holds no element")
	}
	return r.root, nil
}

func (r *xmlReader) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		r.stack[len(r.stack)-1].close()
		r.stack = r.stack[:len(r.stack)-1]
	case xml.CharData:
		if len(r.stack) > 0 {
			e := r.stack[len(r.stack)-1]
			e.octets = append(e.octets, t...)
		}
	case xml.Directive:
		return errors.New("a document type is not read; take it out")
	}
	return nil
}

func (r *xmlReader) start(t xml.StartElement) error {
	line, _ := r.decoder.InputPos()
	e := &element{name: t.Name.Local, line: line, attrs: map[string]string{}}
	r.count++
	switch {
	case t.Name.Space != dssNamespace:
		return fmt.Errorf("line %d, %s: not of the namespace %s", line, shown(e.name), dssNamespace)
	case len(r.stack) >= maxDepth || r.count > maxElements:
		return fmt.Errorf("line %d: more elements than a policy has", line)
	case len(r.stack) == 0 && r.root != nil:
		return fmt.Errorf("line %d: a second policy in the file", line)
	}
	for _, a := range t.Attr {
		switch _, twice := e.attrs[a.Name.Local]; {
		case a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" || a.Name.Local == "schemaLocation":
		case twice || a.Name.Space != "":
			return fmt.Errorf("line %d, %s: the attribute %s stands twice or in a namespace", line, shown(e.name), shown(a.Name.Local))
		default:
			e.attrs[a.Name.Local] = a.Value
		}
	}
	if len(r.stack) == 0 {
		r.root = e
	} else {
		above := r.stack[len(r.stack)-1]
		above.children = append(above.children, e)
	}
	r.stack = append(r.stack, e)
	return nil
}

func (e *element) close() { e.text, e.octets = strings.TrimSpace(string(e.octets)), nil }

// wrong is the error about an element.
func (e *element) wrong(path, format string, args ...any) error {
	return &FieldError{shown(path), e.line, fmt.Sprintf(format, args...)}
}

// only refuses attributes beside those that are named.
func (e *element) only(path string, names ...string) error {
	for name := range e.attrs {
		if !slices.Contains(names, name) {
			return e.wrong(path, "the attribute %s is not known here; take it out", shown(name))
		}
	}
	return nil
}

// each calls f for the children, and refuses text and names that stand twice.
func (e *element) each(path string, f func(child *element, path string) error) error {
	if e.text != "" {
		return e.wrong(path, "text between elements: %q", brief(e.text))
	}
	seen := map[string]bool{}
	for _, child := range e.children {
		below := child.name
		if path != "" {
			below = path + "/" + child.name
		}
		if seen[child.name] {
			return child.wrong(below, "stands twice; leave one out")
		}
		seen[child.name] = true
		if err := f(child, below); err != nil {
			return err
		}
	}
	return nil
}

// dssReader fills a policy from elements.
type dssReader struct {
	policy *Policy
	global *dssSuite
	parts  map[Context]*dssSuite
}

func (d *dssReader) top(root *element) error {
	if root.name != "ConstraintsParameters" {
		return root.wrong(root.name, "the file is no constraint file of DSS: its first element is ConstraintsParameters")
	}
	if err := root.only(root.name, "Name"); err != nil {
		return err
	}
	d.policy.name = strings.Join(strings.Fields(root.attrs["Name"]), " ")
	if err := root.each("", d.block); err != nil {
		return err
	}
	if d.global == nil {
		return root.wrong(suiteElement, "list the digests and keys that are accepted: without it nothing is")
	}
	return d.suites()
}

func (d *dssReader) block(e *element, path string) error {
	switch e.name {
	case "Description":
		d.policy.description = strings.Join(strings.Fields(e.text), " ")
		return nil
	case "Model":
		if e.attrs["Value"] != "SHELL" {
			return e.wrong(path, "%q: only the model SHELL is judged here (RFC 5280 6.1)", brief(e.attrs["Value"]))
		}
		return nil
	case suiteElement:
		s, err := readDSSSuite(e, path)
		d.global = s
		return err
	}
	if !groups[path] || strings.HasPrefix(path, Product.String()) {
		return e.wrong(path, "there is no such block here; take it out")
	}
	return d.group(e, path)
}

func (d *dssReader) group(e *element, path string) error {
	if err := e.only(path); err != nil {
		return err
	}
	return e.each(path, func(child *element, path string) error {
		if r := byPath[path]; r != nil {
			return d.constraint(child, r)
		}
		if c, ok := suitePaths[path]; ok {
			s, err := readDSSSuite(child, path)
			d.parts[c] = s
			return err
		}
		if !groups[path] {
			return child.wrong(path, "there is no constraint of this name here; take it out or mend its name and place")
		}
		return d.group(child, path)
	})
}

func (d *dssReader) constraint(e *element, r *rule) error {
	if err := e.only(r.path, "Level", "Unit", "Value"); err != nil {
		return err
	}
	level, err := parseLevel(e.attrs["Level"])
	if err != nil {
		return e.wrong(r.path+"/@Level", "%v", err)
	}
	c := Constraint{Level: level}
	if r.kind == values {
		if c.Values, err = e.ids(r.path, r.name == "RevocationDataSkip"); err != nil {
			return err
		}
	} else if len(e.children) > 0 || e.text != "" {
		return e.wrong(r.path, "it holds nothing but its level")
	}
	if r.kind == period && level > Ignore {
		unit, ok := units[title(e.attrs["Unit"])]
		if !ok {
			return e.wrong(r.path+"/@Unit", "%q: write DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS", brief(e.attrs["Unit"]))
		}
		if c.Period, err = spanOf(e.attrs["Value"], unit); err != nil {
			return e.wrong(r.path+"/@Value", "%v", err)
		}
	}
	return d.policy.set(r, c, e.line)
}

// title turns DSS's unit into the name of ours.
func title(unit string) string {
	if unit == "" {
		return ""
	}
	return unit[:1] + strings.ToLower(unit[1:])
}

// ids are the values of a constraint. Those of RevocationDataSkip stand by kind of what they name.
func (e *element) ids(path string, grouped bool) ([]string, error) {
	if e.text != "" {
		return nil, e.wrong(path, "write each value in an element Id")
	}
	var list []string
	for _, child := range e.children {
		switch {
		case child.name == "Id" && len(child.children) == 0 && !grouped:
			list = append(list, child.text)
		case grouped && (child.name == "CertificateExtensions" || child.name == "CertificatePolicies"):
			below, err := child.ids(path+"/"+child.name, false)
			if err != nil {
				return nil, err
			}
			list = append(list, below...)
		default:
			return nil, child.wrong(path+"/"+child.name, "it is not known here; write each value in an element Id")
		}
	}
	return list, nil
}

// dssSuite are cryptographic constraints as DSS has them: four parts, each of which a context may leave to the whole
// policy's.
type dssSuite struct {
	level                                *Level
	encryption, sizes, digests, validity *dssPart
}

// dssPart is one list of algorithms.
type dssPart struct {
	path        string
	line        int
	level       *Level
	afterUpdate *Level
	updateDate  time.Time
	algorithms  []dssAlgorithm
}

type dssAlgorithm struct {
	name  string
	bits  int
	until time.Time
}

func readDSSSuite(e *element, path string) (*dssSuite, error) {
	s := &dssSuite{}
	var err error
	if err = e.only(path, "Level"); err != nil {
		return nil, err
	}
	if s.level, err = e.levelOf(path, "Level"); err != nil {
		return nil, err
	}
	err = e.each(path, func(child *element, path string) error {
		part, err := readDSSPart(child, path)
		switch child.name {
		case "AcceptableEncryptionAlgo":
			s.encryption = part
		case "MiniPublicKeySize":
			s.sizes = part
		case "AcceptableDigestAlgo":
			s.digests = part
		case "AlgoExpirationDate":
			s.validity = part
		default:
			return child.wrong(path, "it is not known here; take it out")
		}
		return err
	})
	return s, err
}

// levelOf is the level in an attribute, nil where it is absent.
func (e *element) levelOf(path, attr string) (*Level, error) {
	text, ok := e.attrs[attr]
	if !ok {
		return nil, nil
	}
	l, err := parseLevel(text)
	if err != nil {
		return nil, e.wrong(path+"/@"+attr, "%v", err)
	}
	return &l, nil
}

func readDSSPart(e *element, path string) (*dssPart, error) {
	p := &dssPart{path: path, line: e.line}
	err := e.only(path, "Level", "Format", "UpdateDate", "LevelAfterUpdate")
	if err != nil {
		return nil, err
	}
	if p.level, err = e.levelOf(path, "Level"); err != nil {
		return nil, err
	}
	if p.afterUpdate, err = e.levelOf(path, "LevelAfterUpdate"); err != nil {
		return nil, err
	}
	if format, ok := e.attrs["Format"]; ok && format != "yyyy-MM-dd" {
		return nil, e.wrong(path+"/@Format", "%q: dates are read as yyyy-MM-dd alone", brief(format))
	}
	if text, ok := e.attrs["UpdateDate"]; ok {
		if p.updateDate, err = parseDay(text); err != nil {
			return nil, e.wrong(path+"/@UpdateDate", "%v", err)
		}
	}
	for _, child := range e.children {
		a, err := readDSSAlgorithm(child, path)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(p.algorithms, func(b dssAlgorithm) bool { return a.name == b.name && a.bits == b.bits }) {
			return nil, child.wrong(path, "%s stands twice; leave one out", shown(a.name))
		}
		p.algorithms = append(p.algorithms, a)
	}
	return p, nil
}

func readDSSAlgorithm(e *element, path string) (a dssAlgorithm, err error) {
	if e.name != "Algo" || len(e.children) > 0 {
		return a, e.wrong(path+"/"+e.name, "only elements Algo stand here")
	}
	path += "/" + e.text
	if err := e.only(path, "Size", "Date"); err != nil {
		return a, err
	}
	a.name = e.text
	if size, ok := e.attrs["Size"]; ok {
		if a.bits, err = bitsOf(size); err != nil {
			return a, e.wrong(path+"/@Size", "%v", err)
		}
	}
	if text, ok := e.attrs["Date"]; ok {
		if a.until, err = parseDay(text); err != nil {
			return a, e.wrong(path+"/@Date", "%v", err)
		}
	}
	return a, nil
}
