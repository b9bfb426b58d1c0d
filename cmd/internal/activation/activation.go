// Package activation carries approved orders out: partition, certificate, tunnel, active; a change order
// walks backwards, so access is granted last and taken away first. Each step looks first and acts if
// something is missing, so after a crash the walk begins again at the first step that is not remembered.
package activation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"trustcore/cmd/internal/registry"
)

// Steps are the acts that an order consists of, done by the pillars. Every one is idempotent: when what
// it makes is there already it returns the same fact, when what it removes is gone it returns nil.
type Steps struct {
	// Resume puts the suspended keys into force again that the order takes over from an ended one, and returns the ids.
	Resume func(ctx context.Context, rec registry.Record) (fact string, err error)
	// Partition makes the keys of the order's HSM authorisation that it does not take over, and returns the names and
	// ids of all.
	Partition func(ctx context.Context, rec registry.Record) (fact string, err error)
	// Certificate issues the keys' seal certificates and, from the enrolment, the office's client certificate. Where
	// there is no enrolment the office goes on with the certificate that it has; ErrNotEnrolled says that it has none.
	Certificate func(ctx context.Context, rec registry.Record, e *registry.Enrolment) (fact string, err error)
	// Tunnel enters the wish for the tunnel, with the key of the enrolment where there is one, and returns its address.
	Tunnel func(ctx context.Context, rec registry.Record, e *registry.Enrolment) (fact string, err error)

	// TunnelGone returns when no gateway has the tunnel of the order any more.
	TunnelGone func(ctx context.Context, order string) error
	// LeaveSites does so, with the sites' certificates, for the sites of a replaced order that its successor does not name.
	LeaveSites func(ctx context.Context, rec registry.Record) error
	// Revoke revokes the certificates of the order's line that serve the components; by is the change order.
	Revoke func(ctx context.Context, order string, ended []registry.Component, all bool, by string) error
	// Suspend ends the use of the HSM keys of the order's line that no order in force names, and their certificates.
	Suspend func(ctx context.Context, order, by string) error
}

// Config is what Runner needs; every field must be set unless marked.
type Config struct {
	Registry *registry.Registry
	Steps    Steps
	Logger   *slog.Logger

	// While says whether this node carries orders out now, with a context that ends when another one does. Optional: a node that is
	// alone does.
	While func(ctx context.Context) (while context.Context, done context.CancelFunc, ok bool)
}

// retryAfter is how long a step that failed waits, and how soon another node's change is noticed.
const retryAfter = 2 * time.Second

// Runner carries out orders until its context ends.
type Runner struct{ cfg Config }

// New returns a Runner.
func New(cfg Config) (*Runner, error) {
	s := cfg.Steps
	if cfg.Registry == nil || cfg.Logger == nil ||
		s.Resume == nil || s.Partition == nil || s.Certificate == nil || s.Tunnel == nil ||
		s.TunnelGone == nil || s.LeaveSites == nil || s.Revoke == nil || s.Suspend == nil {
		return nil, errors.New("activation: Registry, Logger or a step is missing")
	}
	return &Runner{cfg: cfg}, nil
}

// errWaits marks a step that can't go on yet through nobody's fault.
type errWaits struct{ what string }

func (e errWaits) Error() string { return e.what }

// ErrNotEnrolled tells that an order waits for its office.
var ErrNotEnrolled error = errWaits{registry.WaitsForOffice}

// Run carries out what is approved, now and whenever something changes.
func (r *Runner) Run(ctx context.Context) error {
	for {
		changed := r.cfg.Registry.Changed()
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Error("carrying out orders", "error", err)
		}
		timer := time.NewTimer(retryAfter)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// once walks every unfinished order. One order's failure does not hold up the others.
func (r *Runner) once(ctx context.Context) error {
	if r.cfg.While != nil {
		while, done, ok := r.cfg.While(ctx)
		defer done()
		if !ok {
			return nil
		}
		ctx = while
	}
	records, err := r.cfg.Registry.Unfinished(ctx)
	if err != nil {
		return err
	}
	var all error
	for _, rec := range records {
		if err := r.walk(ctx, rec); err != nil {
			all = errors.Join(all, fmt.Errorf("order %s: %w", rec.ID, err))
		}
	}
	return all
}

func (r *Runner) walk(ctx context.Context, rec registry.Record) error {
	var err error
	switch {
	case rec.Kind == registry.Change:
		err = r.takeAway(ctx, rec)
	case rec.State == registry.Replaced:
		err = r.retire(ctx, rec)
	default:
		err = r.bring(ctx, rec)
	}
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if rec.Waiting != err.Error() {
		if saved := r.cfg.Registry.Waiting(ctx, rec.ID, err.Error()); saved != nil {
			return errors.Join(err, saved)
		}
	}
	var waits errWaits
	if errors.As(err, &waits) {
		return nil
	}
	return err
}

type step struct {
	name string
	do   func() (fact string, err error)
}

// bring carries an activation order out. Components that a change order has ended meanwhile are left out.
func (r *Runner) bring(ctx context.Context, rec registry.Record) error {
	left, err := r.cfg.Registry.Left(ctx, rec.ID)
	if err != nil {
		return err
	}
	var steps []step
	if slices.Contains(left, registry.NetworkHSM) && rec.Resume != "" {
		steps = append(steps, step{"resume", func() (string, error) { return r.cfg.Steps.Resume(ctx, rec) }})
	}
	if slices.Contains(left, registry.NetworkHSM) {
		steps = append(steps, step{"partition", func() (string, error) { return r.cfg.Steps.Partition(ctx, rec) }})
	}
	if registry.Connects(left) {
		steps = append(steps, step{"certificate", func() (string, error) {
			return r.enrolled(ctx, rec, left, r.cfg.Steps.Certificate)
		}})
	}
	if slices.Contains(left, registry.VPN) {
		steps = append(steps, step{"tunnel", func() (string, error) {
			return r.enrolled(ctx, rec, left, r.cfg.Steps.Tunnel)
		}})
	}
	if err := r.do(ctx, rec, steps); err != nil {
		return err
	}
	return r.finish(ctx, rec, registry.Active)
}

// enrolled does what needs the office's public parts. Without an enrolment it goes on with those that are there, of
// which the step knows, unless the order brings the first tunnel.
func (r *Runner) enrolled(ctx context.Context, rec registry.Record, left []registry.Component,
	do func(context.Context, registry.Record, *registry.Enrolment) (string, error)) (string, error) {
	e, err := r.cfg.Registry.Enrolment(ctx, rec.ID)
	if err != nil {
		return "", err
	}
	if e != nil {
		return do(ctx, rec, e)
	}
	var before []registry.Component
	if rec.Renews != "" {
		if before, err = r.cfg.Registry.Left(ctx, rec.Renews); err != nil {
			return "", err
		}
	}
	if slices.Contains(left, registry.VPN) && !slices.Contains(before, registry.VPN) {
		return "", ErrNotEnrolled
	}
	return do(ctx, rec, nil)
}

// retire ends what an order had and the one that took its place does not name.
func (r *Runner) retire(ctx context.Context, rec registry.Record) error {
	return r.do(ctx, rec, []step{{registry.Retired, func() (string, error) {
		if err := r.cfg.Steps.LeaveSites(ctx, rec); err != nil {
			return "", err
		}
		return "by " + rec.ReplacedBy, r.cfg.Steps.Suspend(ctx, rec.ID, rec.ReplacedBy)
	}}})
}

// takeAway carries a change order out. The registry refuses access since its approval already; here the
// traces go: tunnels, then certificates, then keys.
func (r *Runner) takeAway(ctx context.Context, rec registry.Record) error {
	ended, err := r.cfg.Registry.EndedBy(ctx, rec.ID)
	if err != nil {
		return err
	}
	var tunnels, certificates, keys []step
	for _, order := range slices.Sorted(maps.Keys(ended)) {
		cs := ended[order]
		left, err := r.cfg.Registry.LineLeft(ctx, order)
		if err != nil {
			return err
		}
		if slices.Contains(cs, registry.VPN) {
			tunnels = append(tunnels, step{"tunnel of " + order, func() (string, error) {
				return "removed", r.cfg.Steps.TunnelGone(ctx, order)
			}})
		}
		if registry.Connects(cs) || slices.Contains(cs, registry.CertificationCentre) {
			certificates = append(certificates, step{"certificates of " + order, func() (string, error) {
				return "revoked", r.cfg.Steps.Revoke(ctx, order, cs, !registry.Connects(left), rec.ID)
			}})
		}
		if slices.Contains(cs, registry.NetworkHSM) {
			keys = append(keys, step{"keys of " + order, func() (string, error) {
				return "suspended", r.cfg.Steps.Suspend(ctx, order, rec.ID)
			}})
		}
	}
	if err := r.do(ctx, rec, slices.Concat(tunnels, certificates, keys)); err != nil {
		return err
	}
	return r.finish(ctx, rec, registry.CarriedOut)
}

// do walks the steps that are not remembered as done.
func (r *Runner) do(ctx context.Context, rec registry.Record, steps []step) error {
	for _, s := range steps {
		done := slices.ContainsFunc(rec.Steps, func(d registry.Step) bool { return d.Name == s.name })
		if done {
			continue
		}
		start := time.Now()
		fact, err := s.do()
		if err != nil {
			return fmt.Errorf("step %s: %w", s.name, err)
		}
		if err := r.cfg.Registry.StepDone(ctx, rec.ID, s.name, fact); err != nil {
			return err
		}
		r.cfg.Logger.Info("step done", "order", rec.ID, "step", s.name, "fact", fact, "took", time.Since(start))
	}
	return nil
}

func (r *Runner) finish(ctx context.Context, rec registry.Record, to registry.State) error {
	if err := r.cfg.Registry.Finish(ctx, rec.ID, to); err != nil {
		return err
	}
	r.cfg.Logger.Info("order carried out", "order", rec.ID, "state", string(to))
	return nil
}
