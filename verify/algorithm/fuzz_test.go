package algorithm

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"testing"
)

// FuzzPublicKey reads keys and verifies something with each scheme that might fit.
func FuzzPublicKey(f *testing.F) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		f.Fatal(err)
	}
	ecKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	edKey, _, _ := ed25519.GenerateKey(rand.Reader)
	for _, key := range []any{&rsaKey.PublicKey, &ecKey.PublicKey, edKey} {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der, make([]byte, 128))
	}
	schemes := []Scheme{{family: rsaPKCS1, hash: SHA256}, mgf1(SHA1), {family: ecdsaFamily, hash: SHA384}, {family: ecdsaFamily, hash: SHA1, raw: true},
		{family: dsaFamily, hash: SHA1}, {family: ed25519Family}, {family: ed448Family}, {family: mldsaFamily, set: 1}}
	f.Fuzz(func(t *testing.T, spki, signature []byte) {
		key, err := ParsePublicKey(spki)
		if err != nil {
			return
		}
		if !key.Equal(key) || key.Bits() < 0 || key.Name() == "none" {
			t.Fatalf("%s of %d bits", key.Name(), key.Bits())
		}
		for _, scheme := range schemes {
			if _, err := scheme.Verify(key, spki, signature); err == nil && key.kind != KindEd25519 && key.kind != KindEd448 {
				t.Fatalf("%s verifies", scheme)
			}
		}
	})
}

// FuzzIdentifier reads AlgorithmIdentifiers in every role.
func FuzzIdentifier(f *testing.F) {
	for _, seed := range []string{"300d06092a864886f70d01010b0500", "300a06082a8648ce3d040302", "300506032b6570",
		"304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
		"300d06096086480165030402010500", "300b0609608648016503040312"} {
		der, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der, der)
	}
	f.Fuzz(func(t *testing.T, signature, digest []byte) {
		if s, err := FromCertificate(signature); err == nil && (s.Name() == "none" || s.SignsDigest() != s.Hash().Valid()) {
			t.Fatalf("%x is %s", signature, s)
		}
		if s, err := FromCMS(signature, digest); err == nil && s.Name() == "none" {
			t.Fatalf("%x is %s", signature, s)
		}
		if h, err := HashByIdentifier(digest); err == nil && len(h.Sum(signature)) != h.Size() {
			t.Fatalf("%s has another size", h)
		}
	})
}
