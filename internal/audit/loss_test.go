package audit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// site is a log beside a database.
type site struct {
	*testing.T
	dir string
	db  *store.DB
}

func newSite(t *testing.T) *site {
	return &site{t, filepath.Join(audittest.Dir(t), "audit"), openDB(t, storetest.SQLite(t))}
}

func openDB(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *site) config() audit.Config { return audit.Config{Dir: s.dir, DB: s.db} }

func (s *site) open() *audit.Log {
	s.Helper()
	l, err := audit.Open(s.Context(), s.config())
	if err != nil {
		s.Fatal(err)
	}
	return l
}

// run opens the log, appends n entries and closes it.
func (s *site) run(n int) {
	s.Helper()
	l := s.open()
	appendN(s.T, l, n)
	if err := l.Close(s.Context()); err != nil {
		s.Fatal(err)
	}
}

func appendN(t *testing.T, l *audit.Log, n int) {
	t.Helper()
	for i := range n {
		if _, err := l.Append(t.Context(), entry(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// copyTo copies the folder and returns where the copy is.
func (s *site) copyTo(name string) string {
	s.Helper()
	to := filepath.Join(s.TempDir(), name)
	if err := os.CopyFS(to, os.DirFS(s.dir)); err != nil {
		s.Fatal(err)
	}
	return to
}

// restore puts a copy in the place of the folder, or of those parts of it.
func restore(dir, from string, parts ...string) error {
	if len(parts) == 0 {
		return errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(from)))
	}
	var all error
	for _, part := range parts {
		path := filepath.Join(dir, part)
		all = errors.Join(all, os.RemoveAll(path), os.CopyFS(path, os.DirFS(filepath.Join(from, part))))
	}
	return all
}

func (s *site) remembered() *audit.Remembered {
	s.Helper()
	known, err := audit.Recall(s.Context(), s.db, "trustcore/audit")
	if err != nil {
		s.Fatal(err)
	}
	return known
}

// verify holds the folder against the database, as trustctl does.
func (s *site) verify() error {
	s.Helper()
	known := s.remembered()
	r, err := audit.OpenReader(s.dir)
	if err == nil {
		_, err = r.Verify(s.Context(), audit.Against{Remembered: known})
	}
	return err
}

// segment returns the path of the journal's newest segment.
func segment(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "journal", "*.journal"))
	if err != nil || len(found) == 0 {
		t.Fatalf("%v, %v", found, err)
	}
	return slices.Max(found)
}

// change replaces the first octets old of a file by others.
func change(path, old, by string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(content), old, by, 1)
	if changed == string(content) {
		return fmt.Errorf("%s holds no %q", path, old)
	}
	return os.WriteFile(path, []byte(changed), 0o600)
}

// swap gives the log a new pair of keys of the same name.
func swap(dir string) error {
	private, public, err := note.GenerateKey(rand.Reader, "trustcore/audit")
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "checkpoint.key"), []byte(private), 0o600),
		os.WriteFile(filepath.Join(dir, "checkpoint.pub"), []byte(public), 0o600))
}

// TestLossIsFound makes a log, keeps copies on the way, and takes back, cuts, changes and removes what an attacker or a
// failing disk might. Each is found at the start and, but for the key that reading needs not, by Verify.
func TestLossIsFound(t *testing.T) {
	base, url := newSite(t), storetest.SQLite(t)
	file := strings.TrimPrefix(url, "sqlite://")
	base.db = openDB(t, url)
	base.run(0)
	copies := []string{base.copyTo("first start")}
	for _, n := range []int{3, 300, 304} {
		base.run(n)
		copies = append(copies, base.copyTo(fmt.Sprint(n)))
	}
	base.run(0)
	if err := base.db.Close(); err != nil {
		t.Fatal(err)
	}
	remove := func(part string) func(*site, []string) error {
		return func(s *site, _ []string) error { return os.RemoveAll(filepath.Join(s.dir, part)) }
	}
	for name, c := range map[string]struct {
		tamper     func(s *site, copies []string) error
		want       string
		verifies   bool   // Verify finds nothing
		wantVerify string // when it is another sentence
	}{
		"taken back to the first start": {func(s *site, c []string) error { return restore(s.dir, c[0]) }, "has 0 entries, the database remembers 607", false, ""},
		"taken back to three entries":   {func(s *site, c []string) error { return restore(s.dir, c[1]) }, "has 3 entries, the database remembers 607", false, ""},
		"taken back to 303 entries":     {func(s *site, c []string) error { return restore(s.dir, c[2]) }, "has 303 entries, the database remembers 607", false, ""},
		"taken back to the last start":  {func(s *site, c []string) error { return restore(s.dir, c[3]) }, "newest segment of the journal is 4, the database remembers 5", false, ""},
		"journal and tree taken back":   {func(s *site, c []string) error { return restore(s.dir, c[1], "log", "journal") }, "has 3 entries, the database remembers 607", false, ""},
		"tree taken back":               {func(s *site, c []string) error { return restore(s.dir, c[2], "log") }, "the journal begins at entry 607 and the tree ends at 303", false, "entries 607 to 606, the checkpoint covers 303"},
		"journal taken back":            {func(s *site, c []string) error { return restore(s.dir, c[2], "journal") }, "the journal ends at entry 303 and the tree has 607", false, "entries 3 to 302, the checkpoint covers 607"},
		"folder removed":                {remove(""), "is not there, and the database remembers 607 entries", false, "no such file"},
		"journal removed":               {remove("journal"), "newest segment of the journal is 0", false, ""},
		"tree removed":                  {remove("log"), "journal begins at entry 607 and the tree ends at 0", false, "no checkpoint"},
		"tree's state removed":          {remove("log/.state"), "a checkpoint and no tree", true, ""},
		"checkpoint removed":            {remove("log/checkpoint"), "607 entries and no checkpoint", false, "no checkpoint"},
		"tiles removed":                 {remove("log/tile/0"), "tiles can't be read", false, ""},
		"journal and tree removed":      {func(s *site, c []string) error { return errors.Join(remove("log")(s, c), remove("journal")(s, c)) }, "has 0 entries, the database remembers 607", false, "no checkpoint"},
		"all but the keys removed, twice": {func(s *site, c []string) error {
			return errors.Join(remove("log")(s, c), remove("journal")(s, c), remove("checkpoint.key")(s, c))
		}, "is not there, and the database remembers 607", false, "no checkpoint"},
		"key removed":        {remove("checkpoint.key"), "keys of the log can't be read", true, ""},
		"public key removed": {remove("checkpoint.pub"), "keys of the log can't be read", false, "no such file"},
		"new keys":           {func(s *site, _ []string) error { return swap(s.dir) }, "checkpoint is not signed with its key", false, "checkpoint"},
		"another public key": {func(s *site, _ []string) error {
			key, err := os.ReadFile(filepath.Join(s.dir, "checkpoint.key"))
			return errors.Join(err, swap(s.dir), os.WriteFile(filepath.Join(s.dir, "checkpoint.key"), key, 0o600))
		}, "are no pair", false, "checkpoint"},
		"a new log": {func(s *site, _ []string) error {
			other := &site{s.T, filepath.Join(audittest.Dir(s.T), "other"), nil}
			other.run(700)
			return restore(s.dir, other.dir)
		}, "signs with another key", false, ""},
		"other entries under the old key": {func(s *site, _ []string) error {
			other := &site{s.T, filepath.Join(audittest.Dir(s.T), "other"), nil}
			err := os.Mkdir(other.dir, 0o700)
			for _, name := range []string{"checkpoint.key", "checkpoint.pub"} {
				key, e := os.ReadFile(filepath.Join(s.dir, name))
				err = errors.Join(err, e, os.WriteFile(filepath.Join(other.dir, name), key, 0o600))
			}
			if err == nil {
				other.run(5)
				for range 6 {
					other.run(200)
				}
			}
			return errors.Join(err, restore(s.dir, other.dir))
		}, "the first 607 entries of the log are not those that the database remembers", false, ""},
		"a bit of the journal's head": {func(s *site, _ []string) error { return change(segment(s.T, s.dir), "origin", "oricin") }, "no head that can be read", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t, filepath.Join(audittest.Dir(t), "audit"), nil}
			database := filepath.Join(t.TempDir(), "database")
			if err := errors.Join(os.CopyFS(s.dir, os.DirFS(base.dir)), os.CopyFS(database, os.DirFS(filepath.Dir(file)))); err != nil {
				t.Fatal(err)
			}
			s.db = openDB(t, "sqlite://"+filepath.Join(database, filepath.Base(file)))
			if err := s.verify(); err != nil {
				t.Fatal(err)
			}
			if err := c.tamper(s, copies); err != nil {
				t.Fatal(err)
			}
			if c.wantVerify == "" {
				c.wantVerify = c.want
			}
			if err := s.verify(); c.verifies != (err == nil) || err != nil && !strings.Contains(err.Error(), c.wantVerify) {
				t.Errorf("Verify: %v; want %q", err, c.wantVerify)
			}
			refuses(t, s.config(), c.want)
		})
	}
}

// refuses holds that the log does not open, for this reason, with the way on.
func refuses(t *testing.T, cfg audit.Config, want string) {
	t.Helper()
	l, err := audit.Open(t.Context(), cfg)
	if err == nil {
		_ = l.Close(context.Background())
	}
	var loss *audit.LossError
	if !errors.As(err, &loss) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "accept-loss") {
		t.Errorf("Open: %v; want %q", err, want)
	}
}

// crashed is what a process that died leaves: entries in the journal that the tree lacks.
func crashed(t *testing.T) *site {
	s := newSite(t)
	s.run(10)
	l, err := audit.Open(t.Context(), s.config().Feeding(1<<40))
	if err != nil {
		t.Fatal(err)
	}
	appendN(t, l, 20)
	left := &site{t, s.copyTo("left"), s.db}
	if _, err := s.db.Exec(`UPDATE audit_checkpoint SET until = '2026-01-01T00:00:00Z'`); err != nil { // the copy has another inode
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return left
}

func TestCrashIsNoLoss(t *testing.T) {
	s := crashed(t)
	if err := s.verify(); err != nil {
		t.Error(err)
	}
	l := s.open()
	defer func() { _ = l.Close(context.Background()) }()
	if all, err := l.List(t.Context(), audit.Filter{}); err != nil || len(all) != 30 {
		t.Errorf("%d entries, %v; want 30", len(all), err)
	}
	if r, err := l.Append(t.Context(), entry(0)); err != nil || r.Index != 30 {
		t.Errorf("entry %d, %v; want 30", r.Index, err)
	}
}

// TestTailLossIsFound tampers with entries that no checkpoint covers.
func TestTailLossIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(s *site) error
		want   string
	}{
		"newest segment removed": {func(s *site) error { return os.Remove(segment(s.T, s.dir)) }, "newest segment of the journal is 0, the database remembers 2"},
		"changed":                {func(s *site) error { return change(segment(s.T, s.dir), "hsm.sign", "hsm.none") }, "entry 10 in segment 2 was changed"},
		"a group of zeros": {func(s *site) error {
			return change(segment(s.T, s.dir), "\xf5\xff\xf6G", "\x00\x00\x00\x00")
		}, "entry 10 in segment 2 was changed"},
		"zeros from the beginning": {func(s *site) error { return os.Truncate(segment(s.T, s.dir), 10) }, "is no segment of a journal"},
	} {
		t.Run(name, func(t *testing.T) {
			s := crashed(t)
			if err := c.tamper(s); err != nil {
				t.Fatal(err)
			}
			if err := s.verify(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Verify: %v; want %q", err, c.want)
			}
			refuses(t, s.config(), c.want)
		})
	}
}

// TestJournalOfAnotherLog finds a journal whose entries are not those that the tree took over.
func TestJournalOfAnotherLog(t *testing.T) {
	s, other := newSite(t), newSite(t)
	s.run(3)
	l := other.open()
	for i := range 3 {
		if _, err := l.Append(t.Context(), entry(100+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := restore(s.dir, other.dir, "journal"); err != nil {
		t.Fatal(err)
	}
	const want = "entry 0 of the journal is not entry 0 of the tree"
	if err := s.verify(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Verify: %v; want %q", err, want)
	}
	refuses(t, s.config(), want)

	named := &site{t, filepath.Join(audittest.Dir(t), "named"), nil}
	cfg := named.config()
	cfg.Origin = "trustcore/audit/node-2"
	l, err := audit.Open(t.Context(), cfg)
	if err == nil {
		err = errors.Join(l.Close(t.Context()), restore(s.dir, named.dir, "journal"))
	}
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, s.config(), "the journal is of the log trustcore/audit/node-2")
}

// TestDatabaseTakenBack restores the database alone: the log is ahead of it and continues what it knows. A database
// that knows nothing is none the worse.
func TestDatabaseTakenBack(t *testing.T) {
	s := newSite(t)
	s.run(300)
	before := *s.remembered()
	s.run(7)
	for _, text := range []string{`UPDATE audit_checkpoint SET size = $1, root = $2, segment = $3`, `DELETE FROM audit_checkpoint WHERE $1 < $3 AND root <> $2`} {
		if _, err := s.db.Exec(text, before.Size, before.Root, before.Segment); err != nil {
			t.Fatal(err)
		}
		if err := s.verify(); err != nil {
			t.Error(err)
		}
		s.run(1)
	}
	if known := s.remembered(); known == nil || known.Size != 309 {
		t.Errorf("%+v; want 309 entries", known)
	}
}

// TestKeptCheckpoint holds a log against checkpoints that were kept elsewhere.
func TestKeptCheckpoint(t *testing.T) {
	s, other := newSite(t), &site{t, filepath.Join(audittest.Dir(t), "other"), nil}
	s.run(3)
	three, _, err := reader(t, s.dir).Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(other.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"checkpoint.key", "checkpoint.pub"} {
		key, err := os.ReadFile(filepath.Join(s.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(other.dir, name), key, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.run(3)
	kept := audit.Against{Kept: []string{string(three)}}
	if _, err := reader(t, s.dir).Verify(t.Context(), kept); err != nil {
		t.Error(err)
	}
	l := other.open()
	for i := range 9 {
		if _, err := l.Append(t.Context(), entry(50+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := reader(t, other.dir).Verify(t.Context(), kept); err == nil || !strings.Contains(err.Error(), "first 3 entries are not those of the kept checkpoint") {
		t.Errorf("other entries under the same key: %v", err)
	}
	if _, err := reader(t, s.dir).Verify(t.Context(), audit.Against{Kept: []string{strings.Replace(string(three), "\n3\n", "\n2\n", 1)}}); err == nil ||
		!strings.Contains(err.Error(), "not signed with the log's key") {
		t.Errorf("a forged one: %v", err)
	}
}

func TestAnotherOrigin(t *testing.T) {
	s := newSite(t)
	s.run(1)
	cfg := s.config()
	cfg.Origin = "trustcore/audit/node-2"
	if _, err := audit.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "is trustcore/audit, this node writes trustcore/audit/node-2") {
		t.Errorf("got %v", err)
	}
}
