package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"trustcore/cmd/internal/httpserver"
)

// reloaded is what files of the configuration say: an immutable value that a reload replaces as a whole. What fails
// is not taken: the last known good goes on.
type reloaded[T any] struct {
	what    string // in sentences, such as "the policies"
	remedy  string
	paths   []string // that are looked at for changes; what is no file is none
	read    func() (T, error)
	log     *slog.Logger
	current atomic.Pointer[T]
	seen    string // stateOf the files before the start read them

	mu     sync.Mutex
	failed error // of the last reload; guarded by mu
}

// start reads the files for the first time.
func (r *reloaded[T]) start() error {
	r.seen = stateOf(r.paths)
	return r.load(context.Background())
}

// load reads the files again.
func (r *reloaded[T]) load(context.Context) error {
	value, err := r.read()
	r.mu.Lock()
	r.failed = err
	r.mu.Unlock()
	if err != nil {
		return err
	}
	r.current.Store(&value)
	r.log.Info("read", "what", r.what)
	return nil
}

// run reloads as trust.run does.
func (r *reloaded[T]) run(ctx context.Context, w watch) error {
	return w.run(ctx, r.seen, func() string { return stateOf(r.paths) }, func(ctx context.Context) {
		if err := r.load(ctx); err != nil {
			r.log.Error("not read again, the last known good goes on", "what", r.what, "error", err)
		}
	})
}

func (r *reloaded[T]) findings() []httpserver.Finding {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		return nil
	}
	return []httpserver.Finding{{State: httpserver.Amber,
		What:   fmt.Sprintf("%s were not read again, the last known good go on: %v", r.what, r.failed),
		Remedy: r.remedy + ", then send SIGHUP"}}
}
