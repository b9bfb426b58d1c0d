package hsm

import (
	"context"
	"errors"
	"fmt"

	"trustcore/internal/audit"
)

// SuspendFor is Suspend for a reason, which the audit entry has.
func (m *Module) SuspendFor(ctx context.Context, actor audit.Actor, id, reason string) error {
	k, err := m.read(ctx, id)
	if err != nil || k.State == Suspended {
		return err
	}
	return m.actFor(ctx, actor, "hsm.key.suspend", k, reason, func() error { return m.move(ctx, k, Suspended, Active) })
}

// SuspendAll is the emergency stop: it suspends every active key of a partner, or of all partners where partner is
// "", each with an audit entry. The data centre's own keys go on. One that can't be suspended keeps none of the
// others from it: those that were come back, and the error says which were not. Keys that are being made meanwhile
// are not among them. It may be repeated.
func (m *Module) SuspendAll(ctx context.Context, actor audit.Actor, partner, reason string) (stopped []KeyInfo, err error) {
	keys, err := m.Keys(ctx, Filter{Partner: partner})
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, k := range keys {
		if k.Partner == "" || k.State != Active {
			continue
		}
		if err := m.SuspendFor(ctx, actor, k.ID, reason); err != nil {
			failed = append(failed, fmt.Errorf("key %s of %s goes on: %w", k.ID, k.Partner, err))
			continue
		}
		k.State = Suspended
		stopped = append(stopped, k)
	}
	return stopped, errors.Join(failed...)
}
