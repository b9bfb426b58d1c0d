package cms

import (
	"bytes"
	"errors"
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

// appendDER recurses at most maxDepth levels deep: inside refuses to go further.
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
		return appendElement(out, tagOctetString, join(parts)), nil
	}
	in, err := r.inside(e)
	if err != nil {
		return nil, err
	}
	var members [][]byte
	total := 0
	for !in.empty() {
		child, err := in.next()
		if err != nil {
			return nil, err
		}
		m, err := in.appendDER(nil, child, sorted)
		if err != nil {
			return nil, err
		}
		members = append(members, m)
		total += len(m)
	}
	if sorted && e.Tag == tagSet {
		slices.SortStableFunc(members, bytes.Compare)
	}
	out = appendHeader(out, e.Tag, total)
	for _, m := range members {
		out = append(out, m...)
	}
	return out, nil
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

// WrapBasicOCSP puts a BasicOCSPResponse into a successful OCSPResponse (RFC 6960, 4.2.1).
func WrapBasicOCSP(basic []byte) []byte {
	inner := element(tagOctetString, basic)
	body := element(tagSequence, element(tagOID, []byte("\x2b\x06\x01\x05\x05\x07\x30\x01\x01")), inner)
	return element(tagSequence, element(tagEnumerated, []byte{0}), element(tagContext|tagConstructed, body))
}
