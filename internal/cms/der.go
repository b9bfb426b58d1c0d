package cms

import (
	"bytes"
	"errors"
	"math/bits"
	"slices"
)

// toDER rewrites one BER element with definite lengths, primitive strings and, when sorted, members
// of SET in the order of DER (as SET OF). What is DER already comes out as it went in.
func toDER(data []byte, sorted bool) ([]byte, error) {
	r := newReader(data)
	e, err := r.next()
	if err != nil {
		return nil, err
	}
	return r.appendDER(make([]byte, 0, len(data)), e, sorted)
}

// ToDER rewrites one BER element with definite lengths and primitive strings. Members of sets keep
// their order: archive time-stamps are about the order that was there.
func ToDER(ber []byte) ([]byte, error) { return toDER(ber, false) }

// IsDER tells whether ToDER gives back the element as it stands.
func IsDER(ber []byte) bool {
	var ends [maxDepth + 1]int // of the contents that are open, at each depth
	depth, visits := 0, maxVisits
	ends[0] = len(ber)
	for i := 0; i < len(ber); {
		begin, length := definite(ber[i:ends[depth]])
		end := i + begin + length
		if visits--; begin == 0 || visits < 0 || i == 0 && end != len(ber) {
			return false
		}
		switch tag := ber[i]; {
		case tag&tagConstructed == 0:
			i = end
		case tag == tagOctetString|tagConstructed || depth == maxDepth:
			return false
		default:
			i += begin
			depth++
			ends[depth] = end
		}
		for depth > 0 && i == ends[depth] {
			depth--
		}
	}
	return len(ber) > 0
}

// definite reads the header of an element as DER has it: where the contents begin and how long they are. Begin is 0 where
// the header is another, or the contents are cut short.
func definite(data []byte) (begin, length int) {
	if len(data) < 2 || data[0]&0x1f == 0x1f {
		return 0, 0
	}
	begin, length = 2, int(data[1])
	if length >= 0x80 {
		begin += length & 0x7f
		if begin == 2 || begin > 2+4 || begin > len(data) { // indefinite, or longer than anything that is read
			return 0, 0
		}
		length = 0
		for _, octet := range data[2:begin] {
			length = length<<8 | int(octet)
		}
		if begin != headerSize(length) {
			return 0, 0
		}
	}
	if length > len(data)-begin {
		return 0, 0
	}
	return begin, length
}

// appendDER recurses at most maxDepth levels deep: inside refuses to go further. Members are written where they
// belong; only sets that are to be sorted remember where each begins.
func (r reader) appendDER(out []byte, e Element, sorted bool) ([]byte, error) {
	if e.Tag&0x1f == 0x1f {
		return nil, errors.New("multi-octet tag cannot be rewritten")
	}
	if !e.Constructed() {
		return appendElement(out, e.Tag, e.Content), nil
	}
	if e.kind() == tagOctetString {
		parts, err := r.octets(e)
		if err != nil {
			return nil, err
		}
		return appendElement(out, tagOctetString, parts...), nil
	}
	in, err := r.inside(e)
	if err != nil {
		return nil, err
	}
	var starts []int
	begin := len(out)
	for !in.empty() {
		child, err := in.next()
		if err != nil {
			return nil, err
		}
		if sorted && e.Tag == tagSet {
			starts = append(starts, len(out)-begin)
		}
		if out, err = in.appendDER(out, child, sorted); err != nil {
			return nil, err
		}
	}
	sortMembers(out[begin:], starts)
	return insertHeader(out, begin, e.Tag), nil
}

// sortMembers puts the encodings that begin at starts into the order of DER.
func sortMembers(set []byte, starts []int) {
	end := func(i int) int {
		if i+1 < len(starts) {
			return starts[i+1]
		}
		return len(set)
	}
	order := make([]int, len(starts))
	for i := range order {
		order[i] = i
	}
	member := func(i int) []byte { return set[starts[i]:end(i)] }
	byEncoding := func(i, j int) int { return bytes.Compare(member(i), member(j)) }
	if slices.IsSortedFunc(order, byEncoding) {
		return
	}
	slices.SortFunc(order, byEncoding)
	moved := make([]byte, 0, len(set))
	for _, i := range order {
		moved = append(moved, member(i)...)
	}
	copy(set, moved)
}

// insertHeader puts identifier and length before the contents that begin at begin.
func insertHeader(out []byte, begin int, tag byte) []byte {
	var space [10]byte
	header := appendHeader(space[:0], tag, len(out)-begin)
	return slices.Insert(out, begin, header...)
}

// appendElement appends one element with a definite length.
func appendElement(out []byte, tag byte, content ...[]byte) []byte {
	total := 0
	for _, c := range content {
		total += len(c)
	}
	out = appendHeader(out, tag, total)
	for _, c := range content {
		out = append(out, c...)
	}
	return out
}

func element(tag byte, content ...[]byte) []byte { return appendElement(nil, tag, content...) }

// setOf is a SET OF with its members in DER order.
func setOf(tag byte, members [][]byte) []byte {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, bytes.Compare)
	return element(tag, sorted...)
}

// headerSize is how many octets identifier and length take.
func headerSize(length int) int {
	size := 2
	if length >= 0x80 {
		size += (bits.Len(uint(length)) + 7) / 8
	}
	return size
}

func appendHeader(out []byte, tag byte, length int) []byte {
	out = append(out, tag)
	if length < 0x80 {
		return append(out, byte(length))
	}
	octets := 0
	for n := length; n > 0; n >>= 8 {
		octets++
	}
	out = append(out, 0x80|byte(octets))
	for shift := 8 * (octets - 1); shift >= 0; shift -= 8 {
		out = append(out, byte(length>>shift))
	}
	return out
}

// WholeOCSP wraps a bare BasicOCSPResponse, which begins with a SEQUENCE, into an OCSPResponse, which begins with an
// ENUMERATED: some writers store the inner part alone. Anything else is returned as it is.
func WholeOCSP(der []byte) []byte {
	r := newReader(der)
	if e, err := r.next(); err == nil && e.Tag == tagSequence && r.beginsWithSequence(e) {
		return WrapBasicOCSP(der)
	}
	return der
}

// WrapBasicOCSP puts a BasicOCSPResponse into a successful OCSPResponse (RFC 6960, 4.2.1).
func WrapBasicOCSP(basic []byte) []byte {
	id := element(tagOID, []byte("\x2b\x06\x01\x05\x05\x07\x30\x01\x01"))
	success := element(tagEnumerated, []byte{0})
	body := len(id) + headerSize(len(basic)) + len(basic)
	explicit := headerSize(body) + body
	whole := len(success) + headerSize(explicit) + explicit
	out := make([]byte, 0, headerSize(whole)+whole) // answers are large, so that each is copied once
	out = append(appendHeader(out, tagSequence, whole), success...)
	out = appendHeader(out, tagContext|tagConstructed, explicit)
	out = append(appendHeader(out, tagSequence, body), id...)
	return appendElement(out, tagOctetString, basic)
}
