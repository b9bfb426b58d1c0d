package mechanism_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"slices"
	"testing"

	"trustcore/hsm/mechanism"
)

// What decrypts takes no digest, has no options to sign with, and is not among what keys sign by.
func TestDecryptionSignsNothing(t *testing.T) {
	for _, m := range []mechanism.Mechanism{mechanism.RSAOAEPSHA1, mechanism.RSAOAEPSHA256} {
		if err := m.CheckDigest(make([]byte, m.Hash().Size())); !errors.Is(err, mechanism.ErrDecrypts) {
			t.Errorf("%s takes a digest: %v", m, err)
		}
		if m.Options() != nil || slices.Contains(mechanism.For(new(rsa.PublicKey)), m) || !m.Decrypts() {
			t.Errorf("%s signs", m)
		}
		if m.Fits(&ecdsa.PublicKey{Curve: elliptic.P256()}) || !m.Fits(new(rsa.PublicKey)) {
			t.Errorf("%s fits another key", m)
		}
	}
	if _, err := mechanism.Of(new(rsa.PublicKey), crypto.SHA1); !errors.Is(err, mechanism.ErrUnsupported) {
		t.Errorf("signing with SHA-1: %v", err)
	}
	if mechanism.ECDSASHA256.Decrypts() || mechanism.Mechanism("RSA-OAEP").Decrypts() {
		t.Error("what does not decrypt is said to")
	}
}
