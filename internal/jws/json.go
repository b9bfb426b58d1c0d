package jws

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"trustcore/internal/budget"
)

// ErrMalformed tells that a text is no JSON, or one that readers read differently: a name that occurs twice, a lone
// surrogate, octets that are no UTF-8, a byte order mark, something after the value.
var ErrMalformed = errors.New("malformed JSON")

// Limits of a JSON text; signatures with all their evidence stay far below.
const (
	maxDepth  = 64 // arrays and objects within each other
	maxNumber = 64 // octets of a number
)

// What a value costs: units of work, and octets that are held.
const (
	perValue = 300
	heldEach = 160
)

// parser is the state of one text.
type parser struct {
	budget *budget.Budget
	in     []byte
	at     int
	depth  int
}

// Parse reads one JSON text and nothing after it but blanks. Names are compared as they are read, escapes resolved
// (RFC 8259, 4; RFC 7515, 4). Errors are ErrMalformed or the budget's.
func Parse(b *budget.Budget, data []byte) (*Value, error) {
	if err := b.Octets(len(data)); err != nil {
		return nil, err
	}
	p := &parser{budget: b, in: data}
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return nil, p.malformed("a byte order mark stands before it (RFC 8259, 8.1)")
	case !utf8.Valid(data):
		return nil, p.malformed("it is not in UTF-8 (RFC 8259, 8.1)")
	}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if p.blanks(); p.at < len(p.in) {
		return nil, p.malformed("something stands after it")
	}
	return v, nil
}

func (p *parser) malformed(format string, args ...any) error {
	return fmt.Errorf("%w at octet %d: %s", ErrMalformed, p.at, fmt.Sprintf(format, args...))
}

func (p *parser) blanks() {
	for p.at < len(p.in) && (p.in[p.at] == ' ' || p.in[p.at] == '\t' || p.in[p.at] == '\n' || p.in[p.at] == '\r') {
		p.at++
	}
}

// next skips blanks and takes the octet where it stands there.
func (p *parser) next(c byte) bool {
	if p.blanks(); p.at < len(p.in) && p.in[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) value() (*Value, error) {
	if err := p.budget.Work(perValue); err != nil {
		return nil, err
	}
	if err := p.budget.Hold(heldEach); err != nil {
		return nil, err
	}
	p.blanks()
	switch rest := p.in[p.at:]; {
	case len(rest) == 0:
		return nil, p.malformed("it ends too early")
	case rest[0] == '{':
		return p.nested(p.object)
	case rest[0] == '[':
		return p.nested(p.array)
	case rest[0] == '"':
		text, err := p.text()
		return &Value{kind: String, text: text}, err
	case bytes.HasPrefix(rest, []byte("true")):
		p.at += len("true")
		return &Value{kind: Bool, truth: true}, nil
	case bytes.HasPrefix(rest, []byte("false")):
		p.at += len("false")
		return &Value{kind: Bool}, nil
	case bytes.HasPrefix(rest, []byte("null")):
		p.at += len("null")
		return &Value{kind: Null}, nil
	}
	return p.number()
}

// nested reads an array or an object, whose first octet is there.
func (p *parser) nested(read func() (*Value, error)) (*Value, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.malformed("more than %d arrays and objects within each other", maxDepth)
	}
	p.at++
	v, err := read()
	p.depth--
	return v, err
}

func (p *parser) array() (*Value, error) {
	v := &Value{kind: Array}
	if p.next(']') {
		return v, nil
	}
	for {
		item, err := p.value()
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
		switch {
		case p.next(','):
		case p.next(']'):
			return v, nil
		default:
			return nil, p.malformed("neither a comma nor the end of the array")
		}
	}
}

func (p *parser) object() (*Value, error) {
	v := &Value{kind: Object}
	if p.next('}') {
		return v, nil
	}
	names := map[string]bool{}
	for {
		m, err := p.member()
		if err != nil {
			return nil, err
		}
		if names[m.Name] {
			return nil, p.malformed("the name %q occurs twice in an object (RFC 7515, 4)", shown(m.Name))
		}
		names[m.Name] = true
		v.members = append(v.members, m)
		switch {
		case p.next(','):
		case p.next('}'):
			return v, nil
		default:
			return nil, p.malformed("neither a comma nor the end of the object")
		}
	}
}

func (p *parser) member() (Member, error) {
	if p.blanks(); p.at == len(p.in) || p.in[p.at] != '"' {
		return Member{}, p.malformed("no name of a member")
	}
	name, err := p.text()
	if err != nil {
		return Member{}, err
	}
	if err := p.budget.Hold(len(name)); err != nil {
		return Member{}, err
	}
	if !p.next(':') {
		return Member{}, p.malformed("no colon after a name")
	}
	v, err := p.value()
	return Member{string(name), v}, err
}

// text reads a string, whose first quotation mark is there.
func (p *parser) text() ([]byte, error) {
	p.at++
	start := p.at
	for ; p.at < len(p.in); p.at++ {
		switch c := p.in[p.at]; {
		case c == '"':
			p.at++
			return p.in[start : p.at-1 : p.at-1], nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return nil, p.malformed("a control character in a string")
		}
	}
	return nil, p.malformed("a string without an end")
}

// escaped reads on where the first escape of a string stands.
func (p *parser) escaped(start int) ([]byte, error) {
	out := append([]byte{}, p.in[start:p.at]...)
	for p.at < len(p.in) {
		switch c := p.in[p.at]; {
		case c == '"':
			p.at++
			return out, p.budget.Hold(len(out))
		case c < 0x20:
			return nil, p.malformed("a control character in a string")
		case c != '\\':
			out = append(out, c)
			p.at++
		default:
			r, err := p.escape()
			if err != nil {
				return nil, err
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return nil, p.malformed("a string without an end")
}

var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads one escape. Half of a surrogate pair is no character (RFC 8259, 8.2).
func (p *parser) escape() (rune, error) {
	if p.at+1 >= len(p.in) {
		return 0, p.malformed("an escape without an end")
	}
	if r, ok := escapes[p.in[p.at+1]]; ok {
		p.at += 2
		return r, nil
	}
	first, ok := p.unit()
	if !ok {
		return 0, p.malformed("an unknown escape")
	}
	if !utf16.IsSurrogate(first) {
		return first, nil
	}
	second, ok := p.unit()
	if r := utf16.DecodeRune(first, second); ok && r != utf8.RuneError {
		return r, nil
	}
	return 0, p.malformed("half of a surrogate pair (RFC 8259, 8.2)")
}

// unit reads an escaped unit of UTF-16.
func (p *parser) unit() (rune, bool) {
	if len(p.in)-p.at < 6 || p.in[p.at] != '\\' || p.in[p.at+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range p.in[p.at+2 : p.at+6] {
		digit := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if digit < 0 || c < '0' {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	p.at += 6
	return r, true
}

// number reads -?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?.
func (p *parser) number() (*Value, error) {
	start := p.at
	p.one("-")
	if !p.one("0") && p.digits() == 0 {
		return nil, p.malformed("no JSON value")
	}
	if p.one(".") && p.digits() == 0 {
		return nil, p.malformed("a number without digits after the point")
	}
	if p.one("eE") {
		if p.one("+-"); p.digits() == 0 {
			return nil, p.malformed("a number without digits in the exponent")
		}
	}
	if p.at-start > maxNumber {
		return nil, p.malformed("a number of more than %d octets", maxNumber)
	}
	return &Value{kind: Number, text: p.in[start:p.at]}, nil
}

func (p *parser) one(of string) bool {
	if p.at < len(p.in) && bytes.IndexByte([]byte(of), p.in[p.at]) >= 0 {
		p.at++
		return true
	}
	return false
}

func (p *parser) digits() int {
	start := p.at
	for p.at < len(p.in) && '0' <= p.in[p.at] && p.in[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

// shown shortens a name that a message shows.
func shown(name string) string {
	const most = 64
	if len(name) > most {
		return name[:most] + "..."
	}
	return name
}
