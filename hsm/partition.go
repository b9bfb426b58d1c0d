package hsm

import (
	"context"
	"errors"
	"fmt"

	"trustcore/internal/audit"
)

// Partition is a partner's namespace in the token: its keys, and nobody else's.
type Partition struct {
	module  *Module
	partner string
}

// Partition returns the partner's namespace; it exists as long as it has keys. The partner's ID must not be empty:
// keys without a partner are the data centre's own.
func (m *Module) Partition(partner string) (*Partition, error) {
	if partner == "" {
		return nil, errors.New("partition: the partner is missing")
	}
	return &Partition{module: m, partner: partner}, nil
}

// Ensure makes those of the specified keys that are not there yet, and returns them all in the order of specs. It may
// be repeated, and goes on where a crash or a failure ended it: a key is known by partner, order, label and version,
// and what a generation left half done is destroyed and made anew, never doubled. A key of that name that is not as
// specified, or no longer active, is an error, for an order's keys are never silently replaced.
func (p *Partition) Ensure(ctx context.Context, actor audit.Actor, order string, specs []KeySpec) ([]KeyInfo, error) {
	there, err := p.of(ctx, order)
	if err != nil {
		return nil, err
	}
	made := make([]KeyInfo, 0, len(specs))
	for _, spec := range specs {
		spec.Partner, spec.Order = p.partner, order
		k, err := p.ensure(ctx, actor, there, spec)
		if err != nil {
			return made, fmt.Errorf("partition of %s: %w", p.partner, err)
		}
		made = append(made, k)
	}
	return made, nil
}

func (p *Partition) ensure(ctx context.Context, actor audit.Actor, there []KeyInfo, spec KeySpec) (KeyInfo, error) {
	for _, k := range there {
		if k.Label != spec.Label || k.Version != max(spec.Version, 1) || k.State == Destroyed {
			continue
		}
		switch {
		case k.State == Pending && !p.module.inProgress(k.ID):
			if err := p.module.undo(ctx, k, errCutShort); err != nil {
				return KeyInfo{}, err
			}
			continue
		case k.State != Active:
			return KeyInfo{}, fmt.Errorf("%w: key %q of order %s is %s", ErrNotActive, k.Name(), k.Order, k.State)
		case k.Algorithm != spec.Algorithm:
			return KeyInfo{}, fmt.Errorf("key %q of order %s is %s, not %s", k.Name(), k.Order, k.Algorithm, spec.Algorithm)
		}
		return k, p.module.Has(k.ID)
	}
	return p.module.Generate(ctx, actor, spec)
}

// Keys lists the partner's keys, oldest first, the pending, suspended and destroyed ones too.
func (p *Partition) Keys(ctx context.Context) ([]KeyInfo, error) {
	return p.module.Keys(ctx, Filter{Partner: p.partner})
}

func (p *Partition) of(ctx context.Context, order string) ([]KeyInfo, error) {
	if order == "" {
		return nil, fmt.Errorf("partition of %s: the order is missing", p.partner)
	}
	return p.module.Keys(ctx, Filter{Partner: p.partner, Order: order})
}

// Suspend takes away the use of all active keys of the partner, or of one order when order is not empty. Keys and
// history stay. It may be repeated.
func (p *Partition) Suspend(ctx context.Context, actor audit.Actor, order string) error {
	keys, err := p.module.Keys(ctx, Filter{Partner: p.partner, Order: order})
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.State != Active {
			continue
		}
		if err := p.module.Suspend(ctx, actor, k.ID); err != nil {
			return fmt.Errorf("partition of %s: %w", p.partner, err)
		}
	}
	return nil
}

// Resume makes suspended keys of a partner that comes back active again, under the order that brings it back: from
// then on they are that order's keys, and Ensure finds them by it. It may be repeated. A key that is another
// partner's, pending or destroyed is refused, and one whose label the order has already; those before it are resumed
// then.
func (p *Partition) Resume(ctx context.Context, actor audit.Actor, order string, keyIDs []string) ([]KeyInfo, error) {
	if order == "" {
		return nil, fmt.Errorf("partition of %s: the order is missing", p.partner)
	}
	resumed := make([]KeyInfo, 0, len(keyIDs))
	for _, id := range keyIDs {
		k, err := p.resume(ctx, actor, order, id)
		if err != nil {
			return resumed, fmt.Errorf("partition of %s: %w", p.partner, err)
		}
		resumed = append(resumed, k)
	}
	return resumed, nil
}

func (p *Partition) resume(ctx context.Context, actor audit.Actor, order, id string) (KeyInfo, error) {
	k, err := p.module.read(ctx, id)
	switch {
	case err != nil:
		return KeyInfo{}, err
	case k.Partner != p.partner:
		return KeyInfo{}, fmt.Errorf("%w: %s", ErrUnknownKey, id) // whose it is, is nobody's business here
	case k.State == Active && k.Order == order:
		return k, nil
	case k.State != Suspended:
		return KeyInfo{}, fmt.Errorf("%w: key %s is %s and can't be resumed", ErrNotActive, id, k.State)
	}
	back := k
	back.State, back.Order = Active, order
	return back, p.module.act(ctx, actor, "hsm.key.resume", back, func() error { return p.module.reassign(ctx, k, back) })
}

// Destroy destroys all keys of the order that are left, the suspended and the half-made too, and returns when the
// token was searched and holds none of them. It may be repeated; an error says which key is left.
func (p *Partition) Destroy(ctx context.Context, actor audit.Actor, order string) error {
	keys, err := p.of(ctx, order)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := p.module.Destroy(ctx, actor, k.ID); err != nil {
			return fmt.Errorf("partition of %s: %w", p.partner, err)
		}
	}
	return p.gone(ctx, actor, keys)
}

// gone is the proof of Destroy: the token's own list has none of the keys. One that came back with a backup is
// destroyed again.
func (p *Partition) gone(ctx context.Context, actor audit.Actor, keys []KeyInfo) error {
	if len(keys) == 0 {
		return nil
	}
	var held map[string]bool
	err := p.module.use(ctx, true, func(w *process) (err error) {
		if err := p.module.right(w); err != nil {
			return err
		}
		held, err = p.module.held(ctx, w)
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range keys {
		if !held[k.ID] {
			continue
		}
		err := p.module.act(ctx, actor, "hsm.key.destroy", k, func() error { return p.module.erase(ctx, k.ID) })
		if err != nil {
			return fmt.Errorf("partition of %s: the token still holds key %s: %w", p.partner, k.ID, err)
		}
	}
	return nil
}
