//go:build linux || windows

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"trustcore/hsm/mechanism"
	"trustcore/hsm/p11kit"
	"trustcore/hsm/remote"
)

// How keys are kept, and waited for.
const (
	keysFresh    = 30 * time.Second // after which the list is asked for again
	keysRetry    = 5 * time.Second  // after it could not be
	listTimeout  = 5 * time.Second  // for asking
	signPatience = 20 * time.Second // for a gateway that is away: a program would rather wait than fail
	useTimeout   = time.Minute      // for a signature or a decryption
)

// officeKeys are the keys that one folder is enrolled for. The list is kept: programs ask for it again and again, and
// find it while the gateway is away.
type officeKeys struct {
	state state

	mu   sync.Mutex
	link *remote.Client         // guarded by mu; nil until it is needed
	keys []p11kit.Key           // guarded by mu
	far  map[string]*remote.Key // guarded by mu; by ID
	next time.Time              // guarded by mu; when to ask for them again

	changes time.Time // guarded by mu; when another version of a key begins to sign; zero: not that anybody knows
}

func newOfficeKeys(s state) *officeKeys { return &officeKeys{state: s} }

// label is the token's name.
func (k *officeKeys) label() string {
	if r, err := k.state.enrolled(); err == nil {
		return r.Enrolment.Partner[:min(len(r.Enrolment.Partner), 32)]
	}
	return "trustcore"
}

func (k *officeKeys) serial() string { return serialOf(k.state.dir) }

// gateway is called with k.mu.
func (k *officeKeys) gateway() (*remote.Client, error) {
	if k.link != nil {
		return k.link, nil
	}
	l, err := openLink(k.state)
	if err != nil {
		return nil, err
	}
	k.link, err = l.gateway()
	return k.link, err
}

// Keys lists the keys that may be used now, as the gateway last said.
func (k *officeKeys) Keys(ctx context.Context) ([]p11kit.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Now().Before(k.next) && k.far != nil {
		return k.keys, nil
	}
	err := k.ask(ctx)
	k.next = time.Now().Add(keysFresh)
	if err == nil {
		if !k.changes.IsZero() && k.changes.Before(k.next) {
			k.next = k.changes
		}
		return k.keys, nil
	}
	k.link, k.next = nil, time.Now().Add(keysRetry) // trustlink up may serve another port by now
	if k.far != nil && !refuses(err) {
		return k.keys, nil
	}
	return nil, err
}

// ask reads the list from the gateway. Called with k.mu.
func (k *officeKeys) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	gateway, err := k.gateway()
	if err != nil {
		return err
	}
	listed, err := gateway.Keys(ctx)
	if err != nil {
		return err
	}
	keys, far := []p11kit.Key{}, map[string]*remote.Key{}
	now := time.Now()
	k.changes = time.Time{}
	for _, info := range listed {
		if next := info.Changes(now); !next.IsZero() && (k.changes.IsZero() || next.Before(k.changes)) {
			k.changes = next
		}
		old := info.VerifiesAlone(now)
		if !info.Usable && !old {
			continue
		}
		key, err := gateway.Patient(signPatience).Listed(info)
		if err != nil {
			return err
		}
		id, err := hex.DecodeString(info.ID)
		if err != nil {
			return fmt.Errorf("key %s: %w", info.ID, err)
		}
		far[string(id)] = key
		label := info.Label // the one that signs has it alone, so that a program that looks for it finds that
		if old {
			label = fmt.Sprintf("%s/%d", info.Label, info.Version)
		}
		keys = append(keys, p11kit.Key{ID: id, Label: label, Public: key.Public(), Mechanisms: info.Mechanisms, Chain: info.Chain,
			VerifiesAlone: !info.Usable})
	}
	k.keys, k.far = keys, far
	return nil
}

// Sign signs a digest in the data centre.
func (k *officeKeys) Sign(ctx context.Context, id []byte, m mechanism.Mechanism, digest []byte) (signature []byte, err error) {
	err = k.use(ctx, id, func(ctx context.Context, key *remote.Key) error {
		signed, err := key.SignDigest(ctx, m, digest)
		signature = signed.Value
		return err
	})
	return signature, err
}

// Decrypt decrypts in the data centre what was encrypted for a key.
func (k *officeKeys) Decrypt(ctx context.Context, id []byte, m mechanism.Mechanism, ciphertext []byte) (plaintext []byte, err error) {
	err = k.use(ctx, id, func(ctx context.Context, key *remote.Key) error {
		plaintext, err = key.Decrypt(ctx, m, ciphertext)
		var no *remote.Refusal
		if errors.As(err, &no) && no.Type == remote.Undecryptable {
			return p11kit.ErrUndecryptable // says nothing of the key
		}
		return err
	})
	return plaintext, err
}

// use does something with a key of the list, for so long at most. After a refusal the list is asked for again: the key
// may have been taken back, or another version may have taken its place.
func (k *officeKeys) use(ctx context.Context, id []byte, do func(context.Context, *remote.Key) error) error {
	k.mu.Lock()
	key := k.far[string(id)]
	k.mu.Unlock()
	if key == nil {
		return fmt.Errorf("%w: the key is no longer listed", p11kit.ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, useTimeout)
	defer cancel()
	err := do(ctx, key)
	if !refuses(err) {
		return err
	}
	k.mu.Lock()
	k.next = time.Time{} // what is listed is not so any more
	k.mu.Unlock()
	return fmt.Errorf("%w: %w", p11kit.ErrRefused, err)
}

// refuses reports whether the gateway said no, and not only that it can't now.
func refuses(err error) bool {
	var no *remote.Refusal
	return errors.As(err, &no) && no.Status != http.StatusServiceUnavailable && no.Status != http.StatusTooManyRequests
}
