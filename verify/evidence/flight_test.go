package evidence

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestWhoIsGoneEndsHisWorkAlone: a fetch ends with the last who waits for it, and not before.
func TestWhoIsGoneEndsHisWorkAlone(t *testing.T) {
	var f flights
	key, begun, ended := [32]byte{1}, make(chan struct{}), make(chan struct{})
	fetch := func(ctx context.Context) *answer {
		close(begun)
		<-ctx.Done()
		close(ended)
		return &answer{err: ctx.Err()}
	}
	wait := func(ctx context.Context) chan *answer {
		got := make(chan *answer, 1)
		go func() {
			a, _ := f.wait(ctx, key, time.Hour, fetch)
			got <- a
		}()
		return got
	}
	first, goFirst := context.WithCancel(t.Context())
	second, goSecond := context.WithCancel(t.Context())
	one := wait(first)
	<-begun
	two := wait(second)
	for waiting := 0; waiting < 2; {
		f.mu.Lock()
		waiting = f.up[key].waiting
		f.mu.Unlock()
	}
	goFirst()
	if a := <-one; a != nil {
		t.Error("who is gone had an answer")
	}
	f.mu.Lock()
	if f.up[key] == nil {
		t.Error("the fetch ended though somebody waits for it")
	}
	f.mu.Unlock()
	goSecond()
	<-two
	<-ended
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.up) != 0 {
		t.Error("what was given up is joined by others")
	}
}

// TestWhoHasNoMoreTimeIsWaitedFor: the fetch goes on for him.
func TestWhoHasNoMoreTimeIsWaitedFor(t *testing.T) {
	for name, ctx := range map[string]func() context.Context{
		"no time": func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), 0)
			defer cancel()
			return ctx
		},
		"another source answered": func() context.Context {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errServed)
			return ctx
		},
	} {
		var f flights
		land := make(chan error)
		a, _ := f.wait(ctx(), [32]byte{1}, time.Hour, func(ctx context.Context) *answer {
			err := <-land
			return &answer{err: errors.Join(err, ctx.Err())}
		})
		if a != nil {
			t.Fatal("an answer from nowhere")
		}
		go func() { land <- nil }()
		again := &answer{err: errors.New("it was begun anew")}
		a, joined := f.wait(t.Context(), [32]byte{1}, time.Hour, func(context.Context) *answer { return again })
		if !joined || a.err != nil {
			t.Errorf("%s: %v, joined: %v", name, a.err, joined)
		}
	}
}

// TestWhoJoinsASlowFetchDoesNotWaitSoLongAgain: the first who waited did it for all.
func TestWhoJoinsASlowFetchDoesNotWaitSoLongAgain(t *testing.T) {
	var f flights
	silent := func(ctx context.Context) *answer {
		<-ctx.Done()
		return &answer{err: ctx.Err()}
	}
	begun, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	f.wait(begun, [32]byte{1}, time.Hour, silent)
	f.mu.Lock()
	f.up[[32]byte{1}].begun = time.Now().Add(-worthWaiting)
	f.mu.Unlock()
	started := time.Now()
	for range 3 {
		if a, joined := f.wait(t.Context(), [32]byte{1}, time.Hour, silent); a != nil || !joined {
			t.Errorf("%v, joined: %v", a, joined)
		}
	}
	if took := time.Since(started); took > worthWaiting {
		t.Errorf("three waited for %s", took)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up[[32]byte{1}].cancel()
}

// TestAFetchIsBounded also where all who waited may come back.
func TestAFetchIsBounded(t *testing.T) {
	var f flights
	a, _ := f.wait(t.Context(), [32]byte{1}, time.Millisecond, func(ctx context.Context) *answer {
		<-ctx.Done()
		return &answer{err: ctx.Err()}
	})
	if !errors.Is(a.err, context.DeadlineExceeded) {
		t.Errorf("got %v", a.err)
	}
}
