package cms

import (
	"bytes"
	"errors"
	"testing"
)

// wrapSignedData puts a body behind the outer headers of SignedData, all of indefinite length.
func wrapSignedData(body ...[]byte) []byte {
	out := []byte{0x30, 0x80}
	out = appendElement(out, tagOID, []byte(OIDSignedData))
	out = append(out, 0xa0, 0x80, 0x30, 0x80)
	for _, b := range body {
		out = append(out, b...)
	}
	return append(out, 0, 0, 0, 0, 0, 0)
}

// TestHostile gives the reader what broke others. None may panic or take long; go test's own limit
// would show the latter.
func TestHostile(t *testing.T) {
	version, algorithms := []byte{2, 1, 1}, []byte{0x31, 0}
	segments := bytes.Repeat([]byte{4, 1, 'x'}, maxSegments+1)
	for _, c := range []struct {
		name  string
		data  []byte
		limit bool
	}{
		{"two million levels", bytes.Repeat([]byte{0x30, 0x80}, 2_000_000), true},
		{"levels in an octet string", wrapSignedData(version, algorithms, []byte{0x30, 0x80}, element(tagOID, []byte(OIDData)),
			[]byte{0xa0, 0x80}, bytes.Repeat([]byte{0x24, 0x80}, 1_000_000)), true},
		{"definite levels", nestedOctets(3000), true},
		{"many segments", wrapSignedData(version, algorithms, element(tagSequence, element(tagOID, []byte(OIDData)),
			element(0xa0, element(0x24, segments)))), true},
		{"many elements", wrapSignedData(version, bytes.Repeat([]byte{5, 0}, maxVisits)), true},
		{"many certificates", wrapSignedData(version, algorithms, element(tagSequence, element(tagOID, []byte(OIDData))),
			element(0xa0, bytes.Repeat([]byte{0x30, 0}, maxCertificates+1))), true},
		{"length of 2^63", []byte{0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false},
		{"length of 2^64-1", []byte{0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false},
		{"length beyond 8 octets", []byte{0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0}, false},
		{"indefinite primitive", []byte{0x04, 0x80, 0, 0}, false},
		{"long tag", bytes.Repeat([]byte{0xff}, 100), false},
		{"cut header", []byte{0x30}, false},
		{"nothing", nil, false},
	} {
		_, err := Parse(c.data)
		if err == nil || errors.Is(err, ErrLimit) != c.limit {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// nestedOctets is a SignedData whose content is a constructed octet string of this many levels.
func nestedOctets(levels int) []byte {
	inner := element(tagOctetString, []byte("x"))
	for range levels {
		inner = element(0x24, inner)
	}
	return wrapSignedData([]byte{2, 1, 1}, []byte{0x31, 0}, element(tagSequence, element(tagOID, []byte(OIDData)), element(0xa0, inner)))
}

func TestReaderReadsBER(t *testing.T) {
	for _, c := range []struct {
		name    string
		data    []byte
		content string
		ok      bool
	}{
		{"primitive", []byte{4, 2, 'a', 'b'}, "ab", true},
		{"long form", []byte{4, 0x82, 0, 2, 'a', 'b'}, "ab", true},
		{"constructed", []byte{0x24, 6, 4, 1, 'a', 4, 1, 'b'}, "ab", true},
		{"indefinite", []byte{0x24, 0x80, 4, 1, 'a', 0x24, 0x80, 4, 1, 'b', 0, 0, 0, 0}, "ab", true},
		{"empty segments", []byte{0x24, 4, 4, 0, 4, 0}, "", true},
		{"no end", []byte{0x24, 0x80, 4, 1, 'a', 0}, "", false},
		{"another tag inside", []byte{0x24, 3, 2, 1, 1}, "", false},
		{"content too short", []byte{4, 3, 'a'}, "", false},
	} {
		got, err := OctetString(c.data)
		if (err == nil) != c.ok || string(got) != c.content {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func TestToDER(t *testing.T) {
	ber := []byte{0x31, 0x80, 0x24, 0x80, 4, 1, 'b', 0, 0, 2, 0x81, 1, 5, 0, 0}
	sorted, err := toDER(ber, true)
	if want := []byte{0x31, 6, 2, 1, 5, 4, 1, 'b'}; err != nil || !bytes.Equal(sorted, want) {
		t.Errorf("sorted % x, %v", sorted, err)
	}
	kept, err := ToDER(ber)
	if want := []byte{0x31, 6, 4, 1, 'b', 2, 1, 5}; err != nil || !bytes.Equal(kept, want) {
		t.Errorf("kept % x, %v", kept, err)
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"20261102101500Z": "2026-11-02T10:15:00Z", "20261102101500.25Z": "2026-11-02T10:15:00.25Z",
		"20261102101500,25Z": "2026-11-02T10:15:00.25Z", "20261102111500+0100": "2026-11-02T10:15:00Z",
		"20261302101500Z": "", "20261102101500": "", "": "",
	} {
		got, err := readTime(Element{Tag: tagGeneralizedTime, Content: []byte(text)})
		if want == "" != (err != nil) || err == nil && got.Format("2006-01-02T15:04:05.999Z07:00") != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]int{"491102101500Z": 2049, "501102101500Z": 1950, "2611021015Z": 2026} {
		if got, err := readTime(Element{Tag: tagUTCTime, Content: []byte(text)}); err != nil || got.Year() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
