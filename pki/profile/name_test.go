package profile

import (
	"strings"
	"testing"
)

func TestIsName(t *testing.T) {
	for _, name := range []string{"a", "Urząd Gminy w Łącku", "O’Neill & S-ka, nr 7/8", strings.Repeat("ą", MaxName)} {
		if !IsName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{"", " ", " a", "a ", strings.Repeat("ą", MaxName+1), "a\xff", "a\ufffd"} {
		if IsName(name) {
			t.Errorf("%q is taken", name)
		}
	}
	for _, r := range []rune{
		0, '\t', '\n', '\r', 0x1b, 0x7f, 0x85, 0x9b, 0xa0, 0xad, 0x200b, 0x200e, 0x2028, 0x2029, 0x202e, 0x2066, 0xe000,
		0xfeff, 0xfff9, 0xe0041,
	} {
		if name := "Urząd" + string(r) + "Miasta"; IsName(name) {
			t.Errorf("%q is taken", name)
		}
	}
}
