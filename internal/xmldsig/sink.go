package xmldsig

import (
	"io"
	"slices"
	"strings"
	"sync"

	"trustcore/internal/budget"
)

// sink buffers canonical octets on their way into a hash, and spends for them. Its first error stops it.
type sink struct {
	w      io.Writer
	buf    []byte
	err    error
	budget *budget.Budget
}

const sinkSize = 32 << 10

// buffers are those of sinks that were flushed.
var buffers = sync.Pool{New: func() any { return new([sinkSize]byte) }}

func newSink(w io.Writer, b *budget.Budget) sink {
	return sink{w: w, buf: buffers.Get().(*[sinkSize]byte)[:0], budget: b}
}

func (s *sink) str(b string) {
	if len(s.buf)+len(b) > cap(s.buf) {
		s.write([]byte(b))
		return
	}
	s.buf = append(s.buf, b...)
}

func (s *sink) write(b []byte) {
	if len(s.buf)+len(b) <= cap(s.buf) {
		s.buf = append(s.buf, b...)
		return
	}
	s.empty()
	if len(b) < cap(s.buf)/2 {
		s.buf = append(s.buf, b...)
		return
	}
	s.out(b)
}

func (s *sink) empty() {
	if len(s.buf) > 0 {
		s.out(s.buf)
	}
	s.buf = s.buf[:0]
}

// out writes in pieces, so that it ends within one when the budget or the context is over.
func (s *sink) out(b []byte) {
	for piece := range slices.Chunk(b, windowSize) {
		if s.err == nil {
			s.err = s.budget.Octets(len(piece))
		}
		if s.err == nil {
			_, s.err = s.w.Write(piece)
		}
		if len(piece) == windowSize { // it comes from a large document
			s.budget.Passed(piece)
		}
	}
}

// flush ends the sink: nothing is written to it any more.
func (s *sink) flush() error {
	s.empty()
	buffers.Put((*[sinkSize]byte)(s.buf[:sinkSize]))
	s.buf = nil
	return s.err
}

// text writes character data (Canonical XML 1.0, 2.3).
func (s *sink) text(b []byte, escape bool) {
	if !escape {
		s.write(b)
		return
	}
	from := 0
	for i, c := range b {
		var ref string
		switch c {
		case '&':
			ref = "&amp;"
		case '<':
			ref = "&lt;"
		case '>':
			ref = "&gt;"
		case '\r':
			ref = "&#xD;"
		default:
			continue
		}
		s.write(b[from:i])
		s.str(ref)
		from = i + 1
	}
	s.write(b[from:])
}

// name writes a namespace name as an attribute value.
func (s *sink) name(uri string) {
	if strings.ContainsAny(uri, "&<\"\t\n\r") {
		s.value([]byte(uri), true)
		return
	}
	s.str(uri)
}

// value writes an attribute value.
func (s *sink) value(b []byte, escape bool) {
	if !escape {
		s.write(b)
		return
	}
	from := 0
	for i, c := range b {
		var ref string
		switch c {
		case '&':
			ref = "&amp;"
		case '<':
			ref = "&lt;"
		case '"':
			ref = "&quot;"
		case '\t':
			ref = "&#x9;"
		case '\n':
			ref = "&#xA;"
		case '\r':
			ref = "&#xD;"
		default:
			continue
		}
		s.write(b[from:i])
		s.str(ref)
		from = i + 1
	}
	s.write(b[from:])
}
