package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/audit"
)

var root = audit.Actor{Kind: "host", ID: "root"}

// TestAcceptLoss goes on after losses of each kind: nothing is deleted, and the new log's first entry tells.
func TestAcceptLoss(t *testing.T) {
	for name, tamper := range map[string]func(dir string) error{
		"folder removed": os.RemoveAll,
		"tree removed":   func(dir string) error { return os.RemoveAll(filepath.Join(dir, "log")) },
		"key removed":    func(dir string) error { return os.Remove(filepath.Join(dir, "checkpoint.key")) },
		"new keys":       swap,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.run(5)
			old := s.remembered()
			if err := tamper(s.dir); err != nil {
				t.Fatal(err)
			}
			left, _ := filepath.Glob(filepath.Join(s.dir, "[jlc]*"))
			aside, err := audit.AcceptLoss(t.Context(), s.config(), root, "the disk burnt")
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range left {
				if filepath.Base(path) == "lock" {
					continue
				}
				if _, err := os.Stat(filepath.Join(aside, filepath.Base(path))); err != nil {
					t.Errorf("not kept: %v", err)
				}
			}
			l := s.open()
			first, err := l.List(t.Context(), audit.Filter{})
			if err != nil || len(first) != 1 {
				t.Fatalf("%v, %v; want one entry", first, err)
			}
			d := first[0].Details
			if first[0].Action != audit.ResetAction || first[0].Actor != root || d["reason"] != "the disk burnt" || d["remembered.size"] != "5" ||
				d["remembered.key"] != old.Key || len(d["remembered.root"]) != 64 || d["found"] == "" || d["aside"] != aside {
				t.Errorf("%+v", first[0])
			}
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.verify(); err != nil {
				t.Error(err)
			}
			if s.remembered().Key == old.Key {
				t.Error("the new log signs with the old key")
			}
		})
	}
}

func TestAcceptLossRefuses(t *testing.T) {
	s := newSite(t)
	s.run(5)
	before, _ := filepath.Glob(filepath.Join(s.dir, "*"))
	for reason, want := range map[string]string{"": "for a reason", " ": "for a reason", "why not": "nothing is wrong"} {
		if _, err := audit.AcceptLoss(t.Context(), s.config(), root, reason); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", reason, err, want)
		}
	}
	l := s.open()
	if _, err := audit.AcceptLoss(t.Context(), s.config(), root, "why not"); err == nil || !strings.Contains(err.Error(), "two writers") {
		t.Errorf("beside a writer: %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := s.config()
	cfg.Origin = "another"
	if _, err := audit.AcceptLoss(t.Context(), cfg, root, "why not"); err == nil || !strings.Contains(err.Error(), "this node writes another") {
		t.Errorf("another origin: %v", err)
	}
	if after, _ := filepath.Glob(filepath.Join(s.dir, "*")); !slices.Equal(before, after) {
		t.Errorf("%v; want %v", after, before)
	}
	s.run(1)
}

// TestAcceptLossAgain is interrupted when the new log is there and the database knows the old one: no start without the
// first entry, and the way on is the same.
func TestAcceptLossAgain(t *testing.T) {
	s := newSite(t)
	s.run(5)
	if err := os.Remove(filepath.Join(s.dir, "checkpoint.key")); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.AcceptLoss(cancelled, s.config(), root, "the disk burnt"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	whole := s.db
	s.db = nil
	if _, err := audit.AcceptLoss(t.Context(), s.config(), root, "the disk burnt"); err != nil { // the database is not told
		t.Fatal(err)
	}
	s.db = whole
	refuses(t, s.config(), "another key")
	if _, err := audit.AcceptLoss(t.Context(), s.config(), root, "the disk burnt"); err != nil {
		t.Fatal(err)
	}
	s.run(1)
	if asides, _ := filepath.Glob(filepath.Join(s.dir, "aside-*")); len(asides) != 2 {
		t.Errorf("%v; want two", asides)
	}
}
