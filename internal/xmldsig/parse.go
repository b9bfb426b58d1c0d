package xmldsig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"trustcore/internal/budget"
)

// ErrTooLarge tells that a document is beyond one of its Limits. It is a budget.ErrExceeded: nothing is said of
// what the document holds.
var ErrTooLarge error = tooLarge{}

type tooLarge struct{}

func (tooLarge) Error() string        { return "beyond a limit" }
func (tooLarge) Is(target error) bool { return target == budget.ErrExceeded }

// SyntaxError tells where and why a document is not acceptable.
type SyntaxError struct {
	Line   int // 1 is the first
	Offset int // in bytes of the UTF-8 text
	Reason string
}

// Error gives line and reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

// Parse reads a document. The bytes must not be changed while the Document is in use: it points into them.
// Errors are *SyntaxError, or wrap ErrTooLarge, or are the budget's, or tell of an unknown encoding.
func Parse(data []byte, limits Limits) (*Document, error) {
	limits = limits.orDefault()
	if len(data) > limits.Size || len(data) > math.MaxInt32-1 {
		return nil, fmt.Errorf("XML document of %d bytes: %w of %d", len(data), ErrTooLarge, limits.Size)
	}
	if limits.Budget == nil {
		limits.Budget = budget.New(context.Background(), len(data))
	}
	if err := limits.Budget.Octets(len(data)); err != nil {
		return nil, err
	}
	src, copied, err := decode(data)
	if copied && err == nil {
		err = limits.Budget.Work(int64(costDecode * len(data)))
	}
	if err != nil {
		return nil, err
	}
	if len(src) > math.MaxInt32-1 {
		return nil, fmt.Errorf("XML document of %d bytes in UTF-8: %w", len(src), ErrTooLarge)
	}
	var size extent
	seen := inspect(src, func(window []byte) {
		if len(src) > largeDocument {
			size.add(window)
			limits.Budget.Passed(window)
		}
	})
	if !seen.valid {
		return nil, errors.New("the document is not valid UTF-8")
	}
	p := newParser(src, limits, seen, size)
	if copied {
		p.unheld = len(src)
	}
	err = p.document()
	if e := p.settle(); err == nil {
		err = e
	}
	if err != nil {
		p.doc.release()
		return nil, err
	}
	p.doc.atoms = p.atoms.strings
	p.doc.prefixes = max(len(p.bound), int(atomSpaceXMLNS)+1)
	p.atoms.release()
	return p.doc, nil
}

type parser struct {
	doc    *Document
	src    []byte
	pos    int
	passed int // what is before was let go
	limits Limits
	atoms  *internTable
	nameOf []int32 // by atom: index of names, or -1
	open   []frame // elements that are not closed yet
	exact  bool    // the start tag that is being read is canonical but for its namespaces
	seen   look    // of the whole document
	rooted bool    // the document element has begun
	meter  meter
	unheld int // bytes of the arena that are not told to the budget yet

	bound []int32  // by atom of a prefix: index of decls + 1, or 0
	shade []shadow // by declaration
	scope int      // declarations in scope
}

func newParser(src []byte, limits Limits, seen look, size extent) *parser {
	if len(src) <= largeDocument {
		size = estimate(src)
	}
	nodes := min(size.nodes+1, limits.Nodes+1)
	p := &parser{
		src: src, seen: seen, limits: limits, atoms: newInternTable(), open: make([]frame, 0, 32),
		meter: meter{budget: limits.Budget},
	}
	p.doc = &Document{
		src: src, limits: limits, budget: limits.Budget, nodes: make([]node, 1, max(nodes, 2)), names: make([]name, 0, 48),
	}
	p.doc.nodes[0] = node{kind: DocumentNode, parent: -1}
	p.doc.attrs = make([]attribute, 0, min(size.attributes, maxAllAttributes))
	if len(src) > largeDocument && seen.returns { // every text is copied
		p.doc.side = make([]byte, 0, len(src))
	}
	return p
}

// extent is about how much a document holds, hardly ever too little. Of a large one that counts; otherwise the room is
// enlarged or stays empty without anybody noticing.
type extent struct{ nodes, attributes int }

func (e *extent) add(window []byte) {
	e.nodes += countNodes(window)
	e.attributes += bytes.Count(window, []byte{'='})
}

// estimate guesses from the beginning of a document, and counts a short one.
func estimate(src []byte) (e extent) {
	head := src[:min(len(src), 16<<10)]
	e.add(head)
	if len(head) == len(src) {
		e.nodes += e.nodes / 16
		e.attributes = min(e.attributes, e.nodes)
		return e
	}
	times := float64(bytes.Count(src, []byte{'<'})) / float64(max(1, bytes.Count(head, []byte{'<'}))) * 1.1
	e.nodes = int(times * float64(e.nodes))
	e.attributes = min(int(times*float64(e.attributes)), e.nodes) // the sign stands in texts too
	return e
}

// countNodes returns about how many nodes a document has, hardly ever too few: room for too many would make the
// garbage collector wait for as much again.
func countNodes(src []byte) int {
	n := 1
	for i := 0; i < len(src)-1; i++ {
		next := bytes.IndexByte(src[i:], '<')
		if next < 0 {
			break
		}
		if next > 0 { // a text before it
			n++
		}
		if i += next; i+1 < len(src) && src[i+1] != '/' {
			n++
		}
		if end := bytes.IndexByte(src[i:], '>'); end > 0 {
			i += end
		}
	}
	return n
}

func (p *parser) fail(format string, args ...any) error {
	at := min(p.pos, len(p.src))
	return &SyntaxError{1 + bytes.Count(p.src[:at], []byte{'\n'}), at, fmt.Sprintf(format, args...)}
}

func (p *parser) document() error {
	if p.seen.noncharacters {
		if i := forbiddenChar(p.src); i >= 0 {
			p.pos = i
			return p.fail("U+FFFE and U+FFFF are not characters of XML")
		}
	}
	if bytes.HasPrefix(p.src, []byte("<?xml")) && len(p.src) > 5 && class[p.src[5]]&classSpace != 0 {
		if err := p.declaration(); err != nil {
			return err
		}
	}
	for p.pos < len(p.src) {
		p.letGo()
		var err error
		if p.src[p.pos] == '<' {
			err = p.markup()
		} else {
			err = p.text()
		}
		if err != nil {
			return err
		}
	}
	switch {
	case len(p.open) > 0:
		return p.fail("the element <%s> is not closed", p.nameString(p.doc.nodes[p.open[len(p.open)-1].node].name))
	case !p.rooted:
		return p.fail("there is no document element")
	}
	p.doc.nodes[0].end = int32(len(p.doc.nodes))
	return nil
}

func forbiddenChar(src []byte) int {
	for _, c := range [...]string{"\xEF\xBF\xBE", "\xEF\xBF\xBF"} {
		if i := bytes.Index(src, []byte(c)); i >= 0 {
			return i
		}
	}
	return -1
}

// letGo tells that a window of a large document was read.
func (p *parser) letGo() {
	if p.pos-p.passed >= windowSize && len(p.src) > largeDocument {
		p.doc.budget.Passed(p.src[p.passed:p.pos])
		p.passed = p.pos
	}
}

// declaration reads the XML declaration (XML 1.0, production 23).
func (p *parser) declaration() error {
	end := bytes.Index(p.src, []byte("?>"))
	if end < 0 || end > 256 {
		return p.fail("the XML declaration does not end")
	}
	rest := string(p.src[5:end])
	for i, field := range [...]string{"version", "encoding", "standalone"} {
		value, after, ok := pseudoAttribute(rest, field)
		switch {
		case !ok && i == 0:
			return p.fail("the XML declaration has no version")
		case !ok:
			continue
		case i == 0 && value != "1.0":
			return p.fail("XML version %q is not supported", value)
		case i == 1 && !isEncodingName(value), i == 2 && value != "yes" && value != "no":
			return p.fail("the XML declaration's %s is %q", field, value)
		}
		rest = after
	}
	if strings.Trim(rest, " \t\r\n") != "" {
		return p.fail("the XML declaration is malformed")
	}
	p.pos = end + 2
	return nil
}

func pseudoAttribute(s, field string) (value, after string, ok bool) {
	t := strings.TrimLeft(s, " \t\r\n")
	if t == s || !strings.HasPrefix(t, field) {
		return "", s, false
	}
	t = strings.TrimLeft(t[len(field):], " \t\r\n")
	if !strings.HasPrefix(t, "=") {
		return "", s, false
	}
	t = strings.TrimLeft(t[1:], " \t\r\n")
	if t == "" || t[0] != '"' && t[0] != '\'' {
		return "", s, false
	}
	return strings.Cut(t[1:], t[:1])
}

func isEncodingName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !(r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')) {
			return false
		}
	}
	return s != ""
}

// markup reads what begins with '<'.
func (p *parser) markup() error {
	rest := p.src[p.pos:]
	switch {
	case len(rest) < 2:
		return p.fail("the document ends in markup")
	case rest[1] == '/':
		return p.endTag()
	case rest[1] == '?':
		return p.instruction()
	case rest[1] != '!':
		return p.startTag()
	case bytes.HasPrefix(rest, []byte("<!--")):
		return p.comment()
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		return p.cdata()
	case bytes.HasPrefix(rest, []byte("<!DOCTYPE")):
		return p.fail("document type declarations are not accepted")
	}
	return p.fail("malformed markup")
}

// add appends a node under the innermost open element.
func (p *parser) add(kind Kind, off, n int, flags uint8) (int32, error) {
	i := len(p.doc.nodes)
	if i > p.limits.Nodes {
		return 0, fmt.Errorf("XML document of more than %d nodes: %w", p.limits.Nodes, ErrTooLarge)
	}
	if err := p.take(nodeBytes, budget.Node); err != nil {
		return 0, err
	}
	parent := int32(0)
	if depth := len(p.open); depth > 0 {
		parent = p.open[depth-1].node
	}
	p.doc.nodes = append(p.doc.nodes, node{
		kind: kind, flags: flags, parent: parent, end: int32(i) + 1, off: int32(off), len: int32(n),
	})
	return int32(i), nil
}

// holdStep is how many bytes of the arena are told to the budget together.
const holdStep = 64 << 10

// take spends for an entry of the arena.
func (p *parser) take(octets, units int) error {
	if p.unheld += octets; p.unheld >= holdStep {
		if err := p.hold(); err != nil {
			return err
		}
	}
	return p.meter.spend(units)
}

func (p *parser) hold() error {
	n := p.unheld
	p.unheld = 0
	p.doc.held += n
	return p.doc.budget.Hold(n)
}

// settle spends for what was not told to the budget yet, and for the copies of text.
func (p *parser) settle() error {
	p.unheld += len(p.doc.side)
	if len(p.src) > largeDocument {
		p.unheld -= len(p.doc.side) / 2
	}
	if err := p.hold(); err != nil {
		return err
	}
	return p.meter.settle()
}

func (p *parser) nameString(n int32) string { return p.atoms.strings[p.doc.names[n].qname] }

// readName reads a qualified name at pos and returns its index.
func (p *parser) readName() (int32, error) {
	start := p.pos
	for p.pos < len(p.src) && class[p.src[p.pos]]&className != 0 {
		p.pos++
	}
	if p.pos-start > p.limits.Name {
		return 0, fmt.Errorf("XML name of %d bytes: %w of %d", p.pos-start, ErrTooLarge, p.limits.Name)
	}
	before := len(p.atoms.strings)
	n, ok := p.name(p.src[start:p.pos])
	if fresh := len(p.atoms.strings) - before; fresh > 0 {
		if err := p.take(fresh*atomBytes+2*(p.pos-start), fresh*costAtom); err != nil {
			return 0, err
		}
	}
	if !ok {
		return 0, p.fail("malformed name %q", p.src[start:min(p.pos+1, len(p.src), start+40)])
	}
	return n, nil
}

func (p *parser) skipSpace() bool {
	start := p.pos
	for p.pos < len(p.src) && class[p.src[p.pos]]&classSpace != 0 {
		p.pos++
	}
	return p.pos > start
}

func (p *parser) startTag() error {
	start := p.pos
	switch {
	case len(p.open) == 0 && p.rooted:
		return p.fail("there is more than one document element")
	case len(p.open) >= p.limits.Depth:
		return fmt.Errorf("XML elements nested deeper than %d: %w", p.limits.Depth, ErrTooLarge)
	}
	p.pos++
	p.exact = true
	q, err := p.readName()
	if err != nil {
		return err
	}
	i, err := p.add(ElementNode, start, 0, 0)
	if err != nil {
		return err
	}
	p.rooted = true
	x := &p.doc.nodes[i]
	x.name, x.attr, x.ns = q, int32(len(p.doc.attrs)), int32(len(p.doc.decls))
	empty, err := p.attributes()
	if err != nil {
		return err
	}
	f := frame{node: i}
	if err := p.resolve(x, &f); err != nil {
		return err
	}
	p.begin(x, f, empty)
	if empty {
		p.close()
	}
	return nil
}

// attributes reads up to the end of a start tag and tells whether it is an empty-element tag.
func (p *parser) attributes() (empty bool, err error) {
	for count := 0; ; count++ {
		before := p.pos
		spaced := p.skipSpace()
		rest := p.src[p.pos:]
		switch {
		case len(rest) == 0:
			return false, p.fail("a start tag does not end")
		case rest[0] == '>':
			p.exact = p.exact && !spaced
			p.pos++
			return false, nil
		case rest[0] == '/':
			if len(rest) < 2 || rest[1] != '>' {
				return false, p.fail("malformed end of an empty-element tag")
			}
			p.pos += 2
			return true, nil
		case !spaced:
			return false, p.fail("no space before an attribute")
		case count >= p.limits.Attributes:
			return false, fmt.Errorf("XML element of more than %d attributes: %w", p.limits.Attributes, ErrTooLarge)
		case len(p.doc.attrs)+len(p.doc.decls) >= maxAllAttributes:
			return false, fmt.Errorf("XML document of more than %d attributes: %w", maxAllAttributes, ErrTooLarge)
		}
		p.exact = p.exact && p.pos == before+1 && p.src[before] == ' '
		if err := p.attribute(); err != nil {
			return false, err
		}
	}
}

func (p *parser) attribute() error {
	q, err := p.readName()
	if err != nil {
		return err
	}
	spaced := p.skipSpace()
	if p.pos >= len(p.src) || p.src[p.pos] != '=' {
		return p.fail("attribute %s has no value", p.nameString(q))
	}
	p.pos++
	p.exact = !p.skipSpace() && !spaced && p.exact
	a, err := p.value(q)
	if err != nil {
		return err
	}
	switch n := p.doc.names[q]; {
	case n.prefix == atomXMLNS:
		return p.declare(n.local, p.doc.attrValue(&a))
	case n.prefix == atomEmpty && n.local == atomXMLNS:
		return p.declare(atomEmpty, p.doc.attrValue(&a))
	}
	p.doc.attrs = append(p.doc.attrs, a)
	return p.take(attributeBytes, costAttribute)
}

// value reads a quoted attribute value and normalises it (XML 1.0, 3.3.3, as CDATA).
func (p *parser) value(q int32) (attribute, error) {
	if p.pos >= len(p.src) || p.src[p.pos] != '"' && p.src[p.pos] != '\'' {
		return attribute{}, p.fail("the value of attribute %s is not quoted", p.nameString(q))
	}
	quote := p.src[p.pos]
	p.pos++
	a := attribute{name: q, off: int32(p.pos)}
	n := bytes.IndexByte(p.src[p.pos:], quote)
	if n < 0 {
		return a, p.fail("the value of attribute %s does not end", p.nameString(q))
	}
	if body := p.src[p.pos : p.pos+n]; holdsSpecial(body) {
		for _, c := range body {
			if class[c]&classValue == 0 && c != '"' {
				return p.slowValue(a, quote, n)
			}
		}
		a.flags |= flagEscape // a quotation mark between apostrophes
	}
	p.exact = p.exact && quote == '"'
	a.len = int32(n)
	p.pos += n + 1
	return a, nil
}

// slowValue reads a value of n octets that must be changed: it is copied, and gets no longer.
func (p *parser) slowValue(a attribute, quote byte, n int) (attribute, error) {
	side, begin := slices.Grow(p.doc.side, n), len(p.doc.side)
	a.flags |= flagSide | flagEscape
	p.exact = p.exact && quote == '"'
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		switch {
		case c == quote:
			p.pos++
			a.off, a.len = int32(begin), int32(len(side)-begin)
			p.doc.side = side
			return a, nil
		case c == '<':
			return a, p.fail("'<' in an attribute value")
		case c == '&':
			begun := p.pos
			r, err := p.reference()
			if err != nil {
				return a, err
			}
			p.exact = p.exact && string(p.src[begun:p.pos]) == valueReference(r)
			side = utf8.AppendRune(side, r)
			continue
		case c == '\r' && p.pos+1 < len(p.src) && p.src[p.pos+1] == '\n':
			p.exact = false
		case c == '\r', c == '\n', c == '\t':
			p.exact = false
			side = append(side, ' ')
		case c < 0x20:
			return a, p.fail("control character %#x", c)
		default:
			side = append(side, c)
		}
		p.pos++
	}
	return a, p.fail("the value of attribute %s does not end", p.nameString(a.name))
}

// reference reads a character reference or one of the five predefined entities at '&'.
func (p *parser) reference() (rune, error) {
	rest := p.src[p.pos:]
	end := bytes.IndexByte(rest[:min(len(rest), 16)], ';')
	if end < 2 {
		return 0, p.fail("malformed reference")
	}
	body := rest[1:end]
	r := rune(-1)
	switch {
	case body[0] == '#' && len(body) > 1 && body[1] == 'x':
		r = number(body[2:], 16)
	case body[0] == '#':
		r = number(body[1:], 10)
	default:
		if r = predefined(body); r < 0 {
			return 0, p.fail("entity &%s; is not accepted", body)
		}
	}
	if !isChar(r) {
		return 0, p.fail("&%s; is not a character of XML", body)
	}
	p.pos += end + 1
	return r, nil
}

// predefined returns the character of one of the five predefined entities, or -1.
func predefined(name []byte) rune {
	switch string(name) {
	case "amp":
		return '&'
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "quot":
		return '"'
	case "apos":
		return '\''
	}
	return -1
}

func number(s []byte, base rune) rune {
	n := rune(0)
	for _, b := range s {
		c, digit := rune(b), rune(99)
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c >= 'a' && c <= 'f':
			digit = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			digit = c - 'A' + 10
		}
		if digit >= base || n > 0x10FFFF {
			return -1
		}
		n = n*base + digit
	}
	if len(s) == 0 {
		return -1
	}
	return n
}

func (p *parser) endTag() error {
	if len(p.open) == 0 {
		return p.fail("an end tag without a start tag")
	}
	f := &p.open[len(p.open)-1]
	want := p.nameString(p.doc.nodes[f.node].name)
	p.pos += 2
	rest := p.src[p.pos:]
	if !(len(rest) > len(want) && string(rest[:len(want)]) == want) || class[rest[len(want)]]&className != 0 {
		return p.fail("the end tag does not match <%s>", want)
	}
	p.pos += len(want)
	if p.skipSpace() {
		f.exact, f.tags = 0, 0
	}
	if p.pos >= len(p.src) || p.src[p.pos] != '>' {
		return p.fail("malformed end tag </%s", want)
	}
	p.pos++
	p.close()
	return nil
}

// close ends the innermost element: its extent is known, its declarations go out of scope.
func (p *parser) close() {
	last := len(p.open) - 1
	f := &p.open[last]
	x := &p.doc.nodes[f.node]
	p.open = p.open[:last]
	x.end = int32(len(p.doc.nodes))
	x.len = int32(p.pos) - x.off
	for k := int(x.ns) + int(x.nns) - 1; k >= int(x.ns); k-- {
		p.bound[p.doc.decls[k].prefix] = p.shade[k].before
	}
	p.scope -= int(x.nns)
	x.flags |= f.content()
	if last > 0 {
		p.open[last-1].enclose(f)
	}
}
