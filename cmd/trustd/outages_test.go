package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
)

// readiness asks whether a service can serve.
func (w *world) readiness(service string) answer {
	w.t.Helper()
	return w.ask(http.DefaultClient, "GET", w.url("operations")+"/readyz?service="+service, nil)
}

// awaitReadiness waits until a service has the status, and returns how long that took.
func (w *world) awaitReadiness(service string, status int) time.Duration {
	w.t.Helper()
	for begun := time.Now(); ; {
		a := w.readiness(service)
		if a.status == status {
			return time.Since(begun)
		}
		if time.Since(begun) > 30*time.Second {
			w.t.Fatalf("%s: %d %s, want %d", service, a.status, a.body, status)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// TestDatabaseGoneAndBack moves the database's files away and back: what needs it says so, what does not goes on, and nothing is to be
// started again.
func TestDatabaseGoneAndBack(t *testing.T) {
	w := newWorld(t, nil)
	file := filepath.Join(w.cfg.StateDir, "trustcore.db")
	for _, service := range []string{"admin", "gateway", "enrolment", "ocsp", "crl", "tsa", "console"} {
		w.awaitReadiness(service, http.StatusOK)
	}
	w.must(os.Rename(file, file+".away"))
	for _, service := range []string{"admin", "gateway", "enrolment", "console"} {
		w.awaitReadiness(service, http.StatusServiceUnavailable)
	}
	for _, service := range []string{"ocsp", "crl"} {
		w.awaitReadiness(service, http.StatusOK)
	}
	w.must(os.Rename(file+".away", file))
	for _, service := range []string{"admin", "gateway", "enrolment", "console"} {
		w.awaitReadiness(service, http.StatusOK)
	}
}

// TestDatabaseReplacedEndsTrustd puts another file in the database's place: trustd's memory would not fit it, so it ends, to be
// started anew by who keeps it.
func TestDatabaseReplacedEndsTrustd(t *testing.T) {
	w := newWorld(t, nil)
	file := filepath.Join(w.cfg.StateDir, "trustcore.db")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.must(os.Rename(file, file+".away"))
	w.must(os.WriteFile(file, nil, 0o600))
	if err := w.custody.DB.Watch(ctx); !errors.Is(err, store.ErrReplaced) {
		t.Errorf("%v, want %v", err, store.ErrReplaced)
	}
	w.must(os.Rename(file+".away", file))
	w.replaced = true
}

// TestEmptiedDatabaseStopsTheStart takes the database away from a state whose ceremony was held.
func TestEmptiedDatabaseStopsTheStart(t *testing.T) {
	w := &world{t: t, dir: audittest.Dir(t)}
	cfg := w.config()
	if cfg.Check() != nil && strings.Contains(cfg.Check().Error(), "softhsm") {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	w.perform(cfg.Config)
	files, err := filepath.Glob(filepath.Join(cfg.StateDir, "trustcore.db*"))
	w.must(err)
	for _, f := range files {
		w.must(os.Remove(f))
	}
	if _, err := open(t.Context(), cfg); !errors.Is(err, custody.ErrEmptied) {
		t.Errorf("%v, want %v", err, custody.ErrEmptied)
	}
}
