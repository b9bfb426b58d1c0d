package p11kit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds of what a program may send. All are checked before anything of that size is allocated.
const (
	maxOptions = 4 << 10 // octets beside a call, which nobody reads
	maxBody    = 1 << 20 // octets of a call: data to sign come in pieces of a kilobyte or as digests
	maxCount   = 256     // attributes of a template
)

// errMessage says that a program does not speak the protocol.
var errMessage = errors.New("malformed message")

// frame is one call or its answer: whose answer it is, is known by call.
type frame struct {
	call uint32
	body []byte
}

// readFrame reads one call. At a clean end the error is io.EOF.
func readFrame(r io.Reader) (frame, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	options, body := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if options > maxOptions || body > maxBody {
		return frame{}, fmt.Errorf("%w: %d octets of options, %d of body", errMessage, options, body)
	}
	if _, err := io.CopyN(io.Discard, r, int64(options)); err != nil {
		return frame{}, fmt.Errorf("%w: cut short: %w", errMessage, err)
	}
	f := frame{call: binary.BigEndian.Uint32(head[:]), body: make([]byte, body)}
	if _, err := io.ReadFull(r, f.body); err != nil {
		return frame{}, fmt.Errorf("%w: cut short: %w", errMessage, err)
	}
	return f, nil
}

func (f frame) encode() []byte {
	out := binary.BigEndian.AppendUint32(make([]byte, 0, 12+len(f.body)), f.call)
	out = binary.BigEndian.AppendUint32(out, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(len(f.body)))
	return append(out, f.body...)
}

// reader takes the values of a call, one after the other. After the first that is not there, all are zero and err says
// so.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n uint32) []byte {
	if r.err != nil || uint64(n) > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("%w: a value is missing or too long", errMessage)
	}
}

func (r *reader) octet() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// ulong is a CK_ULONG.
func (r *reader) ulong() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// absent is the length of octets that are NULL.
const absent = 0xffffffff

// octets are length and value.
func (r *reader) octets() []byte {
	n := r.uint32()
	if n == absent {
		return nil
	}
	return r.take(n)
}

// buffer is an argument of octets: there, or only its length.
func (r *reader) buffer() []byte {
	if r.octet() == 0 {
		r.uint32()
		return nil
	}
	return r.octets()
}

// attribute of a template. Values are in one form: one octet, eight octets of a CK_ULONG, or octets.
type attribute struct {
	kind  uint32
	value []byte
}

func (r *reader) attributes() []attribute {
	n := r.uint32()
	if n > maxCount {
		r.fail()
	}
	var all []attribute
	for i := uint32(0); i < n && r.err == nil; i++ {
		a := attribute{kind: r.uint32()}
		if r.octet() != 0 {
			r.uint32() // its length on the program's side
			a.value = r.value(a.kind)
		}
		all = append(all, a)
	}
	return all
}

func (r *reader) value(kind uint32) []byte {
	switch formOf(kind) {
	case formOctet:
		return r.take(1)
	case formULong:
		return r.take(8)
	case formArray: // templates and lists of mechanisms: nobody finds our objects by them
		r.fail()
		return nil
	}
	return r.octets()
}

// wanted is an attribute that is asked for, and how much room there is for it; none asks for its length.
type wanted struct{ kind, room uint32 }

func (r *reader) wanted() []wanted {
	n := r.uint32()
	if n > maxCount {
		r.fail()
	}
	var all []wanted
	for i := uint32(0); i < n && r.err == nil; i++ {
		all = append(all, wanted{r.uint32(), r.uint32()})
	}
	return all
}

// writer makes the values of an answer.
type writer struct{ out []byte }

func (w *writer) octet(b byte)    { w.out = append(w.out, b) }
func (w *writer) uint32(n uint32) { w.out = binary.BigEndian.AppendUint32(w.out, n) }

func (w *writer) ulong(values ...uint64) {
	for _, v := range values {
		w.out = binary.BigEndian.AppendUint64(w.out, v)
	}
}

func (w *writer) octets(b []byte) {
	w.uint32(uint32(len(b)))
	w.out = append(w.out, b...)
}

// text is padded with spaces to its length; one that is longer is cut.
func (w *writer) text(s string, length int) {
	padded := make([]byte, length)
	for i := range padded {
		padded[i] = ' '
	}
	copy(padded, s)
	w.octets(padded)
}

func (w *writer) version(major, minor byte) { w.out = append(w.out, major, minor) }

// list is an array of CK_ULONG for a program with room for so many; without room, or with too little, it learns their
// number.
func (w *writer) list(values []uint64, room uint32) {
	if uint64(room) < uint64(len(values)) {
		w.octet(0)
		w.uint32(uint32(len(values)))
		return
	}
	w.octet(1)
	w.uint32(uint32(len(values)))
	w.ulong(values...)
}

// result is octets for a program with so much room; with too little, it learns their length.
func (w *writer) result(b []byte, room uint32) {
	if uint64(room) < uint64(len(b)) {
		w.octet(0)
		w.uint32(uint32(len(b)))
		return
	}
	w.octet(1)
	w.octets(b)
}

// value is an attribute; a nil one can't be told.
func (w *writer) value(kind uint32, value []byte) {
	w.uint32(kind)
	if value == nil {
		w.octet(0)
		return
	}
	w.octet(1)
	w.uint32(uint32(len(value)))
	if form := formOf(kind); form == formOctet || form == formULong {
		w.out = append(w.out, value...)
		return
	}
	w.octets(value)
}
