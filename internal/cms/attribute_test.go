package cms

import (
	"bytes"
	"testing"
)

// TestRevocations reads the two containers of revocation values: CAdES wraps no BasicOCSPResponse,
// PDF holds OCSPResponses.
func TestRevocations(t *testing.T) {
	crl, basic := element(tagSequence, []byte{5, 0}), element(tagSequence, []byte{5, 0, 5, 0})
	value := element(tagSequence,
		element(0xa0, element(tagSequence, crl, crl)), element(0xa1, element(tagSequence, basic)), element(0xa2, element(tagSequence)))
	for typ, want := range map[OID][]byte{OIDRevocationValues: WrapBasicOCSP(basic), OIDRevocationArchival: basic} {
		a := NewAttribute(typ, value)
		crls, ocsps, err := a.Revocations()
		if err != nil || len(crls) != 2 || len(ocsps) != 1 || !bytes.Equal(ocsps[0], want) {
			t.Errorf("%s: %v, %d CRLs, % x", typ, err, len(crls), ocsps)
		}
	}
	for _, bad := range [][]byte{{4, 0}, element(tagSequence, []byte{0xa0, 2, 4, 0}), element(tagSequence, []byte{0xa0, 9})} {
		a := NewAttribute(OIDRevocationValues, bad)
		if _, _, err := a.Revocations(); err == nil {
			t.Errorf("% x was taken", bad)
		}
	}
}

// TestReferences reads complete references with SHA-1 and with named digests.
func TestReferences(t *testing.T) {
	sha1, named := element(tagOctetString, make([]byte, 20)), element(tagSequence, sha256Identifier, element(tagOctetString, make([]byte, 32)))
	issuer := element(tagSequence, element(tagSequence, element(0xa4, element(tagSequence))), integer(5))
	certs := NewAttribute(OIDCertificateRefs, element(tagSequence, element(tagSequence, sha1), element(tagSequence, named, issuer)))
	refs, err := certs.CertificateReferences()
	if err != nil || len(refs) != 2 || !bytes.Equal(refs[0].HashAlgorithm, sha1Identifier) || len(refs[1].Hash) != 32 ||
		!bytes.Equal(refs[1].Serial, []byte{5}) || !bytes.Equal(refs[1].Issuer, element(tagSequence)) {
		t.Errorf("certificates: %v, %+v", err, refs)
	}
	crls := element(0xa0, element(tagSequence, element(tagSequence, element(tagSequence, named))))
	ocsps := element(0xa1, element(tagSequence, element(tagSequence,
		element(tagSequence, element(tagSequence), sha1), element(tagSequence, element(tagSequence)))))
	revocations := NewAttribute(OIDRevocationRefs, element(tagSequence, element(tagSequence, crls), element(tagSequence, ocsps)))
	refs, err = revocations.RevocationReferences()
	if err != nil || len(refs) != 2 || len(refs[0].Hash) != 32 || len(refs[1].Hash) != 20 {
		t.Errorf("revocations: %v, %+v", err, refs)
	}
}

func TestPolicyIdentifier(t *testing.T) {
	for _, c := range []struct {
		value []byte
		want  string
		ok    bool
	}{{[]byte{tagNull, 0}, "implied", true}, {element(tagSequence, element(tagOID, []byte{0x2a, 3})), "1.2.3", true}, {[]byte{4, 0}, "", false}} {
		a := NewAttribute(OIDSignaturePolicy, c.value)
		got, err := a.PolicyIdentifier()
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("% x: %q, %v", c.value, got, err)
		}
	}
}

// TestHashIndex reads the three versions; the first may leave its algorithm out.
func TestHashIndex(t *testing.T) {
	list := element(tagSequence, element(tagOctetString, make([]byte, 32)))
	for _, c := range []struct {
		typ     OID
		value   []byte
		version int
	}{
		{OIDATSHashIndex, element(tagSequence, list, list, list), 1},
		{OIDATSHashIndexV2, element(tagSequence, sha256Identifier, list, list, list), 2},
		{OIDATSHashIndexV3, element(tagSequence, sha256Identifier, list, list, list), 3},
		{OIDATSHashIndexV3, element(tagSequence, sha256Identifier, list, list), 0},
		{OIDATSHashIndexV3, element(tagSequence, sha256Identifier, list, list, list, list), 0},
	} {
		si := &SignerInfo{UnsignedAttributes: []Attribute{NewAttribute(c.typ, c.value)}}
		x, err := si.HashIndex()
		if (err == nil) != (c.version > 0) || err == nil && (x.Version != c.version || len(x.Certificates) != 1 || len(x.Attributes) != 1) {
			t.Errorf("version %d: %v, %+v", c.version, err, x)
		}
	}
}
