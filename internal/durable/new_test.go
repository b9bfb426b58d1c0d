package durable_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"trustcore/internal/durable"
)

// TestWriteNewNeverReplaces: a file, a folder and a link that leads nowhere keep their names, and nothing is left beside.
func TestWriteNewNeverReplaces(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"file":   func(path string) error { return os.WriteFile(path, []byte("before"), 0o600) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"link":   func(path string) error { return os.Symlink("nowhere", path) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "sealed.pdf")
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		for what, write := range map[string]func(string, []byte, fs.FileMode) error{"WriteNew": durable.WriteNew, "Create": durable.Create} {
			if err := write(path, []byte("ours"), 0o600); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s over a %s: %v", what, name, err)
			}
		}
		if got, err := os.ReadFile(path); err == nil && string(got) != "before" {
			t.Errorf("%s: %q", name, got)
		}
		alone(t, dir)
	}
}

// TestWriteNewMode writes under the longest name that there is, with the mode that is asked for.
func TestWriteNewMode(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := filepath.Join(t.TempDir(), strings.Repeat("ą", 127)+"x")
	if err := durable.WriteNew(path, []byte("whole"), 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if got, failed := os.ReadFile(path); err != nil || failed != nil || string(got) != "whole" || info.Mode().Perm() != 0o640 {
		t.Errorf("%q, %v, %v", got, info.Mode(), errors.Join(err, failed))
	}
	alone(t, filepath.Dir(path))
}

// TestMoveHasOneWinner: of many that want one name at once, one gets it and the others keep what they have.
func TestMoveHasOneWinner(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	var all sync.WaitGroup
	var winners atomic.Int32
	for i := range byte(16) {
		from := filepath.Join(dir, string('a'+i))
		if err := os.WriteFile(from, bytes.Repeat([]byte{i}, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			err := durable.Move(from, target)
			switch _, kept := os.Stat(from); {
			case err == nil:
				winners.Add(1)
			case !errors.Is(err, fs.ErrExist) || kept != nil:
				t.Errorf("%v, %v", err, kept)
			}
		})
	}
	all.Wait()
	if entries, err := os.ReadDir(dir); winners.Load() != 1 || err != nil || len(entries) != 16 {
		t.Errorf("%d winners, %d names, %v", winners.Load(), len(entries), err)
	}
}
