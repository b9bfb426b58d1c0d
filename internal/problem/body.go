package problem

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Body is what a door asks of a request's body. Zero fields have the defaults.
type Body struct {
	Max   int64         // bytes; 1 MiB by default
	Time  time.Duration // from its first byte to its last; a minute by default
	Grace time.Duration // in which the least rate is not asked yet; 10 s by default
	Rate  int64         // bytes a second at least after that; 64 KiB by default: a slow line of an office has twice that
	Gzip  bool          // it may be compressed: Max bounds what comes in and what comes out, the rest what comes in
}

func (b Body) withDefaults() Body {
	if b.Max == 0 {
		b.Max = 1 << 20
	}
	if b.Time == 0 {
		b.Time = time.Minute
	}
	if b.Grace == 0 {
		b.Grace = 10 * time.Second
	}
	if b.Rate == 0 {
		b.Rate = 64 << 10
	}
	return b
}

// admit bounds the body, or refuses it before any of it is read.
func (b Body) admit(a *answer, r *http.Request) error {
	compressed, err := b.compressed(a, r)
	if err != nil {
		return err
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b = b.withDefaults()
	if err := Limit(r, b.Max); err != nil {
		return err
	}
	t := &timedBody{ReadCloser: r.Body, limits: b, answer: a, started: time.Now()}
	t.setDeadline()
	r.Body = t
	if compressed {
		r.Body, r.ContentLength = &gzipBody{ReadCloser: t}, -1
		r.Header.Del("Content-Encoding")
		return Limit(r, b.Max)
	}
	return nil
}

// Limit bounds the request's body in bytes, below what its door allows. A length that is announced beyond it is refused at once.
func Limit(r *http.Request, max int64) error {
	if r.ContentLength > max {
		return tooLarge(max)
	}
	r.Body = http.MaxBytesReader(nil, r.Body, max)
	return nil
}

// OfBody makes a problem of an error of reading a request's body.
func OfBody(err error) *Problem {
	var large *http.MaxBytesError
	var p *Problem
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.As(err, &p):
		return p
	}
	return Refuse(http.StatusBadRequest, "the request can't be read to its end")
}

func tooLarge(max int64) *Problem {
	return Refuse(http.StatusRequestEntityTooLarge, "a request to this address has at most %d bytes", max)
}

// timedBody must come in within its time and at the least rate. The server lifts the deadline when the body has ended, since
// it reads on beside the handler to see the client leave.
type timedBody struct {
	io.ReadCloser
	limits  Body
	answer  *answer
	started time.Time
	read    int64
	begun   bool
}

// setDeadline allows until then what the rate asks for by then, and not beyond the time of all.
func (t *timedBody) setDeadline() {
	allowed := t.limits.Grace + time.Duration(float64(t.read)/float64(t.limits.Rate)*float64(time.Second))
	// A recorder in a test has no deadlines.
	_ = http.NewResponseController(t.answer.ResponseWriter).SetReadDeadline(t.started.Add(min(allowed, t.limits.Time)))
}

// Read makes a problem of a body that is slow or breaks off.
func (t *timedBody) Read(p []byte) (int, error) {
	if !t.begun { // the server may have to write 100 Continue, long after the request came
		t.begun = true
		t.answer.extend()
	}
	n, err := t.ReadCloser.Read(p)
	t.read += int64(n)
	switch {
	case err == nil:
		t.setDeadline()
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.answer.Header().Set("Connection", "close")
		err = Refuse(http.StatusRequestTimeout, "the request came in too slowly: %d bytes in %s", t.read, time.Since(t.started).Round(time.Second))
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = Refuse(http.StatusBadRequest, "the request is broken: it ended after %d bytes", t.read)
	}
	return n, err
}
