// Package pdf reads PDF files as far as signatures ask (ISO 32000-2): cross references, revisions,
// signature fields and dictionaries, the document security store, and what changed after a signature;
// and it appends signatures and security stores as incremental updates. It renders nothing, checks no
// signature and trusts nothing: every length, depth and count is limited.
//
// Objects are parsed when they are asked for, out of the caller's bytes, which must not change while
// a Document is in use.
package pdf

import (
	"slices"
	"strconv"
)

// Object is one of nil (null), bool, Integer, Real, Name, String, Array, Dict, Ref and *Stream.
type Object any

// Integer is an integer object.
type Integer int64

// Real is a real number as it is written in the file.
type Real string

// Name is a name object without its slash, '#' escapes undone.
type Name string

// String is a string object.
type String struct {
	Value []byte // decoded; decrypted where the document is encrypted and the string is not a signature's Contents
	Hex   bool   // written as <...>
	// Broken tells of an encrypted string that cannot be deciphered: Value is empty, and nobody knows what it says.
	Broken bool
	sealed sealed // what a broken string is made of
	// Start and End are the extent in the file including the delimiters, -1 in object streams and new objects.
	Start, End int64
}

// sealed is a text that cannot be deciphered, and the object that its key belongs to.
type sealed struct {
	text string
	ref  Ref
}

// Array is an array object.
type Array []Object

// Dict is a dictionary object. Where a key repeats, the last one counts.
type Dict map[Name]Object

// Ref is an indirect reference.
type Ref struct{ Number, Generation int }

// Stream is a stream object; Document.Decode gives its data.
type Stream struct {
	Dict  Dict
	start int64 // first byte of the data in the file
	ref   Ref   // the object itself: the key of its encryption
	data  []byte
	fresh bool // made by us: data is the content, start means nothing
}

// Bytes returns a string object for the given bytes.
func Bytes(b []byte) String { return String{Value: b, Hex: true, Start: -1, End: -1} }

// appendObject writes o in PDF syntax.
func appendObject(b []byte, o Object) []byte {
	switch o := o.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, o)
	case Integer:
		return strconv.AppendInt(b, int64(o), 10)
	case Real:
		return append(b, o...)
	case Name:
		return appendName(b, o)
	case String:
		return appendString(b, o)
	case Ref:
		b = strconv.AppendInt(b, int64(o.Number), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(o.Generation), 10)
		return append(b, " R"...)
	case Array:
		return appendArray(b, o)
	case Dict:
		return appendDict(b, o)
	case verbatim:
		return append(b, o...)
	}
	return append(b, "null"...) // streams are indirect: never inside another object
}

// verbatim is text that goes into the file as it is.
type verbatim string

func appendArray(b []byte, a Array) []byte {
	b = append(b, '[')
	for i, o := range a {
		if i > 0 {
			b = append(b, ' ')
		}
		b = appendObject(b, o)
	}
	return append(b, ']')
}

// appendDict writes the keys in their order, so that equal input gives equal files.
func appendDict(b []byte, d Dict) []byte {
	keys := make([]Name, 0, len(d))
	for k := range d {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = append(b, "<<"...)
	for _, k := range keys {
		b = appendName(b, k)
		b = append(b, ' ')
		b = appendObject(b, d[k])
	}
	return append(b, ">>"...)
}

func appendName(b []byte, n Name) []byte {
	const digits = "0123456789ABCDEF"
	b = append(b, '/')
	for i := range len(n) {
		c := n[i]
		if c <= ' ' || c >= 0x7f || c == '#' || isDelimiter(c) {
			b = append(b, '#', digits[c>>4], digits[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}

func appendString(b []byte, s String) []byte {
	const digits = "0123456789abcdef"
	if s.Hex {
		b = append(b, '<')
		for _, c := range s.Value {
			b = append(b, digits[c>>4], digits[c&15])
		}
		return append(b, '>')
	}
	b = append(b, '(')
	for _, c := range s.Value {
		switch c {
		case '(', ')', '\\':
			b = append(b, '\\', c)
		case '\r':
			b = append(b, "\\r"...)
		case '\n':
			b = append(b, "\\n"...)
		default:
			b = append(b, c)
		}
	}
	return append(b, ')')
}

// The kinds of octets (ISO 32000-2 7.2.3); all others are regular characters.
const (
	kindSpace     = 1
	kindDelimiter = 2
)

var kinds = func() (t [256]byte) {
	for _, c := range []byte(" \n\r\t\f\x00") {
		t[c] = kindSpace
	}
	for _, c := range []byte("()<>[]{}/%") {
		t[c] = kindDelimiter
	}
	return t
}()

func isSpace(c byte) bool     { return kinds[c] == kindSpace }
func isDelimiter(c byte) bool { return kinds[c] == kindDelimiter }
func isRegular(c byte) bool   { return kinds[c] == 0 }
func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
