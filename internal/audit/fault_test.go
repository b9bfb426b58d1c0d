package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/audit/journal/journaltest"
)

// faulty opens a log on a disk that fails when it is told to.
func faulty(t *testing.T) (*site, *journaltest.Disk, *audit.Log) {
	t.Helper()
	s, disk := newSite(t), &journaltest.Disk{}
	l, err := audit.Open(t.Context(), s.config().WithDisk(disk).Feeding(5*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return s, disk, l
}

// whole closes the log and finds n entries in it, each once.
func whole(t *testing.T, s *site, l *audit.Log, n int) {
	t.Helper()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.verify(); err != nil {
		t.Error(err)
	}
	again := s.open()
	all, err := again.List(t.Context(), audit.Filter{})
	if err != nil || len(all) != n {
		t.Errorf("%d entries, %v; want %d", len(all), err, n)
	}
	for i, e := range all {
		if e.Index != uint64(i) {
			t.Errorf("entry %d stands at %d", e.Index, i)
		}
	}
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestHungDisk gives callers back at their deadline, more of them than the queue holds, and goes on when the disk does.
func TestHungDisk(t *testing.T) {
	s, disk, l := faulty(t)
	appendN(t, l, 3)
	thaw := disk.Hang()
	defer thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	var callers sync.WaitGroup
	for range 3000 {
		callers.Go(func() {
			_, err := l.Append(ctx, entry(1))
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the disk of the audit log does not answer") {
				t.Errorf("got %v", err)
			}
		})
	}
	callers.Wait()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("they were back after %v", took)
	}
	if err := l.Health(); err != nil {
		t.Errorf("too early: %v", err)
	}
	if err := l.HealthAt(time.Now().Add(3 * time.Second)); err == nil || errors.Is(err, audit.ErrBehind) || !strings.Contains(err.Error(), "does not answer since") {
		t.Errorf("Health: %v", err)
	}
	short, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if err := l.Close(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	thaw()
	left := &site{t, s.dir, s.db}
	for { // Close gave up waiting; the writer ends by itself and gives the folder back
		again, err := audit.Open(t.Context(), left.config())
		if err != nil && strings.Contains(err.Error(), "two writers") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all, err := again.List(t.Context(), audit.Filter{})
		if err != nil || len(all) < 3 || len(all) > 4+1024 {
			t.Errorf("%d entries, %v", len(all), err)
		}
		whole(t, left, again, len(all))
		return
	}
}

// TestThawedDisk goes on without a new start.
func TestThawedDisk(t *testing.T) {
	s, disk, l := faulty(t)
	thaw := disk.Hang()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Append(ctx, entry(0)); err == nil || !strings.Contains(err.Error(), "whether it was recorded is not known") {
		t.Errorf("got %v", err)
	}
	if _, err := l.Append(ctx, entry(0)); err == nil { // waits behind the first one, and is left out when its turn comes
		t.Error("taken")
	}
	thaw()
	r, err := l.Append(t.Context(), entry(1))
	if err != nil || r.Index != 1 {
		t.Errorf("entry %d, %v; want 1", r.Index, err)
	}
	if err := l.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
	whole(t, s, l, 2)
}

func TestFailedWrite(t *testing.T) {
	s, disk, l := faulty(t)
	appendN(t, l, 3)
	disk.FailOnce(syscall.EIO)
	if _, err := l.Append(t.Context(), entry(0)); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if err := l.Health(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Health: %v", err)
	}
	r, err := l.Append(t.Context(), entry(3))
	if err != nil || r.Index != 3 {
		t.Errorf("entry %d, %v; want 3", r.Index, err)
	}
	whole(t, s, l, 4)
}

// TestFullDisk refuses with the reason, and heals when there is room again though nobody asks.
func TestFullDisk(t *testing.T) {
	s, disk, l := faulty(t)
	disk.Full(true)
	large := entry(0)
	large.Details = map[string]string{"x": strings.Repeat("y", 30<<10)}
	var err error
	n := 0
	for ; n < 1000; n++ {
		if _, err = l.Append(t.Context(), large); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || n < 100 {
		t.Fatalf("after %d: %v", n, err)
	}
	if _, err := l.Append(t.Context(), entry(0)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if err := l.Health(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Health: %v", err)
	}
	disk.Full(false)
	for deadline := time.Now().Add(5 * time.Second); l.Health() != nil; {
		if time.Now().After(deadline) {
			t.Fatalf("5 s after there was room: %v", l.Health())
		}
	}
	if r, err := l.Append(t.Context(), entry(0)); err != nil || r.Index != uint64(n) {
		t.Errorf("entry %d, %v; want %d", r.Index, err, n)
	}
	whole(t, s, l, n+1)
}

// TestTreeGone takes the tree away under a running log: entries stay durable, Health says that they are behind, and
// what was missed is taken over when it is back.
func TestTreeGone(t *testing.T) {
	s, _, l := faulty(t)
	appendN(t, l, 300)
	for {
		if _, size, err := l.Checkpoint(t.Context()); err != nil || size == 300 {
			break
		}
	}
	tiles, away := filepath.Join(s.dir, "log"), filepath.Join(s.dir, "away")
	if err := os.Rename(tiles, away); err != nil {
		t.Fatal(err)
	}
	appendN(t, l, 300)
	for l.HealthAt(time.Now().Add(11*time.Second)) == nil {
	}
	if err := l.HealthAt(time.Now().Add(11 * time.Second)); !errors.Is(err, audit.ErrBehind) {
		t.Errorf("Health: %v", err)
	}
	if err := l.Health(); err != nil {
		t.Errorf("Health at once: %v", err)
	}
	if err := os.Rename(away, tiles); err != nil {
		t.Fatal(err)
	}
	whole(t, s, l, 600)
}

// TestDatabaseGone appends without the database, says that it is not told, and tells it later.
func TestDatabaseGone(t *testing.T) {
	s, _, l := faulty(t)
	if _, err := s.db.Exec(`ALTER TABLE audit_checkpoint RENAME TO away`); err != nil {
		t.Fatal(err)
	}
	appendN(t, l, 10)
	err := l.HealthAt(time.Now().Add(11 * time.Second))
	for end := time.Now().Add(5 * time.Second); err == nil || !strings.Contains(err.Error(), "the database is not told"); {
		if time.Now().After(end) {
			t.Fatalf("Health: %v", err)
		}
		err = l.HealthAt(time.Now().Add(11 * time.Second))
	}
	if !errors.Is(err, audit.ErrBehind) {
		t.Errorf("Health: %v", err)
	}
	if _, err := s.db.Exec(`ALTER TABLE away RENAME TO audit_checkpoint`); err != nil {
		t.Fatal(err)
	}
	whole(t, s, l, 10)
	if known := s.remembered(); known.Size != 10 {
		t.Errorf("%+v", known)
	}
}

func TestClosed(t *testing.T) {
	s := newSite(t)
	l := s.open()
	appendN(t, l, 1)
	for range 2 {
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Append(t.Context(), entry(1)); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v", err)
	}
	if err := l.Health(); err == nil {
		t.Error("a closed log is well")
	}
}

// TestNewest returns the latest time, also after a start and where a clock was set back.
func TestNewest(t *testing.T) {
	s := newSite(t)
	l := s.open()
	if !l.Newest().IsZero() {
		t.Errorf("of a new log: %v", l.Newest())
	}
	for range 2 {
		for _, i := range []int{5, 3} {
			if _, err := l.Append(t.Context(), entry(i)); err != nil {
				t.Fatal(err)
			}
		}
		if want := entry(5).Time; !l.Newest().Equal(want) {
			t.Errorf("%v; want %v", l.Newest(), want)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		l = s.open()
		if want := entry(5).Time; !l.Newest().Equal(want) {
			t.Errorf("after a start: %v; want %v", l.Newest(), want)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestTailIsRead lists, counts and names what no checkpoint covers.
func TestTailIsRead(t *testing.T) {
	s := crashed(t)
	r := reader(t, s.dir)
	all, err := r.List(t.Context(), audit.Filter{})
	if err != nil || len(all) != 30 || all[29].Index != 29 {
		t.Fatalf("%d entries, %v; want 30", len(all), err)
	}
	last, err := r.List(t.Context(), audit.Filter{Last: 25, Subject: "key-1"})
	if err != nil || len(last) != 10 || last[9].Index != 29 {
		t.Errorf("%d entries about key-1, %v; want 10", len(last), err)
	}
	seen := 0
	story, err := r.Verify(t.Context(), audit.Against{Each: func(e audit.Recorded) error {
		if e.Index != uint64(seen) {
			t.Errorf("entry %d is the %d.", e.Index, seen)
		}
		seen++
		return nil
	}})
	if err != nil || story.Entries != 10 || story.Tail != 20 || seen != 30 || !strings.Contains(story.Summary(), "20 more in the journal") {
		t.Errorf("%+v, %v; %d entries were given", story, err, seen)
	}
	refused := errors.New("no order says so")
	for _, at := range []uint64{4, 24} {
		_, err := r.Verify(t.Context(), audit.Against{Each: func(e audit.Recorded) error {
			if e.Index == at {
				return refused
			}
			return nil
		}})
		if !errors.Is(err, refused) {
			t.Errorf("entry %d: %v", at, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.Prove(ctx, 29); err == nil || !strings.Contains(err.Error(), "under no checkpoint yet") {
		t.Errorf("entry 29: %v", err)
	}
	if _, err := r.Prove(t.Context(), 30); err == nil || !strings.Contains(err.Error(), "entries 0 to 29") {
		t.Errorf("entry 30: %v", err)
	}
	if _, err := r.Prove(t.Context(), 9); err != nil {
		t.Errorf("entry 9: %v", err)
	}
}

// TestProveWaits proves an entry that was appended just now.
func TestProveWaits(t *testing.T) {
	s := newSite(t)
	l := s.open()
	r, err := l.Append(t.Context(), entry(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Prove(t.Context(), r.Index); err != nil {
		t.Error(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
