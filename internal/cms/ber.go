package cms

import (
	"errors"
	"fmt"
)

// Limits of the BER reader. They hold for everything that one Parse call looks at.
const (
	// maxDepth is the deepest nesting that is followed. Real SignedData needs 20; a certificate
	// inside an attribute inside a counter-signature some 12 more.
	maxDepth = 64
	// maxVisits bounds the elements looked at, those skipped over in search of an end-of-contents
	// included. A content of 1 GB in 4 KB segments, scanned once a level, stays below it.
	maxVisits = 1 << 22
	// maxKept bounds the attributes, values and other members of sets that one parse keeps. A file with 12
	// signers, 150 certificates and 40 attributes has some 700.
	maxKept = 1 << 18
)

// ParseWork is what Parse, or another reader of this package, takes for an input of n octets at most, in units
// of internal/budget: a visit costs some 25, and the smallest element has two octets.
func ParseWork(n int) int64 { return 25 * int64(min(n/2, maxVisits)) }

// ErrLimit is wrapped by errors about input that goes beyond a limit of this package.
var ErrLimit = errors.New("limit exceeded")

// Universal tags that CMS needs, as identifier octets (class, constructed bit and number).
const (
	tagBoolean         = 0x01
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagNull            = 0x05
	tagOID             = 0x06
	tagEnumerated      = 0x0a
	tagUTF8String      = 0x0c
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31

	tagConstructed = 0x20
	tagContext     = 0x80
)

// Element is one BER type-length-value; the slices point into the input.
type Element struct {
	// Tag is the identifier octet. Multi-octet tag numbers keep the first octet only (number 31);
	// no CMS structure uses them.
	Tag byte
	// Indefinite is true for the indefinite length form.
	Indefinite bool
	// Raw is the whole element: identifier, length, contents and end-of-contents.
	Raw []byte
	// Content is the contents octets alone.
	Content []byte
}

// Constructed tells whether the contents are elements themselves.
func (e Element) Constructed() bool { return e.Tag&tagConstructed != 0 }

// kind is the tag without the constructed bit: BER allows strings in both forms.
func (e Element) kind() byte { return e.Tag &^ tagConstructed }

// visits counts the elements looked at, shared by all readers of one parse.
type visits struct{ left, kept int }

// keep counts a member that is kept.
func (v *visits) keep() error {
	if v.kept++; v.kept > maxKept {
		return fmt.Errorf("more than %d members of sets: %w", maxKept, ErrLimit)
	}
	return nil
}

func (v *visits) take() error {
	v.left--
	if v.left < 0 {
		return fmt.Errorf("more than %d BER elements: %w", maxVisits, ErrLimit)
	}
	return nil
}

// reader walks over consecutive elements of one level.
type reader struct {
	rest  []byte
	depth int
	left  *visits
}

func newReader(data []byte) reader {
	return reader{rest: data, left: &visits{left: maxVisits}}
}

// inside returns a reader over the contents of e, which must be constructed.
func (r reader) inside(e Element) (reader, error) {
	if !e.Constructed() {
		return reader{}, fmt.Errorf("tag %#02x is not constructed", e.Tag)
	}
	if r.depth >= maxDepth {
		return reader{}, fmt.Errorf("nesting deeper than %d: %w", maxDepth, ErrLimit)
	}
	return reader{rest: e.Content, depth: r.depth + 1, left: r.left}, nil
}

func (r *reader) empty() bool { return len(r.rest) == 0 }

// peek returns the identifier octet of the next element, or 0 at the end.
func (r *reader) peek() byte {
	if len(r.rest) == 0 {
		return 0
	}
	return r.rest[0]
}

// next reads one element, whatever its tag.
func (r *reader) next() (Element, error) {
	if err := r.left.take(); err != nil {
		return Element{}, err
	}
	h, err := readHeader(r.rest)
	if err != nil {
		return Element{}, err
	}
	e := Element{Tag: r.rest[0], Indefinite: h.indefinite}
	if !h.indefinite {
		e.Raw = r.rest[:h.size+h.length]
		e.Content = e.Raw[h.size:]
		r.rest = r.rest[h.size+h.length:]
		return e, nil
	}
	length, err := indefiniteLength(r.rest[h.size:], r.depth, r.left)
	if err != nil {
		return Element{}, err
	}
	e.Content = r.rest[h.size : h.size+length]
	e.Raw = r.rest[:h.size+length+2]
	r.rest = r.rest[h.size+length+2:]
	return e, nil
}

// expect reads one element that must have the given tag.
func (r *reader) expect(tag byte, what string) (Element, error) {
	if r.peek() != tag || r.empty() {
		return Element{}, fmt.Errorf("%s: want tag %#02x, have %#02x in %d octets", what, tag, r.peek(), len(r.rest))
	}
	e, err := r.next()
	if err != nil {
		return Element{}, fmt.Errorf("%s: %w", what, err)
	}
	return e, nil
}

// optional reads one element if it has the given tag.
func (r *reader) optional(tag byte, what string) (Element, bool, error) {
	if r.empty() || r.peek() != tag {
		return Element{}, false, nil
	}
	e, err := r.expect(tag, what)
	return e, err == nil, err
}

// enter reads one constructed element that must have the given tag and returns a reader inside.
func (r *reader) enter(tag byte, what string) (reader, Element, error) {
	e, err := r.expect(tag, what)
	if err != nil {
		return reader{}, e, err
	}
	in, err := r.inside(e)
	if err != nil {
		return reader{}, e, fmt.Errorf("%s: %w", what, err)
	}
	return in, e, nil
}

// header is what the identifier and length octets say.
type header struct {
	size, length int
	indefinite   bool
}

// readHeader reads identifier and length and checks that a definite length lies inside data.
func readHeader(data []byte) (header, error) {
	if len(data) < 2 {
		return header{}, errors.New("BER element is cut short")
	}
	i := 1
	if data[0]&0x1f == 0x1f {
		for i < len(data) && i < 6 && data[i]&0x80 != 0 {
			i++
		}
		i++
	}
	if i >= len(data) {
		return header{}, errors.New("BER identifier is cut short")
	}
	first := data[i]
	i++
	h := header{}
	switch {
	case first < 0x80:
		h.length = int(first)
	case first == 0x80:
		if data[0]&tagConstructed == 0 {
			return header{}, errors.New("indefinite length on a primitive element")
		}
		h.indefinite = true
	default:
		octets := int(first & 0x7f)
		if octets > 8 || i+octets > len(data) {
			return header{}, errors.New("BER length is cut short or too long")
		}
		var n uint64
		for ; octets > 0; octets-- {
			n = n<<8 | uint64(data[i])
			i++
		}
		if n > uint64(len(data)) {
			return header{}, fmt.Errorf("BER length %d goes beyond the %d octets that there are", n, len(data))
		}
		h.length = int(n)
	}
	h.size = i
	if h.length > len(data)-i {
		return header{}, fmt.Errorf("BER length %d goes beyond the %d octets that there are", h.length, len(data)-i)
	}
	return h, nil
}

// indefiniteLength returns the number of contents octets before the end-of-contents that closes an
// element whose header was just read. It does not recurse: definite elements are jumped over.
func indefiniteLength(data []byte, depth int, left *visits) (int, error) {
	open := 1
	for i := 0; ; {
		if len(data)-i >= 2 && data[i] == 0 && data[i+1] == 0 {
			open--
			if open == 0 {
				return i, nil
			}
			i += 2
			continue
		}
		if err := left.take(); err != nil {
			return 0, err
		}
		h, err := readHeader(data[i:])
		if err != nil {
			return 0, fmt.Errorf("looking for end-of-contents: %w", err)
		}
		i += h.size + h.length
		if h.indefinite {
			if open++; depth+open > maxDepth {
				return 0, fmt.Errorf("nesting deeper than %d: %w", maxDepth, ErrLimit)
			}
		}
	}
}

// octets collects the value of an OCTET STRING (or an implicitly tagged one): one segment when it
// is primitive, the primitive leaves in order when it is constructed.
func (r reader) octets(e Element) ([][]byte, error) {
	if !e.Constructed() {
		return [][]byte{e.Content}, nil
	}
	var segments [][]byte
	levels := make([]reader, 1, 4)
	in, err := r.inside(e)
	if err != nil {
		return nil, err
	}
	levels[0] = in
	for len(levels) > 0 {
		top := &levels[len(levels)-1]
		if top.empty() {
			levels = levels[:len(levels)-1]
			continue
		}
		part, err := top.next()
		if err != nil {
			return nil, fmt.Errorf("segment of an octet string: %w", err)
		}
		switch {
		case part.Tag == tagOctetString:
			if len(part.Content) == 0 {
				continue
			}
			if len(segments) >= maxSegments {
				return nil, fmt.Errorf("octet string of more than %d segments: %w", maxSegments, ErrLimit)
			}
			segments = append(segments, part.Content)
		case part.Tag == tagOctetString|tagConstructed:
			in, err := top.inside(part)
			if err != nil {
				return nil, err
			}
			levels = append(levels, in)
		default:
			return nil, fmt.Errorf("segment of an octet string has tag %#02x", part.Tag)
		}
	}
	return segments, nil
}

// OctetString reads one OCTET STRING, in BER too; octets after it are ignored.
func OctetString(data []byte) ([]byte, error) {
	r := newReader(data)
	e, err := r.next()
	if err != nil {
		return nil, err
	}
	if e.kind() != tagOctetString {
		return nil, fmt.Errorf("want an octet string, have tag %#02x", e.Tag)
	}
	parts, err := r.octets(e)
	if err != nil {
		return nil, err
	}
	return join(parts), nil
}
