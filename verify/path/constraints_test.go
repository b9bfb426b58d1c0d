package path

import (
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"trustcore/verify/certificate"
)

// general reads a GeneralName of the tag and content.
func general(t testing.TB, tag byte, value string) certificate.GeneralName {
	t.Helper()
	input := cryptobyte.String(append([]byte{tag, byte(len(value))}, value...))
	g, err := certificate.ReadGeneralName(&input)
	if err != nil {
		t.Fatalf("tag %x value %q: %v", tag, value, err)
	}
	return g
}

func TestCompare(t *testing.T) {
	const email, dns, uri, ip, rid, other = 0x81, 0x82, 0x86, 0x87, 0x88, 0xa0
	for _, test := range []struct {
		tag        byte
		name, base string
		permits    match // compared as a permitted subtree
		excludes   match // compared as an excluded one
	}{
		{dns, "example", "example", inside, inside},
		{dns, "a.EXAMPLE", "example", inside, inside},
		{dns, "a.example.", "example", inside, inside},
		{dns, "notexample", "example", outside, outside},
		{dns, "example", "a.example", outside, outside},
		{dns, "a.example", "", inside, inside},
		{dns, "a.example", ".example", inside, inside},
		{dns, "example", ".example", outside, outside},
		{dns, "*.example", "example", inside, inside},
		{dns, "*.example", "a.example", outside, inside},
		{dns, "*.example", "b.a.example", outside, outside},
		{dns, "*.example", "a.test", outside, outside},
		{dns, "", "example", undecided, undecided},
		{dns, ".example", "example", undecided, undecided},
		{dns, "\xff.example", "example", undecided, undecided},
		{email, "a@urzad.example", "urzad.example", inside, inside},
		{email, "a@sub.urzad.example", "urzad.example", outside, outside},
		{email, "a@sub.urzad.example", ".urzad.example", inside, inside},
		{email, "a@urzad.example", ".urzad.example", outside, outside},
		{email, "a@Urzad.example", "a@urzad.EXAMPLE", inside, inside},
		{email, "A@urzad.example", "a@urzad.example", outside, outside},
		{email, `"a@b"@urzad.example`, "urzad.example", inside, inside},
		{email, "a@b@urzad.example", "urzad.example", undecided, undecided},
		{email, "urzad.example", "urzad.example", undecided, undecided},
		{uri, "https://urzad.example/x", "urzad.example", inside, inside},
		{uri, "https://u:p@urzad.example:8443?x", "urzad.example", inside, inside},
		{uri, "https://sub.urzad.example", "urzad.example", outside, outside},
		{uri, "https://sub.urzad.example", ".urzad.example", inside, inside},
		{uri, "https://urzad.example", ".urzad.example", outside, outside},
		{uri, "https://192.0.2.1/", "192.0.2.1", undecided, undecided},
		{uri, "https://[2001:db8::1]/", "urzad.example", undecided, undecided},
		{uri, "mailto:a@urzad.example", "urzad.example", undecided, undecided},
		{uri, "https://urzad.example\\@evil.test/", "urzad.example", undecided, undecided},
		{ip, "\xc0\x00\x02\x09", "\xc0\x00\x02\x00\xff\xff\xff\x00", inside, inside},
		{ip, "\xc0\x00\x03\x09", "\xc0\x00\x02\x00\xff\xff\xff\x00", outside, outside},
		{ip, "\xc0\x00\x02\x09", "\xc0\x00\x02\x00\xff\x00\xff\x00", undecided, undecided},
		{ip, "\xc0\x00\x02\x09", "\xc0\x00\x02\x00\xff\xff\xfd\x00", undecided, undecided},
		{ip, "\xc0\x00\x02\x09", "\xc0\x00\x02\x00\xfc\x00\x00\x00", inside, inside},
		{ip, "\xc0\x00\x02", "\xc0\x00\x02\x00\xff\xff\xff\x00", undecided, undecided},
		{rid, "\x2a\x03\x04", "\x2a\x03", inside, inside},
		{rid, "\x2a\x04", "\x2a\x03", outside, outside},
		{other, "\x06\x01\x2a\xa0\x03\x0c\x01a", "\x06\x01\x2a\xa0\x03\x0c\x01a", inside, inside},
		{other, "\x06\x01\x2a\xa0\x03\x0c\x01a", "\x06\x01\x2a\xa0\x03\x0c\x01b", undecided, undecided},
	} {
		name, base := general(t, test.tag, test.name), general(t, test.tag, test.base)
		if got := compare(&name, &base, false); got != test.permits {
			t.Errorf("%s permitted by %s: %d, want %d", name, base, got, test.permits)
		}
		if got := compare(&name, &base, true); got != test.excludes {
			t.Errorf("%s excluded by %s: %d, want %d", name, base, got, test.excludes)
		}
	}
}

func TestAConstraintOnOneOtherNameLeavesTheOthersAlone(t *testing.T) {
	a, b := general(t, 0xa0, "\x06\x01\x2a\xa0\x03\x0c\x01a"), general(t, 0xa0, "\x06\x01\x2b\xa0\x03\x0c\x01a")
	if sameForm(&a, &b) || !sameForm(&a, &a) {
		t.Error("the type of an otherName is no form of its own")
	}
}

func TestNameComparisonsAreCounted(t *testing.T) {
	nc := &certificate.NameConstraints{}
	c := &certificate.Certificate{}
	for range 600 {
		nc.Excluded = append(nc.Excluded, certificate.Subtree{Base: general(t, 0x82, "a.test")})
		c.SAN = append(c.SAN, general(t, 0x82, "b.test"))
	}
	set := constraintSet{list: []*certificate.NameConstraints{nc}}
	left := 600 * 600
	if code, _ := set.check(c, &left); code != OK || left != 0 {
		t.Errorf("%v with %d left", code, left)
	}
	left = 600*600 - 1
	if code, _ := set.check(c, &left); code != Budget {
		t.Errorf("%v", code)
	}
}

// FuzzCompare looks for names and constraints that make the comparison panic, or permit and exclude differently than
// they must: what is inside for a permission is never outside for an exclusion.
func FuzzCompare(f *testing.F) {
	f.Add(byte(0x82), []byte("*.a.example"), []byte(".example"))
	f.Add(byte(0x81), []byte("a@b.example"), []byte("b.example"))
	f.Add(byte(0x86), []byte("https://u@b.example:1/"), []byte(".example"))
	f.Add(byte(0x87), []byte{192, 0, 2, 1}, []byte{192, 0, 2, 0, 255, 255, 255, 0})
	f.Fuzz(func(t *testing.T, tag byte, name, base []byte) {
		if len(name) > 120 || len(base) > 120 {
			return
		}
		input := cryptobyte.String(append([]byte{tag, byte(len(name))}, name...))
		g, err := certificate.ReadGeneralName(&input)
		if err != nil {
			return
		}
		input = cryptobyte.String(append([]byte{tag, byte(len(base))}, base...))
		b, err := certificate.ReadGeneralName(&input)
		if err != nil || !sameForm(&b, &g) {
			return
		}
		if compare(&g, &b, false) == inside && compare(&g, &b, true) == outside {
			t.Errorf("%s is permitted by %s and not excluded by it", g, b)
		}
	})
}
