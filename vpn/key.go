package vpn

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"trustcore/internal/durable"
)

// KeyLen is the length of every WireGuard key in bytes.
const KeyLen = 32

// Key is a WireGuard public key (Curve25519, RFC 7748). Its text form is standard base64.
type Key [KeyLen]byte

// ParseKey reads a public key and refuses those that no honest peer can have: all zero,
// of low order, or not the canonical encoding of a point. A key has one text alone: base64
// with a line break in it, or with bits that no byte takes, is refused.
func ParseKey(s string) (Key, error) {
	b, err := decodeKey(s)
	if err != nil {
		return Key{}, err
	}
	return b, Key(b).check()
}

// ParsePeerKey reads the key of an office's end for enrolment and for the wish alike: with
// a hub's own key a tunnel would lead to itself.
func ParsePeerKey(s string, hubs ...Key) (Key, error) {
	key, err := ParseKey(s)
	if err == nil {
		err = key.checkPeer(hubs...)
	}
	return key, err
}

func (k Key) checkPeer(hubs ...Key) error {
	if err := k.check(); err != nil {
		return err
	}
	if slices.Contains(hubs, k) {
		return errors.New("the public key is the hub's own")
	}
	return nil
}

// String is the key in base64.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// MarshalText gives base64.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads base64 with the checks of [ParseKey].
func (k *Key) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKey(string(text))
	return err
}

// lowOrder are the canonical encodings of the points whose order divides 8 (RFC 7748, 6.1:
// with them the shared secret is zero whatever the private key is).
var lowOrder = [...]Key{
	{},  // zero
	{1}, // one
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, // minus one
}

// check refuses keys with which the handshake would not bind to a secret of the peer.
func (k Key) check() error {
	switch {
	case k == Key{}:
		return errors.New("the public key is all zero")
	case !canonical(k):
		return errors.New("the public key is not in canonical form")
	case slices.Contains(lowOrder[:], k):
		return errors.New("the public key is a point of low order")
	}
	return nil
}

// canonical says whether k, little-endian, is below the field's prime 2^255-19.
func canonical(k Key) bool {
	if k[31] != 0x7f {
		return k[31] < 0x7f
	}
	for _, b := range k[1:31] {
		if b != 0xff {
			return true
		}
	}
	return k[0] < 0xed
}

// PresharedKey is the optional symmetric key of a pair of peers. It is secret: printing
// and logging show a placeholder, only [PresharedKey.MarshalText] gives the value.
type PresharedKey [KeyLen]byte

// IsZero says that no pre-shared key is used.
func (k PresharedKey) IsZero() bool { return k == PresharedKey{} }

// MarshalText gives base64, for a wish on its way to the gateway.
func (k PresharedKey) MarshalText() ([]byte, error) {
	return []byte(base64.StdEncoding.EncodeToString(k[:])), nil
}

// UnmarshalText reads base64.
func (k *PresharedKey) UnmarshalText(text []byte) error {
	b, err := decodeKey(string(text))
	*k = b
	return err
}

// Format hides the value from every verb of package fmt.
func (k PresharedKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue hides the value from logs.
func (k PresharedKey) LogValue() slog.Value { return slog.StringValue(hidden) }

// PrivateKey is a WireGuard private key. It has no text form but [PrivateKey.Reveal].
type PrivateKey struct{ secret [KeyLen]byte }

const hidden = "(secret)"

// GeneratePrivateKey makes a key from the system's randomness.
func GeneratePrivateKey() (PrivateKey, error) {
	var k PrivateKey
	if _, err := rand.Read(k.secret[:]); err != nil {
		return PrivateKey{}, fmt.Errorf("make a WireGuard key: %w", err)
	}
	k.secret[0] &= 248 // RFC 7748, 5: clamping
	k.secret[31] = k.secret[31]&127 | 64
	return k, nil
}

// Public is the public half.
func (k PrivateKey) Public() Key {
	private, err := ecdh.X25519().NewPrivateKey(k.secret[:])
	if err != nil {
		return Key{} // cannot be: every 32 bytes are a scalar
	}
	return Key(private.PublicKey().Bytes())
}

// IsZero says that the key was never set.
func (k PrivateKey) IsZero() bool { return k == PrivateKey{} }

// Reveal gives the secret, for the device and for a configuration that its owner asked for.
func (k PrivateKey) Reveal() [KeyLen]byte { return k.secret }

// Format hides the secret from every verb of package fmt.
func (k PrivateKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue hides the secret from logs.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(hidden) }

// LoadOrCreateKey reads the private key in file (base64, one line, mode 0600), or makes
// one there when the file does not exist. A file that others can read is refused; on Windows,
// where the mode says nothing, the folder's access control list has to see to it.
func LoadOrCreateKey(file string) (PrivateKey, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(file)
	}
	if err != nil {
		return PrivateKey{}, fmt.Errorf("read the WireGuard key: %w", err)
	}
	if exposed(info) {
		return PrivateKey{}, fmt.Errorf("the WireGuard key %s can be read by others: run chmod 600 on it", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("read the WireGuard key: %w", err)
	}
	key, err := ParsePrivateKey(string(bytes.TrimSpace(text)))
	if err != nil {
		return PrivateKey{}, fmt.Errorf("the WireGuard key in %s is damaged: %w", file, err)
	}
	return key, nil
}

// ParsePrivateKey reads a private key in base64.
func ParsePrivateKey(s string) (PrivateKey, error) {
	secret, err := decodeKey(s)
	return PrivateKey{secret}, err
}

func createKey(file string) (PrivateKey, error) {
	key, err := GeneratePrivateKey()
	if err != nil {
		return PrivateKey{}, err
	}
	if err := KeepKey(file, key); err != nil {
		return PrivateKey{}, err
	}
	return key, nil
}

// KeepKey writes a private key as [LoadOrCreateKey] reads it, over one that is there.
func KeepKey(file string, key PrivateKey) error {
	text := base64.StdEncoding.EncodeToString(key.secret[:]) + "\n"
	if err := durable.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("keep the WireGuard key: %w", err)
	}
	return nil
}

// decodeKey takes one text for one key: the decoder skips line breaks, so what it read is written again.
func decodeKey(s string) (key [KeyLen]byte, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != KeyLen || base64.StdEncoding.EncodeToString(b) != s {
		return key, errors.New("a WireGuard key is 32 bytes in base64 (44 characters)")
	}
	return [KeyLen]byte(b), nil
}
