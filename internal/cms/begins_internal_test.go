package cms

import (
	"bytes"
	"testing"
)

// TestLooksLikeSignedAttributesFailsClosed: what begins as attributes and is cut off, or has too many, is taken for
// attributes; text that begins with the octet of a SET is not.
func TestLooksLikeSignedAttributesFailsClosed(t *testing.T) {
	attribute := []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04\x31\x00")
	many := bytes.Repeat(attribute, 3000)
	set := append([]byte{tagSet, 0x82, byte(len(many) >> 8), byte(len(many))}, many...)
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"too many": {set, true}, "cut off": {set[:1000], true}, "digits": {[]byte("1000 zł"), false},
		"a date": {[]byte("10.03.2026"), false}, "one octet": {[]byte{tagSet}, false}, "a set of numbers": {[]byte{tagSet, 3, 2, 1, 1}, false},
	} {
		if got := LooksLikeSignedAttributes(c.data); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
