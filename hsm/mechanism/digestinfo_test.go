package mechanism

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"testing"
)

// The DigestInfo is the one that PKCS #1 v1.5 pads: a padded one, signed raw, is the signature over the digest.
func TestParseDigestInfo(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for h, before := range digestInfos {
		digest := bytes.Repeat([]byte{7}, h.Size())
		info := append(slices.Clone(before), digest...)
		got, found, err := ParseDigestInfo(info)
		if err != nil || got != h || !bytes.Equal(found, digest) {
			t.Errorf("%v: %v, %x, %v", h, got, found, err)
		}
		raw, err := rsa.SignPKCS1v15(nil, key, 0, info)
		if err != nil || rsa.VerifyPKCS1v15(&key.PublicKey, h, digest, raw) != nil {
			t.Errorf("%v: the DigestInfo is not that of PKCS #1", h)
		}
	}
}

func TestParseDigestInfoRefuses(t *testing.T) {
	good := append(slices.Clone(digestInfos[crypto.SHA256]), make([]byte, 32)...)
	noNull := slices.Delete(slices.Clone(good), 15, 17)
	noNull[1], noNull[3] = noNull[1]-2, noNull[3]-2
	for name, data := range map[string][]byte{
		"nothing": nil, "a bare digest": make([]byte, 32), "MD5 and SHA-1 of TLS": make([]byte, 36), "cut": good[:len(good)-1],
		"more behind it": append(slices.Clone(good), 0), "without the NULL": noNull, "a whole block": make([]byte, 256),
		"SHA-1":          append([]byte{0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x14}, make([]byte, 20)...),
		"another length": append(slices.Clone(digestInfos[crypto.SHA512]), make([]byte, 32)...),
	} {
		if h, digest, err := ParseDigestInfo(data); err == nil {
			t.Errorf("%s: taken as %v of %x", name, h, digest)
		}
	}
}
