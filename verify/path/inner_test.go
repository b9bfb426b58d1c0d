package path_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"trustcore/verify/path"
)

// TestTheAlgorithmInside: what the issuer signed as its algorithm is what is verified, parameters and all (RFC 5280
// 4.1.1.2): the identifier outside stands under no signature.
func TestTheAlgorithmInside(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const salt32, salt20, null = "\xa2\x03\x02\x01\x20", "\xa2\x03\x02\x01\x14", "\x01\x01\x0b\x05\x00"
	root := mint(t, nil, "root", key, ca)
	for _, c := range []struct {
		name, old, inside string
		algorithm         x509.SignatureAlgorithm
		want              path.Code
	}{
		{"PSS", salt32, salt32, x509.SHA256WithRSAPSS, path.OK},
		{"PSS, another salt", salt32, salt20, x509.SHA256WithRSAPSS, path.AlgorithmMismatch},
		{"PKCS #1", null, null, x509.SHA256WithRSA, path.OK},
		{"PKCS #1, another hash", null, "\x01\x01\x0d\x05\x00", x509.SHA256WithRSA, path.AlgorithmMismatch},
	} {
		leaf := mint(t, root, "leaf", nil, func(x *x509.Certificate) { x.SignatureAlgorithm = c.algorithm })
		changed := parse(t, resigned(t, leaf.cert.Raw, key, c.algorithm, []byte(c.old), []byte(c.inside)), nil)
		if got := validate(path.Request{Target: changed.cert, Anchors: anchors(t, root)}); got.Reason().Code != c.want {
			t.Errorf("%s: %v; want %v", c.name, got.Reasons, c.want)
		}
	}
}

// resigned is a certificate with other octets in its first AlgorithmIdentifier, signed anew.
func resigned(t *testing.T, der []byte, key *rsa.PrivateKey, a x509.SignatureAlgorithm, old, instead []byte) []byte {
	t.Helper()
	var c struct {
		TBS, Algorithm asn1.RawValue
		Value          asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		t.Fatal(err)
	}
	c.TBS.FullBytes = bytes.Replace(c.TBS.FullBytes, old, instead, 1)
	digest := sha256.Sum256(c.TBS.FullBytes)
	var err error
	if a == x509.SHA256WithRSAPSS {
		c.Value.Bytes, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
	} else {
		c.Value.Bytes, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	}
	if err != nil {
		t.Fatal(err)
	}
	if der, err = asn1.Marshal(c); err != nil {
		t.Fatal(err)
	}
	return der
}
