package hsm

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
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

// State is where a key stands in its life. It only ever moves downwards in this list, but for Suspended, which can be
// resumed.
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
	Label      string // for people; unique within partner, order and version, at most 100 bytes
	Version    int    // of the key of that label, 1 for the first one; 0 means 1
	Algorithm  Algorithm
	Mechanisms []mechanism.Mechanism // how it may sign, or decrypt, never both; empty means every way of signing that fits its algorithm
}

// KeyInfo describes a key.
type KeyInfo struct {
	ID          string // 32 hex digits: its CKA_ID in the token
	Partner     string
	Order       string
	Label       string
	Version     int // of the key of that label, from 1 on
	Algorithm   Algorithm
	Mechanisms  []mechanism.Mechanism
	State       State
	Public      crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey; nil while pending
	SPKI        []byte           // the same as SubjectPublicKeyInfo, DER
	Attestation Attestation
	Created     time.Time

	holder string // the process that generates a pending key, as its lease has it; "" on a node that is alone
}

// Name is the label with the version, such as seal/2, that of the first one without.
func (k KeyInfo) Name() string { return VersionName(k.Label, k.Version) }

// VersionName is how people tell the versions of a key of that label apart.
func VersionName(label string, version int) string {
	if version <= 1 {
		return label
	}
	return fmt.Sprintf("%s/%d", label, version)
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

// Key is an active key of the token as a crypto.Signer, safe for concurrent use. It stays good over restarts of the
// worker, and refuses once the key is no longer active.
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

// Sign signs a digest (crypto.Signer): RSA PKCS #1 v1.5 and PSS, ECDSA as ASN.1. The source of randomness is the
// token's; the first argument is not used. It waits at most a minute for the token. A token that is away is
// ErrUnavailable, one that was asked and did not answer ErrUncertain.
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
	signed := k.SignDigests(ctx, m, [][]byte{digest})
	return signed[0].Signature, signed[0].Err
}

// Signed is what became of one digest: a signature, or an error as Sign's.
type Signed struct {
	Signature []byte
	Err       error
}

// SignDigests signs digests by a named mechanism, several at a time in one call of the worker; the results are in
// their order. Each digest is one use of the key, and one that failed says nothing of the others.
func (k *Key) SignDigests(ctx context.Context, m mechanism.Mechanism, digests [][]byte) []Signed {
	signed := make([]Signed, len(digests))
	if err := k.may(m, digests); err != nil {
		failAll(signed, err)
		return signed
	}
	var calls sync.WaitGroup
	for at := 0; at < len(digests); at += wire.MaxDigests {
		end := min(at+wire.MaxDigests, len(digests))
		if end == len(digests) { // the last one, or the only one, needs no goroutine
			k.module.sign(ctx, k, m, digests[at:end], signed[at:end])
			break
		}
		calls.Go(func() { k.module.sign(ctx, k, m, digests[at:end], signed[at:end]) })
	}
	calls.Wait()
	return signed
}

// may says why the key can't sign these so.
func (k *Key) may(m mechanism.Mechanism, digests [][]byte) error {
	for _, d := range digests {
		if err := m.CheckDigest(d); err != nil {
			return err
		}
	}
	if err := k.Usable(); err != nil {
		return err
	}
	if !k.info.Allows(m) {
		return fmt.Errorf("%w: %s, allowed are %v", ErrMechanism, m, k.info.Mechanisms)
	}
	return nil
}

func failAll(signed []Signed, err error) {
	for i := range signed {
		signed[i].Err = err
	}
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

// sign has the worker sign, once, in one call of at most wire.MaxDigests digests.
func (m *Module) sign(ctx context.Context, k *Key, mech mechanism.Mechanism, digests [][]byte, signed []Signed) {
	if m.vitals.lostKeys()[k.info.ID] {
		m.metrics.signed(mech, "lost", len(digests))
		failAll(signed, fmt.Errorf("signing with %s: %w", k.info.ID, m.lostError([]string{k.info.ID})))
		return
	}
	start := time.Now()
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		m.metrics.signed(mech, "overload", len(digests))
		failAll(signed, fmt.Errorf("%w: waiting for a session: %w", ErrUnavailable, ctx.Err()))
		return
	}
	signatures, err := m.askToSign(ctx, k, mech, digests)
	for i, s := range signatures {
		signed[i].Signature = s
	}
	m.metrics.signed(mech, "signed", len(signatures))
	if err != nil {
		m.metrics.signed(mech, "failed", len(digests)-len(signatures))
		failAll(signed[len(signatures):], fmt.Errorf("signing with %s: %w", k.info.ID, err))
		return
	}
	m.metrics.seconds.WithLabelValues(string(mech)).Observe(time.Since(start).Seconds())
}

// askToSign returns the signatures that the token made, in the order of the digests, and why there are no more.
func (m *Module) askToSign(ctx context.Context, k *Key, mech mechanism.Mechanism, digests [][]byte) (signatures [][]byte, err error) {
	timeout := m.cfg.SignTimeout * time.Duration(wire.MaxDigests+len(digests)-1) / wire.MaxDigests
	err = m.use(ctx, false, func(p *process) error {
		f, err := m.ask(ctx, p, timeout, wire.Sign, wire.SignBody(k.id, mech, digests))
		if err != nil {
			return err
		}
		answer, err := wire.ParseSigned(f.Body, len(digests))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUncertain, err)
		}
		if signatures = answer.Signatures; len(signatures) > 0 {
			m.vitals.answered()
		}
		return outcome(answer.Kind, answer.Reason)
	})
	if errors.Is(err, errMissing) {
		if err = errors.Join(m.missed(ctx, k.info.ID), m.Has(k.info.ID)); err == nil {
			err = ErrUnavailable // it is there again already
		}
	}
	return signatures, err
}
