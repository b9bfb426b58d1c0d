package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify/evidence"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// trust is whom verifyd trusts: an immutable snapshot that a reload replaces as a whole. Requests under way end with the
// one that they began with.
type trust struct {
	sources trustlist.Sources
	keeper  *upkeep.Keeper // nil where somebody else tends the lists
	fetches bool           // the keeper asks for lists
	log     *slog.Logger
	current atomic.Pointer[snapshot]
	seen    string // stateOf the files before the start loaded them

	loading sync.Mutex // held by the reload under way

	mu        sync.Mutex
	failed    error     // of the last reload; guarded by mu
	tried     time.Time // when it was; guarded by mu
	refreshed time.Time // when somebody last asked for a refresh; guarded by mu
}

type snapshot struct {
	*trustlist.Snapshot
	loaded time.Time
}

func (s *snapshot) trust() evidence.Trust {
	return evidence.Trust{Anchors: s.Anchors(), Hosts: s.Hosts()}
}

// newTrust loads what the sources hold, and where keep is given what is kept by it.
func newTrust(ctx context.Context, sources trustlist.Sources, keep *upkeep.Config, log *slog.Logger) (*trust, error) {
	t := &trust{sources: sources, log: log}
	if keep != nil {
		cfg := *keep
		cfg.Changed = t.changed
		keeper, err := upkeep.Open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		t.keeper, t.fetches = keeper, cfg.Fetch != nil
	}
	t.seen = stateOf(t.paths())
	if err := t.load(ctx); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// close lets go of the folder of kept lists.
func (t *trust) close() error {
	if t.keeper == nil {
		return nil
	}
	return t.keeper.Close()
}

// changed is told by the keeper that its lists, or what is known of them, are others.
func (t *trust) changed() {
	if t.current.Load() == nil {
		return // the start loads them
	}
	if err := t.load(context.Background()); err != nil {
		t.log.Error("the trusted lists that were taken are not in use", "error", err)
	}
}

// load reads the sources again. What fails, or is poorer than what is in use, is not taken: the last known good goes on.
func (t *trust) load(ctx context.Context) error {
	t.loading.Lock()
	defer t.loading.Unlock()
	sources := t.sources
	if t.keeper != nil {
		sources.Set, sources.Failing = t.keeper.Set(), t.keeper.Failing()
	}
	lists, err := trustlist.Load(ctx, sources)
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

// poorer refuses lists among which one is missing or older that was in use: half a copy, or an attack. Who means it
// starts verifyd anew. Lists that are kept were held against each other before.
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
		if s.Error != "" || s.Role == "pivot" || t.keeper != nil && s.Role != "extra" {
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

// How the files are looked at between the reloads. Reading them all is work, so what changes all the time is read again after so many
// times as long as that took.
const (
	lookEvery   = time.Second
	rereadTimes = 1
)

// watch says when files are read again.
type watch struct {
	every time.Duration
	now   <-chan os.Signal // at once
}

// run loads every so often, when the channel says so, and when the files are others and stay so for two looks, until
// ctx ends. loaded is their state before what is in use was read: what changed since then is another already.
func (w watch) run(ctx context.Context, loaded string, state func() string, load func(context.Context)) error {
	ticker, look := time.NewTicker(w.every), time.NewTicker(lookEvery)
	defer ticker.Stop()
	defer look.Stop()
	before := loaded
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.now:
		case <-ticker.C:
		case <-look.C:
			files, stays := state(), before
			before = files
			if files == loaded || files != stays || time.Now().Before(next) {
				continue
			}
		}
		loaded = state()
		begun := time.Now()
		load(ctx)
		next = time.Now().Add(rereadTimes * time.Since(begun))
	}
}

// run keeps the lists what the files are.
func (t *trust) run(ctx context.Context, w watch) error {
	return w.run(ctx, t.seen, func() string { return stateOf(t.paths()) }, func(ctx context.Context) {
		if err := t.load(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.log.Error("the trusted lists were not reloaded, the last known good go on", "error", err)
		}
	})
}

// paths are the files and folders that the lists and anchors are read from.
func (t *trust) paths() []string {
	return slices.Concat([]string{t.sources.Dir, t.sources.LOTLSigners}, t.sources.Extra, t.sources.Anchors)
}

// stateOf tells one state of files from another by what their folders say of them.
func stateOf(paths []string) string {
	var all strings.Builder
	note := func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintln(&all, path, err)
			return nil
		}
		if info, err := d.Info(); err != nil {
			fmt.Fprintln(&all, path, err)
		} else if !d.IsDir() {
			fmt.Fprintln(&all, path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	}
	for _, path := range paths {
		if path != "" {
			_ = filepath.WalkDir(path, note) // note gives no error
		}
	}
	return all.String()
}

// judgeable refuses for now what would be judged without any of the configured lists: a stranger's signature and a
// good one look the same then.
func (t *trust) judgeable() error {
	if t.ready() == nil {
		return nil
	}
	return problem.Refuse(http.StatusServiceUnavailable,
		"no trusted list is in use, so nothing can be judged now: ask again later")
}
