package hsm

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"trustcore/hsm/internal/wire"
	"trustcore/hsm/mechanism"
)

// Errors of decryption.
var (
	ErrUndecryptable = errors.New("the key does not decrypt this")            // whatever is wrong with it
	ErrNoDecryption  = errors.New("the token can't decrypt by the mechanism") // of CanDecrypt
)

// Decrypts reports whether the key decrypts, and signs nothing.
func (k KeyInfo) Decrypts() bool { return len(k.Mechanisms) > 0 && k.Mechanisms[0].Decrypts() }

// Decrypt decrypts a ciphertext, as long as the key's modulus, by a named mechanism. ErrUndecryptable is all that is
// said of one that was not made for the key; the other errors are as Sign's.
func (k *Key) Decrypt(ctx context.Context, m mechanism.Mechanism, ciphertext []byte) ([]byte, error) {
	public, is := k.info.Public.(*rsa.PublicKey)
	if !is {
		return nil, fmt.Errorf("%w: %s with %s", mechanism.ErrUnsupported, m, k.info.Algorithm)
	}
	if err := m.CheckCiphertext(public, ciphertext); err != nil {
		return nil, err
	}
	if err := k.Usable(); err != nil {
		return nil, err
	}
	if !k.info.Allows(m) {
		return nil, fmt.Errorf("%w: %s, allowed are %v", ErrMechanism, m, k.info.Mechanisms)
	}
	return k.module.decrypt(ctx, k, m, ciphertext)
}

func (m *Module) decrypt(ctx context.Context, k *Key, mech mechanism.Mechanism, ciphertext []byte) ([]byte, error) {
	if m.vitals.lostKeys()[k.info.ID] {
		m.metrics.signed(mech, "lost", 1)
		return nil, fmt.Errorf("decrypting with %s: %w", k.info.ID, m.lostError([]string{k.info.ID}))
	}
	start := time.Now()
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		m.metrics.signed(mech, "overload", 1)
		return nil, fmt.Errorf("%w: waiting for a session: %w", ErrUnavailable, ctx.Err())
	}
	var f wire.Frame
	err := m.use(ctx, false, func(p *process) (err error) {
		f, err = m.ask(ctx, p, m.cfg.SignTimeout, wire.Decrypt, wire.DecryptBody(k.id, mech, ciphertext))
		return err
	})
	if errors.Is(err, errMissing) {
		if err = errors.Join(m.missed(ctx, k.info.ID), m.Has(k.info.ID)); err == nil {
			err = ErrUnavailable // it is there again already
		}
	}
	if err != nil {
		m.metrics.signed(mech, "failed", 1)
		return nil, fmt.Errorf("decrypting with %s: %w", k.info.ID, err)
	}
	m.metrics.signed(mech, "decrypted", 1)
	m.metrics.seconds.WithLabelValues(string(mech)).Observe(time.Since(start).Seconds())
	return f.Body, nil
}

// CanDecrypt asks the token whether it decrypts by a mechanism: many know OAEP with SHA-1 alone. The error is
// ErrNoDecryption where it does not, and another one where it could not be asked.
func (m *Module) CanDecrypt(ctx context.Context, mech mechanism.Mechanism) error {
	if !mech.Decrypts() {
		return fmt.Errorf("%w: %q", mechanism.ErrUnsupported, string(mech))
	}
	return m.use(ctx, true, func(p *process) error {
		_, err := m.ask(ctx, p, generateTimeout, wire.Probe, wire.ProbeBody(mech))
		if err != nil && !errors.Is(err, ErrUnavailable) {
			err = fmt.Errorf("%w: %w", ErrNoDecryption, err)
		}
		return err
	})
}
