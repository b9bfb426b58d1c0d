package algorithm

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"

	"github.com/cloudflare/circl/sign/ed448"
)

// readEdwards reads an Ed25519 or Ed448 key (RFC 8410 3: parameters must be absent).
func (k *PublicKey) readEdwards(oid string, params []byte) error {
	k.kind, k.bits = KindEd25519, 255
	size := ed25519.PublicKeySize
	if oid == oidEd448 {
		k.kind, k.bits, size = KindEd448, 448, ed448.PublicKeySize
	}
	if len(params) > 0 {
		return fmt.Errorf("%w: %s key with parameters", ErrMalformed, k.Name())
	}
	if len(k.bitString) != size {
		return fmt.Errorf("%w: %s key of %d octets", ErrMalformed, k.Name(), len(k.bitString))
	}
	return nil
}

func verifyEd25519(key *PublicKey, message, signature []byte, s Scheme) error {
	if len(signature) != ed25519.SignatureSize {
		return fmt.Errorf("%w: Ed25519 value of %d octets", ErrSignature, len(signature))
	}
	options := &ed25519.Options{Context: s.context}
	if s.preset {
		sum := sha512.Sum512(message)
		message, options.Hash = sum[:], crypto.SHA512
	}
	if ed25519.VerifyWithOptions(key.bitString, message, signature, options) != nil {
		return ErrSignature
	}
	return nil
}

func verifyEd448(key *PublicKey, message, signature []byte, s Scheme) error {
	verify := ed448.Verify
	if s.preset {
		verify = ed448.VerifyPh
	}
	if len(signature) != ed448.SignatureSize || !verify(key.bitString, message, signature, s.context) {
		return ErrSignature
	}
	return nil
}
