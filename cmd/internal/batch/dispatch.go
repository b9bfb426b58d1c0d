package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/program"
)

// Handing over.
const (
	maxTries    = 3 // of a document that the service does not survive, or fails over
	maxLaters   = 5 // verdicts that a document is to be judged again
	maxLater    = 6 * time.Hour
	againFirst  = time.Second // after the service was lost
	againMost   = 30 * time.Second
	expireEvery = 10 * time.Minute
)

// Refusal is why a document has no report: its own fault, and final.
type Refusal struct {
	Status int    `json:"status"` // HTTP
	Detail string `json:"detail"`
}

// Error returns the detail.
func (r *Refusal) Error() string { return r.Detail }

// Busy is a service that takes nothing now, whatever the document.
type Busy struct{ After time.Duration }

// Error says for how long.
func (b *Busy) Error() string {
	return fmt.Sprintf("the service is busy; to be asked again in %s", b.After)
}

// Failure is a service that failed over the document and lives on.
type Failure struct {
	Status int // HTTP
	Detail string
}

// Error tells both.
func (f *Failure) Error() string {
	return fmt.Sprintf("the service answered %d: %s", f.Status, f.Detail)
}

// Unreached is a service that did not get the document.
type Unreached struct{ Err error }

// Error says why.
func (u *Unreached) Error() string { return "the service was not reached: " + u.Err.Error() }

// outcome is what became of a task: a report, a refusal, or the time at which it is to be judged again.
type outcome struct {
	task
	report  []byte
	refusal *Refusal
	later   time.Time
}

// size is what an outcome holds until it is durable, in bytes.
func (o *outcome) size() int64 { return int64(min(len(o.report), maxHeld)) }

// gate is shut while the service is busy.
type gate struct {
	mu    sync.Mutex
	until time.Time
}

func (g *gate) shut(now time.Time, long time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := now.Add(long); until.After(g.until) {
		g.until = until
	}
}

// left is for how long it stays shut.
func (g *gate) left(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until.Sub(now)
}

// Run judges until ctx ends.
func (b *Batches) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	workers, working := errgroup.WithContext(ctx)
	for range b.cfg.Concurrency {
		workers.Go(func() error { return b.work(working) })
	}
	group.Go(func() error {
		defer close(b.results)
		return workers.Wait()
	})
	group.Go(func() error { return b.commitAll(ctx) })
	group.Go(func() error { return b.tidy(ctx) })
	return group.Wait()
}

func (b *Batches) tidy(ctx context.Context) error {
	for {
		if err := b.expire(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Logger.Error("finished batches can't be erased", "error", err)
		}
		if !program.Pause(ctx, expireEvery) {
			return nil
		}
	}
}

func (b *Batches) work(ctx context.Context) error {
	for {
		tasks, err := b.nextTasks(ctx)
		if err != nil && ctx.Err() == nil {
			b.cfg.Logger.Error("the queue can't be read", "error", err)
		}
		if len(tasks) > 0 {
			b.rouse()
			b.judgeAll(ctx, tasks)
			b.judged(tasks[0].line.owner)
			continue
		}
		timer := time.NewTimer(againFirst) // a database that was away, or a round whose time has come
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-b.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// judgeAll hands documents over together, and one by one those of which nothing became so.
func (b *Batches) judgeAll(ctx context.Context, tasks []task) {
	if len(tasks) > 1 {
		tasks = b.judgeTogether(ctx, tasks)
	}
	for _, t := range tasks {
		if o, is := b.judge(ctx, t); is {
			b.keep(ctx, o)
		}
	}
}

// keep has an outcome made durable.
func (b *Batches) keep(ctx context.Context, o outcome) {
	if b.held.Acquire(ctx, o.size()) == nil {
		b.results <- o
	}
}

// judge hands a document over until something became of it, and tells whether something did: not when ctx ended.
//
// A service that is lost over a document may have been ended by it, or by one that was judged beside it. So it is
// handed over again with nothing beside it, when the service is back: what ends the service fails alone.
func (b *Batches) judge(ctx context.Context, t task) (outcome, bool) {
	for again := againFirst; ; again = min(2*again, againMost) {
		if !b.awaitGate(ctx) {
			return outcome{}, false
		}
		v, err := b.handOver(ctx, t)
		if ctx.Err() != nil {
			return outcome{}, false // that it was broken off is nobody's fault
		}
		if o, is := b.final(t, v, err); is {
			return o, true
		}
		if b.mindBusy(err) {
			continue
		}
		var unreached *Unreached
		if errors.As(err, &unreached) {
			b.cfg.Logger.Warn("a document could not be judged", "batch", t.line.id, "document", t.n, "error", err)
		} else if t.suspect = t.suspect || lost(err); b.countFailed(ctx, &t, err) >= maxTries {
			return outcome{task: t, refusal: &Refusal{500,
				fmt.Sprintf("the service did not judge it in %d tries", maxTries)}}, true
		}
		if !b.awaitService(ctx, again) {
			return outcome{}, false
		}
	}
}

// lost reports whether an error tells that the service was lost over a document.
func lost(err error) bool {
	var no *Refusal
	var busy *Busy
	var failure *Failure
	var unreached *Unreached
	return err != nil && !errors.As(err, &no) && !errors.As(err, &busy) && !errors.As(err, &failure) &&
		!errors.As(err, &unreached)
}

// mindBusy shuts the gate where the service is busy.
func (b *Batches) mindBusy(err error) bool {
	var busy *Busy
	if !errors.As(err, &busy) {
		return false
	}
	b.gate.shut(b.cfg.Now(), busy.After)
	return true
}

// awaitGate waits while the service is busy.
func (b *Batches) awaitGate(ctx context.Context) bool {
	left := b.gate.left(b.cfg.Now())
	return left <= 0 || program.Pause(ctx, left)
}

// final is what a verdict or a refusal makes of a document.
func (b *Batches) final(t task, v Verdict, err error) (outcome, bool) {
	var no *Refusal
	switch {
	case errors.As(err, &no):
		return outcome{task: t, refusal: no}, true
	case err != nil:
		return outcome{}, false
	}
	now := b.cfg.Now()
	if v.Again.IsZero() || t.laters >= maxLaters || v.Again.Sub(now) > maxLater {
		return outcome{task: t, report: v.Report}, true
	}
	later := v.Again
	if soon := now.Add(againFirst); later.Before(soon) {
		later = soon
	}
	return outcome{task: t, later: later}, true
}

// awaitService waits until the service says that it can judge, and for a moment before each question.
func (b *Batches) awaitService(ctx context.Context, moment time.Duration) bool {
	for {
		if !program.Pause(ctx, moment) {
			return false
		}
		if b.cfg.Ready(ctx) == nil {
			return true
		}
	}
}

// countFailed counts a try that failed, and remembers it for a start that comes before the result.
func (b *Batches) countFailed(ctx context.Context, t *task, why error) (tries int64) {
	b.cfg.Logger.Warn("a document could not be judged", "batch", t.line.id, "document", t.n, "error", why)
	t.tries++
	b.counters.retries.Add(1)
	if _, err := b.cfg.DB.ExecContext(ctx, `UPDATE batch_document SET tries = $1 WHERE batch = $2 AND n = $3`,
		t.tries, t.line.id, t.n); err != nil {
		b.cfg.Logger.Error("a try can't be counted", "batch", t.line.id, "document", t.n, "error", err)
	}
	return t.tries
}

func (b *Batches) handOver(ctx context.Context, t task) (Verdict, error) {
	var at shelf
	defer at.close()
	d, done, err := b.open(ctx, t, &at)
	if err != nil {
		return Verdict{}, err
	}
	defer done()
	if t.suspect {
		b.alone.Lock()
		defer b.alone.Unlock()
	} else {
		b.alone.RLock()
		defer b.alone.RUnlock()
	}
	return b.cfg.Judge(ctx, d)
}
