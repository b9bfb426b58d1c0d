package path_test

import (
	"crypto/x509"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/path"
)

// Tags of general names, as in RFC 5280 4.2.1.6.
const (
	tagOther, tagEmail, tagDNS, tagX400, tagDirectory, tagEDI, tagURI, tagIP, tagRegistered = 0xa0, 0x81, 0x82, 0xa3, 0xa4, 0xa5, 0x86, 0x87, 0x88
)

// A nameValue is a GeneralName: its tag and content.
type nameValue struct {
	tag     byte
	content string
}

func (n nameValue) der() []byte {
	return slices.Concat([]byte{n.tag, byte(len(n.content))}, []byte(n.content))
}

// altNames makes a subjectAltName.
func altNames(list ...nameValue) func(*x509.Certificate) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, n := range list {
			b.AddBytes(n.der())
		}
	})
	return with([]int{2, 5, 29, 17}, false, b.BytesOrPanic()...)
}

// constrain makes nameConstraints with one subtree, which is permitted (0) or excluded (1).
func constrain(critical bool, side uint8, bases ...nameValue) func(*x509.Certificate) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(side).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			for _, base := range bases {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(base.der()) })
			}
		})
	})
	return with([]int{2, 5, 29, 30}, critical, b.BytesOrPanic()...)
}

// TestNamesThatNoConstraintCanJudge are refused where a constraint of their form is in force, permitted or excluded, even
// where it is of the same value; and stand where none is.
func TestNamesThatNoConstraintCanJudge(t *testing.T) {
	const (
		upn     = "\x06\x03\x2a\x03\x04\xa0\x03\x0c\x01a"
		mailbox = "\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x09\xa0\x0b\x0c\x09\xc3\xb3@urzad.x"
	)
	dns, email, uri := nameValue{tagDNS, "example"}, nameValue{tagEmail, "urzad.x"}, nameValue{tagURI, ".example"}
	for _, test := range []struct {
		name       string
		leaf, base nameValue
	}{
		{"otherName", nameValue{tagOther, upn}, nameValue{tagOther, upn}},
		{"otherName of another type", nameValue{tagOther, mailbox}, nameValue{tagOther, upn}},
		{"mailbox beyond ASCII", nameValue{tagOther, mailbox}, email},
		{"x400Address", nameValue{tagX400, "\x30\x00"}, nameValue{tagX400, "\x30\x00"}},
		{"ediPartyName", nameValue{tagEDI, "\xa1\x03\x0c\x01a"}, nameValue{tagEDI, "\xa1\x03\x0c\x01a"}},
		{"registeredID", nameValue{tagRegistered, "\x2a\x03\x04"}, nameValue{tagRegistered, "\x2a\x03\x04"}},
		{"directoryName that is none", nameValue{tagDirectory, "\x04\x00"}, nameValue{tagDirectory, "\x30\x00"}},
		{"address of three octets", nameValue{tagIP, "\xc0\x00\x02"}, nameValue{tagIP, "\xc0\x00\x02\x00\xff\xff\xff\x00"}},
		{"empty label", nameValue{tagDNS, "a..example"}, dns},
		{"trailing dot", nameValue{tagDNS, "a.example."}, dns},
		{"wildcard in the middle", nameValue{tagDNS, "a.*.example"}, dns},
		{"host beyond ASCII", nameValue{tagDNS, "\xc3\xb3.example"}, dns},
		{"mailbox without a host", nameValue{tagEmail, "urzad.x"}, email},
		{"URI without a host", nameValue{tagURI, "urn:example"}, uri},
		{"URI with an address", nameValue{tagURI, "https://192.0.2.1/"}, uri},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, critical := range []bool{true, false} {
				permitted := chainOf(t, constrain(critical, 0, test.base), altNames(test.leaf))
				wantCode(t, validate(permitted), path.NameNotPermitted)
				excluded := chainOf(t, constrain(critical, 1, test.base), altNames(test.leaf))
				wantCode(t, validate(excluded), path.NameExcluded)
			}
			elsewhere := nameValue{tagIP, "\xc6\x33\x64\x00\xff\xff\xff\x00"}
			if test.base.tag == tagIP {
				elsewhere = dns
			}
			wantCode(t, validate(chainOf(t, constrain(true, 1, elsewhere), altNames(test.leaf))), path.OK)
		})
	}
}

// TestEveryNameBelowAConstraintCounts: the constraint is also about the CAs below, and about the subject's own mailbox.
func TestEveryNameBelowAConstraintCounts(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	top := mint(t, root, "top", nil, ca, constrain(true, 0, nameValue{tagEmail, "urzad.x"}))
	odd := mint(t, top, "odd", nil, ca, altNames(nameValue{tagEmail, "urzad.x"}))
	leaf := mint(t, odd, "leaf", nil)
	wantCode(t, validate(path.Request{Target: leaf.cert, Pool: pool(odd, top), Anchors: anchors(t, root)}), path.NameNotPermitted)
	for mailbox, want := range map[string]path.Code{"a@urzad.x": path.OK, "a@evil.test": path.NameNotPermitted, "a@urzad.x.": path.NameNotPermitted, "\xf3@urzad.x": path.NameNotPermitted} {
		own := mint(t, top, "own", nil, func(c *x509.Certificate) {
			c.RawSubject = slices.Concat([]byte{0x30, byte(17 + len(mailbox)), 0x31, byte(15 + len(mailbox)), 0x30, byte(13 + len(mailbox))},
				[]byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01\x16"), []byte{byte(len(mailbox))}, []byte(mailbox))
		})
		t.Run(mailbox, func(t *testing.T) {
			wantCode(t, validate(path.Request{Target: own.cert, Pool: pool(top), Anchors: anchors(t, root)}), want)
		})
	}
}

// TestNamesMustBeReadable has extensions that say nothing, or nothing that can be read.
func TestNamesMustBeReadable(t *testing.T) {
	raw := func(id int, critical bool, value string) func(*x509.Certificate) {
		return with([]int{2, 5, 29, id}, critical, []byte(value)...)
	}
	const san, nc = 17, 30
	for _, test := range []struct {
		name         string
		middle, leaf func(*x509.Certificate)
		want         path.Code
		position     int
	}{
		{"empty subjectAltName", nil, raw(san, false, "\x30\x00"), path.BadExtension, 0},
		{"empty subjectAltName of a CA", raw(san, false, "\x30\x00"), nil, path.BadExtension, 1},
		{"subjectAltName that is no sequence", nil, raw(san, false, "\x31\x00"), path.BadExtension, 0},
		{"subjectAltName with an unknown form", nil, raw(san, false, "\x30\x03\x89\x01a"), path.BadExtension, 0},
		{"subjectAltName cut short", nil, raw(san, false, "\x30\x03\x82\x02a"), path.BadExtension, 0},
		{"empty nameConstraints", raw(nc, true, "\x30\x00"), nil, path.BadExtension, 1},
		{"empty nameConstraints, not critical", raw(nc, false, "\x30\x00"), nil, path.BadExtension, 1},
		{"nothing permitted", raw(nc, true, "\x30\x02\xa0\x00"), nil, path.BadExtension, 1},
		{"nothing excluded", raw(nc, true, "\x30\x02\xa1\x00"), nil, path.BadExtension, 1},
		{"nameConstraints that are none", raw(nc, false, "\x05\x00"), nil, path.BadExtension, 1},
		{"subtree without a name", raw(nc, true, "\x30\x04\xa0\x02\x30\x00"), nil, path.BadExtension, 1},
		{"address and mask of five octets", constrain(true, 1, nameValue{tagIP, "\xc0\x00\x02\x00\xff"}), nil, path.BadExtension, 1},
		{"directoryName that is none", constrain(true, 1, nameValue{tagDirectory, "\x04\x00"}), nil, path.BadExtension, 1},
		{"host beyond ASCII", constrain(true, 1, nameValue{tagDNS, "\xc3\xb3.example"}), nil, path.BadExtension, 1},
		{"minimum", raw(nc, true, "\x30\x0c\xa0\x0a\x30\x08\x82\x03a.b\x80\x01\x01"), nil, path.BadExtension, 1},
		{"maximum", raw(nc, true, "\x30\x0c\xa0\x0a\x30\x08\x82\x03a.b\x81\x01\x01"), nil, path.BadExtension, 1},
		{"critical nameConstraints of the target", nil, constrain(true, 1, nameValue{tagDNS, "a.b"}), path.BadExtension, 0},
		{"nameConstraints of the target", nil, constrain(false, 1, nameValue{tagDNS, "a.b"}), path.OK, 0},
		{"critical nameConstraints of a target that is a CA", nil, both(ca, constrain(true, 1, nameValue{tagDNS, "a.b"})), path.OK, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := validate(chainOf(t, test.middle, test.leaf))
			wantCode(t, r, test.want)
			if r.Reason().Position != test.position {
				t.Errorf("%v at %d", r.Reason(), r.Reason().Position)
			}
		})
	}
}

func both(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

// TestAnyPolicyIsNeverMapped, on either side, beside other mappings, and whatever the policy inputs (RFC 5280 6.1.4 (a)).
func TestAnyPolicyIsNeverMapped(t *testing.T) {
	const anyPolicy, one, two = "\x06\x04\x55\x1d\x20\x00", "\x06\x03\x2a\x03\x01", "\x06\x03\x2a\x03\x02"
	mapping := func(pairs ...[2]string) func(*x509.Certificate) {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, p := range pairs {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes([]byte(p[0] + p[1])) })
			}
		})
		return with([]int{2, 5, 29, 33}, true, b.BytesOrPanic()...)
	}
	for name, pairs := range map[string][][2]string{
		"from": {{anyPolicy, one}}, "to": {{one, anyPolicy}}, "both": {{anyPolicy, anyPolicy}}, "last of three": {{one, two}, {two, one}, {one, anyPolicy}},
	} {
		for _, inputs := range []path.Policies{{}, {InhibitMapping: true}, {RequireExplicit: true}, {InhibitAny: true}} {
			t.Run(name, func(t *testing.T) {
				request := chainOf(t, mapping(pairs...), nil)
				request.Policies = inputs
				r := validate(request)
				wantCode(t, r, path.BadPolicyMapping)
				if r.Reason().Position != 1 {
					t.Errorf("%v", r.Reason())
				}
			})
		}
	}
	request := chainOf(t, nil, mapping([2]string{one, anyPolicy}))
	wantCode(t, validate(request), path.OK) // the target's mappings are not processed
	request.Profile = path.ProfileStrict
	r := validate(request)
	if !slices.ContainsFunc(r.Reasons, func(r path.Reason) bool { return r.Clause == "RFC 5280 4.2.1.5" && r.Position == 0 }) {
		t.Errorf("profile strict: %v", r.Reasons)
	}
	if r := validate(chainOf(t, mapping([2]string{one, two}), nil)); !r.Valid {
		t.Errorf("a mapping that is allowed: %v", r.Reasons)
	}
}
