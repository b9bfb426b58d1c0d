package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
)

var noon = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)

func entry(i int) audit.Entry {
	return audit.Entry{
		Time: noon.Add(time.Duration(i) * time.Second), Actor: audit.Actor{Kind: "partner", ID: "p-1"},
		Action: "hsm.sign", Subject: fmt.Sprintf("key-%d", i%3), Partner: "p-1", Order: "o-1", Outcome: audit.Granted,
	}
}

// write makes a closed log of n entries and returns its folder.
func write(t *testing.T, n int) string {
	t.Helper()
	dir := audittest.Dir(t)
	l := open(t, dir)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := l.Append(context.Background(), entry(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), audit.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func reader(t *testing.T, dir string) *audit.Reader {
	t.Helper()
	r, err := audit.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAppendListProveVerify(t *testing.T) {
	dir := write(t, 600)
	r := reader(t, dir)
	story, err := r.Verify(t.Context(), audit.Against{})
	if err != nil || story.Entries != 600 {
		t.Fatalf("%v, %v", story, err)
	}
	uses, err := r.List(t.Context(), audit.Filter{Subject: "key-1", From: noon, Before: noon.Add(time.Hour)})
	if err != nil || len(uses) != 200 {
		t.Fatalf("%d entries, %v; want 200", len(uses), err)
	}
	last, err := r.List(t.Context(), audit.Filter{Subject: "key-1", Last: 150})
	if err != nil || len(last) != 150 || last[149].Index != uses[199].Index || last[0].Index != uses[50].Index {
		t.Errorf("the last 150: %d entries, %v", len(last), err)
	}
	if nobodys, err := r.List(t.Context(), audit.Filter{Subject: "key-1", Actor: "nobody"}); err != nil || len(nobodys) != 0 {
		t.Errorf("of nobody: %d entries, %v", len(nobodys), err)
	}
	if all, err := r.List(t.Context(), audit.Filter{Subject: "key-1", Actor: uses[0].Actor.ID}); err != nil || len(all) != 200 {
		t.Errorf("of who did them: %d entries, %v", len(all), err)
	}
	public, err := os.ReadFile(filepath.Join(dir, "checkpoint.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []uint64{0, 255, 256, 599} {
		p, err := r.Prove(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		if err := audit.VerifyProof(p, string(public)); err != nil {
			t.Error(err)
		}
		p.Entry = json.RawMessage(bytes.Replace(p.Entry, []byte("p-1"), []byte("p-2"), 1))
		if err := audit.VerifyProof(p, string(public)); err == nil {
			t.Errorf("entry %d: a changed entry is proved", index)
		}
	}
	if _, err := r.Prove(t.Context(), 600); err == nil {
		t.Error("an entry that is not there is proved")
	}
}

func TestReopenGoesOn(t *testing.T) {
	dir := write(t, 3)
	before, err := reader(t, dir).Verify(t.Context(), audit.Against{})
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, dir)
	receipt, err := l.Append(t.Context(), entry(3))
	if err != nil || receipt.Index != 3 {
		t.Fatalf("%v, %v; want index 3", receipt, err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := reader(t, dir).Verify(t.Context(), audit.Against{Kept: []string{before.Checkpoint}}); err != nil {
		t.Error(err)
	}
}

// TestTampering changes every file of the log in turn and expects Verify to notice each.
func TestTampering(t *testing.T) {
	replaceInEntries := func(old, new string) func(string) error {
		return func(dir string) error {
			return filepath.WalkDir(filepath.Join(dir, "log", "tile", "entries"), func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				return os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(new), 1), 0o600)
			})
		}
	}
	for name, c := range map[string]struct {
		tamper func(dir string) error
		want   string
	}{
		"changed":    {replaceInEntries("granted", "refused"), "was changed"},
		"renamed":    {replaceInEntries("key-2", "key-9"), "was changed"},
		"removed":    {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "log", "tile", "entries")) }, "can't be read"},
		"checkpoint": {func(dir string) error { return os.Remove(filepath.Join(dir, "log", "checkpoint")) }, "no checkpoint"},
		"forged": {func(dir string) error {
			path := filepath.Join(dir, "log", "checkpoint")
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, bytes.Replace(data, []byte("\n10\n"), []byte("\n9\n"), 1), 0o600)
		}, "checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, 10)
			if err := c.tamper(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := reader(t, dir).Verify(t.Context(), audit.Against{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
}

// TestCutOff replaces a log by an earlier copy of itself: only a kept checkpoint tells.
func TestCutOff(t *testing.T) {
	dir := write(t, 5)
	earlier := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(earlier, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir)
	if _, err := l.Append(t.Context(), entry(5)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, _, err := reader(t, dir).Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader(t, earlier).Verify(t.Context(), audit.Against{Kept: []string{string(kept)}}); err == nil || !strings.Contains(err.Error(), "removed") {
		t.Errorf("got %v", err)
	}
}

func TestAppendRefuses(t *testing.T) {
	l := open(t, audittest.Dir(t))
	defer func() { _ = l.Close(context.Background()) }()
	for name, e := range map[string]audit.Entry{
		"no time":    {Actor: audit.Actor{Kind: "daemon", ID: "x"}, Action: "a", Outcome: audit.Granted},
		"no actor":   {Time: noon, Action: "a", Outcome: audit.Granted},
		"no outcome": {Time: noon, Actor: audit.Actor{Kind: "daemon", ID: "x"}, Action: "a"},
		"too large": {Time: noon, Actor: audit.Actor{Kind: "daemon", ID: "x"}, Action: "a", Outcome: audit.Granted,
			Details: map[string]string{"x": strings.Repeat("y", 40<<10)}},
	} {
		if _, err := l.Append(t.Context(), e); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestOpenRefusesNewKeyBesideOldLog(t *testing.T) {
	dir := write(t, 1)
	if err := os.Remove(filepath.Join(dir, "checkpoint.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(t.Context(), audit.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "restore") {
		t.Errorf("got %v", err)
	}
}
