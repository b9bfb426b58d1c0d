package vpn

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Exchange is the office's half of an agreement on a pre-shared key: a key pair of MLKEM768-X25519, used once. Who records
// everything and has a quantum computer one day learns nothing of the tunnel, since the key that he would break is mixed
// with this one, and nothing secret is sent. The other half is [Agree]. Neither half says who it is: that is for the
// mutual TLS between both.
type Exchange struct{ private hpke.PrivateKey }

// ExchangeLen is the length of the office's public half in bytes. The core's answer has 1,120.
const ExchangeLen = 1216

// NewExchange makes a key pair.
func NewExchange() (*Exchange, error) {
	private, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("agreement on a pre-shared key: %w", err)
	}
	return &Exchange{private}, nil
}

// ParseExchange reads what Secret gave.
func ParseExchange(secret []byte) (*Exchange, error) {
	private, err := hpke.MLKEM768X25519().NewPrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("agreement on a pre-shared key: %w", err)
	}
	return &Exchange{private}, nil
}

// Secret is the private half, for an office that may be interrupted before it has the answer.
func (x *Exchange) Secret() ([]byte, error) { return x.private.Bytes() }

// Public is what the office sends.
func (x *Exchange) Public() []byte { return x.private.PublicKey().Bytes() }

// Open takes the core's answer. Both ends get the same key only when they mean the same office and serial number.
func (x *Exchange) Open(encapsulated []byte, office Key, serial int64) (PresharedKey, error) {
	r, err := hpke.NewRecipient(encapsulated, x.private, hpke.HKDFSHA256(), hpke.ExportOnly(), subject(office, serial))
	if err != nil {
		return PresharedKey{}, fmt.Errorf("agreement on a pre-shared key: %w", err)
	}
	return exported(r.Export)
}

// Agree is the core's half: it takes what the office sent, and returns the key with the answer to it.
func Agree(public []byte, office Key, serial int64) (encapsulated []byte, key PresharedKey, err error) {
	if len(public) != ExchangeLen {
		return nil, key, fmt.Errorf("agreement on a pre-shared key: it has %d bytes, not %d", len(public), ExchangeLen)
	}
	to, err := hpke.MLKEM768X25519().NewPublicKey(public)
	if err != nil {
		return nil, key, fmt.Errorf("agreement on a pre-shared key: %w", err)
	}
	encapsulated, s, err := hpke.NewSender(to, hpke.HKDFSHA256(), hpke.ExportOnly(), subject(office, serial))
	if err != nil {
		return nil, key, fmt.Errorf("agreement on a pre-shared key: %w", err)
	}
	key, err = exported(s.Export)
	return encapsulated, key, err
}

// subject binds an agreement to the office, by its WireGuard key, and to its serial number (RFC 9180, 5: info).
func subject(office Key, serial int64) []byte {
	info := append([]byte("trustcore tunnel pre-shared key 1\x00"), office[:]...)
	return binary.BigEndian.AppendUint64(info, uint64(serial))
}

func exported(export func(string, int) ([]byte, error)) (PresharedKey, error) {
	secret, err := export("pre-shared key", KeyLen)
	if err != nil {
		return PresharedKey{}, err
	}
	if key := PresharedKey(secret); !key.IsZero() {
		return key, nil
	}
	return PresharedKey{}, errors.New("agreement on a pre-shared key: it is all zero") // once in 2^256
}

// Proof shows who has the key to the other end, and gives nothing of it away.
func (k PresharedKey) Proof(office Key, serial int64) ([]byte, error) {
	key, err := hkdf.Expand(sha256.New, k[:], "trustcore proof of a pre-shared key 1", sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(subject(office, serial))
	return mac.Sum(nil), nil
}

// Proves says, in constant time, whether the proof is of this key.
func (k PresharedKey) Proves(proof []byte, office Key, serial int64) bool {
	want, err := k.Proof(office, serial)
	return err == nil && hmac.Equal(proof, want)
}
