package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"trustcore/verify/evidence"
	"trustcore/verify/trustlist"
)

// trust is whom verifyd trusts: an immutable snapshot that a reload replaces as a whole. Requests under way end with the
// one that they began with.
type trust struct {
	sources trustlist.Sources
	log     *slog.Logger
	current atomic.Pointer[snapshot]

	mu     sync.Mutex
	failed error     // of the last reload; guarded by mu
	tried  time.Time // when it was; guarded by mu
}

type snapshot struct {
	*trustlist.Snapshot
	loaded time.Time
}

func (s *snapshot) trust() evidence.Trust {
	return evidence.Trust{Anchors: s.Anchors(), Hosts: s.Hosts()}
}

func newTrust(ctx context.Context, sources trustlist.Sources, log *slog.Logger) (*trust, error) {
	t := &trust{sources: sources, log: log}
	return t, t.load(ctx)
}

// load reads the sources again. What fails, or is poorer than what is in use, is not taken: the last known good goes on.
func (t *trust) load(ctx context.Context) error {
	lists, err := trustlist.Load(ctx, t.sources)
	if err == nil {
		err = t.poorer(lists)
	}
	now := time.Now()
	t.mu.Lock()
	t.failed, t.tried = err, now
	t.mu.Unlock()
	if err != nil {
		return err
	}
	for _, s := range lists.Status() {
		if s.Error != "" {
			t.log.Warn("a trusted list is not used", "file", s.File, "territory", s.Territory, "error", s.Error)
		}
	}
	t.current.Store(&snapshot{lists, now})
	t.log.Info("trusted lists loaded", "files", len(lists.Status()), "services", lists.Services())
	return nil
}

// poorer refuses lists among which one is missing or older that was in use: half a download, or an attack. Who means it
// starts verifyd anew.
func (t *trust) poorer(lists *trustlist.Snapshot) error {
	old := t.current.Load()
	if old == nil {
		return nil
	}
	sequences := map[string]int{}
	for _, s := range lists.Status() {
		if s.Error == "" {
			sequences[s.Role+" "+s.Territory] = max(sequences[s.Role+" "+s.Territory], s.Sequence)
		}
	}
	for _, s := range old.Status() {
		if s.Error != "" || s.Role == "pivot" {
			continue
		}
		sequence, ok := sequences[s.Role+" "+s.Territory]
		switch {
		case !ok:
			return fmt.Errorf("the list of %s, in use until now, is missing or can't be trusted any more", s.Territory)
		case sequence < s.Sequence:
			return fmt.Errorf("the list of %s is older (%d) than the one in use (%d)", s.Territory, sequence, s.Sequence)
		}
	}
	return nil
}

// run reloads every so often, and when the channel says so, until ctx ends.
func (t *trust) run(ctx context.Context, every time.Duration, now <-chan os.Signal) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-now:
		case <-ticker.C:
		}
		if err := t.load(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.log.Error("the trusted lists were not reloaded, the last known good go on", "error", err)
		}
	}
}
