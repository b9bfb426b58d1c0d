package path

import (
	"bytes"
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
	const email, dns, x400, edi, uri, ip, rid, other = 0x81, 0x82, 0xa3, 0xa5, 0x86, 0x87, 0x88, 0xa0
	for _, test := range []struct {
		tag        byte
		name, base string
		permits    match // compared as a permitted subtree
		excludes   match // compared as an excluded one
	}{
		{dns, "example", "example", inside, inside},
		{dns, "a.EXAMPLE", "example", inside, inside},
		{dns, "a_b-1.example", "example", inside, inside},
		{dns, "a.example.", "example", undecided, undecided},
		{dns, "a.example", "example.", undecided, undecided},
		{dns, "a.example", ".", undecided, undecided},
		{dns, "a..example", "example", undecided, undecided},
		{dns, "a.example", "b..example", undecided, undecided},
		{dns, "a.*.example", "example", undecided, undecided},
		{dns, "x*.example", "example", undecided, undecided},
		{dns, "*", "example", undecided, undecided},
		{dns, "*.", "", undecided, undecided},
		{dns, "**.example", "example", undecided, undecided},
		{dns, "*.*.example", "example", undecided, undecided},
		{dns, "a.example", "*.example", undecided, undecided},
		{dns, "evil.test\x00.example", "example", undecided, undecided},
		{dns, "evil.test .example", "example", undecided, undecided},
		{dns, "evil.test/.example", "example", undecided, undecided},
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
		{email, "a@urzad.example.", "urzad.example", undecided, undecided},
		{email, "a@urzad.example", "urzad.example.", undecided, undecided},
		{email, "a@urzad..example", ".example", undecided, undecided},
		{email, "a@.urzad.example", ".example", undecided, undecided},
		{email, "a@[192.0.2.1]", "urzad.example", undecided, undecided},
		{email, "a@*.example", ".example", undecided, undecided},
		{email, "a@urzad.example", ".", undecided, undecided},
		{email, "a@urzad.example", ".a..b", undecided, undecided},
		{email, "a@urzad.example", "b@urzad.example", outside, outside},
		{email, `"a"@urzad.example`, "a@urzad.example", undecided, undecided},
		{email, "a(x)@urzad.example", "a@urzad.example", undecided, undecided},
		{email, "a@urzad.example", `"a"@urzad.example`, undecided, undecided},
		{email, `"a@evil.test"b@urzad.example`, "urzad.example", undecided, undecided},
		{email, `a"b@urzad.example`, "urzad.example", undecided, undecided},
		{email, "a@urzad.example", "", inside, inside},
		{uri, "https://urzad.example/x", "urzad.example", inside, inside},
		{uri, "https://u:p@urzad.example:8443?x", "urzad.example", inside, inside},
		{uri, "https://sub.urzad.example", "urzad.example", outside, outside},
		{uri, "https://sub.urzad.example", ".urzad.example", inside, inside},
		{uri, "https://urzad.example", ".urzad.example", outside, outside},
		{uri, "https://192.0.2.1/", "192.0.2.1", undecided, undecided},
		{uri, "https://[2001:db8::1]/", "urzad.example", undecided, undecided},
		{uri, "mailto:a@urzad.example", "urzad.example", undecided, undecided},
		{uri, "urn:x", "", undecided, undecided},
		{uri, "https:///x", "urzad.example", undecided, undecided},
		{uri, "//urzad.example", "urzad.example", undecided, undecided},
		{uri, "mailto:x@evil.test?://urzad.example/", "urzad.example", undecided, undecided},
		{uri, "https://urzad.example./", "urzad.example", undecided, undecided},
		{uri, "https://a..example/", ".example", undecided, undecided},
		{uri, "https://urz%61d.example/", "urzad.example", undecided, undecided},
		{uri, "https://*.example/", ".example", undecided, undecided},
		{uri, "https://urzad.example:8443x/", "urzad.example", undecided, undecided},
		{uri, "https://urzad.example/", "urzad.example.", undecided, undecided},
		{uri, "https://urzad.example/", "https://urzad.example", undecided, undecided},
		{uri, "https://urzad.example/", "", inside, inside},
		{uri, "https://urzad.example\\@evil.test/", "urzad.example", undecided, undecided},
		{ip, "\xc0\x00\x02\x09", "\xc0\x00\x02\x00\xff\xff\xff\x00", inside, inside},
		{ip, "\xc0\x00\x03\x09", "\xc0\x00\x02\x00\xff\xff\xff\x00", outside, outside},
		{ip, "\xc0\x00\x02\x09", "\xc0\x00\x02\x00\xff\x00\xff\x00", undecided, undecided},
		{ip, "\xc0\x00\x02\x09", "\xc0\x00\x02\x00\xff\xff\xfd\x00", undecided, undecided},
		{ip, "\xc0\x00\x02\x09", "\xc0\x00\x02\x00\xfc\x00\x00\x00", inside, inside},
		{ip, "\xc0\x00\x02", "\xc0\x00\x02\x00\xff\xff\xff\x00", undecided, undecided},
		// No constraint on the remaining forms is processed, not even for the name itself.
		{rid, "\x2a\x03\x04", "\x2a\x03", undecided, undecided},
		{rid, "\x2a\x04", "\x2a\x03", undecided, undecided},
		{other, "\x06\x01\x2a\xa0\x03\x0c\x01a", "\x06\x01\x2a\xa0\x03\x0c\x01a", undecided, undecided},
		{other, "\x06\x01\x2a\xa0\x03\x0c\x01a", "\x06\x01\x2a\xa0\x03\x0c\x01b", undecided, undecided},
		{x400, "\x30\x00", "\x30\x00", undecided, undecided},
		{edi, "\xa1\x03\x0c\x01a", "\xa1\x03\x0c\x01a", undecided, undecided},
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

// TestFormsOfNames: constraints on mailboxes are about those beyond ASCII, and one on any otherName about all.
func TestFormsOfNames(t *testing.T) {
	mailbox := general(t, 0xa0, "\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x09\xa0\x0b\x0c\x09\xc3\xb3@urzad.x")
	other, host, base := general(t, 0xa0, "\x06\x01\x2a\xa0\x03\x0c\x01a"), general(t, 0x82, "a.example"), general(t, 0x81, "urzad.x")
	for _, test := range []struct {
		name, base certificate.GeneralName
		same       bool
	}{{mailbox, base, true}, {other, mailbox, true}, {mailbox, other, true}, {other, base, false}, {host, base, false}, {base, mailbox, false}} {
		if sameForm(&test.base, &test.name) != test.same {
			t.Errorf("%s and a constraint on %s: one form is %v", test.name, test.base, !test.same)
		}
	}
	if got := compare(&mailbox, &base, false); got != undecided {
		t.Errorf("a mailbox beyond ASCII under a constraint: %d", got)
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
	// Long names count by their octets.
	c.SAN = []certificate.GeneralName{{Kind: certificate.DNSName, Value: bytes.Repeat([]byte{'a'}, 100*usualName)}}
	left = 600 * 100
	if code, _ := set.check(c, &left); code != Budget {
		t.Errorf("long names: %v", code)
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
