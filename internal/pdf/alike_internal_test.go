package pdf

import (
	"regexp"
	"testing"
)

// What the readers of single lines take, as ISO 32000-2 7.5 and some programs do.
var (
	runPattern  = regexp.MustCompile(`^([0-9]{1,10}) ([0-9]{1,10}) ?(?:\r\n|\r|\n)`)
	rowPattern  = regexp.MustCompile(`^[0-9]{10} [0-9]{5} [nf](?: \r| \n|\r\n)$`)
	headPattern = regexp.MustCompile(`^[\r\n ]{0,2}([0-9]{1,10}) ([0-9]{1,5}) obj[ \t\r\n<\[(/]`)
)

func FuzzWritten(f *testing.F) {
	for _, seed := range []string{
		"0 1\n", "0 1 \r\n", "0 1 \r", "0 1  \n", "0  1\n", " 0 1\n", "12345678901 1\n", "1 12345678901\n", "1 1", "1 ", "1", "",
		"0000000000 65535 f \n", "0000000000 65535 f \r", "0000000000 65535 n\r\n", "0000000000 65535 n\n\r",
		"0000000000 65535 x\r\n", "0000000000 65535 f \n ", "0000000000 65535 f", "000000000 65535 f  \n",
		"1 0 obj<", "\r\n1 0 obj ", "\r\n 1 0 obj ", "1 0 obj", "1 0 obj%", "1 65535 obj/", "1 123456 obj/",
		"12345678901 0 obj/", "1 0 obx<", "\n", "  ",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		count, size := runWritten(text)
		if m := runPattern.FindSubmatch(text); size != whole(m) || m != nil && count != integer(m[2]) {
			t.Errorf("%q begins a subsection of %d rows in %d octets, by the pattern %q", text, count, size, m)
		}
		if got, want := rowWritten(text), rowPattern.Match(text); got != want {
			t.Errorf("%q is a row: %v, by the pattern %v", text, got, want)
		}
		n, g, size := headWritten(text)
		m := headPattern.FindSubmatch(text)
		if size != whole(m) || m != nil && (n != integer(m[1]) || g != integer(m[2])) {
			t.Errorf("%q begins object %d %d in %d octets, by the pattern %q", text, n, g, size, m)
		}
	})
}

func whole(match [][]byte) int {
	if match == nil {
		return 0
	}
	return len(match[0])
}
