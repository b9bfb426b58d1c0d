package jades

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"filippo.io/mldsa"

	"trustcore/internal/cms/cmstest"
)

// TestLatticeKeys: ML-DSA signs the input itself, and the set that alg names has to be the key's.
func TestLatticeKeys(t *testing.T) {
	for i, p := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		key, err := mldsa.GenerateKey(p)
		if err != nil {
			t.Fatal(err)
		}
		id := cmstest.Identity{Cert: &x509.Certificate{Raw: latticeCertificate(t, byte(17+i), key.PublicKey().Bytes())}}
		for j, alg := range []string{"ML-DSA-44", "ML-DSA-65", "ML-DSA-87"} {
			input := url64([]byte(object(`"alg":"`+alg+`"`, thumb(id), chain(id), claimed))) + "." + url64([]byte(content))
			value, err := key.Sign(nil, []byte(input), &mldsa.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s := only(t, input+"."+url64(value))
			if s.Intact != (i == j) || (s.Unsupported == "") != (i == j) {
				t.Errorf("%s under the key of set %d: intact %t, unsupported %q", alg, i, s.Intact, s.Unsupported)
			}
			value[7] ^= 1
			if s := only(t, input+"."+url64(value)); s.Intact {
				t.Errorf("%s: another value is intact", alg)
			}
		}
	}
}

// latticeCertificate is another person's with this key in it; nobody asks here who signed it.
func latticeCertificate(t *testing.T, set byte, public []byte) []byte {
	t.Helper()
	oid := asn1.RawValue{FullBytes: []byte{0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, set}}
	spki, err := asn1.Marshal(struct {
		Algorithm struct{ OID asn1.RawValue }
		Key       asn1.BitString
	}{struct{ OID asn1.RawValue }{oid}, asn1.BitString{Bytes: public, BitLength: 8 * len(public)}})
	if err != nil {
		t.Fatal(err)
	}
	of := officer(t).Cert
	var whole, tbs asn1.RawValue
	if _, err := asn1.Unmarshal(of.Raw, &whole); err != nil {
		t.Fatal(err)
	}
	rest, err := asn1.Unmarshal(whole.Bytes, &tbs)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := asn1.Marshal(asn1.RawValue{Tag: 16, IsCompound: true, Bytes: bytes.Replace(tbs.Bytes, of.RawSubjectPublicKeyInfo, spki, 1)})
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(asn1.RawValue{Tag: 16, IsCompound: true, Bytes: append(changed, rest...)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}
