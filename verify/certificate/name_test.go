package certificate_test

import (
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/certificate"
)

// attribute is one common name or country with a string type.
type attribute struct {
	id    byte // 2.5.4.id
	tag   byte
	value string
}

// buildName encodes RDNs of one or more attributes.
func buildName(rdns ...[]attribute) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range rdns {
			b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
				for _, a := range rdn {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte{0x55, 4, a.id}) })
						b.AddASN1(asn1.Tag(a.tag), func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.value)) })
					})
				}
			})
		}
	})
	return b.BytesOrPanic()
}

func cn(tag byte, value string) []attribute { return []attribute{{3, tag, value}} }

const (
	utf8String, printable, teletex, ia5, bmp, universal, octets = 0x0c, 0x13, 0x14, 0x16, 0x1e, 0x1c, 0x04
)

func TestNamesAreComparedByRFC5280(t *testing.T) {
	for _, test := range []struct {
		name  string
		a, b  []byte
		equal bool
	}{
		{"case", buildName(cn(printable, "Urzad Miasta")), buildName(cn(printable, "URZAD miasta")), true},
		{"inner spaces", buildName(cn(printable, "Urzad   Miasta")), buildName(cn(printable, "Urzad Miasta")), true},
		{"outer spaces", buildName(cn(printable, "  Urzad Miasta ")), buildName(cn(printable, "Urzad Miasta")), true},
		{"only spaces", buildName(cn(printable, "   ")), buildName(cn(printable, "")), true},
		{"missing space", buildName(cn(printable, "UrzadMiasta")), buildName(cn(printable, "Urzad Miasta")), false},
		{"string types", buildName(cn(printable, "Urzad")), buildName(cn(utf8String, "urzad")), true},
		{"BMPString", buildName(cn(bmp, "\x01\x02\x00a")), buildName(cn(utf8String, "Ăa")), true},
		{"UniversalString", buildName(cn(universal, "\x00\x00\x01\x7c")), buildName(cn(utf8String, "ż")), true},
		{"TeletexString", buildName(cn(teletex, "M\xfcller")), buildName(cn(utf8String, "müller")), true},
		{"non-ASCII case", buildName(cn(utf8String, "URZĄD")), buildName(cn(utf8String, "urząd")), true},
		{"composition", buildName(cn(utf8String, "e\u0301")), buildName(cn(utf8String, "é")), true},
		{"sharp s", buildName(cn(utf8String, "Straße")), buildName(cn(utf8String, "STRASSE")), true},
		{"soft hyphen", buildName(cn(utf8String, "ab\u00adc")), buildName(cn(utf8String, "abc")), true},
		{"no-break space", buildName(cn(utf8String, "a\u00a0b")), buildName(cn(utf8String, "a b")), true},
		{"no string", buildName(cn(octets, "a")), buildName(cn(octets, "A")), false},
		{"string and no string", buildName(cn(octets, "a")), buildName(cn(printable, "a")), false},
		{"attribute type", buildName(cn(printable, "a")), buildName([]attribute{{6, printable, "a"}}), false},
		{"order of RDNs", buildName(cn(printable, "a"), cn(printable, "b")), buildName(cn(printable, "b"), cn(printable, "a")), false},
		{"order in an RDN", buildName([]attribute{{3, printable, "a"}, {6, printable, "PL"}}), buildName([]attribute{{6, utf8String, "pl"}, {3, printable, "A"}}), true},
		{"two RDNs or one", buildName([]attribute{{3, printable, "a"}, {6, printable, "b"}}), buildName(cn(printable, "a"), []attribute{{6, printable, "b"}}), false},
		{"length", buildName(cn(printable, "a")), buildName(cn(printable, "a"), cn(printable, "a")), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := mustName(t, test.a), mustName(t, test.b)
			if a.Equal(b) != test.equal || b.Equal(a) != test.equal {
				t.Errorf("%s and %s: equal is %v", a, b, !test.equal)
			}
		})
	}
}

func mustName(t *testing.T, der []byte) certificate.Name {
	t.Helper()
	n, err := certificate.ParseName(der)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWithinIsAPrefixOfRDNs(t *testing.T) {
	country := []attribute{{6, printable, "PL"}}
	whole := mustName(t, buildName(country, cn(printable, "ab")))
	for _, test := range []struct {
		base   []byte
		within bool
	}{
		{buildName(), true}, {buildName(country), true}, {buildName([]attribute{{6, utf8String, "pl"}}), true},
		{buildName(country, cn(printable, "AB")), true}, {buildName(country, cn(printable, "a")), false},
		{buildName(cn(printable, "ab")), false}, {buildName(country, cn(printable, "ab"), cn(printable, "c")), false},
	} {
		if base := mustName(t, test.base); whole.Within(base) != test.within {
			t.Errorf("within %q is %v", base, !test.within)
		}
	}
}

func TestNameIsWrittenByRFC4514(t *testing.T) {
	for _, test := range []struct {
		der  []byte
		want string
	}{
		{buildName([]attribute{{6, printable, "PL"}}, cn(utf8String, "Urząd, Miasta")), `CN=Urząd\, Miasta,C=PL`},
		{buildName([]attribute{{3, printable, "a"}, {6, printable, "PL"}}), `CN=a+C=PL`},
		{buildName(cn(utf8String, " #x ")), `CN=\ #x\ `},
		{buildName(cn(utf8String, "#x\n")), `CN=\#x\0a`},
		{buildName(cn(octets, "\x01")), `CN=#040101`},
		{buildName([]attribute{{99, printable, "v"}}), `2.5.4.99=v`},
	} {
		if got := mustName(t, test.der).String(); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

func TestOIDs(t *testing.T) {
	for _, dotted := range []string{"1.2.840.113549.1.1.11", "2.5.29.32.0", "2.999.1", "0.4.0.194121.2.1", "1.3.6.1.4.1.4294967296.1"} {
		id, err := certificate.ParseOID(dotted)
		if err != nil || id.String() != dotted || !id.Valid() {
			t.Errorf("%s: %s, %v", dotted, id, err)
		}
	}
	for _, bad := range []string{"", "1", "3.1", "1.40", "1..2", "1.-2", "a.b"} {
		if id, err := certificate.ParseOID(bad); err == nil {
			t.Errorf("%q is read as %s", bad, id)
		}
	}
	known := map[certificate.OID]string{certificate.ExtValidityAssured: "0.4.0.194121.2.1", certificate.ExtQCStatements: "1.3.6.1.5.5.7.1.3",
		certificate.QCTypeESeal: "0.4.0.1862.1.6.2", certificate.AttrOrganizationIdentifier: "2.5.4.97",
		certificate.AttrDomainComponent: "0.9.2342.19200300.100.1.25", certificate.AttrEmail: "1.2.840.113549.1.9.1"}
	for id, dotted := range known {
		if id.String() != dotted {
			t.Errorf("%s, want %s", id, dotted)
		}
	}
}
