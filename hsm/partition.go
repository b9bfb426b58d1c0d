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

// Partition returns the partner's namespace; it exists as long as it has keys. The partner's ID must not be empty: keys without a
// partner are the data centre's own.
func (m *Module) Partition(partner string) (*Partition, error) {
	if partner == "" {
		return nil, errors.New("partition: the partner is missing")
	}
	return &Partition{module: m, partner: partner}, nil
}

// Ensure makes those of the specified keys that are not there yet, and returns them all in the order of specs. It may be repeated, and
// goes on where a crash ended it: a key is known by partner, order and label. A key of that name that is not as specified, or no
// longer active, is an error, for an order's keys are never silently replaced.
func (p *Partition) Ensure(ctx context.Context, actor audit.Actor, order string, specs []KeySpec) ([]KeyInfo, error) {
	if order == "" {
		return nil, fmt.Errorf("partition of %s: the order is missing", p.partner)
	}
	there, err := p.Keys(ctx)
	if err != nil {
		return nil, err
	}
	made := make([]KeyInfo, 0, len(specs))
	for _, spec := range specs {
		spec.Partner, spec.Order = p.partner, order
		k, found, err := named(there, spec)
		if err == nil && !found {
			k, err = p.module.Generate(ctx, actor, spec)
		}
		if err != nil {
			return made, fmt.Errorf("partition of %s: %w", p.partner, err)
		}
		made = append(made, k)
	}
	return made, nil
}

func named(keys []KeyInfo, spec KeySpec) (KeyInfo, bool, error) {
	for _, k := range keys {
		if k.Order != spec.Order || k.Label != spec.Label || k.State == Destroyed {
			continue
		}
		if k.State != Active {
			return KeyInfo{}, false, fmt.Errorf("%w: key %q of order %s is %s", ErrNotActive, k.Label, k.Order, k.State)
		}
		if k.Algorithm != spec.Algorithm {
			return KeyInfo{}, false, fmt.Errorf("key %q of order %s is %s, not %s", k.Label, k.Order, k.Algorithm, spec.Algorithm)
		}
		return k, true, nil
	}
	return KeyInfo{}, false, nil
}

// Keys lists the partner's keys, oldest first, the suspended and destroyed ones too.
func (p *Partition) Keys(ctx context.Context) ([]KeyInfo, error) {
	all, err := p.module.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var own []KeyInfo
	for _, k := range all {
		if k.Partner == p.partner {
			own = append(own, k)
		}
	}
	return own, nil
}

// Suspend takes away the use of all active keys of the partner, or of one order when order is not empty. Keys and history stay. It
// may be repeated.
func (p *Partition) Suspend(ctx context.Context, actor audit.Actor, order string) error {
	keys, err := p.Keys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.State != Active || order != "" && k.Order != order {
			continue
		}
		if err := p.module.Suspend(ctx, actor, k.ID); err != nil {
			return fmt.Errorf("partition of %s: %w", p.partner, err)
		}
	}
	return nil
}
