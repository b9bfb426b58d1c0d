package clock_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"trustcore/pki/clock"
)

var began = time.Date(2027, 3, 3, 12, 0, 0, 0, time.UTC)

// bench is a host whose clocks the test moves.
type bench struct {
	wall   time.Time
	steady time.Duration
	kernel clock.Kernel
	silent error
	newest time.Time
	strict bool
}

func (b *bench) pass(d time.Duration) { b.wall, b.steady = b.wall.Add(d), b.steady+d }

func (b *bench) open(t *testing.T) *clock.Guard {
	t.Helper()
	g, err := clock.New(t.Context(), clock.Config{
		Now: func() time.Time { return b.wall }, Elapsed: func() time.Duration { return b.steady }, Accuracy: time.Second,
		Kernel: func() (clock.Kernel, error) { return b.kernel, b.silent }, Strict: b.strict,
		Newest: func(context.Context) (time.Time, error) { return b.newest, nil }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func good() *bench {
	return &bench{wall: began, kernel: clock.Kernel{Synchronised: true, MaxError: 20 * time.Millisecond}}
}

// gives asks for the time; want is part of the reason when there must be none.
func gives(t *testing.T, g *clock.Guard, when, want string) {
	t.Helper()
	_, err := g.Time()
	if want == "" && err != nil {
		t.Errorf("%s: no time: %v", when, err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: want no time because %q, got %v", when, want, err)
	}
}

func TestStepWhileRunning(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward": time.Hour, "backward": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := good()
			g := b.open(t)
			gives(t, g, "before", "")
			b.wall, b.kernel.Synchronised = b.wall.Add(by), false // what settimeofday does
			gives(t, g, "after a step", "the clock was set by")
			b.pass(time.Minute)
			gives(t, g, "a minute later", "the clock was set by")
			b.wall = b.wall.Add(-by)
			gives(t, g, "undone", "")
		})
	}
}

func TestKernelVouchesForAStep(t *testing.T) {
	b := good()
	g := b.open(t)
	gives(t, g, "before", "")
	b.wall = b.wall.Add(time.Hour)
	gives(t, g, "a correction", "")
	b.wall = b.wall.Add(-time.Hour)
	gives(t, g, "back behind what was given", "is on record already")
	b.pass(time.Hour)
	gives(t, g, "caught up", "")
}

func TestSmallStepsDoNotAddUp(t *testing.T) {
	b := good()
	b.kernel.Synchronised = false
	g := b.open(t)
	for range 50 {
		b.wall = b.wall.Add(300 * time.Millisecond)
		b.pass(time.Minute)
		gives(t, g, "a small correction", "")
	}
}

func TestBehindTheRecord(t *testing.T) {
	b := good()
	b.newest = began.Add(time.Hour)
	g := b.open(t)
	gives(t, g, "started behind the record", "is on record already")
	b.pass(time.Hour)
	gives(t, g, "caught up", "")
	b.newest = b.wall.Add(time.Minute) // another node's
	if err := g.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	gives(t, g, "behind another node", "is on record already")
}

func TestForwardAcrossAStop(t *testing.T) {
	b := good()
	b.newest = began.AddDate(-1, 0, 0)
	gives(t, b.open(t), "a year later", "")
}

func TestKernelState(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(*bench)
	}{
		{"synchronised", "", func(*bench) {}},
		{"unsynchronised", "not synchronised", func(b *bench) { b.kernel.Synchronised = false }},
		{"drifted", "may be wrong by 1.001s", func(b *bench) { b.kernel.MaxError = 1001 * time.Millisecond }},
		{"silent", "does not tell", func(b *bench) { b.silent = errors.New("no such call") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := good()
			c.change(b)
			g := b.open(t)
			gives(t, g, "trusting", "")
			if g.Vouched() != (c.want == "") {
				t.Error("who vouches for the clock?")
			}
			stopped, doubt := g.State()
			if stopped != nil || (doubt == nil) != (c.want == "") {
				t.Errorf("state: %v, %v", stopped, doubt)
			}
			b.strict = true
			gives(t, b.open(t), "strict", c.want)
		})
	}
}

func TestReadKernel(t *testing.T) {
	if k, err := clock.ReadKernel(); err != nil || k.MaxError < 0 {
		t.Errorf("%+v, %v", k, err)
	}
}
