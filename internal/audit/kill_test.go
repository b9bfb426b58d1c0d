package audit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// kills is how often TestKill kills a writer.
const kills = 60

// TestKill kills a process that appends, sixty times on one log: somewhere between journal, tree, checkpoint and
// database, during the start too. What was acknowledged is in the log, once, at the index that was said.
func TestKill(t *testing.T) {
	s := newSite(t)
	database := filepath.Join(t.TempDir(), "db")
	said := map[string]uint64{}
	chance := rand.New(rand.NewPCG(8, 3))
	for round := range kills {
		kill(t, s.dir, database, round, chance.IntN(400), said)
	}
	s.db = openDB(t, "sqlite://"+database)
	if err := s.verify(); err != nil {
		t.Error(err)
	}
	l := s.open()
	all, err := l.List(t.Context(), audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	stands := map[string]uint64{}
	for i, e := range all {
		if _, twice := stands[e.Subject]; twice || e.Index != uint64(i) {
			t.Errorf("%s stands at %d and before, or %d is the %d.", e.Subject, e.Index, e.Index, i)
		}
		stands[e.Subject] = e.Index
	}
	for subject, index := range said {
		if at, ok := stands[subject]; !ok || at != index {
			t.Errorf("%s: was said to be entry %d, is %d, %v", subject, index, at, ok)
		}
	}
	if len(said) < 1000 {
		t.Errorf("only %d entries were acknowledged", len(said))
	}
	t.Logf("%d acknowledged, %d in the log", len(said), len(all))
	if err := errors.Join(l.Close(t.Context()), s.verify()); err != nil {
		t.Error(err)
	}
}

// kill starts a writer, reads so many lines of it and kills it; with none it is killed during its start.
func kill(t *testing.T, dir, database string, round, lines int, said map[string]uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriter$")
	cmd.Env = append(os.Environ(), "AUDIT_DIR="+dir, "AUDIT_DB="+database, "AUDIT_ROUND="+strconv.Itoa(round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	if lines < 40 {
		time.Sleep(time.Duration(lines) * time.Millisecond) // somewhere in the start, it matters not where
	} else {
		for n := 0; n < lines && in.Scan(); n++ {
			hear(t, in.Text(), said)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for in.Scan() { // what was written before it died was acknowledged too
		hear(t, in.Text(), said)
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.Exited() {
		t.Fatalf("round %d: the writer ended by itself: %v", round, err)
	}
}

func hear(t *testing.T, line string, said map[string]uint64) {
	t.Helper()
	var subject, end string
	var index uint64
	if n, _ := fmt.Sscan(line, &subject, &index, &end); n < 3 {
		return // torn by the kill
	}
	if _, twice := said[subject]; twice {
		t.Fatalf("%s is said twice", subject)
	}
	said[subject] = index
}

// TestWriter is the process that TestKill kills: eight callers append as fast as they can and say what was
// acknowledged.
func TestWriter(t *testing.T) {
	dir, ok := os.LookupEnv("AUDIT_DIR")
	if !ok {
		t.Skip("TestKill runs it")
	}
	db, err := store.Open(t.Context(), "sqlite://"+os.Getenv("AUDIT_DB"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), audit.Config{Dir: dir, DB: db}.Feeding(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			for i := 0; ; i++ {
				e := entry(i)
				e.Subject = fmt.Sprintf("%s-%d-%d", os.Getenv("AUDIT_ROUND"), caller, i)
				r, err := l.Append(context.Background(), e)
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Printf("%s %d .\n", e.Subject, r.Index)
			}
		})
	}
	callers.Wait()
}
