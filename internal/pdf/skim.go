package pdf

import "bytes"

// skimmed is what a look over an object finds without making anything of it.
type skimmed struct {
	refs   []Ref
	length Object // of the key Length: an Integer or a Ref
}

// skim passes the object at the position and collects its references. It takes all that object takes, and reads
// no less far.
func (p *parser) skim(into *skimmed) error {
	length := false // of the key that was passed last
	for depth := 0; ; {
		if p.left--; p.left < 0 {
			return errLimit
		}
		p.skipSpace()
		rest := p.data[p.pos:]
		switch {
		case len(rest) == 0:
			return errSyntax
		case rest[0] == '/':
			p.pos++
			key := p.word()
			p.pos += len(key)
			if depth == 0 {
				return nil
			}
			length = string(key) == "Length"
			continue
		case bytes.HasPrefix(rest, []byte("<<")), bytes.HasPrefix(rest, []byte(">>")):
			depth += bracket(rest[0])
			p.pos += 2
		case rest[0] == '[', rest[0] == ']':
			depth += bracket(rest[0])
			p.pos++
		case rest[0] == '(', rest[0] == '<':
			if !p.skipString() {
				return errSyntax
			}
		case isDelimiter(rest[0]):
			return errSyntax
		default:
			p.skimWord(into, depth == 1 && length)
		}
		length = false
		if depth <= 0 {
			return nil
		}
	}
}

func bracket(c byte) int {
	if c == '<' || c == '[' {
		return 1
	}
	return -1
}

// skimWord passes a keyword, a number or a reference.
func (p *parser) skimWord(into *skimmed, length bool) {
	if isDigit(p.data[p.pos]) {
		if r, ok := p.reference(); ok {
			into.refs = append(into.refs, r)
			if length {
				into.length = r
			}
			return
		}
	}
	w := p.word()
	if n, ok := p.unsigned(); ok {
		if length {
			into.length = Integer(n)
		}
		return
	}
	p.pos += len(w)
}

// skipString passes a string of either form.
func (p *parser) skipString() bool {
	if p.data[p.pos] == '<' {
		end := bytes.IndexByte(p.data[p.pos:], '>')
		if end < 0 {
			p.pos = len(p.data)
			return false
		}
		p.pos += end + 1
		return true
	}
	for depth := 0; p.pos < len(p.data); p.pos++ {
		switch p.data[p.pos] {
		case '\\':
			p.pos++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.pos++
				return true
			}
		}
	}
	p.pos = len(p.data)
	return false
}

// skimObject looks over the object that an entry names. Whole tells that it ends inside the view: with endobj, or
// as a stream whose data d and other find at the same place.
func (d *Document) skimObject(number int, e entry, other *Document) (s skimmed, whole bool) {
	if e.kind == entryCompressed {
		p := d.compressedAt(e, number)
		if p == nil {
			return s, false
		}
		err := p.skim(&s)
		return s, d.meter.spend(p) == nil && err == nil
	}
	if e.kind != entryOffset || e.offset < 0 || e.offset >= int64(len(d.data)) {
		return s, false
	}
	p := d.parser(d.data[e.offset:], e.offset)
	r, ok := p.header()
	if ok = ok && r.Number == number; ok {
		ok = p.skim(&s) == nil
	}
	stream := ok && p.keyword("stream")
	whole = stream || ok && p.keyword("endobj")
	if d.meter.spend(p) != nil || !whole {
		return s, false
	}
	if stream {
		start := e.offset + int64(p.endOfLine())
		here, err1 := d.locate(start, s.length)
		there, err2 := other.locate(start, s.length)
		whole = err1 == nil && err2 == nil && here == there
	}
	return s, whole
}
