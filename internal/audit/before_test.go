package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// before makes a log as the version before the journal did: tessera alone.
func before(t *testing.T, dir string, n int) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "log"), 0o700), swap(dir)); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "checkpoint.key"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(string(key))
	if err != nil {
		t.Fatal(err)
	}
	driver, err := posix.New(t.Context(), posix.Config{Path: filepath.Join(dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	defer stop()
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer).WithBatching(256, 5*time.Millisecond).
		WithCheckpointInterval(200 * time.Millisecond)
	appender, shutdown, _, err := tessera.NewAppender(running, driver, options)
	if err != nil {
		t.Fatal(err)
	}
	futures := make([]tessera.IndexFuture, n)
	for i := range futures {
		data, err := json.Marshal(entry(i))
		if err != nil {
			t.Fatal(err)
		}
		futures[i] = appender.Add(t.Context(), tessera.NewEntry(data))
	}
	for _, f := range futures {
		if _, err := f(); err != nil {
			t.Fatal(err)
		}
	}
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestStateOfTheVersionBefore begins the journal where the tree ends.
func TestStateOfTheVersionBefore(t *testing.T) {
	for _, n := range []int{1, 300, 512} {
		s := newSite(t)
		before(t, s.dir, n)
		if err := s.db.Migrate(t.Context(), "registry", []string{`CREATE TABLE before (n BIGINT)`}); err != nil {
			t.Fatal(err)
		}
		if err := s.verify(); err != nil {
			t.Errorf("before the first start: %v", err)
		}
		l := s.open()
		if r, err := l.Append(t.Context(), entry(n)); err != nil || r.Index != uint64(n) {
			t.Errorf("entry %d, %v; want %d", r.Index, err, n)
		}
		whole(t, s, l, n+1)
		if _, err := reader(t, s.dir).Prove(t.Context(), uint64(n-1)); err != nil {
			t.Error(err)
		}
		moved := &site{t, s.copyTo("moved"), s.db}
		moved.run(1)
	}
}
