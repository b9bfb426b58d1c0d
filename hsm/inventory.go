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
	Doubles []string `json:"doubles"` // IDs that several private keys of the token share: which of them signs nobody can tell
	Weak    []Weak   `json:"weak"`    // keys that are less hardened than they were made
	Foreign int      `json:"foreign"` // private keys whose IDs are not as ours: another program has made them in this token
}

// Weak is a key of the token that is less hardened than trustd makes them (Attestation.Refusal).
type Weak struct {
	ID        string `json:"id"`
	Attribute string `json:"attribute"` // the first one that is not as it has to be, such as CKA_EXTRACTABLE
}

// Listed is a key in an inventory.
type Listed struct {
	ID      string `json:"id"`
	Partner string `json:"partner,omitempty"`
	Order   string `json:"order,omitempty"`
	Label   string `json:"label"`
	State   State  `json:"state"`
}

// Whole reports whether registry and token agree, and every key is as it was made.
func (i Inventory) Whole() bool {
	return len(i.Lost)+len(i.Left)+len(i.Unknown)+len(i.Doubles)+len(i.Weak)+i.Foreign == 0
}

// surveyTimeout is for reading the attributes of all keys, some twenty thousand at most.
const surveyTimeout = 2 * time.Minute

// Inventory takes an inventory now. A key that is made or destroyed meanwhile is not told of.
func (m *Module) Inventory(ctx context.Context) (Inventory, error) {
	before, err := m.Keys(ctx, Filter{})
	if err != nil {
		return Inventory{}, err
	}
	i, held, err := m.survey(ctx)
	if err != nil {
		return Inventory{}, err
	}
	if err := m.reload(ctx); err != nil {
		return Inventory{}, err
	}
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

// survey begins an inventory with what the token alone says: its keys, and what is wrong with them.
func (m *Module) survey(ctx context.Context) (i Inventory, held map[string]bool, err error) {
	var f wire.Frame
	err = m.use(ctx, true, func(p *process) (err error) {
		f, err = m.ask(ctx, p, surveyTimeout, wire.Survey, nil)
		return err
	})
	if err != nil {
		return Inventory{}, nil, fmt.Errorf("looking through the token: %w", err)
	}
	var found wire.SurveyAnswer
	if err := json.Unmarshal(f.Body, &found); err != nil {
		return Inventory{}, nil, fmt.Errorf("worker's answer: %w", err)
	}
	ids, err := wire.ParseIDs(found.IDs)
	if err != nil {
		return Inventory{}, nil, err
	}
	i = Inventory{At: m.cfg.Now().UTC(), Serial: m.Token().Serial, Held: len(ids) + found.Foreign, Foreign: found.Foreign,
		Lost: []Listed{}, Left: []Listed{}, Unknown: []string{}, Doubles: []string{}, Weak: []Weak{}}
	held = make(map[string]bool, len(ids))
	for _, raw := range ids {
		id := formatID(raw)
		if held[id] && !slices.Contains(i.Doubles, id) {
			i.Doubles = append(i.Doubles, id)
		}
		held[id] = true
	}
	for _, w := range found.Weak {
		i.Weak = append(i.Weak, Weak{formatID(w.ID), w.Attribute})
	}
	slices.Sort(i.Doubles)
	return i, held, nil
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
