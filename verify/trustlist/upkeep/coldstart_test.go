package upkeep_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// TestConformanceColdStart carries the Union's lists of 2025 in, and starts over them. It is held to processor time, as a
// machine may have other work to do.
func TestConformanceColdStart(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	dir := filepath.Join(corpus, "trustlists", "eu-2025-08")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []upkeep.File
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if trustlist.MayBeList(e.Name()) {
			files = append(files, upkeep.File{Name: e.Name(), Octets: data})
		}
	}
	cfg := upkeep.Config{Dir: t.TempDir(), Signers: trustlist.Journal(), Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	k, err := upkeep.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := k.Import(t.Context(), files)
	if err != nil || k.Close() != nil {
		t.Fatal(err)
	}
	for _, f := range taken {
		if !f.Taken {
			t.Errorf("%s: %s", f.File, f.Error)
		}
	}
	begun, before := time.Now(), processorTime(t)
	if k, err = upkeep.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	s, err := trustlist.Load(t.Context(), trustlist.Sources{Set: k.Set()})
	if err != nil {
		t.Fatal(err)
	}
	took := processorTime(t) - before
	t.Logf("%d services after %v, of the processors %v", s.Services(), time.Since(begun), took)
	if s.Services() < 3500 || took > time.Second {
		t.Errorf("%d services after %v of processor time, want less than a second", s.Services(), took)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
