package hotfolder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site is a hot folder whose seal is a line behind the document.
type site struct {
	t   *testing.T
	dir string
	cfg Config

	mu    sync.Mutex
	calls int                     // guarded by mu
	seal  func(name string) error // guarded by mu; what a call answers, nil for a seal
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	for _, name := range []string{"in", "out"} {
		if err := os.Mkdir(s.at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.cfg = Config{In: s.at("in"), Out: s.at("out"), Failed: s.at("failed"), Done: s.at("done"), Work: s.at("work"), Seal: s.sealed,
		MaxBytes: 1 << 20, InFlight: 4, Poll: time.Millisecond, Mode: 0o640, Log: slog.New(slog.DiscardHandler)}
	return s
}

func (s *site) at(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

func (s *site) sealed(_ context.Context, name string, content []byte) (Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.seal != nil {
		if err := s.seal(name); err != nil {
			return Sealed{}, err
		}
	}
	return Sealed{Content: append(slices.Clone(content), "\nsealed"...), Suffix: suffixOf(name)}, nil
}

func suffixOf(name string) string {
	if strings.HasSuffix(name, ".bin") {
		return ".p7s"
	}
	return ""
}

func (s *site) put(folder, name, content string) {
	s.t.Helper()
	if err := os.WriteFile(s.at(folder, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// open opens the folder; it is closed when the test ends.
func (s *site) open() *Folder {
	s.t.Helper()
	f, err := Open(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = f.Close() })
	return f
}

// rounds works until nothing is ready or in work, and returns the last error.
func (s *site) rounds(f *Folder) (err error) {
	s.t.Helper()
	for range 20 {
		if _, err = f.round(s.t.Context()); err != nil {
			return err
		}
	}
	return nil
}

// names are those in a folder; hidden ones too.
func (s *site) names(folder string) []string {
	s.t.Helper()
	entries, err := os.ReadDir(s.at(folder))
	if err != nil {
		s.t.Fatal(err)
	}
	list := []string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".hotfolder") {
			list = append(list, e.Name())
		}
	}
	return list
}

func (s *site) want(folder string, names ...string) {
	s.t.Helper()
	if folder == "work" {
		names = append(names, "lock", "out")
	}
	slices.Sort(names)
	if got := s.names(folder); !slices.Equal(got, append([]string{}, names...)) {
		s.t.Errorf("%s holds %q, want %q", folder, got, names)
	}
}

func (s *site) content(folder, name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.at(folder, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// TestDocumentsGoThrough: sealed ones to out, originals to done, with the modes and names that are said.
func TestDocumentsGoThrough(t *testing.T) {
	s := newSite(t)
	defer syscall.Umask(syscall.Umask(0o077))
	long := strings.Repeat("ż", 125) + "x.bin" // 255 bytes
	nfc, nfd := "\u017cab.xml", "z\u0307ab.xml"
	for _, name := range []string{"a.xml", "b-sealed.xml", "c.bin", long, nfc, nfd, "two\nlines.xml", "bad\xff.xml", "-rf", "noext"} {
		s.put("in", name, "text")
	}
	f := s.open()
	if err := s.rounds(f); err != nil {
		t.Fatal(err)
	}
	s.want("in")
	s.want("work")
	s.want("failed")
	s.want("done", "a.xml", "b-sealed.xml", "c.bin", long, nfc, nfd, "two\nlines.xml", "bad\xff.xml", "-rf", "noext")
	s.want("out", "a.xml", "b-sealed.xml", "c.bin.p7s", strings.Repeat("ż", 123)+".bin.p7s", nfc, nfd, "two\nlines.xml", "bad\xff.xml", "-rf", "noext")
	if info, err := os.Stat(s.at("out", "a.xml")); err != nil || info.Mode().Perm() != 0o640 || s.content("out", "a.xml") != "text\nsealed" {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if s.calls != 10 {
		t.Errorf("%d uses for 10 documents", s.calls)
	}
}

// TestNothingIsReplaced: a result, an original and a failed document of a name that is taken get a number.
func TestNothingIsReplaced(t *testing.T) {
	s := newSite(t)
	f := s.open()
	s.seal = func(name string) error {
		if name == "bad.xml" {
			return &Refusal{PL: "Nie.", EN: "No."}
		}
		return nil
	}
	for i := range 3 {
		s.put("in", "a.tar.gz", fmt.Sprint(i))
		s.put("in", "bad.xml", fmt.Sprint(i))
		if err := s.rounds(f); err != nil {
			t.Fatal(err)
		}
	}
	s.want("out", "a.tar.gz", "a.tar-2.gz", "a.tar-3.gz")
	s.want("done", "a.tar.gz", "a.tar-2.gz", "a.tar-3.gz")
	s.want("failed", "bad.xml", "bad.xml.reason.txt", "bad-2.xml", "bad-2.xml.reason.txt", "bad-3.xml", "bad-3.xml.reason.txt")
	for i, name := range []string{"a.tar.gz", "a.tar-2.gz", "a.tar-3.gz"} {
		if s.content("out", name) != fmt.Sprint(i)+"\nsealed" || s.content("done", name) != fmt.Sprint(i) {
			t.Errorf("%s: %q of %q", name, s.content("out", name), s.content("done", name))
		}
	}
	f.Done = ""
	s.put("in", "gone.xml", "x")
	if err := s.rounds(f); err != nil {
		t.Fatal(err)
	}
	s.want("done", "a.tar.gz", "a.tar-2.gz", "a.tar-3.gz")
	s.want("in")
}

// TestEveryPlaceOfAKill starts from what a kill leaves behind each step of item.go's table: each document has exactly
// one result in the end, and the key is used again only where the table says so.
func TestEveryPlaceOfAKill(t *testing.T) {
	const id = "AAAA"
	claimed, staged := filepath.Join("work", id+".claimed"), filepath.Join("work", id+".staged.p7s")
	for name, c := range map[string]struct {
		leave func(s *site)
		uses  int
		out   string // "" for nothing: somebody has taken it away, or there was none
	}{
		"1 folder made":      {func(s *site) { s.dirs(claimed); s.put("in", "a.bin", "t") }, 1, "t\nsealed"},
		"2 claimed":          {func(s *site) { s.dirs(claimed); s.put(claimed, "a.bin", "t") }, 1, "t\nsealed"},
		"3 half written":     {func(s *site) { s.dirs(claimed); s.put(claimed, "a.bin", "t"); s.put("out", "."+id+".sealing", "t") }, 1, "t\nsealed"},
		"3 written":          {func(s *site) { s.dirs(claimed); s.put(claimed, "a.bin", "t"); s.put("out", "."+id+".sealing", "first") }, 1, "t\nsealed"},
		"4 staged":           {func(s *site) { s.dirs(staged); s.put(staged, "a.bin", "t"); s.put("out", "."+id+".sealing", "first") }, 0, "first"},
		"5 published":        {func(s *site) { s.dirs(staged); s.put(staged, "a.bin", "t"); s.put("out", "a.bin.p7s", "first") }, 0, "first"},
		"5 and taken away":   {func(s *site) { s.dirs(staged); s.put(staged, "a.bin", "t") }, 0, ""},
		"6 original settled": {func(s *site) { s.dirs(staged); s.put("out", "a.bin.p7s", "first"); s.put("done", "a.bin", "t") }, 0, "first"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if err := s.open().Close(); err != nil { // the mark in out is there
				t.Fatal(err)
			}
			c.leave(s)
			if err := s.rounds(s.open()); err != nil {
				t.Fatal(err)
			}
			s.want("in")
			s.want("work")
			s.want("done", "a.bin")
			if c.out == "" {
				s.want("out")
			} else if s.want("out", "a.bin.p7s"); s.content("out", "a.bin.p7s") != c.out {
				t.Errorf("the result is %q", s.content("out", "a.bin.p7s"))
			}
			if s.calls != c.uses {
				t.Errorf("%d uses, want %d", s.calls, c.uses)
			}
		})
	}
}

func (s *site) dirs(names ...string) {
	s.t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(s.at(name), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestAKillWhileItFails: the reason lies beside the document, once.
func TestAKillWhileItFails(t *testing.T) {
	s := newSite(t)
	refuse := &Refusal{PL: "Nie.", EN: "No.", Err: errors.New("a\nb")}
	s.seal = func(string) error { return refuse }
	if err := s.open().Close(); err != nil {
		t.Fatal(err)
	}
	s.dirs(filepath.Join("work", "AAAA.claimed"))
	s.put(filepath.Join("work", "AAAA.claimed"), "a.xml", "t")
	s.put("failed", "a.xml.reason.txt", string(reasonText("a.xml", refuse))+"ID: AAAA\n")
	s.put("failed", "b.xml.reason.txt", "another document's\nID: BBBB\n")
	s.put("in", "b.xml", "t")
	if err := s.rounds(s.open()); err != nil {
		t.Fatal(err)
	}
	s.want("failed", "a.xml", "a.xml.reason.txt", "b-2.xml", "b-2.xml.reason.txt", "b.xml.reason.txt")
	text := s.content("failed", "a.xml.reason.txt")
	if !strings.Contains(text, "nie został opieczętowany.\nNie.\n") || !strings.Contains(text, "was not sealed.\nNo.\n") || !strings.Contains(text, `"a\nb"`) {
		t.Error(text)
	}
}

// TestAnOutThatIsNotMounted: what was staged waits for the folder that it was staged in, and is not taken for
// published.
func TestAnOutThatIsNotMounted(t *testing.T) {
	s := newSite(t)
	if err := s.open().Close(); err != nil {
		t.Fatal(err)
	}
	staged := filepath.Join("work", "AAAA.staged")
	s.dirs(staged)
	s.put(staged, "a.xml", "t")
	s.put("out", ".AAAA.sealing", "first")
	if err := os.Rename(s.at("out"), s.at("elsewhere")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.cfg); err == nil || !strings.Contains(err.Error(), "the folder out") {
		t.Errorf("without the folder: %v", err)
	}
	s.dirs("out")
	if _, err := Open(s.cfg); err == nil || !strings.Contains(err.Error(), "is it mounted?") {
		t.Errorf("another folder in its place: %v", err)
	}
	if err := os.Rename(s.at("out"), s.at("mountpoint")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.at("elsewhere"), s.at("out")); err != nil {
		t.Fatal(err)
	}
	f := s.open()
	for _, step := range [][2]string{{"out", "elsewhere"}, {"mountpoint", "out"}} { // it goes away while we run
		if err := os.Rename(s.at(step[0]), s.at(step[1])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.round(t.Context()); err == nil || s.names(staged)[0] != "a.xml" {
		t.Errorf("published into a folder that is not there: %v", err)
	}
	for _, step := range [][2]string{{"out", "mountpoint"}, {"elsewhere", "out"}} {
		if err := os.Rename(s.at(step[0]), s.at(step[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.rounds(f); err != nil || s.content("out", "a.xml") != "first" {
		t.Error(err)
	}
}

// TestOutagesAreWaitedOut: no document goes to failed, no more than InFlight are taken, and all are sealed when it is
// over.
func TestOutagesAreWaitedOut(t *testing.T) {
	s := newSite(t)
	away := errors.New("the data centre does not answer")
	s.seal = func(string) error { return away }
	for i := range 10 {
		s.put("in", fmt.Sprintf("%d.xml", i), "t")
	}
	f := s.open()
	for range 5 {
		if _, err := f.round(t.Context()); !errors.Is(err, away) {
			t.Fatal(err)
		}
	}
	if left := len(s.names("in")); left < 10-2*s.cfg.InFlight || len(s.names("failed")) > 0 || len(s.names("out")) > 0 {
		t.Errorf("%d are left in the folder", left)
	}
	s.mu.Lock()
	s.seal = func(name string) error { // one document that makes trouble of its own does not keep the others
		if name == "3.xml" {
			return away
		}
		return nil
	}
	s.mu.Unlock()
	for range 5 {
		_, _ = f.round(t.Context())
	}
	if done := s.names("done"); len(done) != 9 || slices.Contains(done, "3.xml") {
		t.Errorf("done: %q", done)
	}
	s.mu.Lock()
	s.seal = nil
	s.mu.Unlock()
	if err := s.rounds(f); err != nil || len(s.names("done")) != 10 {
		t.Error(err)
	}
}

// TestAFullDisk: a result that can't be written waits, and leaves no part in out.
func TestAFullDisk(t *testing.T) {
	if os.Geteuid() == 0 {
		full(t)
		return
	}
	t.Skip("a full file system is mounted as root only")
}

func full(t *testing.T) {
	s := newSite(t)
	if err := syscall.Mount("tmpfs", s.at("out"), "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(s.at("out"), syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f := s.open()
	s.put("in", "large.xml", strings.Repeat("x", 100<<10))
	if err := s.rounds(f); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("on a full disk: %v", err)
	}
	s.want("out")
	s.want("failed")
	if err := syscall.Mount("tmpfs", s.at("out"), "tmpfs", syscall.MS_REMOUNT, "size=4m,mode=700"); err != nil {
		t.Fatal(err)
	}
	if err := s.rounds(f); err != nil {
		t.Fatal(err)
	}
	s.want("out", "large.xml")
	s.want("work")
}

// TestWhatIsNeverTaken: links, folders, pipes and sockets stay where they are, unread; so do files that are not whole.
func TestWhatIsNeverTaken(t *testing.T) {
	s := newSite(t)
	s.put("", "secret", "s")
	for _, err := range []error{os.Symlink(s.at("secret"), s.at("in", "link.xml")), os.Symlink("..", s.at("in", "up")),
		os.Mkdir(s.at("in", "folder"), 0o700), syscall.Mkfifo(s.at("in", "pipe.xml"), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".hidden.xml", "a.xml.tmp", "b.PART", "~$c.docx", "d.crdownload", "e~"} {
		s.put("in", name, "t")
	}
	before := s.names("in")
	f := s.open()
	if err := s.rounds(f); err != nil {
		t.Fatal(err)
	}
	s.want("in", before...)
	if status := f.outcomes.read(); s.calls != 0 || status.Ignored != 4 || status.Waiting != 0 {
		t.Errorf("%d uses, %+v", s.calls, status)
	}
}

// TestWhatIsRefusedOnceItIsClaimed: what only turns out then goes to failed, unread.
func TestWhatIsRefusedOnceItIsClaimed(t *testing.T) {
	s := newSite(t)
	s.cfg.MaxBytes = 10
	s.put("", "secret", "s")
	f := s.open()
	s.put("in", "empty.xml", "")
	s.put("in", "large.xml", "01234567890")
	if err := os.Link(s.at("secret"), s.at("in", "hard.xml")); err != nil {
		t.Fatal(err)
	}
	s.dirs(filepath.Join("work", "AAAA.claimed")) // one that replaced the document between look and claim
	if err := os.Symlink(s.at("secret"), s.at("work", "AAAA.claimed", "link.xml")); err != nil {
		t.Fatal(err)
	}
	if err := s.rounds(f); s.calls != 0 || err != nil {
		t.Errorf("%d uses, %v", s.calls, err)
	}
	s.want("out")
	s.want("failed", "link.xml", "link.xml.reason.txt", "empty.xml", "empty.xml.reason.txt", "large.xml", "large.xml.reason.txt", "hard.xml", "hard.xml.reason.txt")
	if s.content("", "secret") != "s" {
		t.Error("the secret changed")
	}
}

// TestADocumentThatIsStillWritten: it is not taken while it grows, and one that grows under the seal is sealed anew.
func TestADocumentThatIsStillWritten(t *testing.T) {
	s := newSite(t)
	s.cfg.Settle = 50 * time.Millisecond
	f := s.open()
	s.put("in", "a.xml", "first")
	if names, err := f.ready(); err != nil || len(names) != 0 {
		t.Errorf("at once: %q, %v", names, err)
	}
	time.Sleep(2 * s.cfg.Settle)
	s.put("in", "a.xml", "first and second")
	if names, err := f.ready(); err != nil || len(names) != 0 {
		t.Errorf("it grew: %q, %v", names, err)
	}
	f.Settle = 0
	once := true
	s.seal = func(string) error {
		if once { // a writer that has the file open
			once = false
			return os.WriteFile(s.onlyClaimed(), []byte("whole and longer"), 0o600)
		}
		return nil
	}
	if err := s.rounds(f); err != nil {
		t.Fatal(err)
	}
	s.want("out", "a.xml")
	if s.content("out", "a.xml") != "whole and longer\nsealed" || s.content("done", "a.xml") != "whole and longer" {
		t.Errorf("%q", s.content("out", "a.xml"))
	}
}

func (s *site) onlyClaimed() string {
	found, err := filepath.Glob(s.at("work", "*.claimed", "*"))
	if err != nil || len(found) != 1 {
		s.t.Fatal(found, err)
	}
	return found[0]
}

// TestANewDocumentOfTheSameName: one that comes while another of its name is sealed is a document of its own.
func TestANewDocumentOfTheSameName(t *testing.T) {
	s := newSite(t)
	f := s.open()
	s.put("in", "a.xml", "first")
	once := true
	s.seal = func(string) error {
		if once {
			once = false
			return os.WriteFile(s.at("in", "a.xml"), []byte("second"), 0o600)
		}
		return nil
	}
	if err := s.rounds(f); err != nil {
		t.Fatal(err)
	}
	s.want("out", "a.xml", "a-2.xml")
	if s.content("out", "a.xml") != "first\nsealed" || s.content("out", "a-2.xml") != "second\nsealed" {
		t.Errorf("%q, %q", s.content("out", "a.xml"), s.content("out", "a-2.xml"))
	}
}

// TestADocumentThatVanishes: between the look and the claim, and while it is in work.
func TestADocumentThatVanishes(t *testing.T) {
	s := newSite(t)
	f := s.open()
	if err := f.take(t.Context(), "gone.xml"); err != nil {
		t.Error(err)
	}
	s.put("in", "a.xml", "t")
	s.seal = func(string) error { return os.Remove(s.onlyClaimed()) }
	if err := s.rounds(f); err == nil {
		t.Error("a document that vanished under the seal was settled")
	}
	s.seal = nil
	if err := s.rounds(f); err != nil {
		t.Error(err)
	}
	s.want("out")
	s.want("work")
}

// TestFoldersOfTheirOwn: what would feed itself, or can't be moved, is refused by name.
func TestFoldersOfTheirOwn(t *testing.T) {
	s := newSite(t)
	s.dirs("in/below", "real")
	if err := os.Symlink("in", s.at("alias")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"out is in":          {func(c *Config) { c.Out = c.In }, "the same folder"},
		"out is in by link":  {func(c *Config) { c.Out = s.at("alias") }, "the same folder"},
		"out in in":          {func(c *Config) { c.Out = s.at("in", "below") }, "out lies in the folder in"},
		"in in out":          {func(c *Config) { c.In = s.at("in", "below"); c.Out = s.at("in") }, "in lies in the folder out"},
		"done in in":         {func(c *Config) { c.Done = s.at("in", "done") }, "done lies in the folder in"},
		"failed is done":     {func(c *Config) { c.Failed = c.Done }, "the same folder"},
		"work in out":        {func(c *Config) { c.Work = s.at("out", "work") }, "work lies in the folder out"},
		"no in":              {func(c *Config) { c.In = s.at("none") }, "the folder in"},
		"no out":             {func(c *Config) { c.Out = s.at("none") }, "the folder out"},
		"no work":            {func(c *Config) { c.Work = "" }, "work is not named"},
		"no seal":            {func(c *Config) { c.Seal = nil }, "missing"},
		"none at once":       {func(c *Config) { c.InFlight = 0 }, "at once"},
		"no limit":           {func(c *Config) { c.MaxBytes = 0 }, "limit"},
		"no pause":           {func(c *Config) { c.Poll = 0 }, "times"},
		"set-user-id":        {func(c *Config) { c.Mode = fs.ModeSetuid | 0o600 }, "mode"},
		"other file systems": {func(c *Config) { c.Done = s.otherFileSystem() }, "file system of in"},
	} {
		cfg := s.cfg
		c.change(&cfg)
		f, err := Open(cfg)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = f.Close()
		}
	}
	s.want("in", "below", "done")
}

func (s *site) otherFileSystem() string {
	dir, err := os.MkdirTemp("/dev/shm", "hotfolder")
	if err != nil {
		s.t.Skip(err)
	}
	s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestOneProcessAtATime: a second one is refused while the first has the lock, and the status tells of both.
func TestOneProcessAtATime(t *testing.T) {
	s := newSite(t)
	if status, err := Inspect(s.cfg.Work, s.cfg.Failed); err != nil || status.Running || status.Well() {
		t.Errorf("before the first: %+v, %v", status, err)
	}
	f := s.open()
	if _, err := Open(s.cfg); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	s.put("in", "a.xml", "t")
	if err := s.rounds(f); err != nil {
		t.Fatal(err)
	}
	f.tell()
	if status, err := Inspect(s.cfg.Work, s.cfg.Failed); err != nil || !status.Well() || status.Sealed != 1 || status.PID != os.Getpid() {
		t.Errorf("%+v, %v", status, err)
	}
	f.outcomes.blocked(errors.New("away"))
	f.tell()
	if status, err := Inspect(s.cfg.Work, s.cfg.Failed); err != nil || status.Well() || status.Blocked != "away" || status.BlockedAt == nil {
		t.Errorf("%+v, %v", status, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.dirs("work/AAAA.claimed")
	s.put("failed", "b.xml", "t")
	if status, err := Inspect(s.cfg.Work, s.cfg.Failed); err != nil || status.Running || status.InWork != 1 || status.InFailed != 1 {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestRun seals what comes until its context ends.
func TestRun(t *testing.T) {
	s := newSite(t)
	reported := make(chan Result, 1)
	s.cfg.Report = func(r Result) { reported <- r }
	f := s.open()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	s.put("in", ".a", "t")
	if err := os.Rename(s.at("in", ".a"), s.at("in", "a.xml")); err != nil {
		t.Fatal(err)
	}
	if r := <-reported; r.File != "a.xml" || r.Out != s.at("out", "a.xml") {
		t.Errorf("%+v", r)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.want("out", "a.xml")
}
