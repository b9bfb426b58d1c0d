package cades_test

import (
	"slices"
	"strings"
	"testing"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// TestRoles: claimed roles are told, certified ones as not checked, and neither changes what the signature is worth.
func TestRoles(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	role := tlv(6, []byte{0x55, 4, 0x48})
	uri := func(tag byte, text string) []byte {
		return tlv(0x30, role, tlv(0x31, tlv(0x30, tlv(0xa1, tlv(tag, []byte(text))))))
	}
	claimed := func(attributes ...[]byte) []byte { return tlv(0xa0, tlv(0x30, attributes...)) }
	certified, assertion := tlv(0xa1, tlv(0x30, []byte{5, 0})), tlv(0xa2, tlv(0x30, role))
	for name, c := range map[string]struct {
		value     []byte
		want      string
		unchecked bool
	}{
		"string":           {tlv(0x30, claimed(tlv(0x30, role, tlv(0x31, tlv(12, []byte("prokurent")))))), "prokurent", false},
		"two":              {tlv(0x30, claimed(uri(0x86, "urn:a"), uri(0x86, "urn:b"))), "urn:a urn:b", false},
		"not to be shown":  {tlv(0x30, claimed(uri(0x86, "urn:\x1b[2J"))), "", false},
		"another name":     {tlv(0x30, claimed(uri(0x82, "a.example"))), "", false},
		"too long":         {tlv(0x30, claimed(uri(0x86, strings.Repeat("x", 2000)))), "", false},
		"certified":        {tlv(0x30, certified), "", true},
		"assertion":        {tlv(0x30, assertion), "", true},
		"claimed, then so": {tlv(0x30, claimed(uri(0x86, "urn:a")), certified), "urn:a", true},
		"no sequence":      {tlv(4, []byte("x")), "", true},
		"nothing":          {tlv(0x30), "", false},
		"broken claim":     {tlv(0x30, tlv(0xa0, []byte{4, 1, 0})), "", true},
		"broken attribute": {tlv(0x30, claimed(tlv(0x30, role))), "", true},
	} {
		for _, oid := range []cms.OID{cms.OIDSignerAttributes, cms.OIDSignerAttributesV2} {
			plain := only(t, sign(t, id, nil))
			s := only(t, sign(t, id, func(sc *cms.SignConfig) { sc.Attributes = []cms.Attribute{cms.NewAttribute(oid, c.value)} }))
			if got := strings.Join(s.Signatory.Roles, " "); got != c.want || slices.Contains(s.Notes, signature.UncheckedRoles) != c.unchecked {
				t.Errorf("%s: roles %q, notes %q; want %q, unchecked %t", name, got, s.Notes, c.want, c.unchecked)
			}
			if !s.Intact || s.Level != plain.Level {
				t.Errorf("%s: intact %t, level %s; without it %s", name, s.Intact, s.Level, plain.Level)
			}
		}
	}
	unsigned := only(t, sign(t, id, func(c *cms.SignConfig) {
		c.UnsignedAttributes = []cms.Attribute{cms.NewAttribute(cms.OIDSignerAttributes, tlv(0x30, claimed(uri(0x86, "urn:a"))))}
	}))
	if len(unsigned.Signatory.Roles) != 0 {
		t.Errorf("a role that nobody signed: %q", unsigned.Signatory.Roles)
	}
}
