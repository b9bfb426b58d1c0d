package hsm_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"math/big"
	"testing"

	"trustcore/hsm"
	"trustcore/hsm/hsmtest"
	"trustcore/hsm/mechanism"
)

// decryptionKey makes a key that decrypts.
func decryptionKey(t *testing.T, tok *hsmtest.Token) *hsm.Key {
	t.Helper()
	info, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Partner: "partner-1", Order: "order-1", Label: "open", Algorithm: hsm.RSA2048,
		Mechanisms: []mechanism.Mechanism{mechanism.RSAOAEPSHA1}})
	if err != nil {
		t.Fatal(err)
	}
	if a := info.Attestation; !a.Decrypt || a.Sign || a.Unwrap || a.Extractable || !info.Decrypts() {
		t.Errorf("the token made %+v", a)
	}
	k, err := tok.Signer(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A key decrypts what was encrypted for it and signs nothing; of what it does not decrypt nobody learns why, and the
// worker goes on with the session that it has.
func TestDecryption(t *testing.T) { ofEachMaker(t, decrypts) }

func decrypts(t *testing.T, tok *hsmtest.Token) {
	k := decryptionKey(t, tok)
	public := k.Public().(*rsa.PublicKey)
	secret := []byte("klucz do załącznika")
	ciphertext, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plaintext, err := k.Decrypt(t.Context(), mechanism.RSAOAEPSHA1, ciphertext); err != nil || string(plaintext) != string(secret) {
		t.Errorf("%q, %v", plaintext, err)
	}
	worker := tok.WorkerPID()
	for what, wrong := range undecryptable(t, public, secret) {
		if plaintext, err := k.Decrypt(t.Context(), mechanism.RSAOAEPSHA1, wrong); !errors.Is(err, hsm.ErrUndecryptable) || plaintext != nil ||
			err.Error() != "decrypting with "+k.Info().ID+": the key does not decrypt this" {
			t.Errorf("%s: %q, %v", what, plaintext, err)
		}
	}
	if now := tok.WorkerPID(); now != worker {
		t.Errorf("the worker was replaced: %d, %d", worker, now)
	}
	if _, err := k.Decrypt(t.Context(), mechanism.RSAOAEPSHA1, ciphertext[1:]); err == nil || errors.Is(err, hsm.ErrUndecryptable) {
		t.Errorf("too short: %v", err)
	}
	if _, err := k.Decrypt(t.Context(), mechanism.RSAOAEPSHA256, ciphertext); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("another mechanism: %v", err)
	}
	for _, m := range []mechanism.Mechanism{mechanism.RSAPKCS1SHA256, mechanism.RSAOAEPSHA1} {
		if _, err := k.SignDigest(t.Context(), m, make([]byte, m.Hash().Size())); err == nil {
			t.Errorf("it signs by %s", m)
		}
	}
	if err := tok.Suspend(t.Context(), officer, k.Info().ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Decrypt(t.Context(), mechanism.RSAOAEPSHA1, ciphertext); !errors.Is(err, hsm.ErrNotActive) {
		t.Errorf("suspended: %v", err)
	}
}

// undecryptable are ciphertexts, as long as the modulus, each wrong in another way.
func undecryptable(t *testing.T, public *rsa.PublicKey, secret []byte) map[string][]byte {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	raw := func(block []byte) []byte { // encrypts a block as it is
		c := new(big.Int).Exp(new(big.Int).SetBytes(block), big.NewInt(int64(public.E)), public.N)
		return c.FillBytes(make([]byte, public.Size()))
	}
	leading, padding := make([]byte, public.Size()), make([]byte, public.Size())
	leading[0], leading[1] = 1, 7 // Manger asks whether the first octet is 0
	padding[1] = 7
	return map[string][]byte{
		"the leading octet": raw(leading),
		"the padding":       raw(padding),
		"the label":         must(rsa.EncryptOAEP(sha1.New(), rand.Reader, public, secret, []byte("label"))),
		"the hash":          must(rsa.EncryptOAEP(sha256.New(), rand.Reader, public, secret, nil)),
		//lint:ignore SA1019 it is what is refused
		"PKCS #1 v1.5":            must(rsa.EncryptPKCS1v15(rand.Reader, public, secret)),
		"zero":                    make([]byte, public.Size()),
		"as great as the modulus": public.N.FillBytes(make([]byte, public.Size())),
	}
}

// A key signs or decrypts, never both, and by what the token can do.
func TestPurposeOfAKey(t *testing.T) {
	tok := hsmtest.Start(t, hsmtest.Config(t))
	generate := func(a hsm.Algorithm, m ...mechanism.Mechanism) error {
		_, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Partner: "p", Order: "o", Label: "k", Algorithm: a, Mechanisms: m})
		return err
	}
	if err := generate(hsm.RSA2048, mechanism.RSAOAEPSHA1, mechanism.RSAPSSSHA256); !errors.Is(err, mechanism.ErrUnsupported) {
		t.Errorf("both: %v", err)
	}
	if err := generate(hsm.P256, mechanism.RSAOAEPSHA1); !errors.Is(err, mechanism.ErrUnsupported) {
		t.Errorf("on a curve: %v", err)
	}
	if err := tok.CanDecrypt(t.Context(), mechanism.RSAOAEPSHA1); err != nil {
		t.Errorf("SHA-1: %v", err)
	}
	can := tok.CanDecrypt(t.Context(), mechanism.RSAOAEPSHA256)
	made := generate(hsm.RSA2048, mechanism.RSAOAEPSHA256)
	if can != nil && !errors.Is(can, hsm.ErrNoDecryption) || (can == nil) != (made == nil) {
		t.Errorf("SHA-256: the token says %v, and makes a key with %v", can, made)
	}
	k := tok.Key(t, hsm.RSA2048)
	if _, err := k.Decrypt(t.Context(), mechanism.RSAOAEPSHA1, make([]byte, 256)); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("a key that signs decrypts: %v", err)
	}
}
