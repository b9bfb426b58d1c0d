package xmldsig

import (
	"bytes"
	"unicode/utf8"
)

// text reads character data up to the next '<'.
func (p *parser) text() error {
	if len(p.open) == 0 {
		if !p.skipSpace() {
			return p.fail("text outside the document element")
		}
		return nil
	}
	if !p.seen.control {
		if n := bytes.IndexByte(p.src[p.pos:], '<'); n > 0 {
			body := p.src[p.pos : p.pos+n]
			returns := p.seen.returns && bytes.IndexByte(body, '\r') >= 0
			if !returns && bytes.IndexByte(body, '&') < 0 && bytes.IndexByte(body, '>') < 0 {
				_, err := p.add(TextNode, p.pos, n, 0)
				p.pos += n
				return err
			}
		}
	}
	return p.carefulText()
}

// carefulText reads text octet by octet.
func (p *parser) carefulText() error {
	start, flags := p.pos, uint8(0)
	src, i := p.src, p.pos
	for i < len(src) {
		c := src[i]
		if class[c]&classText != 0 {
			i++
			continue
		}
		switch {
		case c == '<':
			p.pos = i
			_, err := p.add(TextNode, start, i-start, flags)
			return err
		case c == '>':
			if i-start >= 2 && src[i-1] == ']' && src[i-2] == ']' {
				p.pos = i
				return p.fail("']]>' in text")
			}
			flags |= flagEscape
			p.inexact()
			i++
		case c == ']':
			i++
		case c == '&' || c == '\r':
			p.pos = i
			return p.slowText(start)
		default:
			p.pos = i
			return p.fail("control character %#x", c)
		}
	}
	p.pos = i
	return nil // the document ends within an element; reported there
}

// longText is from where on room for a text is made at once: growing step by step leaves copies behind.
const longText = 64 << 10

// slowText goes on with text that holds references or carriage returns: it is copied.
func (p *parser) slowText(start int) error {
	begin := len(p.doc.side)
	side := p.doc.side
	if n := bytes.IndexByte(p.src[p.pos:], '<'); n > longText {
		const saved = 3 // bytes at least that a reference ("&lt;", "&#9;") is longer than what it stands for
		room := begin + p.pos - start + n - saved*bytes.Count(p.src[p.pos:p.pos+n], []byte("&"))
		if room > cap(side) {
			side = append(make([]byte, 0, room), side...) // slices.Grow would write zeros to all of it
		}
	}
	side = append(side, p.src[start:p.pos]...)
	flags := uint8(flagSide)
	if bytes.IndexByte(p.src[start:p.pos], '>') >= 0 {
		flags |= flagEscape
	}
	for p.pos < len(p.src) && p.src[p.pos] != '<' {
		p.letGo()
		n := ordinary(p.src[p.pos:])
		side = append(side, p.src[p.pos:p.pos+n]...)
		p.pos += n
		if p.pos == len(p.src) || p.src[p.pos] == '<' {
			break
		}
		r, err := p.unusual(start)
		if err != nil {
			return err
		}
		if textReference(r) != "" {
			flags |= flagEscape
		}
		side = utf8.AppendRune(side, r)
	}
	p.doc.side = side
	_, err := p.add(TextNode, begin, len(side)-begin, flags)
	return err
}

// ordinary counts the octets that text has as they are in the source.
func ordinary(b []byte) int {
	for i, c := range b {
		if class[c]&classText == 0 && c != ']' {
			return i
		}
	}
	return len(b)
}

// unusual reads a character of the text from start on that is not ordinary.
func (p *parser) unusual(start int) (rune, error) {
	begun := p.pos
	switch c := p.src[p.pos]; {
	case c == '&':
		r, err := p.reference()
		if err == nil && string(p.src[begun:p.pos]) != textReference(r) {
			p.inexact()
		}
		return r, err
	case c == '\r':
		p.inexact()
		if p.pos++; p.pos < len(p.src) && p.src[p.pos] == '\n' {
			p.pos++
		}
		return '\n', nil
	case c == '>' && p.pos-start >= 2 && p.src[p.pos-1] == ']' && p.src[p.pos-2] == ']':
		return 0, p.fail("']]>' in text")
	case c == '>':
		p.inexact()
		p.pos++
		return '>', nil
	default:
		return 0, p.fail("control character %#x", c)
	}
}

// raw adds a node of content that holds no references, from start to end, with line ends normalised.
func (p *parser) raw(kind Kind, start, end int, flags uint8) (int32, error) {
	p.inexact()
	body := p.src[start:end]
	for i, c := range body {
		if !p.seen.control {
			break
		}
		if c < 0x20 && class[c]&classSpace == 0 {
			p.pos = start + i
			return 0, p.fail("control character %#x", c)
		}
	}
	if bytes.IndexByte(body, '\r') < 0 {
		return p.add(kind, start, end-start, flags)
	}
	begin := len(p.doc.side)
	for i, c := range body {
		switch {
		case c != '\r':
			p.doc.side = append(p.doc.side, c)
		case i+1 >= len(body) || body[i+1] != '\n':
			p.doc.side = append(p.doc.side, '\n')
		}
	}
	return p.add(kind, begin, len(p.doc.side)-begin, flags|flagSide)
}

func (p *parser) comment() error {
	start := p.pos + len("<!--")
	n := bytes.Index(p.src[start:], []byte("--"))
	if n < 0 {
		return p.fail("a comment does not end")
	}
	end := start + n
	if end+2 >= len(p.src) || p.src[end+2] != '>' {
		p.pos = end
		return p.fail("'--' in a comment")
	}
	if _, err := p.raw(CommentNode, start, end, 0); err != nil {
		return err
	}
	p.pos = end + 3
	return nil
}

func (p *parser) cdata() error {
	if len(p.open) == 0 {
		return p.fail("CDATA outside the document element")
	}
	p.inexact()
	start := p.pos + len("<![CDATA[")
	n := bytes.Index(p.src[start:], []byte("]]>"))
	if n < 0 {
		return p.fail("a CDATA section does not end")
	}
	if n > 0 {
		if _, err := p.raw(TextNode, start, start+n, flagEscape); err != nil {
			return err
		}
	}
	p.pos = start + n + 3
	return nil
}

func (p *parser) instruction() error {
	p.pos += 2
	q, err := p.readName()
	if err != nil {
		return err
	}
	target := p.doc.names[q]
	switch {
	case target.prefix != atomEmpty:
		return p.fail("the target of a processing instruction holds a colon")
	case len(p.atoms.strings[target.local]) == 3 && bytes.EqualFold([]byte(p.atoms.strings[target.local]), []byte("xml")):
		return p.fail("an XML declaration that is not at the start")
	}
	spaced := p.skipSpace()
	n := bytes.Index(p.src[p.pos:], []byte("?>"))
	switch {
	case n < 0:
		return p.fail("a processing instruction does not end")
	case n > 0 && !spaced:
		return p.fail("no space after the target of a processing instruction")
	}
	start := p.pos
	i, err := p.raw(InstructionNode, start, start+n, 0)
	if err != nil {
		return err
	}
	p.doc.nodes[i].name = target.local
	p.pos = start + n + 2
	return nil
}
