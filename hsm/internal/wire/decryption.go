package wire

import (
	"fmt"

	"trustcore/hsm/mechanism"
)

// MaxCiphertext is the longest ciphertext, of a modulus of 4096 bits.
const MaxCiphertext = 512

// DecryptBody is the body of a Decrypt request.
func DecryptBody(id ID, m mechanism.Mechanism, ciphertext []byte) []byte {
	b := make([]byte, 0, IDSize+1+len(ciphertext))
	b = append(b, id[:]...)
	b = append(b, m.Code())
	return append(b, ciphertext...)
}

// ParseDecrypt reads a Decrypt request; the ciphertext shares body's memory.
func ParseDecrypt(body []byte) (ID, mechanism.Mechanism, []byte, error) {
	if len(body) <= IDSize+1 || len(body) > IDSize+1+MaxCiphertext {
		return ID{}, "", nil, fmt.Errorf("%w: decrypt request of %d bytes", ErrFrame, len(body))
	}
	m, err := ParseProbe(body[IDSize : IDSize+1])
	return ID(body[:IDSize]), m, body[IDSize+1:], err
}

// ProbeBody is the body of a Probe request.
func ProbeBody(m mechanism.Mechanism) []byte { return []byte{m.Code()} }

// ParseProbe reads a Probe request.
func ParseProbe(body []byte) (mechanism.Mechanism, error) {
	if len(body) != 1 {
		return "", fmt.Errorf("%w: a mechanism of decryption is one byte", ErrFrame)
	}
	m, err := mechanism.ByCode(body[0])
	if err == nil && !m.Decrypts() {
		err = fmt.Errorf("%w: %s does not decrypt", ErrFrame, m)
	}
	return m, err
}
