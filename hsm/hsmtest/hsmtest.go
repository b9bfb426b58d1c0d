// Package hsmtest gives tests a real token: SoftHSM2 in a temporary folder behind a real worker process, which is the
// test's own binary.
package hsmtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/worker"
	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// SoftHSM is where Debian has the module.
const SoftHSM = "/usr/lib/softhsm/libsofthsm2.so"

const workerArgument = "hsm-worker"

// Main is the body of TestMain in every test binary that uses Start: called with the worker's argument, the binary is
// the worker.
func Main(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == workerArgument {
		if err := worker.Main(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Token is a running module with what it stands on.
type Token struct {
	*hsm.Module
	Config hsm.Config
}

// Config returns the configuration of a new token in a temporary folder. The test is skipped where SoftHSM2 is not
// installed.
func Config(t testing.TB) hsm.Config {
	t.Helper()
	if _, err := os.Stat(SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	dir := audittest.Dir(t)
	db, err := store.Open(context.Background(), storetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(context.Background(), audit.Config{Dir: filepath.Join(dir, "audit")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := log.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return hsm.Config{
		Worker: []string{"/proc/self/exe", workerArgument}, ModulePath: SoftHSM,
		TokenDir: filepath.Join(dir, "token"), TokenLabel: "test", PINFile: filepath.Join(dir, "pin"), SOPINFile: filepath.Join(dir, "so-pin"),
		Sessions: 4, DB: db, Audit: log, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

// Start starts a module of that configuration and runs it until the test ends.
func Start(t testing.TB, cfg hsm.Config) *Token {
	t.Helper()
	m, err := hsm.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Token{Module: m, Config: cfg}
}

// Stop stops the worker as a hung module would, and returns when none of its threads runs any more.
func (tok *Token) Stop(t testing.TB) {
	t.Helper()
	pid := tok.WorkerPID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !stopped(t, pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the worker does not stop")
		}
	}
}

// stopped reads the states of the process's threads (proc(5)): the letter after the name in parentheses.
func stopped(t testing.TB, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatal("no threads", err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if _, state, _ := strings.Cut(string(text), ") "); err == nil && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Key makes a key of the data centre's own and returns it.
func (tok *Token) Key(t testing.TB, a hsm.Algorithm) *hsm.Key {
	t.Helper()
	label := fmt.Sprintf("%s %d", a, time.Now().UnixNano())
	info, err := tok.Generate(context.Background(), audit.Actor{Kind: "officer", ID: "officer-1"}, hsm.KeySpec{Label: label, Algorithm: a})
	if err != nil {
		t.Fatal(err)
	}
	key, err := tok.Signer(context.Background(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
