// Package inflate undoes DEFLATE (RFC 1951) of octets that are in memory. It is the one home of the decompressor; how much
// may come out is for the caller to bound.
package inflate

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Room is how many octets of a Reader's own buffer a caller may use while it has the Reader.
const Room = 32 << 10

// Reader gives what comes out. Its error is io.EOF after a whole stream, io.ErrUnexpectedEOF for a cut one, else tells that
// the octets are no stream; what came out before an error is given first.
type Reader struct {
	from  bytes.Reader
	inner io.Reader
	room  [Room]byte
}

// readers are used again, each takes some 70 kB.
var readers = sync.Pool{New: func() any {
	r := &Reader{}
	r.inner = flate.NewReader(&r.from)
	return r
}}

// NewReader reads a stream. The caller calls Release when it is done, whatever came of it.
func NewReader(packed []byte) *Reader {
	r := readers.Get().(*Reader)
	r.reset(packed)
	return r
}

func (r *Reader) reset(packed []byte) {
	r.from.Reset(packed)
	_ = r.inner.(flate.Resetter).Reset(&r.from, nil) // without a dictionary it can't fail
}

// Read is that of io.Reader.
func (r *Reader) Read(p []byte) (int, error) { return r.inner.Read(p) }

// Room is a buffer for what comes out, for as long as the caller has the Reader.
func (r *Reader) Room() []byte { return r.room[:] }

// Release ends the reading; Reader and Room are another caller's from then on.
func (r *Reader) Release() {
	r.reset(nil) // it keeps no piece of the document
	readers.Put(r)
}
