package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"trustcore/internal/budget"
)

var (
	errSyntax = errors.New("pdf: syntax error")
	errLimit  = fmt.Errorf("pdf: the document goes beyond a limit of the reader: %w", budget.ErrExceeded)
)

// parser reads objects from a piece of bytes.
type parser struct {
	data  []byte
	pos   int
	base  int64 // offset of data in the file, -1 when it is not a piece of the file
	left  int   // of maxNodes
	dicts int   // dictionaries made
	text  int   // octets of strings and names made
	// repeated is set when a dictionary holds a key twice, commented when a comment was passed.
	repeated, commented bool
	*unclosed
}

// unclosed are members of the arrays and entries of the dictionaries that are not closed yet. All parsers of a file share
// one, since none reads while another does.
type unclosed struct {
	members []Object
	entries []dictEntry
}

type dictEntry struct {
	key   Name
	value Object
}

// reset makes it empty, and gives back more room than the next object is likely to need.
func (u *unclosed) reset() { u.members, u.entries = emptied(u.members), emptied(u.entries) }

func emptied[T any](list []T) []T {
	const kept = 1 << 10
	if cap(list) > kept {
		return nil
	}
	return list[:0]
}

// skipSpace passes white space and comments.
func (p *parser) skipSpace() {
	for p.pos < len(p.data) {
		c := p.data[p.pos]
		switch {
		case isSpace(c):
			p.pos++
		case c == '%':
			p.commented = true
			i := bytes.IndexAny(p.data[p.pos:], "\r\n")
			if i < 0 {
				p.pos = len(p.data)
				return
			}
			p.pos += i
		default:
			return
		}
	}
}

// word returns the run of regular characters at the position, without passing it.
func (p *parser) word() []byte {
	i := p.pos
	for i < len(p.data) && isRegular(p.data[i]) {
		i++
	}
	return p.data[p.pos:i]
}

// keyword passes white space and then the word, if it is the next one.
func (p *parser) keyword(w string) bool {
	p.skipSpace()
	if string(p.word()) != w {
		return false
	}
	p.pos += len(w)
	return true
}

// unsigned reads a number of digits alone, as object numbers and offsets are.
func (p *parser) unsigned() (int64, bool) {
	p.skipSpace()
	w := p.word()
	if len(w) == 0 || len(w) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range w {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	p.pos += len(w)
	return n, true
}

// object reads the object at the position.
func (p *parser) object(depth int) (Object, error) {
	if p.left--; p.left < 0 || depth > maxDepth {
		return nil, errLimit
	}
	p.skipSpace()
	if p.pos >= len(p.data) {
		return nil, errSyntax
	}
	switch c := p.data[p.pos]; {
	case c == '/':
		return p.name(), nil
	case c == '(':
		return p.literal()
	case c == '[':
		return p.array(depth)
	case c == '<':
		if p.pos+1 < len(p.data) && p.data[p.pos+1] == '<' {
			return p.dict(depth)
		}
		return p.hex()
	case isDelimiter(c):
		return nil, errSyntax
	}
	return p.bare()
}

// bare reads a keyword, a number or a reference.
func (p *parser) bare() (Object, error) {
	w := p.word()
	switch string(w) {
	case "true", "false":
		p.pos += len(w)
		return len(w) == 4, nil
	case "null":
		p.pos += len(w)
		return nil, nil
	}
	if len(w) == 0 {
		return nil, errSyntax
	}
	if isDigit(w[0]) {
		if r, ok := p.reference(); ok {
			return r, nil
		}
	}
	p.pos += len(w)
	if n, ok := decimal(w); ok {
		return Integer(n), nil
	}
	if isReal(w) {
		return Real(w), nil
	}
	return nil, errSyntax
}

// decimal reads an integer with or without a sign, of 64 bits.
func decimal(w []byte) (n int64, ok bool) {
	digits := w
	if w[0] == '-' || w[0] == '+' {
		digits = w[1:]
	}
	for _, c := range digits {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	switch {
	case len(digits) == 0 || len(w) > 19:
		return 0, false
	case len(digits) == 19:
		n, err := strconv.ParseInt(string(w), 10, 64)
		return n, err == nil
	case w[0] == '-':
		return -n, true
	}
	return n, true
}

// reference reads "12 0 R" or stays where it is.
func (p *parser) reference() (Ref, bool) {
	start := p.pos
	n, ok := p.unsigned()
	if ok && p.pos < len(p.data) && isSpace(p.data[p.pos]) && n <= maxObjectID {
		g, ok := p.unsigned()
		if ok && g <= 65535 && p.keyword("R") {
			return Ref{int(n), int(g)}, true
		}
	}
	p.pos = start
	return Ref{}, false
}

// isReal accepts what producers write as numbers: digits with signs and points.
func isReal(w []byte) bool {
	for _, c := range w {
		if !isDigit(c) && c != '.' && c != '-' && c != '+' {
			return false
		}
	}
	return len(w) < 64
}

// name reads a name; those that files are full of are not made anew.
func (p *parser) name() Object {
	p.pos++
	w := p.word()
	p.pos += len(w)
	p.text += len(w)
	if known, ok := frequent[string(w)]; ok {
		return known
	}
	if bytes.IndexByte(w, '#') < 0 {
		return Name(w)
	}
	out := make([]byte, 0, len(w))
	for i := 0; i < len(w); i++ {
		if w[i] == '#' && i+2 < len(w) {
			hi, lo := unhex(w[i+1]), unhex(w[i+2])
			if hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, w[i])
	}
	return Name(out)
}

// extent returns where in the file the bytes from start to the position lie.
func (p *parser) extent(start int) (int64, int64) {
	if p.base < 0 {
		return -1, -1
	}
	return p.base + int64(start), p.base + int64(p.pos)
}

func (p *parser) hex() (Object, error) {
	start := p.pos
	end := bytes.IndexByte(p.data[p.pos:], '>')
	if end < 0 {
		p.pos = len(p.data) // the search is paid for once
		return nil, errSyntax
	}
	digits := p.data[p.pos+1 : p.pos+end]
	p.text += len(digits) / 2
	out, ok := decodeHex(digits)
	if !ok {
		return nil, errSyntax
	}
	p.pos += end + 1
	s := String{Value: out, Hex: true}
	s.Start, s.End = p.extent(start)
	return s, nil
}

// decodeHex gives what the digits say, white space between them left out; an odd one at the end stands for itself and 0
// (ISO 32000-2 7.3.4.3).
func decodeHex(digits []byte) ([]byte, bool) {
	out := make([]byte, len(digits)/2+1)
	n := 0
	for len(digits) > 0 {
		pairs, ok := hexPairs(out[n:], digits)
		n, digits = n+pairs, digits[2*pairs:]
		if ok {
			continue
		}
		if digits = trimSpace(digits); len(digits) == 0 {
			break
		}
		rest := trimSpace(digits[1:])
		hi, lo := nibbles[digits[0]], byte(0)
		if len(rest) > 0 {
			lo, rest = nibbles[rest[0]], rest[1:]
		}
		if hi|lo > 15 {
			return nil, false
		}
		out[n], n, digits = hi<<4|lo, n+1, rest
	}
	return out[:n], true
}

// hexPairs decodes pairs of digits into zeros, up to the first that is none, and tells whether it took all digits. The
// value of a signature has some ten thousand, most of them zeros behind its end: those are passed by eight.
func hexPairs(zeros, digits []byte) (pairs int, whole bool) {
	const step, eight = 8, 0x3030303030303030
	for i := 0; i+1 < len(digits); {
		if i+step <= len(digits) && binary.LittleEndian.Uint64(digits[i:]) == eight {
			i += step
			continue
		}
		for end := min(i+step, len(digits)-1); i < end; i += 2 {
			hi, lo := nibbles[digits[i]], nibbles[digits[i+1]]
			if hi|lo > 15 {
				return i / 2, false
			}
			zeros[i/2] = hi<<4 | lo
		}
	}
	return len(digits) / 2, len(digits)%2 == 0
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	return b
}

// nibbles are the values of hexadecimal digits, 255 for what is none.
var nibbles = func() (t [256]byte) {
	for c := range t {
		t[c] = 255
	}
	for i := range byte(10) {
		t['0'+i] = i
	}
	for i := range byte(6) {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

func unhex(c byte) int {
	if n := nibbles[c]; n < 16 {
		return int(n)
	}
	return -1
}

func (p *parser) literal() (Object, error) {
	start := p.pos
	p.pos++
	var out []byte
	if end := bytes.IndexByte(p.data[p.pos:], ')'); end > 0 { // most end there, and are no longer
		out = make([]byte, 0, end)
	}
	for depth := 1; p.pos < len(p.data); {
		c := p.data[p.pos]
		p.pos++
		switch c {
		case '\\':
			out = p.escape(out)
			continue
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				p.text += len(out)
				s := String{Value: out}
				s.Start, s.End = p.extent(start)
				return s, nil
			}
		case '\r':
			if p.pos < len(p.data) && p.data[p.pos] == '\n' {
				p.pos++
			}
			c = '\n'
		}
		out = append(out, c)
	}
	return nil, errSyntax
}

// escape reads what follows a backslash (ISO 32000-2 7.3.4.2).
func (p *parser) escape(out []byte) []byte {
	if p.pos >= len(p.data) {
		return out
	}
	c := p.data[p.pos]
	p.pos++
	switch c {
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case '\n':
		return out
	case '\r':
		if p.pos < len(p.data) && p.data[p.pos] == '\n' {
			p.pos++
		}
		return out
	}
	if c < '0' || c > '7' {
		return append(out, c)
	}
	v := c - '0'
	for range 2 {
		if p.pos >= len(p.data) || p.data[p.pos] < '0' || p.data[p.pos] > '7' {
			break
		}
		v = v<<3 | (p.data[p.pos] - '0')
		p.pos++
	}
	return append(out, v)
}

func (p *parser) array(depth int) (Object, error) {
	p.pos++
	begin := len(p.members)
	for {
		p.skipSpace()
		if p.pos >= len(p.data) {
			return nil, errSyntax
		}
		if p.data[p.pos] == ']' {
			p.pos++
			return p.closeArray(begin), nil
		}
		o, err := p.object(depth + 1)
		if err != nil {
			return nil, err
		}
		p.members = append(p.members, o)
	}
}

// closeArray makes the array of the members from begin on, of the right size; nil where there are none.
func (p *parser) closeArray(begin int) Array {
	var out Array
	if n := len(p.members) - begin; n > 0 {
		out = make(Array, n)
		copy(out, p.members[begin:])
	}
	p.members = p.members[:begin]
	return out
}

func (p *parser) dict(depth int) (Object, error) {
	p.pos += 2
	p.dicts++
	begin := len(p.entries)
	for {
		p.skipSpace()
		if p.pos >= len(p.data) {
			return nil, errSyntax
		}
		if p.data[p.pos] == '>' {
			if p.pos+1 < len(p.data) && p.data[p.pos+1] == '>' {
				p.pos += 2
				return p.closeDict(begin), nil
			}
			return nil, errSyntax
		}
		if p.data[p.pos] != '/' {
			return nil, errSyntax
		}
		key, _ := p.name().(Name)
		p.skipSpace()
		if p.pos < len(p.data) && p.data[p.pos] == '>' { // a key without a value: null
			continue
		}
		value, err := p.object(depth + 1)
		if err != nil {
			return nil, err
		}
		p.entries = append(p.entries, dictEntry{key, value})
	}
}

// closeDict makes the dictionary of the entries from begin on, of the right size.
func (p *parser) closeDict(begin int) Dict {
	out := make(Dict, len(p.entries)-begin)
	for _, e := range p.entries[begin:] {
		out[e.key] = e.value
	}
	p.repeated = p.repeated || len(out) < len(p.entries)-begin
	p.entries = p.entries[:begin]
	return out
}
