package audit_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store/storetest"
)

func TestTwoWritersOfOneFolder(t *testing.T) {
	s := newSite(t)
	l := s.open()
	if _, err := audit.Open(t.Context(), s.config()); err == nil || !strings.Contains(err.Error(), "two writers of one log") {
		t.Errorf("got %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(1)
}

// TestTwoWritersOfOneOrigin starts a copy of a folder over the same database. It is refused while the first one is
// seen; where it is not refused, since the first one seemed dead, the first one finds that it lost the origin.
func TestTwoWritersOfOneOrigin(t *testing.T) {
	for engine, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			s := newSite(t)
			s.db = openDB(t, url(t))
			s.run(3)
			first, err := audit.Open(t.Context(), s.config().Feeding(10*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = first.Close(context.Background()) }()
			other := &site{t, s.copyTo("copy"), s.db}
			if _, err := audit.Open(t.Context(), other.config()); err == nil || !strings.Contains(err.Error(), "another process writes the log trustcore/audit, into "+s.dir) {
				t.Errorf("got %v", err)
			}
			named := other.config()
			named.Dir, named.Origin = audittest.Dir(t), "trustcore/audit/node-2"
			second, err := audit.Open(t.Context(), named)
			if err != nil {
				t.Fatalf("a node of another name: %v", err)
			}
			if err := second.Close(t.Context()); err != nil {
				t.Error(err)
			}

			later := other.config()
			later.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
			taken, err := audit.Open(t.Context(), later)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = taken.Close(context.Background()) }()
			_, err = first.Append(t.Context(), entry(1))
			for end := time.Now().Add(5 * time.Second); err == nil && time.Now().Before(end); {
				_, err = first.Append(t.Context(), entry(1))
			}
			if err == nil || !strings.Contains(err.Error(), "two writers of one origin") {
				t.Errorf("got %v", err)
			}
			if err := first.Health(); err == nil || errors.Is(err, audit.ErrBehind) {
				t.Errorf("Health of who lost the origin: %v", err)
			}
			if _, err := taken.Append(t.Context(), entry(1)); err != nil {
				t.Errorf("who has the origin: %v", err)
			}
		})
	}
}

// TestCrashKeepsOrigin starts again at once after a death without a word: the folder is the same.
func TestCrashKeepsOrigin(t *testing.T) {
	s := newSite(t)
	s.run(3)
	if _, err := s.db.Exec(`UPDATE audit_checkpoint SET holder = 'died', until = $1`, time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)); err != nil {
		t.Fatal(err)
	}
	s.run(1)
	moved := s.dir + "-moved"
	if err := os.Rename(s.dir, moved); err != nil {
		t.Fatal(err)
	}
	s.dir = moved
	s.run(1)
}

// TestOriginIsGivenUp starts a copy of a log that was closed; the log that it was copied from is then the older one.
func TestOriginIsGivenUp(t *testing.T) {
	s := newSite(t)
	s.run(3)
	other := &site{t, s.copyTo("copy"), s.db}
	other.run(1)
	if known := s.remembered(); known.Size != 4 {
		t.Errorf("%d entries remembered; want 4", known.Size)
	}
	refuses(t, s.config(), "has 3 entries, the database remembers 4")
}

// TestRemembersAtCheckpoints finds in the database what is under a checkpoint while the log is open.
func TestRemembersAtCheckpoints(t *testing.T) {
	s := newSite(t)
	l, err := audit.Open(t.Context(), s.config().Feeding(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	appendN(t, l, 300)
	for s.remembered().Size < 300 {
		if t.Context().Err() != nil {
			t.Fatal("the database is not told")
		}
	}
	if err := s.verify(); err != nil {
		t.Error(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
