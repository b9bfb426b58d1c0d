package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"trustcore/internal/problem"
)

// What judging may take, in bytes: the working memory of one document beside its size, and for each byte of a request the
// byte itself and two that are made of it. The base64 of a JSON request is decoded within that.
const (
	workDocument    = 128 << 20
	workCertificate = 32 << 20
	workByte        = 3
)

// Waiting.
const (
	waitTime    = 30 * time.Second // for a turn
	patience    = 2 * time.Second  // that a large request has while smaller ones pass it
	blockedTime = 10 * time.Second // without a turn that ended, while somebody waits: judging is blocked
	largeCost   = 2 * workDocument // bytes from which a request is large
)

// turns lets requests be judged as long as the sum of what they may take fits. Who asks for a turn has sent its request
// completely: a slow client has none. First come, first served, with two exceptions: large requests go one after the other,
// so that they never fill the memory; and small ones pass a large one that waits for memory, until its patience is over.
type turns struct {
	places  int   // requests judged at once
	bytes   int64 // that they may take together
	waiting int   // requests that may wait

	mu    sync.Mutex
	held  int       // guarded by mu, as is all that follows
	large int       // of held
	taken int64     // bytes
	queue []*ticket // those who wait
	moved time.Time // when a turn was last given or given back
}

// ticket is one request's place in the queue.
type ticket struct {
	cost   int64
	since  time.Time
	called chan struct{} // closed when the turn is given
}

func (t *ticket) isLarge() bool { return t.cost >= largeCost }

func busy() error {
	return problem.Refuse(http.StatusServiceUnavailable, "too many requests are being judged; try again in a moment")
}

// crowded refuses who could not even wait, before a body is read.
func (t *turns) crowded() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) >= t.waiting {
		return busy()
	}
	return nil
}

// take waits for a turn that may take so many bytes; done gives it back.
func (t *turns) take(ctx context.Context, cost int64) (done func(), err error) {
	mine := &ticket{cost: cost, since: time.Now(), called: make(chan struct{})}
	t.mu.Lock()
	t.queue = append(t.queue, mine)
	t.call()
	crowded := len(t.queue) > t.waiting
	if crowded {
		t.leave(mine)
	}
	t.mu.Unlock()
	if crowded {
		return nil, busy()
	}
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	select {
	case <-mine.called:
		return func() { t.give(mine) }, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.leave(mine) { // called at the same moment
		return func() { t.give(mine) }, nil
	}
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return nil, context.Canceled
	}
	return nil, problem.Refuse(http.StatusServiceUnavailable, "the turn of this request did not come in %s; try again in a moment", waitTime)
}

// leave takes a ticket out of the queue, if it is in it. It is called with mu held.
func (t *turns) leave(mine *ticket) bool {
	i := slices.Index(t.queue, mine)
	if i < 0 {
		return false
	}
	t.queue = slices.Delete(t.queue, i, i+1)
	t.call() // who waited behind it
	return true
}

func (t *turns) give(mine *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held--
	t.taken -= mine.cost
	if mine.isLarge() {
		t.large--
	}
	t.moved = time.Now()
	t.call()
}

// call gives turns to those who wait, as far as they fit. It is called with mu held.
func (t *turns) call() {
	now := time.Now()
	for i := 0; i < len(t.queue) && t.held < t.places; {
		next := t.queue[i]
		fits := t.taken+next.cost <= t.bytes
		switch {
		case next.isLarge() && t.large > 0: // the one before it comes first; small ones go on
			i++
		case fits:
			t.queue = slices.Delete(t.queue, i, i+1)
			t.held++
			t.taken += next.cost
			if next.isLarge() {
				t.large++
			}
			t.moved = now
			close(next.called)
		case next.isLarge() && now.Sub(next.since) < patience:
			i++
		default:
			return
		}
	}
}

// blocked reports whether turns have stopped to end while somebody waits, or would have to wait.
func (t *turns) blocked(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return (len(t.queue) > 0 || t.held >= t.places) && now.Sub(t.moved) > blockedTime
}
