package cades_test

import (
	"crypto/sha256"
	"reflect"
	"testing"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// TestClaims: what a signer says of policy, commitments and place is told as it stands there; what can't be read is not.
func TestClaims(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	sum := sha256.Sum256([]byte("the policy"))
	oid := func(octets string) []byte { return tlv(6, []byte(octets)) }
	qualifier := func(last byte, value []byte) []byte {
		return tlv(0x30, oid("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x05"+string(last)), value)
	}
	policy := tlv(0x30, oid("\x2a\x03"), tlv(0x30, tlv(0x30, oid("\x60\x86\x48\x01\x65\x03\x04\x02\x01")), tlv(4, sum[:])),
		tlv(0x30, qualifier(1, tlv(0x16, []byte("https://p.example/"))), qualifier(2, tlv(0x30, tlv(12, []byte("read this"))))))
	location := tlv(0x30, tlv(0xa0, tlv(0x13, []byte("PL"))), tlv(0xa1, tlv(12, []byte("Gdynia"))),
		tlv(0xa2, tlv(0x30, tlv(12, []byte("Zana 10")), tlv(12, []byte("81-001")))))
	attributes := []cms.Attribute{cms.NewAttribute(cms.OIDSignaturePolicy, policy), cms.NewAttribute(cms.OIDSignerLocation, location),
		cms.NewAttribute(cms.OIDCommitmentType, tlv(0x30, oid("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x06\x01"))),
		cms.NewAttribute(cms.OIDMIMEType, tlv(12, []byte("text/plain")))}
	want := signature.Claims{ContentType: "1.2.840.113549.1.7.1", Commitments: []signature.Commitment{{ID: "1.2.840.113549.1.9.16.6.1"}},
		Place: &signature.Place{Country: "PL", City: "Gdynia", Address: []string{"Zana 10", "81-001"}}}
	details := signature.Policy{URL: "https://p.example/", Notice: "read this", Digest: signature.Digest{Algorithm: "SHA-256", Value: sum[:]}}
	for stored, found := range map[string][2]bool{"": {false, false}, "the policy": {true, true}, "another": {true, false}, "0 ASN.1": {false, false}} {
		s := only(t, sign(t, id, func(c *cms.SignConfig) {
			c.Attributes = attributes
			if stored != "" {
				c.UnsignedAttributes = []cms.Attribute{cms.NewAttribute(cms.OIDSignaturePolicyStore, tlv(0x30, tlv(0x30), tlv(4, []byte(stored))))}
			}
		}))
		if !reflect.DeepEqual(s.Claims, want) || s.PolicyOID != "1.2.3" || s.MimeType != "text/plain" {
			t.Errorf("%+v of %s, %s", s.Claims, s.PolicyOID, s.MimeType)
		}
		details.Stored, details.Matches = found[0], found[1]
		if s.Policy == nil || !reflect.DeepEqual(*s.Policy, details) {
			t.Errorf("stored %q: %+v", stored, s.Policy)
		}
	}
	for name, broken := range map[string][]byte{"no sequence": tlv(4, []byte("x")), "empty": tlv(0x30), "no string": tlv(0x30, tlv(0xa0, tlv(2, []byte{1})))} {
		s := only(t, sign(t, id, func(c *cms.SignConfig) {
			c.Attributes = []cms.Attribute{cms.NewAttribute(cms.OIDSignerLocation, broken), cms.NewAttribute(cms.OIDCommitmentType, broken)}
		}))
		if p := s.Claims.Place; s.Claims.Commitments != nil || p != nil && p.Country != "" || !s.Intact {
			t.Errorf("%s: %+v", name, s.Claims)
		}
	}
}
