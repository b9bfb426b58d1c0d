package certificate

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// canonical builds the comparison key of a name: per RDN the number of attributes, then the sorted attributes, each
// the length-prefixed type, a mark that tells prepared strings from other values, and the length-prefixed value. Every
// part ends by itself, so a key is a prefix of another exactly when the RDNs are.
func canonical(attributes []Attribute) string {
	out := make([]byte, 0, 256)
	for start := 0; start < len(attributes); {
		end := start + 1
		for end < len(attributes) && attributes[end].RDN == attributes[start].RDN {
			end++
		}
		out = binary.AppendUvarint(out, uint64(end-start))
		if end-start == 1 {
			out = appendCanonical(out, &attributes[start])
		} else {
			out = appendSet(out, attributes[start:end])
		}
		start = end
	}
	return string(out)
}

func appendSet(out []byte, set []Attribute) []byte {
	keys := make([]string, len(set))
	for i := range set {
		keys[i] = string(appendCanonical(nil, &set[i]))
	}
	slices.Sort(keys)
	for _, k := range keys {
		out = append(out, k...)
	}
	return out
}

func appendCanonical(out []byte, a *Attribute) []byte {
	out = binary.AppendUvarint(out, uint64(len(a.Type)))
	out = append(out, a.Type...)
	switch a.Tag {
	case tagPrintableString, tagIA5String, tagNumericString, tagVisibleString, tagUTF8String, tagTeletexString:
		if ascii(a.Value) {
			return appendCounted(append(out, 's'), func(b []byte) []byte { return appendPreparedASCII(b, a.Value) })
		}
	}
	if text, ok := decodeString(a.Tag, a.Value); ok {
		return appendCounted(append(out, 's'), func(b []byte) []byte { return append(b, prepare(text)...) })
	}
	return appendCounted(append(out, 'x'), func(b []byte) []byte { return append(b, a.Raw...) })
}

// appendCounted puts four octets of length before what write appends.
func appendCounted(out []byte, write func([]byte) []byte) []byte {
	at := len(out)
	out = write(append(out, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at-4))
	return out
}

// appendPreparedASCII is prepare for ASCII: lower case, outer spaces gone, inner ones single, controls dropped.
func appendPreparedASCII(out, value []byte) []byte {
	start, space := len(out), false
	for _, c := range value {
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			space = len(out) > start
			continue
		case c < ' ' || c == 0x7f:
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		if space {
			out, space = append(out, ' '), false
		}
		out = append(out, c)
	}
	return out
}

// prepare is the string preparation of RFC 5280 7.1 (RFC 4518 2 with case folding): map, fold, normalise (NFKC),
// insignificant space. Prohibited and unassigned characters compare as they are: a name is compared, not admitted.
func prepare(text string) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r >= '\t' && r <= '\r' || r == 0x85 || unicode.Is(unicode.Z, r):
			return ' '
		case r < ' ' || r >= 0x7f && r <= 0x9f, unicode.Is(unicode.Cf, r), r == 0x034f, r >= 0x180b && r <= 0x180d,
			r >= 0xfe00 && r <= 0xfe0f, r == 0xfffc:
			return -1
		}
		return r
	}, text)
	folded := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(mapped)))
	return collapse(folded)
}

// collapse drops outer spaces and makes inner runs of them single.
func collapse(s string) string {
	out := make([]byte, 0, len(s))
	space := false
	for _, r := range s {
		if r == ' ' {
			space = len(out) > 0
			continue
		}
		if space {
			out, space = append(out, ' '), false
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}
