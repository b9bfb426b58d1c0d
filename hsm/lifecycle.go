package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"trustcore/hsm/internal/wire"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
)

const maxLabel = 100

// Generate makes a key in the token: private, sensitive, never extractable, for signing alone. It records the wish, then has the token
// make the key, reads the attributes back and refuses (and destroys) a key that is not so. What a crash leaves half done is undone at
// the next start. The birth is in the audit log before the key exists.
func (m *Module) Generate(ctx context.Context, actor audit.Actor, spec KeySpec) (KeyInfo, error) {
	k, err := newKey(spec, m.cfg.Now())
	if err != nil {
		return KeyInfo{}, err
	}
	if err := m.record(ctx, actor, "hsm.key.generate", k); err != nil {
		return KeyInfo{}, err
	}
	if err := m.insert(ctx, k); err != nil {
		return KeyInfo{}, err
	}
	made, err := m.generate(ctx, k)
	if err == nil {
		err = m.complete(ctx, made)
	}
	if err != nil {
		return KeyInfo{}, errors.Join(fmt.Errorf("generating key %q: %w", spec.Label, err), m.undo(context.WithoutCancel(ctx), k))
	}
	return made, nil
}

// newKey checks a specification and gives the key its name.
func newKey(spec KeySpec, now time.Time) (KeyInfo, error) {
	if spec.Label == "" || len(spec.Label) > maxLabel || !utf8.ValidString(spec.Label) {
		return KeyInfo{}, fmt.Errorf("key label %q: it needs 1 to %d bytes of UTF-8", spec.Label, maxLabel)
	}
	fit := mechanism.For(sample(spec.Algorithm))
	if fit == nil {
		return KeyInfo{}, fmt.Errorf("key %q: algorithm %q is none of RSA-2048, RSA-3072, RSA-4096, P-256, P-384", spec.Label, spec.Algorithm)
	}
	if len(spec.Mechanisms) == 0 {
		spec.Mechanisms = fit
	}
	for _, n := range spec.Mechanisms {
		if !n.Fits(sample(spec.Algorithm)) {
			return KeyInfo{}, fmt.Errorf("key %q: %w: %s with %s", spec.Label, mechanism.ErrUnsupported, n, spec.Algorithm)
		}
	}
	var id wire.ID
	if _, err := rand.Read(id[:]); err != nil {
		return KeyInfo{}, err
	}
	return KeyInfo{
		ID: formatID(id), Partner: spec.Partner, Order: spec.Order, Label: spec.Label, Algorithm: spec.Algorithm,
		Mechanisms: spec.Mechanisms, State: Pending, Created: now.UTC(),
	}, nil
}

// sample is an empty public key of the algorithm's type, nil when there is no such algorithm.
func sample(a Algorithm) crypto.PublicKey {
	switch a {
	case RSA2048, RSA3072, RSA4096:
		return new(rsa.PublicKey)
	case P256:
		return &ecdsa.PublicKey{Curve: elliptic.P256()}
	case P384:
		return &ecdsa.PublicKey{Curve: elliptic.P384()}
	}
	return nil
}

// generate has the token make the key and holds what it says against what was asked.
func (m *Module) generate(ctx context.Context, k KeyInfo) (KeyInfo, error) {
	id, err := parseID(k.ID)
	if err != nil {
		return KeyInfo{}, err
	}
	body, err := json.Marshal(wire.GenerateRequest{ID: id, Label: k.Label, Algorithm: k.Algorithm, Mechanisms: k.Mechanisms})
	if err != nil {
		return KeyInfo{}, err
	}
	f, err := m.call(ctx, generateTimeout, wire.Generate, body)
	if err != nil {
		return KeyInfo{}, err
	}
	var answer wire.GenerateAnswer
	if err := json.Unmarshal(f.Body, &answer); err != nil {
		return KeyInfo{}, fmt.Errorf("worker's answer: %w", err)
	}
	if a := answer.Attestation.Refusal(); a != "" {
		return KeyInfo{}, fmt.Errorf("the token made a key whose %s is not as asked", a)
	}
	if k.Public, err = x509.ParsePKIXPublicKey(answer.PublicKey); err != nil {
		return KeyInfo{}, fmt.Errorf("public key of the token: %w", err)
	}
	if got := algorithmOf(k.Public); got != k.Algorithm {
		return KeyInfo{}, fmt.Errorf("the token made a key of %s, not %s", got, k.Algorithm)
	}
	k.SPKI, k.Attestation, k.State = answer.PublicKey, answer.Attestation, Active
	return k, nil
}

func algorithmOf(pub crypto.PublicKey) Algorithm {
	switch p := pub.(type) {
	case *rsa.PublicKey:
		return Algorithm(fmt.Sprintf("RSA-%d", p.N.BitLen()))
	case *ecdsa.PublicKey:
		return Algorithm(p.Curve.Params().Name)
	}
	return Algorithm(fmt.Sprintf("%T", pub))
}

// undo removes what a failed generation may have left in the token, then from the registry's living keys.
func (m *Module) undo(ctx context.Context, k KeyInfo) error {
	if err := m.erase(ctx, k.ID); err != nil {
		return fmt.Errorf("undoing key %s: %w", k.ID, err)
	}
	return m.move(ctx, k, Destroyed, Pending)
}

// erase destroys the key in the token; a key that is not there is fine.
func (m *Module) erase(ctx context.Context, id string) error {
	raw, err := parseID(id)
	if err != nil {
		return err
	}
	_, err = m.call(ctx, m.cfg.SignTimeout, wire.Destroy, raw[:])
	if errors.Is(err, ErrLost) {
		return nil
	}
	return err
}

// Keys lists all keys, oldest first, the destroyed ones too.
func (m *Module) Keys(ctx context.Context) ([]KeyInfo, error) {
	if err := m.reload(ctx); err != nil {
		return nil, err
	}
	return m.snapshot(), nil
}

// Key describes one key. The error is ErrUnknownKey when there is none of this ID.
func (m *Module) Key(ctx context.Context, id string) (KeyInfo, error) { return m.read(ctx, id) }

// Signer returns an active key. The errors are ErrUnknownKey and ErrNotActive.
func (m *Module) Signer(ctx context.Context, id string) (*Key, error) {
	k, err := m.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if k.State != Active {
		return nil, fmt.Errorf("%w: %s is %s", ErrNotActive, id, k.State)
	}
	raw, err := parseID(id)
	if err != nil {
		return nil, err
	}
	return &Key{module: m, id: raw, info: k}, nil
}

// Suspend stops all use of a key, from this moment on.
func (m *Module) Suspend(ctx context.Context, actor audit.Actor, id string) error {
	return m.change(ctx, actor, id, "hsm.key.suspend", Suspended, Active)
}

// Resume makes a suspended key active again.
func (m *Module) Resume(ctx context.Context, actor audit.Actor, id string) error {
	return m.change(ctx, actor, id, "hsm.key.resume", Active, Suspended)
}

func (m *Module) change(ctx context.Context, actor audit.Actor, id, action string, to, from State) error {
	k, err := m.read(ctx, id)
	if err != nil || k.State == to {
		return err
	}
	if err := m.record(ctx, actor, action, k); err != nil {
		return err
	}
	return m.move(ctx, k, to, from)
}

// Destroy removes a key from the token for ever; the registry remembers its description. Doing it again is fine.
func (m *Module) Destroy(ctx context.Context, actor audit.Actor, id string) error {
	k, err := m.read(ctx, id)
	if err != nil || k.State == Destroyed {
		return err
	}
	if err := m.record(ctx, actor, "hsm.key.destroy", k); err != nil {
		return err
	}
	if k.State == Active { // no use while it goes
		if err := m.move(ctx, k, Suspended, Active); err != nil {
			return err
		}
		k.State = Suspended
	}
	if err := m.erase(ctx, k.ID); err != nil {
		return fmt.Errorf("destroying key %s: %w", k.ID, err)
	}
	return m.move(ctx, k, Destroyed, Suspended, Pending)
}

// record writes the audit entry of an act on a key. When it fails, the act must not happen.
func (m *Module) record(ctx context.Context, actor audit.Actor, action string, k KeyInfo) error {
	_, err := m.cfg.Audit.Append(ctx, audit.Entry{
		Time: m.cfg.Now(), Actor: actor, Action: action, Subject: k.ID, Partner: k.Partner, Order: k.Order, Outcome: audit.Granted,
		Details: map[string]string{"label": k.Label, "algorithm": string(k.Algorithm)},
	})
	return err
}
