package mapped_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/cmd/internal/mapped"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("umowa "), 1<<20)
	file := filepath.Join(dir, "umowa.bin")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := mapped.Open(file, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !bytes.Equal(f.Octets(), content) {
		t.Fatal("other octets")
	}
	// What was let go of is read anew; parts at odd places, all of it, and memory of others change nothing.
	f.LetGo(f.Octets()[5:70_001])
	f.LetGo(f.Octets())
	f.LetGo(content)
	f.LetGo(nil)
	if !bytes.Equal(f.Octets(), content) {
		t.Fatal("other octets after they were let go")
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := mapped.Open(empty, 10)
	if err != nil || len(e.Octets()) != 0 {
		t.Fatal(err)
	}
	e.LetGo(e.Octets())
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{dir: "folder", file: "at most", filepath.Join(dir, "none"): "no such file"} {
		if _, err := mapped.Open(name, 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPipe: what can't be mapped is read, up to the limit.
func TestPipe(t *testing.T) {
	for _, c := range []struct {
		most int64
		ok   bool
	}{{4, true}, {3, false}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(w, "dane"); _ = w.Close() }()
		f, err := mapped.Open(fmt.Sprintf("/dev/fd/%d", r.Fd()), c.most)
		if (err == nil) != c.ok || c.ok && string(f.Octets()) != "dane" {
			t.Errorf("%d: %v", c.most, err)
		}
		_ = r.Close()
	}
}
