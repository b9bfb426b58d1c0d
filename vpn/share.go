package vpn

import (
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// HubKeys are the keys of a hub, as one gateway of a pair gives them to the other: sealed to it, so that who carries them, the
// core included, learns nothing.
type HubKeys struct {
	Serial   int64         // grows with each change
	Use      int           // 0 or 1: the place of the key that all offices know
	Changing bool          // the other place has the next key
	Keys     [2]PrivateKey // by place; zero where there is none
	Secret   PairSecret    // that the two have in common; it never changes
}

// PairSecret is what two gateways know each other by. It is secret: printing and logging show a placeholder.
type PairSecret [32]byte

// Format hides the value from every verb of package fmt.
func (s PairSecret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// Equal compares in constant time.
func (s PairSecret) Equal(other PairSecret) bool {
	return subtle.ConstantTimeCompare(s[:], other[:]) == 1
}

// sealedHubKeys is what is enciphered.
type sealedHubKeys struct {
	Serial   int64     `json:"serial"`
	Use      int       `json:"use"`
	Changing bool      `json:"changing"`
	Keys     [2][]byte `json:"keys"`
	Secret   []byte    `json:"secret"`
}

// RecipientLen is the length of the public half of a [Recipient] in bytes, MaxSealedHubKeys that of sealed keys at most.
const (
	RecipientLen     = 1216
	MaxSealedHubKeys = 4 << 10
)

// Recipient is the key pair to which the keys of a hub are sealed: MLKEM768-X25519, since what is sealed passes a database and
// its backups, and is worth as much as the tunnels for as long as they last.
type Recipient struct{ private hpke.PrivateKey }

// NewRecipient makes a key pair.
func NewRecipient() (*Recipient, error) {
	private, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make a key for the hub's keys: %w", err)
	}
	return &Recipient{private}, nil
}

// ParseRecipient reads what Secret gave.
func ParseRecipient(secret []byte) (*Recipient, error) {
	private, err := hpke.MLKEM768X25519().NewPrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("the key for the hub's keys: %w", err)
	}
	return &Recipient{private}, nil
}

// Secret is the private half.
func (r *Recipient) Secret() ([]byte, error) { return r.private.Bytes() }

// Public is what the keys are sealed to.
func (r *Recipient) Public() []byte { return r.private.PublicKey().Bytes() }

// RecipientName is how people compare the public half of a recipient: the beginning of its SHA-256.
func RecipientName(public []byte) string { return fmt.Sprintf("%.10x", sha256.Sum256(public)) }

// SealHubKeys enciphers keys for the gateway of that name.
func SealHubKeys(k HubKeys, gateway string, recipient []byte) ([]byte, error) {
	if len(recipient) != RecipientLen {
		return nil, fmt.Errorf("seal the hub's keys: the recipient's key has %d bytes, not %d", len(recipient), RecipientLen)
	}
	to, err := hpke.MLKEM768X25519().NewPublicKey(recipient)
	if err != nil {
		return nil, fmt.Errorf("seal the hub's keys: %w", err)
	}
	plain := sealedHubKeys{Serial: k.Serial, Use: k.Use, Changing: k.Changing, Secret: k.Secret[:]}
	for i, key := range k.Keys {
		if !key.IsZero() {
			secret := key.Reveal()
			plain.Keys[i] = secret[:]
		}
	}
	data, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	return hpke.Seal(to, hpke.HKDFSHA256(), hpke.AES256GCM(), hubKeysFor(gateway), data)
}

// hubKeysFor binds sealed keys to the gateway that they are for (RFC 9180, 5: info).
func hubKeysFor(gateway string) []byte { return []byte("trustcore keys of a hub 1\x00" + gateway) }

// Open reads keys that were sealed for this recipient and the gateway of that name. It does not say who sealed them: that is
// for the secret that the two have in common, and before they have one, for the mutual TLS with the core.
func (r *Recipient) Open(sealed []byte, gateway string) (k HubKeys, err error) {
	if len(sealed) > MaxSealedHubKeys {
		return k, fmt.Errorf("the hub's keys: longer than %d bytes", MaxSealedHubKeys)
	}
	data, err := hpke.Open(r.private, hpke.HKDFSHA256(), hpke.AES256GCM(), hubKeysFor(gateway), sealed)
	if err != nil {
		return k, errors.New("the hub's keys were not sealed for this gateway")
	}
	var plain sealedHubKeys
	if err := json.Unmarshal(data, &plain); err != nil {
		return k, fmt.Errorf("the hub's keys: %w", err)
	}
	k = HubKeys{Serial: plain.Serial, Use: plain.Use, Changing: plain.Changing}
	if plain.Use != 0 && plain.Use != 1 || plain.Serial <= 0 || len(plain.Secret) != len(k.Secret) {
		return HubKeys{}, errors.New("the hub's keys: number, place or secret is missing")
	}
	copy(k.Secret[:], plain.Secret)
	for i, secret := range plain.Keys {
		needed := i == plain.Use || plain.Changing
		if len(secret) != 0 && len(secret) != KeyLen || needed && len(secret) == 0 {
			return HubKeys{}, errors.New("the hub's keys: a key is missing")
		}
		copy(k.Keys[i].secret[:], secret)
	}
	return k, nil
}

// KeyOffer is what a gateway of a pair tells the core of the hub's keys.
type KeyOffer struct {
	Recipient []byte            `json:"recipient"`        // its own
	From      string            `json:"from,omitempty"`   // the gateway whose keys it is to have; "" for who has them
	Serial    int64             `json:"serial"`           // of the keys that it has; 0 is none
	Sealed    map[string][]byte `json:"sealed,omitempty"` // these keys, by the gateway for which it sealed them
}

// KeyAnswer is what the core answers.
type KeyAnswer struct {
	SealFor map[string][]byte `json:"seal_for,omitempty"` // recipients, by gateway, that are to have the keys
	Sealed  []byte            `json:"sealed,omitempty"`   // later keys, for who asked

	// Waits says that two officers have not decided yet that this gateway, by this recipient, gets the keys.
	Waits bool `json:"waits,omitempty"`
}

// Heard is where an office was heard last, as the gateway that carries tells.
type Heard struct {
	PublicKey Key            `json:"public_key"`
	Endpoint  netip.AddrPort `json:"endpoint"`
	At        time.Time      `json:"at"`
	Followed  bool           `json:"followed,omitempty"` // by the hub's next key
	Busy      bool           `json:"busy,omitempty"`     // it had traffic: it comes first at a take-over
}

// HeardOffices is where offices were heard, as far as that changed after a serial number.
type HeardOffices struct {
	Serial  int64   `json:"serial"`
	Offices []Heard `json:"offices"` // no more than MaxHeard; ask again with Serial until there are none
}

// MaxHeard is how many offices one answer has at most.
const MaxHeard = 2000
