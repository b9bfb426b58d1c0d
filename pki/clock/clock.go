// Package clock guards the time that time-stamps carry (ETSI EN 319 421 7.7.2): what would be outside the declared accuracy, or
// before what is on record, is not given out.
package clock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Kernel is what the kernel says of its clock (adjtimex(2)).
type Kernel struct {
	Synchronised bool          // STA_UNSYNC is not set: a time daemon steers the clock. Setting the clock by hand sets STA_UNSYNC
	MaxError     time.Duration // largest error against UTC
}

// Config is what New needs. Fields without 'optional' are needed.
type Config struct {
	Now      func() time.Time                         // the wall clock
	Accuracy time.Duration                            // what time-stamps declare
	Newest   func(context.Context) (time.Time, error) // the newest time on record; zero when there is none
	Strict   bool                                     // optional: no time while the kernel does not vouch for the clock
	Kernel   func() (Kernel, error)                   // optional: ReadKernel when nil
	Elapsed  func() time.Duration                     // optional: a clock that nobody sets; the monotonic one when nil
	Logger   *slog.Logger                             // optional: slog.Default when nil
}

// Guard is a clock that fails when it can't be trusted. Its methods are safe for concurrent use.
type Guard struct {
	cfg Config

	mu     sync.Mutex
	wall   time.Time     // guarded by mu; the wall clock when
	steady time.Duration // guarded by mu; the steady one showed this
	newest time.Time     // guarded by mu; the latest time that was given out or is on record
	told   string        // guarded by mu; what was last said to the log
}

// New reads the newest time on record. A clock that is behind it is no error of New: time is given again when it has caught up.
func New(ctx context.Context, cfg Config) (*Guard, error) {
	if cfg.Now == nil || cfg.Newest == nil || cfg.Accuracy <= 0 {
		return nil, errors.New("clock: Now, Newest or Accuracy is missing")
	}
	if cfg.Kernel == nil {
		cfg.Kernel = ReadKernel
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Elapsed == nil {
		begun := time.Now()
		cfg.Elapsed = func() time.Duration { return time.Since(begun) }
	}
	g := &Guard{cfg: cfg}
	g.wall, g.steady = cfg.Now(), cfg.Elapsed()
	newest, err := cfg.Newest(ctx)
	if err != nil {
		return nil, fmt.Errorf("clock: the newest time on record: %w", err)
	}
	g.newest = newest
	if gap := g.wall.Sub(newest); !newest.IsZero() && gap > time.Hour {
		cfg.Logger.Warn("the clock is accepted after a stop", "newest_on_record", newest, "now", g.wall, "gap", gap.String())
	}
	return g, nil
}

// Time returns the time, or why it can't be trusted now.
func (g *Guard) Time() (time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, err := g.look()
	if err == nil && now.After(g.newest) {
		g.newest = now
	}
	return now, err
}

// Given is the latest time that was given out or is on record.
func (g *Guard) Given() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.newest
}

// Accept takes a time for right, whatever is on record and however the clock came to it.
func (g *Guard) Accept(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.newest, g.wall, g.steady = now, now, g.cfg.Elapsed()
}

// look holds the clock against the steady one, the record and the kernel. The caller holds mu.
func (g *Guard) look() (time.Time, error) {
	now, steady := g.cfg.Now(), g.cfg.Elapsed()
	step := now.Sub(g.wall) - (steady - g.steady)
	vouched := g.vouch()
	if step.Abs() > g.cfg.Accuracy {
		if vouched != nil {
			return now, fmt.Errorf("the clock was set by %v", step.Round(time.Millisecond))
		}
		// Setting a clock takes the kernel's word back until a time daemon has measured it anew: the step was the correction.
		g.cfg.Logger.Warn("the clock was set, and the kernel vouches for it", "by", step.String(), "now", now)
	}
	g.wall, g.steady = now, steady
	if now.Before(g.newest.Add(-g.cfg.Accuracy)) {
		return now, fmt.Errorf("the clock says %s, and %s is on record already", now.UTC().Format(time.RFC3339), g.newest.UTC().Format(time.RFC3339))
	}
	if g.cfg.Strict {
		return now, vouched
	}
	return now, nil
}

// vouch is nil while the kernel says that the clock is as accurate as declared.
func (g *Guard) vouch() error {
	kernel, err := g.cfg.Kernel()
	switch {
	case err != nil:
		return fmt.Errorf("the kernel does not tell the state of the clock: %w", err)
	case !kernel.Synchronised:
		return errors.New("the kernel says that the clock is not synchronised")
	case kernel.MaxError > g.cfg.Accuracy:
		return fmt.Errorf("the kernel says that the clock may be wrong by %v", kernel.MaxError)
	}
	return nil
}

// Vouched reports whether the kernel says that the clock is as accurate as declared.
func (g *Guard) Vouched() bool { return g.vouch() == nil }

// State says why no time is given now (stopped), and why the kernel does not vouch for the clock (doubt); nil when all is well.
func (g *Guard) State() (stopped, doubt error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, stopped = g.look()
	return stopped, g.vouch()
}

// Watch takes note of what other nodes recorded and of what the clock does while nobody asks for the time; call it every second.
// What changed is logged.
func (g *Guard) Watch(ctx context.Context) error {
	newest, err := g.cfg.Newest(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if newest.After(g.newest) {
		g.newest = newest
	}
	_, stopped := g.look()
	text := ""
	if stopped != nil {
		text = stopped.Error()
	}
	switch was := g.told; {
	case text != "" && was == "":
		g.cfg.Logger.Error("the clock can't be trusted, no time-stamps are given", "reason", text)
	case text == "" && was != "":
		g.cfg.Logger.Warn("the clock is trusted again")
	}
	g.told = text
	if err != nil {
		return fmt.Errorf("the newest time on record: %w", err)
	}
	return nil
}
