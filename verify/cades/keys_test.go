package cades_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/ed448"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// oddKey is a key whose signatures are over the message itself.
type oddKey struct {
	identifier []byte // AlgorithmIdentifier of key and signature
	public     []byte
	sign       func(message []byte) []byte
}

func identifier(oid ...byte) []byte { return tlv(0x30, tlv(0x06, oid)) }

func oddKeys(t *testing.T) map[string]oddKey {
	t.Helper()
	public25519, private25519, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public448, private448, err := ed448.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]oddKey{
		"Ed25519": {identifier(0x2b, 101, 112), public25519, func(m []byte) []byte { return ed25519.Sign(private25519, m) }},
		"Ed448":   {identifier(0x2b, 101, 113), public448, func(m []byte) []byte { return ed448.Sign(private448, m, "") }},
	}
	for i, p := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		key, err := mldsa.GenerateKey(p)
		if err != nil {
			t.Fatal(err)
		}
		keys[[]string{"ML-DSA-44", "ML-DSA-65", "ML-DSA-87"}[i]] = oddKey{identifier(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, byte(17+i)), key.PublicKey().Bytes(),
			func(m []byte) []byte {
				value, err := key.Sign(rand.Reader, m, &mldsa.Options{})
				if err != nil {
					t.Fatal(err)
				}
				return value
			}}
	}
	return keys
}

// certificate is another person's with this key in it; nobody asks here who signed it.
func (k oddKey) certificate(t *testing.T, id cmstest.Identity) []byte {
	t.Helper()
	var tbs asn1.RawValue
	if _, err := asn1.Unmarshal(id.Cert.RawTBSCertificate, &tbs); err != nil {
		t.Fatal(err)
	}
	key := tlv(0x30, k.identifier, tlv(0x03, append([]byte{0}, k.public...)))
	body := bytes.Replace(tbs.Bytes, id.Cert.RawSubjectPublicKeyInfo, key, 1)
	return tlv(0x30, tlv(0x30, body), k.identifier, tlv(0x03, []byte{0}))
}

// signed is a SignedData by the key, with signed attributes or without any.
func (k oddKey) signed(t *testing.T, id cmstest.Identity, digest, sum []byte, attributes bool) []byte {
	t.Helper()
	der := k.certificate(t, id)
	bound, err := cms.SigningCertificateV2(crypto.SHA256, der)
	if err != nil {
		t.Fatal(err)
	}
	list := [][]byte{cms.NewAttribute(cms.OIDContentType, tlv(0x06, []byte(cms.OIDData))).Raw, bound.Raw,
		cms.NewAttribute(cms.OIDMessageDigest, tlv(0x04, sum)).Raw}
	slices.SortFunc(list, bytes.Compare)
	sd, err := cms.Parse(sign(t, id, nil))
	if err != nil {
		t.Fatal(err)
	}
	fields := [][]byte{sd.Signers[0].RawVersion, sd.Signers[0].RawIdentifier, digest}
	message := content
	if attributes {
		fields = append(fields, tlv(0xa0, list...))
		message = tlv(0x31, list...)
	}
	loose := *sd
	loose.RawCertificates = tlv(0xa0, der)
	return rebuild(t, &loose, content, append(fields, k.identifier, tlv(0x04, k.sign(message))))
}

// TestKeysThatSignTheMessage: EdDSA (RFC 8419) and ML-DSA (RFC 9882) sign the attributes or the content itself; a digest
// of the content that does not go with them is named.
func TestKeysThatSignTheMessage(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	sum256, sum512, shake := sha256.Sum256(content), sha512.Sum512(content), sha3.SumSHAKE256(content, 64)
	nist := func(n byte, parameters ...byte) []byte {
		return tlv(0x30, []byte{0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, n}, parameters)
	}
	keys := oddKeys(t)
	for _, c := range []struct {
		key, name   string
		digest, sum []byte
		note        string
	}{
		{"Ed25519", "SHA-512", nist(3), sum512[:], ""},
		{"Ed25519", "SHA-256", nist(1), sum256[:], "Ed25519 goes with SHA-512 (RFC 8419"},
		{"Ed448", "SHAKE256 of 512 bits", nist(18, 2, 2, 2, 0), shake, ""},
		{"Ed448", "SHAKE256", nist(12), shake, ""},
		{"Ed448", "SHA-512", nist(3), sum512[:], "Ed448 goes with SHAKE256 (RFC 8419"},
		{"ML-DSA-44", "SHA-256", nist(1), sum256[:], ""},
		{"ML-DSA-65", "SHA-256", nist(1), sum256[:], "weaker than ML-DSA-65 (RFC 9882"},
		{"ML-DSA-87", "SHA-512", nist(3), sum512[:], ""},
	} {
		s := only(t, keys[c.key].signed(t, id, c.digest, c.sum, true))
		if !s.Intact || !s.ReferencesIntact() || s.Binding != signature.BindingMatches || s.Algorithms[0].Algorithm != c.key {
			t.Errorf("%s, %s: intact %t, references %+v, %q %v", c.key, c.name, s.Intact, s.References, s.Notes, s.Algorithms)
		}
		if (c.note == "") != (len(s.Notes) == 0) || !strings.Contains(strings.Join(s.Notes, "|"), c.note) {
			t.Errorf("%s, %s: notes %q, want %q", c.key, c.name, s.Notes, c.note)
		}
	}
	for name, key := range keys {
		der := key.signed(t, id, nist(3), sum512[:], false)
		if s := only(t, der); !s.Intact || !s.ReferencesIntact() {
			t.Errorf("%s over the content: intact %t, %q", name, s.Intact, s.Notes)
		}
		der[bytes.Index(der, content)] ^= 1
		if s := only(t, der); s.Intact || s.ReferencesIntact() {
			t.Errorf("%s over another content: intact", name)
		}
	}
	// The other length of SHAKE256 is another algorithm.
	if s := only(t, keys["Ed448"].signed(t, id, nist(18, 2, 2, 1, 0), shake[:32], true)); s.ReferencesIntact() || s.References[0].Unchecked == "" {
		t.Errorf("SHAKE256 of 256 bits: %+v", s.References[0])
	}
}
