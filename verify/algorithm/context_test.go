package algorithm

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/slhdsa"
)

// withContexts are the schemes that know a context, each with a signature over "message" within a context, and its key.
func withContexts(t *testing.T, context string) map[string]struct {
	key   *PublicKey
	value []byte
} {
	t.Helper()
	message := []byte("message")
	made := map[string]struct {
		key   *PublicKey
		value []byte
	}{}
	edPublic, edPrivate, err := ed25519.GenerateKey(nil)
	must(t, err)
	edKey := &PublicKey{kind: KindEd25519, bitString: edPublic}
	named, err := edPrivate.Sign(nil, message, &ed25519.Options{Context: context})
	must(t, err)
	sum := sha512.Sum512(message)
	hashed, err := edPrivate.Sign(nil, sum[:], &ed25519.Options{Context: context, Hash: crypto.SHA512})
	must(t, err)
	made[dsigMore21+"eddsa-ed25519ctx"], made[dsigMore21+"eddsa-ed25519ph"] = edCase(edKey, named), edCase(edKey, hashed)

	public448, private448, err := ed448.GenerateKey(nil)
	must(t, err)
	key448 := &PublicKey{kind: KindEd448, bitString: public448}
	made[dsigMore21+"eddsa-ed448"] = edCase(key448, ed448.Sign(private448, message, context))
	made[dsigMore21+"eddsa-ed448ph"] = edCase(key448, ed448.SignPh(private448, message, context))

	lattice, err := mldsa.GenerateKey(mldsa.MLDSA44())
	must(t, err)
	value, err := lattice.Sign(nil, message, &mldsa.Options{Context: context})
	must(t, err)
	made[xmlsecPQC+"ml-dsa-44"] = edCase(&PublicKey{kind: KindMLDSA, pq: lattice.PublicKey()}, value)

	hashPublic, hashPrivate, err := slhdsa.GenerateKey(nil, slhdsa.SHA2_128f)
	must(t, err)
	value, err = slhdsa.SignDeterministic(&hashPrivate, slhdsa.NewMessage(message), []byte(context))
	must(t, err)
	made[xmlsecPQC+"slh-dsa-sha2-128f"] = edCase(&PublicKey{kind: KindSLHDSA, set: 1, pq: &hashPublic}, value)
	return made
}

func edCase(key *PublicKey, value []byte) struct {
	key   *PublicKey
	value []byte
} {
	return struct {
		key   *PublicKey
		value []byte
	}{key, value}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestContext(t *testing.T) {
	for uri, c := range withContexts(t, "purpose 1") {
		plain, err := FromXML(uri, nil)
		must(t, err)
		right, err := plain.WithContext([]byte("purpose 1"))
		must(t, err)
		if _, err := right.Verify(c.key, []byte("message"), c.value); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
		other, err := plain.WithContext([]byte("purpose 2"))
		must(t, err)
		if _, err := other.Verify(c.key, []byte("message"), c.value); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: a signature of another context: %v", uri, err)
		}
		if _, err := plain.Verify(c.key, []byte("message"), c.value); err == nil {
			t.Errorf("%s: a signature with a context is taken for one without", uri)
		}
		if _, err := plain.WithContext([]byte(strings.Repeat("x", 256))); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: a context of 256 octets: %v", uri, err)
		}
	}
}

// TestContextWhereNone: a scheme without contexts must not leave one out silently.
func TestContextWhereNone(t *testing.T) {
	for _, uri := range []string{dsigMore01 + "rsa-sha256", dsigMore01 + "ecdsa-sha256", dsigMore21 + "eddsa-ed25519", pssURI} {
		s, err := FromXML(uri, nil)
		must(t, err)
		if _, err := s.WithContext([]byte("purpose 1")); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s with a context: %v", uri, err)
		}
	}
	if s, err := (Scheme{}).WithContext(nil); err == nil {
		t.Errorf("no scheme with a context: %v", s)
	}
}

// TestContextRequired: Ed25519ctx with an empty context is another scheme's signature (RFC 8032 5.1).
func TestContextRequired(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	s, err := FromXML(dsigMore21+"eddsa-ed25519ctx", nil)
	must(t, err)
	key := &PublicKey{kind: KindEd25519, bitString: public}
	if _, err := s.Verify(key, []byte("message"), ed25519.Sign(private, []byte("message"))); !errors.Is(err, ErrUnsupported) {
		t.Errorf("an Ed25519 signature is taken as Ed25519ctx: %v", err)
	}
}
