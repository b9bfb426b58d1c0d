package algorithm

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/slhdsa"
)

// identifier makes an AlgorithmIdentifier without parameters, or with those given.
func identifier(t testing.TB, dotted string, params ...byte) []byte {
	t.Helper()
	der, err := stdasn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: oidArcs(dotted), Parameters: stdasn1.RawValue{FullBytes: params}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func oidArcs(dotted string) (arcs stdasn1.ObjectIdentifier) {
	n := 0
	for _, c := range dotted + "." {
		if c == '.' {
			arcs, n = append(arcs, n), 0
			continue
		}
		n = n*10 + int(c-'0')
	}
	return arcs
}

func rsaPair(t testing.TB, bits int) (*rsa.PrivateKey, *PublicKey) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	key, err := RSAPublicKey(private.N.Bytes(), big.NewInt(int64(private.E)).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return private, key
}

// TestDigestInfoWithoutNull signs as podpis zaufany does.
func TestDigestInfoWithoutNull(t *testing.T) {
	scheme := Scheme{family: rsaPKCS1, hash: SHA256}
	for _, bits := range []int{2048, 3072} {
		private, key := rsaPair(t, bits)
		digest := sha256.Sum256([]byte("podanie"))
		block := append(slices.Clone(digestInfoPrefixes[SHA256][1]), digest[:]...)
		value, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.Hash(0), block)
		if err != nil {
			t.Fatal(err)
		}
		notes, err := scheme.Verify(key, []byte("podanie"), value)
		if err != nil || !slices.Equal(notes, []string{NoteNoNull}) {
			t.Errorf("%d bits: %v %v", bits, notes, err)
		}
		if rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, digest[:], value) == nil {
			t.Error("the standard library accepts it: the tolerance is no longer ours alone")
		}
		if _, err := scheme.Verify(key, []byte("podanie "), value); !errors.Is(err, ErrSignature) {
			t.Errorf("other data: %v", err)
		}
	}
}

func TestCMSPairs(t *testing.T) {
	null := []byte{5, 0}
	for _, c := range []struct {
		signature, digest []byte
		want              string
		note              bool
	}{
		{identifier(t, "1.2.840.113549.1.1.1", null...), identifier(t, "2.16.840.1.101.3.4.2.1"), "RSA-PKCS1-SHA256", false},
		{identifier(t, "1.2.840.113549.1.1.1"), identifier(t, "1.3.14.3.2.26", null...), "RSA-PKCS1-SHA1", false},
		{identifier(t, "1.2.840.113549.1.1.11"), identifier(t, "2.16.840.1.101.3.4.2.1"), "RSA-PKCS1-SHA256", false},
		{identifier(t, "1.2.840.113549.1.1.11", null...), identifier(t, "1.3.14.3.2.26"), "RSA-PKCS1-SHA256", true},
		{identifier(t, "1.2.840.10045.4.3.3"), identifier(t, "2.16.840.1.101.3.4.2.2"), "ECDSA-SHA384", false},
		{identifier(t, "1.2.840.10045.2.1"), identifier(t, "2.16.840.1.101.3.4.2.1"), "ECDSA-SHA256", true},
		{identifier(t, "1.2.840.10040.4.1"), identifier(t, "1.3.14.3.2.26"), "DSA-SHA1", false},
		{identifier(t, "1.3.101.112"), identifier(t, "2.16.840.1.101.3.4.2.3"), "Ed25519", false},
		{identifier(t, "0.4.0.127.0.7.1.1.4.1.3"), identifier(t, "2.16.840.1.101.3.4.2.1"), "ECDSA-SHA256", false},
	} {
		s, err := FromCMS(c.signature, c.digest)
		if err != nil || s.Name() != c.want || (s.note != "") != c.note {
			t.Errorf("%s, note %q, %v; want %s", s, s.note, err, c.want)
		}
	}
	for _, bad := range [][]byte{nil, {0x30, 0}, identifier(t, "1.2.3.4"), identifier(t, "1.2.840.113549.1.1.10"),
		identifier(t, "1.3.101.112", null...), identifier(t, "1.2.840.113549.1.1.1", 4, 0)} {
		if s, err := FromCMS(bad, identifier(t, "1.3.14.3.2.26")); err == nil {
			t.Errorf("%x is %s", bad, s)
		}
	}
}

func TestRestrictionsOfPSSKeys(t *testing.T) {
	private, plain := rsaPair(t, 2048)
	digest := sha256.Sum256([]byte("message"))
	value, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 20})
	if err != nil {
		t.Fatal(err)
	}
	scheme := Scheme{family: rsaPSS, hash: SHA256, mgf: SHA256, salt: 20}
	key := *plain
	key.kind = KindRSAPSS
	for _, c := range []struct {
		restriction *PSSParameters
		ok          bool
	}{
		{nil, true}, {&PSSParameters{SHA256, SHA256, 20}, true}, {&PSSParameters{SHA256, SHA256, 0}, true},
		{&PSSParameters{SHA256, SHA256, 32}, false}, {&PSSParameters{SHA256, SHA1, 20}, false}, {&PSSParameters{SHA1, SHA256, 20}, false},
	} {
		key.pss = c.restriction
		if _, err := scheme.VerifyDigest(&key, digest[:], value); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrKeyMismatch) {
			t.Errorf("%v: %v", c.restriction, err)
		}
	}
	if _, err := (Scheme{family: rsaPKCS1, hash: SHA256}).VerifyDigest(&key, digest[:], value); !errors.Is(err, ErrKeyMismatch) {
		t.Errorf("PKCS#1 v1.5 with a PSS key: %v", err)
	}
	scheme.salt = 21
	if _, err := scheme.VerifyDigest(plain, digest[:], value); !errors.Is(err, ErrSignature) {
		t.Errorf("another salt length: %v", err)
	}
}

func TestSchemesThatSignMessages(t *testing.T) {
	message := []byte("wezwanie")
	spki := func(oid string, key []byte) *PublicKey {
		der, err := stdasn1.Marshal(struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       stdasn1.BitString
		}{pkix.AlgorithmIdentifier{Algorithm: oidArcs(oid)}, stdasn1.BitString{Bytes: key, BitLength: 8 * len(key)}})
		if err != nil {
			t.Fatal(err)
		}
		k, err := ParsePublicKey(der)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	public25519, private25519, _ := ed25519.GenerateKey(rand.Reader)
	public448, private448, _ := ed448.GenerateKey(rand.Reader)
	privateML, err := mldsa.GenerateKey(mldsa.MLDSA65())
	if err != nil {
		t.Fatal(err)
	}
	valueML, err := privateML.Sign(rand.Reader, message, &mldsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	publicSLH, privateSLH, err := slhdsa.GenerateKey(rand.Reader, slhdsa.SHA2_128f)
	if err != nil {
		t.Fatal(err)
	}
	valueSLH, err := slhdsa.SignDeterministic(&privateSLH, slhdsa.NewMessage(message), nil)
	if err != nil {
		t.Fatal(err)
	}
	encodedSLH, _ := publicSLH.MarshalBinary()
	for _, c := range []struct {
		oid        string
		key, value []byte
		name       string
	}{
		{"1.3.101.112", public25519, ed25519.Sign(private25519, message), "Ed25519"},
		{"1.3.101.113", public448, ed448.Sign(private448, message, ""), "Ed448"},
		{"2.16.840.1.101.3.4.3.18", privateML.PublicKey().Bytes(), valueML, "ML-DSA-65"},
		{"2.16.840.1.101.3.4.3.21", encodedSLH, valueSLH, "SLH-DSA-SHA2-128f"},
	} {
		key := spki(c.oid, c.key)
		scheme, err := FromCertificate(identifier(t, c.oid))
		if err != nil || scheme.Name() != c.name || key.Name() != c.name {
			t.Fatalf("%s with %s: %v", scheme, key.Name(), err)
		}
		if _, err := scheme.Verify(key, message, c.value); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := scheme.Verify(key, message[1:], c.value); !errors.Is(err, ErrSignature) {
			t.Errorf("%s, other data: %v", c.name, err)
		}
		if _, err := scheme.VerifyDigest(key, message, c.value); !errors.Is(err, ErrNeedsMessage) {
			t.Errorf("%s of a digest: %v", c.name, err)
		}
	}
}

func TestXMLNames(t *testing.T) {
	for uri, want := range map[string]string{
		"http://www.w3.org/2000/09/xmldsig#rsa-sha1":                   "RSA-PKCS1-SHA1",
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":            "RSA-PKCS1-SHA256",
		"http://www.w3.org/2007/05/xmldsig-more#rsa-pss":               "RSA-PSS-SHA256",
		"http://www.w3.org/2007/05/xmldsig-more#sha3-384-rsa-MGF1":     "RSA-PSS-SHA3-384",
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512":          "ECDSA-SHA512",
		"http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519ph":       "Ed25519ph",
		"http://www.w3.org/2009/xmldsig11#dsa-sha256":                  "DSA-SHA256",
		"http://www.aleksey.com/xmlsec/2025/12/xmldsig-more#ml-dsa-87": "ML-DSA-87",
	} {
		if s, err := FromXML(uri, nil); err != nil || s.Name() != want {
			t.Errorf("%s: %s %v", uri, s, err)
		}
	}
	if _, err := FromXML("http://www.w3.org/2000/09/xmldsig#hmac-sha1", nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("HMAC: %v", err)
	}
	if _, err := FromXML(pssURI, &PSSParameters{Hash: SHA256}); !errors.Is(err, ErrMalformed) {
		t.Errorf("half of the PSS parameters: %v", err)
	}
}

func TestKeyLimits(t *testing.T) {
	_, key := rsaPair(t, 2048)
	n := key.rsa.n.Bytes()
	for name, c := range map[string]struct{ n, e []byte }{
		"even exponent": {n, []byte{4}}, "exponent 1": {n, []byte{1}}, "no exponent": {n, nil},
		"long exponent": {n, append([]byte{1}, make([]byte, 8)...)}, "short modulus": {n[:60], []byte{3}},
		"even modulus": {append(n[:255:255], 2), []byte{3}}, "huge modulus": {append([]byte{1}, make([]byte, 3000)...), []byte{3}},
	} {
		if _, err := RSAPublicKey(c.n, c.e); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	c := curveByName(t, "P-256")
	point := append([]byte{4}, append(c.gx.FillBytes(make([]byte, 32)), c.gy.FillBytes(make([]byte, 32))...)...)
	compressed := append([]byte{2 + point[64]&1}, point[1:33]...)
	full, err := ECPublicKey("1.2.840.10045.3.1.7", point)
	if err != nil {
		t.Fatal(err)
	}
	if short, err := ECPublicKey("1.2.840.10045.3.1.7", compressed); err != nil || !short.Equal(full) {
		t.Errorf("compressed point: %v", err)
	}
	point[64] ^= 1
	if _, err := ECPublicKey("1.2.840.10045.3.1.7", point); !errors.Is(err, ErrMalformed) {
		t.Errorf("point beside the curve: %v", err)
	}
	if _, err := ECPublicKey("1.2.840.10045.3.1.7", []byte{0}); !errors.Is(err, ErrMalformed) {
		t.Errorf("infinity: %v", err)
	}
}

func TestSuitability(t *testing.T) {
	date := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		name string
		bits int
		at   string
		ok   bool
	}{
		{"SHA-1", 0, "2012-08-01", true}, {"SHA-1", 0, "2012-08-02", false}, {"SHA-256", 0, "2060-01-01", true},
		{"SHA-512/256", 0, "2026-01-01", false}, {"MD5", 0, "2004-01-01", true}, {"RIPEMD160", 0, "2014-07-31", true},
		{"RSA-PKCS1-SHA256", 2048, "2026-11-23", true}, {"RSA-PKCS1-SHA256", 2048, "2029-01-02", false},
		{"RSA-PKCS1-SHA256", 1024, "2019-10-01", true}, {"RSA-PKCS1-SHA256", 1024, "2019-10-02", false},
		{"RSA-PKCS1-SHA256", 768, "2009-01-01", false}, {"RSA-PKCS1-SHA1", 2048, "2012-08-02", false},
		{"RSA-PSS-SHA256", 3072, "2060-01-01", true}, {"RSA-PSS-SHA256", 2048, "2029-01-02", false},
		{"ECDSA-SHA256", 256, "2060-01-01", true}, {"ECDSA-SHA256", 224, "2021-10-02", false}, {"ECDSA-SHA224", 256, "2029-01-02", false},
		{"DSA-SHA1", 1024, "2012-07-01", true}, {"DSA-SHA256", 1024, "2015-12-02", false}, {"DSA-SHA256", 3072, "2060-01-01", true},
		{"Ed25519", 255, "2026-01-01", false}, {"ML-DSA-65", 15616, "2026-01-01", false}, {"none", 0, "2026-01-01", false},
	} {
		ok, reason := Acceptable(c.name, c.bits, date(c.at))
		if ok != c.ok || ok != (reason == "") {
			t.Errorf("%s %d on %s: %v %q", c.name, c.bits, c.at, ok, reason)
		}
	}
	if s := Suitable("RSA-PKCS1-SHA1", 1024); !s.Until.Equal(date("2012-08-01")) {
		t.Errorf("the earlier end does not count: %v", s)
	}
}

// TestMaskOfAnotherHash: two hashes of RSA-PSS are computed as they are named, and told.
func TestMaskOfAnotherHash(t *testing.T) {
	private, key := rsaPair(t, 2048)
	digest := sha256.Sum256([]byte("message"))
	value, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	one, two := PSSParameters{SHA256, SHA256, 32}.scheme(), PSSParameters{SHA256, SHA1, 32}.scheme()
	if notes, err := one.Verify(key, []byte("message"), value); err != nil || len(notes) != 0 {
		t.Errorf("one hash: %v %v", notes, err)
	}
	if _, err := two.Verify(key, []byte("message"), value); !errors.Is(err, ErrSignature) {
		t.Errorf("another mask: %v", err)
	}
	if two.note == "" || one.Same(two) || !one.Same(PSSParameters{SHA256, SHA256, 32}.scheme()) || one.Same(PSSParameters{SHA256, SHA256, 20}.scheme()) {
		t.Errorf("the note of two hashes is %q, or what differs is the same", two.note)
	}
}
