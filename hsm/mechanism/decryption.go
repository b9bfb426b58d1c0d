package mechanism

import (
	"crypto/rsa"
	"errors"
	"fmt"
)

// The ways of decrypting: RSAES-OAEP (RFC 8017 7.1), MGF1 over the same hash, the empty label. The hash is not signed
// by, so that of SHA-1 is as good as the others (NIST SP 800-56B 7.2.2.2 asks for no collision resistance), and the
// only one that many tokens and programs know.
//
// PKCS #1 v1.5 decryption is not among them, and will not be: whoever may ask, and learns in whatever way whether the
// padding was right, decrypts and signs with the key (Bleichenbacher 1998, ROBOT 2017, Marvin 2023), and no token
// promises that its answer takes the same time for both.
const (
	RSAOAEPSHA1   Mechanism = "RSA-OAEP-SHA1"
	RSAOAEPSHA256 Mechanism = "RSA-OAEP-SHA256"
)

// ErrDecrypts says that a mechanism of decryption was named for a signature.
var ErrDecrypts = errors.New("the mechanism decrypts, and signs nothing")

// Decrypts reports whether the mechanism is one of decryption. A key that has such ones has no others.
func (m Mechanism) Decrypts() bool {
	c := m.Code()
	return c != 0 && table[c-1].family == oaep
}

// OnePurpose refuses mechanisms of which some sign and some decrypt: a key that does both can be made to sign by what
// it decrypts.
func OnePurpose(mechanisms []Mechanism) error {
	for _, m := range mechanisms {
		if m.Decrypts() != mechanisms[0].Decrypts() {
			return fmt.Errorf("%w: %s beside %s: a key signs or decrypts, never both", ErrUnsupported, m, mechanisms[0])
		}
	}
	return nil
}

// CheckCiphertext refuses what is not as long as the key's modulus.
func (m Mechanism) CheckCiphertext(pub *rsa.PublicKey, ciphertext []byte) error {
	if !m.Decrypts() {
		return fmt.Errorf("%w: %s does not decrypt", ErrUnsupported, string(m))
	}
	if len(ciphertext) != pub.Size() {
		return fmt.Errorf("ciphertext has %d bytes, the key decrypts %d", len(ciphertext), pub.Size())
	}
	return nil
}
