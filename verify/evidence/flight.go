package evidence

import (
	"context"
	"errors"
	"sync"
	"time"
)

// flights has one fetch for all who want the same. A fetch ends with the last of its callers who is gone; who only has
// no more time may come back for what it brings, so it goes on for him.
type flights struct {
	mu sync.Mutex
	up map[[32]byte]*flight // guarded by mu
}

// How long a flight is waited for. Who joins one that others waited for in vain does not wait so long again.
const (
	worthWaiting = defaultWait
	lastLook     = 100 * time.Millisecond
)

type flight struct {
	begun  time.Time
	landed chan struct{}
	answer *answer // once landed
	cancel context.CancelFunc

	waiting int  // guarded by flights.mu
	wanted  bool // by somebody who does not wait for it; guarded by flights.mu
}

// wait returns what the flight of the key brings, one that is under way or a new one, which limit bounds. It is nil
// when the context ends before, or the flight takes long. The second result is true for a flight that others began.
func (f *flights) wait(ctx context.Context, key [32]byte, limit time.Duration,
	fetch func(context.Context) *answer) (*answer, bool) {
	f.mu.Lock()
	at, joined := f.up[key]
	if !joined {
		at = f.start(ctx, key, limit, fetch)
	}
	at.waiting++
	f.mu.Unlock()
	long := time.NewTimer(max(worthWaiting-time.Since(at.begun), lastLook))
	defer long.Stop()
	select {
	case <-at.landed:
		return at.answer, joined
	case <-long.C:
	case <-ctx.Done():
	}
	f.leave(key, at, errors.Is(context.Cause(ctx), context.Canceled))
	return nil, joined
}

// start begins a flight; f.mu is held.
func (f *flights) start(ctx context.Context, key [32]byte, limit time.Duration,
	fetch func(context.Context) *answer) *flight {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	at := &flight{begun: time.Now(), landed: make(chan struct{}), cancel: cancel}
	if f.up == nil {
		f.up = map[[32]byte]*flight{}
	}
	f.up[key] = at
	go func() {
		defer cancel()
		at.answer = fetch(ctx)
		f.mu.Lock()
		if f.up[key] == at {
			delete(f.up, key)
		}
		f.mu.Unlock()
		close(at.landed)
	}()
	return at
}

// leave ends a flight that nobody waits for and nobody comes back for.
func (f *flights) leave(key [32]byte, at *flight, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at.waiting--
	at.wanted = at.wanted || !gone
	if at.waiting > 0 || at.wanted {
		return
	}
	if f.up[key] == at {
		delete(f.up, key) // whoever comes now begins anew
	}
	at.cancel()
}
