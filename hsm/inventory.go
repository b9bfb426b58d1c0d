package hsm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"trustcore/hsm/internal/wire"
)

// Inventory holds the registry of keys against the token's own list.
type Inventory struct {
	At         time.Time `json:"at"`
	Serial     string    `json:"token_serial"`
	Registered int       `json:"registered"` // keys that the token should hold: active and suspended ones
	Held       int       `json:"held"`       // keys in the token

	Lost    []Listed `json:"lost"`    // the registry has them active or suspended, and the token lacks them
	Left    []Listed `json:"left"`    // the registry has them destroyed, and the token holds them: a backup brought them back
	Unknown []string `json:"unknown"` // IDs in the token that the registry does not have: whose they are nobody can tell
}

// Listed is a key in an inventory.
type Listed struct {
	ID      string `json:"id"`
	Partner string `json:"partner,omitempty"`
	Order   string `json:"order,omitempty"`
	Label   string `json:"label"`
	State   State  `json:"state"`
}

// Whole reports whether registry and token agree.
func (i Inventory) Whole() bool { return len(i.Lost)+len(i.Left)+len(i.Unknown) == 0 }

// Inventory takes an inventory now. A key that is made or destroyed meanwhile is not told of.
func (m *Module) Inventory(ctx context.Context) (Inventory, error) {
	before, err := m.Keys(ctx, Filter{})
	if err != nil {
		return Inventory{}, err
	}
	var held map[string]bool
	err = m.use(ctx, true, func(p *process) (err error) {
		held, err = m.held(ctx, p)
		return err
	})
	if err != nil {
		return Inventory{}, err
	}
	if err := m.reload(ctx); err != nil {
		return Inventory{}, err
	}
	i := Inventory{At: m.cfg.Now().UTC(), Serial: m.Token().Serial, Held: len(held), Lost: []Listed{}, Left: []Listed{}, Unknown: []string{}}
	for _, k := range before {
		now, err := m.known(k.ID)
		if err != nil || now.State != k.State {
			continue
		}
		is := Listed{k.ID, k.Partner, k.Order, k.Label, k.State}
		switch {
		case k.State == Active || k.State == Suspended:
			i.Registered++
			if !held[k.ID] {
				i.Lost = append(i.Lost, is)
			}
		case k.State == Destroyed && held[k.ID]:
			i.Left = append(i.Left, is)
		}
	}
	for id := range held {
		if _, err := m.known(id); err != nil {
			i.Unknown = append(i.Unknown, id)
		}
	}
	slices.Sort(i.Unknown)
	return i, nil
}

// Attest has the token say now what it says about a private key. ErrUnknownKey and ErrNotActive are of keys that the
// registry does not have or has as destroyed or pending.
func (m *Module) Attest(ctx context.Context, id string) (KeyInfo, error) {
	k, err := m.read(ctx, id)
	if err != nil {
		return KeyInfo{}, err
	}
	if k.State != Active && k.State != Suspended {
		return KeyInfo{}, fmt.Errorf("%w: %s is %s", ErrNotActive, id, k.State)
	}
	raw, err := parseID(id)
	if err != nil {
		return KeyInfo{}, err
	}
	var f wire.Frame
	err = m.use(ctx, true, func(p *process) (err error) {
		f, err = m.ask(ctx, p, openTimeout, wire.Attest, raw[:])
		return err
	})
	if err != nil {
		return KeyInfo{}, fmt.Errorf("attesting key %s: %w", id, err)
	}
	k.Attestation = Attestation{}
	if err := json.Unmarshal(f.Body, &k.Attestation); err != nil {
		return KeyInfo{}, fmt.Errorf("worker's answer: %w", err)
	}
	return k, nil
}
