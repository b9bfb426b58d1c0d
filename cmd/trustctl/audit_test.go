package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// say runs trustctl in this process and returns what it printed.
func say(t *testing.T, args ...string) (string, error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stdout
	os.Stdout = w
	c := root()
	c.SetArgs(args)
	c.SetOut(w)
	c.SetErr(io.Discard)
	printed := make(chan []byte)
	go func() { text, _ := io.ReadAll(r); printed <- text }()
	err = c.ExecuteContext(t.Context())
	os.Stdout = was
	err = errors.Join(err, w.Close())
	return string(<-printed), err
}

// TestUnknownCommands ends with an error in every group of commands.
func TestUnknownCommands(t *testing.T) {
	for _, args := range []string{"audit export", "order sumbit", "config chek", "console x", "nothing", "bench nothing"} {
		if out, err := say(t, strings.Fields(args)...); err == nil {
			t.Errorf("trustctl %s: no error, and it says %q", args, out)
		}
	}
	if out, err := say(t, "audit"); err != nil || !strings.Contains(out, "accept-loss") {
		t.Errorf("trustctl audit: %v, %q; want its help", err, out)
	}
}

// auditState is a state with n entries, an hour apart, from noon of 3 March on.
func auditState(t *testing.T, n int) (dir string, log audit.Config) {
	t.Helper()
	dir = t.TempDir()
	cfg := custody.Config{StateDir: filepath.Join(dir, "trustd")}
	db, err := store.Open(t.Context(), cfg.DatabaseURL())
	if err != nil {
		t.Fatal(err)
	}
	log = cfg.AuditLog()
	log.DB = db
	l, err := audit.Open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		_, err := l.Append(t.Context(), audit.Entry{Time: time.Date(2026, 3, 3, 12+i, 0, 0, 0, time.UTC), Actor: audit.Actor{Kind: "daemon", ID: "x"},
			Action: "hsm.sign", Outcome: audit.Granted})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Close(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
	return dir, log
}

func TestAuditPeriods(t *testing.T) {
	dir, _ := auditState(t, 24)
	for args, want := range map[string]int{
		"": 24, "--from 2026-03-04": 12, "--to 2026-03-03": 12, "--from 2026-03-03 --to 2026-03-03": 12,
		"--from 2026-03-03T14:00:00+01:00 --to 2026-03-03T14:30:00Z": 2, "--from 2026-03": 24, "--from 2027": 0,
	} {
		out, err := say(t, strings.Fields("audit list --state "+dir+" "+args)...)
		if lines := strings.Count(out, "hsm.sign"); err != nil || lines != want || !strings.Contains(out, "TIME (UTC)") {
			t.Errorf("%s: %d entries, %v; want %d", args, lines, err, want)
		}
	}
	for _, args := range []string{"--from 3.03.2026", "--to 2026-02-30", "--from 2026-03-04 --to 2026-03-03"} {
		if out, err := say(t, strings.Fields("audit list --state "+dir+" "+args)...); err == nil {
			t.Errorf("%s: taken, %q", args, out)
		}
	}
}

// TestAuditAcceptLoss takes a state's log back: verify says so, accept-loss goes on, and again nothing is wrong.
func TestAuditAcceptLoss(t *testing.T) {
	dir, log := auditState(t, 3)
	out, err := say(t, "audit", "verify", "--state", dir)
	if err != nil || !strings.Contains(out, "3 entries, none changed") {
		t.Fatalf("%q, %v", out, err)
	}
	if _, err := say(t, "audit", "accept-loss", "--state", dir, "--reason", "why not"); err == nil || !strings.Contains(err.Error(), "nothing is wrong") {
		t.Errorf("got %v", err)
	}
	if err := os.RemoveAll(filepath.Join(log.Dir, "journal")); err != nil {
		t.Fatal(err)
	}
	if _, err := say(t, "audit", "verify", "--state", dir); err == nil || !strings.Contains(err.Error(), "accept-loss") {
		t.Errorf("verify: %v", err)
	}
	if _, err := say(t, "audit", "accept-loss", "--state", dir); err == nil || !strings.Contains(err.Error(), "--reason is missing") {
		t.Errorf("got %v", err)
	}
	if out, err := say(t, "audit", "accept-loss", "--state", dir, "--reason", "the disk burnt"); err != nil || !strings.Contains(out, "aside-") {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := say(t, "audit", "list", "--state", dir); err != nil || strings.Count(out, audit.ResetAction) != 1 {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := say(t, "audit", "verify", "--state", dir); err != nil {
		t.Errorf("%q, %v", out, err)
	}
}

// TestAuditOfAMovedState reads the log where the state lies now, though its files speak of the folder before until the next start; the
// one that stayed behind is another log.
func TestAuditOfAMovedState(t *testing.T) {
	from, _ := auditState(t, 2)
	if err := os.Mkdir(filepath.Join(from, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"trustd.yaml": fmt.Sprintf("state_dir: %s/trustd\ndatabase: sqlite://%s/trustd/trustcore.db\n", from, from),
		"trustctl.yaml": fmt.Sprintf("version: %d\nfolder: %s\ntrustd: https://127.0.0.1:8440\nmode: netstack\nport_base: 8440\n",
			stateVersion, from),
	} {
		if err := os.WriteFile(filepath.Join(from, "config", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(t.TempDir(), "moved")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(to, "trustd", "audit", "journal")); err != nil {
		t.Fatal(err)
	}
	if out, err := say(t, "audit", "verify", "--state", from); err != nil {
		t.Errorf("the log that stayed: %q, %v", out, err)
	}
	if out, err := say(t, "audit", "verify", "--state", to); err == nil || !strings.Contains(err.Error(), "accept-loss") {
		t.Errorf("the log that was moved, and lost something on the way: %q, %v", out, err)
	}
	if err := os.Rename(from, from+".away"); err != nil {
		t.Fatal(err)
	}
	if out, err := say(t, "audit", "verify", "--state", from+".away"); err != nil || !strings.Contains(out, "2 entries") {
		t.Errorf("the state under another name: %q, %v", out, err)
	}
}
