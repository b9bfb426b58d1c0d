package algorithm

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"math/big"
	"slices"

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
	if smallOrder[withoutSign(k.bitString)] {
		return fmt.Errorf("%w: %s key of small order, for which anybody finds values", ErrMalformed, k.Name())
	}
	return nil
}

// smallOrder are the points whose order divides the cofactor, by their encoding without the sign of x: under such a key
// one value fits every message, or every eighth. RFC 8032 leaves the check out; whoever certifies a key sees nothing,
// since the proof of possession passes as well.
var smallOrder = func() map[string]bool {
	points := map[string]bool{
		"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05": true, // order 8
		"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a": true,
	}
	one := big.NewInt(1)
	p25519 := new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	p448 := new(big.Int).Sub(new(big.Int).Lsh(one, 448), new(big.Int).Lsh(one, 224))
	p448.Sub(p448, one)
	for p, size := range map[*big.Int]int{p25519: ed25519.PublicKeySize, p448: ed448.PublicKeySize} {
		// y of orders 1, 2 and 4, and what readers take for the same: p is 0, p+1 is 1
		for _, y := range []*big.Int{new(big.Int), one, new(big.Int).Sub(p, one), p, new(big.Int).Add(p, one)} {
			octets := y.FillBytes(make([]byte, size))
			slices.Reverse(octets)
			points[string(octets)] = true
		}
	}
	return points
}()

// withoutSign is the encoding of a point without the sign of x, the highest bit (RFC 8032 5.1.2, 5.2.2).
func withoutSign(point []byte) string {
	y := slices.Clone(point)
	y[len(y)-1] &= 0x7f
	return string(y)
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
