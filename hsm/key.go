package hsm

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"trustcore/hsm/internal/wire"
	"trustcore/hsm/mechanism"
)

// Algorithm is the kind of a key.
type Algorithm = wire.Algorithm

// The algorithms of keys.
const (
	RSA2048 = wire.RSA2048
	RSA3072 = wire.RSA3072
	RSA4096 = wire.RSA4096
	P256    = wire.P256
	P384    = wire.P384
)

// Attestation is what the token says about a private key, read back after its generation.
type Attestation = wire.Attestation

// State is where a key stands in its life. It only ever moves downwards in this list, but for Suspended, which can be resumed.
type State string

// The states of a key. Only an active key signs.
const (
	Pending   State = "pending"   // being generated
	Active    State = "active"    //
	Suspended State = "suspended" // its authorisation was taken back
	Destroyed State = "destroyed" // the token no longer holds it; the registry remembers it
)

// Errors that a caller may want to tell apart.
var (
	ErrUnknownKey = errors.New("there is no such key")
	ErrNotActive  = errors.New("key is not active")
	ErrMechanism  = errors.New("mechanism is not allowed for this key")
)

// KeySpec says what key to generate.
type KeySpec struct {
	Partner    string // whose it is; "" for the data centre's own
	Order      string // the order that authorises it; "" for the data centre's own
	Label      string // for people; unique within partner and order, at most 100 bytes
	Algorithm  Algorithm
	Mechanisms []mechanism.Mechanism // how it may sign; empty means every way that fits its algorithm
}

// KeyInfo describes a key.
type KeyInfo struct {
	ID          string // 32 hex digits: its CKA_ID in the token
	Partner     string
	Order       string
	Label       string
	Algorithm   Algorithm
	Mechanisms  []mechanism.Mechanism
	State       State
	Public      crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey; nil while pending
	SPKI        []byte           // the same as SubjectPublicKeyInfo, DER
	Attestation Attestation
	Created     time.Time
}

// Allows reports whether the key may sign so.
func (k KeyInfo) Allows(m mechanism.Mechanism) bool { return slices.Contains(k.Mechanisms, m) }

func formatID(id wire.ID) string { return hex.EncodeToString(id[:]) }

func parseID(s string) (wire.ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != wire.IDSize {
		return wire.ID{}, fmt.Errorf("%w: %q is not %d hex digits", ErrUnknownKey, s, 2*wire.IDSize)
	}
	return wire.ID(b), nil
}

// Key is an active key of the token as a crypto.Signer, safe for concurrent use. It stays good over restarts of the worker, and refuses
// once the key is no longer active.
type Key struct {
	module *Module
	id     wire.ID
	info   KeyInfo
}

// Info describes the key as it was when the Key was made.
func (k *Key) Info() KeyInfo { return k.info }

// Public returns the public key.
func (k *Key) Public() crypto.PublicKey { return k.info.Public }

// Mechanisms are the ways in which the key may sign.
func (k *Key) Mechanisms() []mechanism.Mechanism { return k.info.Mechanisms }

// Sign signs a digest (crypto.Signer): RSA PKCS #1 v1.5 and PSS, ECDSA as ASN.1. The source of randomness is the token's; the first
// argument is not used. It waits at most a minute for the token. A token that is away is ErrUnavailable, one that was asked and did not
// answer ErrUncertain.
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return k.SignContext(ctx, digest, opts)
}

// SignContext is Sign until ctx ends.
func (k *Key) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	m, err := mechanism.Of(k.info.Public, opts)
	if err != nil {
		return nil, err
	}
	return k.SignDigest(ctx, m, digest)
}

// SignDigest signs a digest by a named mechanism.
func (k *Key) SignDigest(ctx context.Context, m mechanism.Mechanism, digest []byte) ([]byte, error) {
	if err := m.CheckDigest(digest); err != nil {
		return nil, err
	}
	if err := k.Usable(); err != nil {
		return nil, err
	}
	if !k.info.Allows(m) {
		return nil, fmt.Errorf("%w: %s, allowed are %v", ErrMechanism, m, k.info.Mechanisms)
	}
	return k.module.sign(ctx, k, m, digest)
}

// Usable is nil while the key is active, and ErrNotActive from the moment when it was suspended or destroyed.
func (k *Key) Usable() error {
	now, err := k.module.known(k.info.ID)
	if err != nil {
		return err
	}
	if now.State != Active {
		return fmt.Errorf("%w: %s is %s", ErrNotActive, k.info.ID, now.State)
	}
	return nil
}

// sign has the worker sign, once.
func (m *Module) sign(ctx context.Context, k *Key, mech mechanism.Mechanism, digest []byte) ([]byte, error) {
	if m.vitals.lostKeys()[k.info.ID] {
		m.metrics.signs.WithLabelValues(string(mech), "lost").Inc()
		return nil, fmt.Errorf("signing with %s: %w", k.info.ID, m.lostError([]string{k.info.ID}))
	}
	start := time.Now()
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		m.metrics.signs.WithLabelValues(string(mech), "overload").Inc()
		return nil, fmt.Errorf("%w: waiting for a session: %w", ErrUnavailable, ctx.Err())
	}
	var f wire.Frame
	err := m.use(ctx, false, func(p *process) (err error) {
		f, err = m.ask(ctx, p, m.cfg.SignTimeout, wire.Sign, wire.SignBody(k.id, mech, digest))
		return err
	})
	if errors.Is(err, errMissing) {
		if err = errors.Join(m.missed(ctx, k.info.ID), m.Has(k.info.ID)); err == nil {
			err = ErrUnavailable // it is there again already
		}
	}
	if err != nil {
		m.metrics.signs.WithLabelValues(string(mech), "failed").Inc()
		return nil, fmt.Errorf("signing with %s: %w", k.info.ID, err)
	}
	m.metrics.signs.WithLabelValues(string(mech), "signed").Inc()
	m.metrics.seconds.WithLabelValues(string(mech)).Observe(time.Since(start).Seconds())
	return f.Body, nil
}
