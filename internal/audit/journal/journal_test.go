package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"trustcore/internal/audit/journal"
	"trustcore/internal/audit/journal/journaltest"
)

func create(t testing.TB, cfg journal.Config) *journal.Writer {
	t.Helper()
	w, err := journal.Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func commit(t testing.TB, w *journal.Writer, payloads ...string) uint64 {
	t.Helper()
	first, err := w.Commit(octets(payloads))
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func octets(payloads []string) (all [][]byte) {
	for _, p := range payloads {
		all = append(all, []byte(p))
	}
	return all
}

// read returns the payloads in a journal, which must follow each other from first on.
func read(dir string) (found []string, end journal.End, err error) {
	next := uint64(0)
	end, err = journal.Read(dir, func(index uint64, payload []byte) error {
		if len(found) > 0 && index != next {
			return fmt.Errorf("entry %d after entry %d", index, next-1)
		}
		next = index + 1
		found = append(found, string(payload))
		return nil
	})
	return found, end, err
}

func holds(t *testing.T, dir string, want ...string) journal.End {
	t.Helper()
	found, end, err := read(dir)
	if err != nil || !slices.Equal(found, want) {
		t.Fatalf("%q, %v; want %q", found, err, want)
	}
	return end
}

// newest returns the path of the newest segment.
func newest(t testing.TB, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil || len(found) == 0 {
		t.Fatal("no segment", err)
	}
	return slices.Max(found)
}

func TestCommitAndRead(t *testing.T) {
	dir := t.TempDir()
	w := create(t, journal.Config{Dir: dir, Origin: "log", First: 7})
	if first := commit(t, w, "a", "b"); first != 7 {
		t.Errorf("first is %d", first)
	}
	if first := commit(t, w, "c"); first != 9 {
		t.Errorf("first is %d", first)
	}
	holds(t, dir, "a", "b", "c") // while it is open
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	end := holds(t, dir, "a", "b", "c")
	if end.First != 7 || end.Next != 10 || end.Torn != 0 || end.Origin != "log" {
		t.Errorf("%+v", end)
	}
	again := create(t, journal.Config{Dir: dir, Origin: "log", First: end.Next, After: end})
	commit(t, again, "d")
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, "a", "b", "c", "d")
	if end, err := journal.Read(filepath.Join(dir, "none"), nil); err != nil || end.Newest != 0 {
		t.Errorf("%+v, %v: want that there is no journal", end, err)
	}
}

// TestSegments fills several segments, follows them with a cursor and lets the old ones go.
func TestSegments(t *testing.T) {
	dir := t.TempDir()
	w := create(t, journal.Config{Dir: dir, Origin: "log"})
	c := w.Cursor()
	payload := strings.Repeat("x", 40<<10)
	next, written := uint64(0), uint64(0)
	for range 60 {
		commit(t, w, slices.Repeat([]string{payload}, 20)...)
		written += 20
		if written%400 != 0 {
			continue
		}
		for next < written {
			first, found, err := c.Next()
			if err != nil || first != next || len(found) == 0 || string(found[0]) != payload {
				t.Fatalf("%d entries from %d, %v; want some from %d", len(found), first, err, next)
			}
			next += uint64(len(found))
		}
	}
	if _, found, err := c.Next(); len(found) > 0 || err != nil {
		t.Errorf("%d more, %v", len(found), err)
	}
	if _, end, err := read(dir); err != nil || end.Next != 1200 || end.Segments < 6 {
		t.Fatalf("%+v, %v", end, err)
	}
	if err := w.Release(written); err != nil {
		t.Fatal(err)
	}
	found, end, err := read(dir)
	if err != nil || end.Segments != 1 || end.Next != 1200 || uint64(len(found)) != end.Next-end.First {
		t.Errorf("%+v, %v", end, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReleaseKeeps keeps a segment while one of its records is needed.
func TestReleaseKeeps(t *testing.T) {
	dir := t.TempDir()
	disk := &journaltest.Disk{}
	w := create(t, journal.Config{Dir: dir, Origin: "log", Disk: disk})
	commit(t, w, "a", "b")
	disk.FailOnce(syscall.EIO)
	if _, err := w.Commit(octets([]string{"void"})); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	commit(t, w, "c")
	if err := w.Release(1); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, "a", "b", "c")
	if err := w.Release(2); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, "c")
}

// TestFailedSync finds nothing of a group whose fdatasync failed, though its octets are in the file, once the next
// segment is begun; and nothing is written behind it.
func TestFailedSync(t *testing.T) {
	dir := t.TempDir()
	disk := &journaltest.Disk{}
	w := create(t, journal.Config{Dir: dir, Origin: "log", Disk: disk})
	c := w.Cursor()
	commit(t, w, "a")
	poisoned := newest(t, dir)
	for range 3 { // in a segment with a record, and in those that have none
		disk.FailOnce(syscall.EIO)
		if _, err := w.Commit(octets([]string{"void 1", "void 2"})); !errors.Is(err, syscall.EIO) {
			t.Fatalf("got %v; want EIO", err)
		}
		if err := w.Ready(); err != nil {
			t.Fatal(err)
		}
	}
	if first := commit(t, w, "b"); first != 1 {
		t.Errorf("b became entry %d", first)
	}
	if content, err := os.ReadFile(poisoned); err != nil || bytes.Contains(content, []byte(`b`+"\x00")) {
		t.Errorf("%v: something was written behind the group that failed", err)
	}
	holds(t, dir, "a", "b")
	for _, want := range []string{"a", "b"} {
		if _, found, err := c.Next(); err != nil || len(found) != 1 || string(found[0]) != want {
			t.Errorf("the cursor gives %q, %v; want %s", found, err, want)
		}
	}
}

// TestFailedBegin loses no chain when a segment can't be begun: fdatasync of its head fails.
func TestFailedBegin(t *testing.T) {
	dir := t.TempDir()
	disk := &journaltest.Disk{}
	w := create(t, journal.Config{Dir: dir, Origin: "log", Disk: disk})
	commit(t, w, "a")
	disk.FailOnce(syscall.EIO)
	if _, err := w.Commit(octets([]string{"void"})); err == nil {
		t.Fatal("taken")
	}
	disk.FailOnce(syscall.EIO)
	if _, err := w.Commit(octets([]string{"b"})); err == nil {
		t.Fatal("taken, though no segment is open")
	}
	commit(t, w, "c")
	holds(t, dir, "a", "c")
}

func TestFull(t *testing.T) {
	dir := t.TempDir()
	disk := &journaltest.Disk{}
	w := create(t, journal.Config{Dir: dir, Origin: "log", Disk: disk})
	disk.Full(true)
	payload := strings.Repeat("x", 60<<10)
	var err error
	taken := 0
	for ; err == nil && taken < 1000; taken++ {
		_, err = w.Commit(octets([]string{payload}))
	}
	if !errors.Is(err, syscall.ENOSPC) || taken < 100 {
		t.Fatalf("after %d: %v", taken, err)
	}
	disk.Full(false)
	if first := commit(t, w, "b"); first != uint64(taken-1) {
		t.Errorf("entry %d after %d", first, taken-1)
	}
	if found, _, err := read(dir); err != nil || len(found) != taken {
		t.Errorf("%d entries, %v; want %d", len(found), err, taken)
	}
}

func TestCommitRefuses(t *testing.T) {
	w := create(t, journal.Config{Dir: t.TempDir(), Origin: "log"})
	for _, p := range []string{"\xf5\xff\xf6G", strings.Repeat("x", journal.MaxPayload+1)} {
		if _, err := w.Commit(octets([]string{"a", p})); err == nil {
			t.Errorf("%d octets are taken", len(p))
		}
	}
	if first := commit(t, w, "a"); first != 0 {
		t.Errorf("entry %d: what was refused took an index", first)
	}
}

// groups writes a journal of ten groups of three and returns its file, and where each group begins in it.
func groups(t testing.TB, dir string) (path string, starts []int) {
	t.Helper()
	w := create(t, journal.Config{Dir: dir, Origin: "log"})
	for i := range 10 {
		commit(t, w, fmt.Sprintf("first of %d", i), "second", strings.Repeat("third ", 900))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path = newest(t, dir)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mark := []byte("\xf5\xff\xf6G")
	for at := 0; ; at++ {
		i := bytes.Index(content[at:], mark)
		if i < 0 {
			return path, starts
		}
		at += i
		starts = append(starts, at)
	}
}

// TestTorn leaves of the last group what a crash may leave: any of its sectors, zeros in place of the others. The
// groups before are read, nothing is damaged, and the journal goes on.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	path, starts := groups(t, dir)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := starts[9]
	for seed := range uint64(300) {
		chance := rand.New(rand.NewPCG(seed, 1))
		content := append(slices.Clone(whole), make([]byte, 8192)...)
		torn := false
		for at := last; at < len(whole); at = at/512*512 + 512 {
			if chance.IntN(2) == 0 {
				clear(content[at:min(at/512*512+512, len(whole))])
				torn = true
			}
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		found, end, err := read(dir)
		if err != nil || len(found) < 27 || len(found) > 30 || torn && len(found) == 30 {
			t.Fatalf("seed %d: %d entries, %v", seed, len(found), err)
		}
		after := filepath.Join(t.TempDir(), "journal")
		if err := os.CopyFS(after, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if seed%30 > 0 {
			continue
		}
		w := create(t, journal.Config{Dir: after, Origin: "log", First: end.Next, After: end})
		commit(t, w, "later")
		if again, _, err := read(after); err != nil || len(again) != len(found)+1 {
			t.Fatalf("seed %d: %d entries after %d, %v", seed, len(again), len(found), err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamage changes every octet of a group in the middle, and takes groups away: all of it is damage.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path, starts := groups(t, dir)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := func(what string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var damage *journal.DamageError
		if found, _, err := read(dir); !errors.As(err, &damage) {
			t.Errorf("%s: %d entries, %v; want damage", what, len(found), err)
		}
	}
	for at := starts[4]; at < starts[5]; at += 1 + at%7 {
		content := slices.Clone(whole)
		content[at] ^= 0x10
		damaged(fmt.Sprintf("octet %d", at), content)
	}
	zeroed := slices.Clone(whole)
	clear(zeroed[starts[4]:starts[5]])
	damaged("a group of zeros", zeroed)
	damaged("a group cut out", append(slices.Clone(whole[:starts[4]]), whole[starts[5]:]...))
	damaged("groups exchanged", slices.Concat(whole[:starts[4]], whole[starts[5]:starts[6]], whole[starts[4]:starts[5]], whole[starts[6]:]))
	damaged("a group twice", slices.Concat(whole[:starts[5]], whole[starts[4]:]))
	head := slices.Clone(whole)
	head[40] ^= 1
	damaged("the head", head)
	damaged("no head", whole[starts[0]:])
}

func TestNewerVersion(t *testing.T) {
	dir := t.TempDir()
	path, _ := groups(t, dir)
	whole, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, bytes.Replace(whole, []byte("journal 1\n"), []byte("journal 2\n"), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(dir); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("got %v", err)
	}
}

// TestSegmentsTakenAway removes, exchanges and renames segments.
func TestSegmentsTakenAway(t *testing.T) {
	three := func(t *testing.T) (dir string, paths []string) {
		dir = t.TempDir()
		var end journal.End
		for range 3 {
			w := create(t, journal.Config{Dir: dir, Origin: "log", First: end.Next, After: end})
			commit(t, w, "a", "b")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			_, end, _ = read(dir)
			paths = append(paths, newest(t, dir))
		}
		return dir, paths
	}
	for name, tamper := range map[string]func(paths []string) error{
		"the middle one removed": func(p []string) error { return os.Remove(p[1]) },
		"the middle one empty":   func(p []string) error { return os.WriteFile(p[1], nil, 0o600) },
		"the middle one cut":     func(p []string) error { return os.Truncate(p[1], 200) },
		"one under another name": func(p []string) error {
			return os.Rename(p[2], filepath.Join(filepath.Dir(p[2]), "000000000009.journal"))
		},
		"a name of nobody": func(p []string) error { return os.Rename(p[2], filepath.Join(filepath.Dir(p[2]), "9.journal")) },
		"exchanged": func(p []string) error {
			return errors.Join(os.Rename(p[1], p[1]+"x"), os.Rename(p[2], p[1]), os.Rename(p[1]+"x", p[2]))
		},
		"too large": func(p []string) error { return os.Truncate(p[2], 65<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, paths := three(t)
			if err := tamper(paths); err != nil {
				t.Fatal(err)
			}
			var damage *journal.DamageError
			if found, _, err := read(dir); !errors.As(err, &damage) {
				t.Errorf("%q, %v; want damage", found, err)
			}
		})
	}
	// A segment of another journal, with as many records and a head that says so.
	dir, _ := three(t)
	other := t.TempDir()
	var end journal.End
	for _, payload := range []string{"a", "x", "a"} {
		w := create(t, journal.Config{Dir: other, Origin: "log", First: end.Next, After: end})
		commit(t, w, payload, "b")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_, end, _ = read(other)
	}
	foreign, err := os.ReadFile(newest(t, other))
	if err == nil {
		err = os.WriteFile(newest(t, dir), foreign, 0o600)
	}
	var damage *journal.DamageError
	if _, _, again := read(dir); err != nil || !errors.As(again, &damage) || !strings.Contains(again.Error(), "does not continue") {
		t.Errorf("a segment of another journal: %v, %v", again, err)
	}

	dir, paths := three(t)
	_, err = journal.Read(dir, func(index uint64, _ []byte) error {
		if index == 0 {
			return errors.Join(os.Remove(paths[1]), os.Remove(paths[2]))
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a segment that its writer takes away meanwhile: %v", err)
	}
}
