package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"trustcore/internal/budget"
)

// Document is an open PDF file. It is not safe for concurrent use.
type Document struct {
	data []byte
	base int64 // offset of the header, which offsets count from in files with bytes before it

	sections  []*section // newest first
	trailer   Dict       // of the newest section
	rebuilt   map[int]entry
	revisions []Revision
	problems  []string
	crypt     *crypt // nil where not encrypted or not to be decrypted

	cache     map[int]Object
	repeated  map[int]bool            // objects with a dictionary that holds a key twice
	objstms   map[int64]*objectStream // by offset
	loading   map[int]bool
	lost      bool              // a stream that was wanted cannot be deciphered
	misplaced bool              // an object was not where the cross references say
	views     map[int]*Document // revisions that At opened

	meter *meter
}

// Open reads the cross references of a PDF file. Files with broken ones are searched for objects as
// viewers do; Problems tells so. It fails when the bytes are no PDF file at all.
func Open(data []byte) (*Document, error) {
	return OpenWithin(budget.New(context.Background(), len(data)), data)
}

// OpenWithin opens a file that may cost no more than a budget. Where that ends, what is asked of the document
// afterwards is empty and the budget's Err tells why. An encrypted document is deciphered with the empty password or
// one of those given, the user's or the owner's; the error wraps ErrPassword where not even the catalog can be read.
func OpenWithin(b *budget.Budget, data []byte, passwords ...[]byte) (*Document, error) {
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("pdf: %d bytes are more than %d", len(data), MaxFileSize)
	}
	d, err := open(data, newMeter(b, passwords...))
	if err != nil {
		return nil, err
	}
	d.findRevisions()
	d.tellHybrid()
	return d, nil
}

// open reads the cross references of a file, or of a view of a revision.
func open(data []byte, m *meter) (*Document, error) {
	header := bytes.Index(data[:min(len(data), 1024)], []byte("%PDF-"))
	if header < 0 {
		return nil, errors.New("pdf: no %PDF- header in the first 1024 bytes")
	}
	d := &Document{
		data: data, base: int64(header),
		cache: map[int]Object{}, repeated: map[int]bool{}, objstms: map[int64]*objectStream{}, loading: map[int]bool{},
		views: map[int]*Document{},
		meter: m,
	}
	if header > 0 {
		d.problem("%d bytes before the header", header)
	}
	if err := d.readSections(); err != nil {
		if err := d.rebuild(err); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Size is the length of the file in bytes.
func (d *Document) Size() int64 { return int64(len(d.data)) }

// Problems lists what is wrong with the file's structure but could be read all the same.
func (d *Document) Problems() []string { return d.problems }

// Rebuilt tells whether the cross references were broken and the objects had to be searched for.
func (d *Document) Rebuilt() bool { return d.rebuilt != nil }

// Encrypted tells whether the document has an encryption dictionary.
func (d *Document) Encrypted() bool { return d.trailer["Encrypt"] != nil }

func (d *Document) problem(format string, args ...any) {
	if len(d.problems) < 64 {
		d.problems = append(d.problems, fmt.Sprintf(format, args...))
	}
}

// Resolve follows references until something else is found. What cannot be read is null, as
// ISO 32000-2 7.3.10 wants for objects that are not there.
func (d *Document) Resolve(o Object) Object {
	for range maxIndirection {
		r, ok := o.(Ref)
		if !ok {
			return o
		}
		o = d.object(r)
	}
	return nil
}

// Dict resolves o to a dictionary (that of a stream, too) or nil.
func (d *Document) Dict(o Object) Dict {
	switch o := d.Resolve(o).(type) {
	case Dict:
		return o
	case *Stream:
		return o.Dict
	}
	return nil
}

// Array resolves o to an array or nil.
func (d *Document) Array(o Object) Array {
	a, _ := d.Resolve(o).(Array)
	return a
}

// Name resolves o to a name or "".
func (d *Document) Name(o Object) Name {
	n, _ := d.Resolve(o).(Name)
	return n
}

// Integer resolves o to an integer.
func (d *Document) Integer(o Object) (int64, bool) {
	n, ok := d.Resolve(o).(Integer)
	return int64(n), ok
}

// Text resolves o to a text string in UTF-8, or "" (ISO 32000-2 7.9.2.2). Strings of a document that opens only
// with a password are no text.
func (d *Document) Text(o Object) string {
	s, ok := d.Resolve(o).(String)
	if !ok || d.Sealed() {
		return ""
	}
	return text(s.Value)
}

// bytes resolves o to the octets of a string, or nil where they are not there or cannot be deciphered.
func (d *Document) bytes(o Object) []byte {
	s, ok := d.Resolve(o).(String)
	if !ok || d.Sealed() {
		return nil
	}
	return s.Value
}

// Sealed tells of a document that is encrypted and cannot be deciphered: strings and streams have no value, and what
// lies in object streams is not there.
func (d *Document) Sealed() bool { return d.Encrypted() && d.crypt == nil }

// Catalog returns the document catalog or nil.
func (d *Document) Catalog() Dict { return d.Dict(d.trailer["Root"]) }

// Lost tells that something was looked for in streams that cannot be deciphered: there may be more than what was read.
func (d *Document) Lost() bool { return d.lost }

// object loads one indirect object through the cache.
func (d *Document) object(r Ref) Object {
	if o, ok := d.cache[r.Number]; ok {
		return o
	}
	if d.loading[r.Number] {
		return nil // an object that needs itself to be read
	}
	e, ok := d.lookup(r.Number)
	if !ok {
		return nil
	}
	d.loading[r.Number] = true
	found := d.load(r.Number, e)
	delete(d.loading, r.Number)
	if d.meter.Hold(found.size) != nil {
		return nil
	}
	d.cache[r.Number] = found.Object
	d.share(e, found)
	return found.Object
}

// peek loads an object without keeping it.
func (d *Document) peek(number int) Object {
	if o, ok := d.cache[number]; ok {
		return o
	}
	e, ok := d.lookup(number)
	if !ok || d.loading[number] {
		return nil
	}
	return d.load(number, e).Object
}

// found is an object of the file.
type found struct {
	Object
	ref      Ref
	size     int   // in memory, about, in octets; 0 where nothing was found
	seen     int64 // offset behind all that was looked at, where every view that reaches so far finds the same; else 0
	repeated bool  // a dictionary in it holds a key twice
}

// load reads the object that a cross-reference entry names.
func (d *Document) load(number int, e entry) found {
	switch e.kind {
	case entryOffset:
		o, err := d.objectAt(e.offset, true)
		if err != nil || o.ref.Number != number {
			if d.rebuilt == nil {
				d.misplaced = true
				d.problem("object %d is not where the cross references say", number)
			}
			return found{}
		}
		return o
	case entryCompressed:
		o, size := d.compressed(e, number)
		return found{Object: o, size: size}
	}
	return found{}
}

// share lets other views of the file find an object that this one keeps.
func (d *Document) share(e entry, o found) {
	if e.kind == entryOffset && d.everywhere(o) {
		d.meter.shared[e.offset] = o
	}
}

// everywhere tells of an object that every view which reaches as far finds the same.
func (d *Document) everywhere(o found) bool { return o.seen > 0 && o.seen <= int64(len(d.data)) }

// header reads "n g obj".
func (p *parser) header() (Ref, bool) {
	n, ok1 := p.unsigned()
	g, ok2 := p.unsigned()
	return Ref{int(n), int(g)}, ok1 && ok2 && n <= maxObjectID && g <= 65535 && p.keyword("obj")
}

// objectAt reads "n g obj ..." at an offset of the file. Streams are located when their length is wanted.
func (d *Document) objectAt(offset int64, decrypt bool) (found, error) {
	if offset < 0 || offset >= int64(len(d.data)) {
		return found{}, errSyntax
	}
	o, known := d.meter.known(offset)
	if !known || o.seen > int64(len(d.data)) || d.Encrypted() {
		var err error
		if o, err = d.parseAt(offset); err != nil {
			return o, err
		}
	}
	if o.repeated {
		d.repeated[o.ref.Number] = true
	}
	if decrypt && d.crypt != nil {
		o.Object, o.seen = d.decipher(o.Object, o.ref), 0
	}
	return o, nil
}

func (d *Document) parseAt(offset int64) (found, error) {
	p := d.parser(d.data[offset:], offset)
	r, ok := p.header()
	o, err := Object(nil), errSyntax
	if ok {
		o, err = p.object(0)
	}
	if spent := d.meter.spend(p); spent != nil {
		err = spent
	}
	if err != nil {
		return found{ref: r}, err
	}
	at := found{Object: o, ref: r, repeated: p.repeated}
	if dict, ok := o.(Dict); ok {
		if p.keyword("stream") {
			at.Object = &Stream{Dict: dict, start: offset + int64(p.endOfLine()), ref: r}
		}
		if !d.Encrypted() { // behind the brackets of a dictionary no more than a word, and an end of line, is looked at
			at.seen = offset + int64(p.pos+len(p.word())+1)
		}
	}
	at.size = p.size()
	if d.everywhere(at) {
		d.meter.remember(offset, at)
	}
	return at, nil
}

// endOfLine passes the end of line after the keyword "stream" and returns the position.
func (p *parser) endOfLine() int {
	if p.pos < len(p.data) && p.data[p.pos] == '\r' {
		p.pos++
	}
	if p.pos < len(p.data) && p.data[p.pos] == '\n' {
		p.pos++
	}
	return p.pos
}
