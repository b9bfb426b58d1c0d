package audit

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// When the log counts as ill.
const (
	hungAfter   = 2 * time.Second
	behindAfter = 10 * time.Second
)

// ErrBehind is what Health returns while entries are durable, so acts may go on, but the tree or the database has not
// taken them over for too long.
var ErrBehind = errors.New("entries are durable, but")

// state is what the last uses of the journal, the tree and the database said.
type state struct {
	mu        sync.Mutex
	writing   time.Time // when the write that is not finished began
	failed    error     // of the last write
	displaced bool
	closed    bool

	durable, covered uint64    // entries in the journal, under the newest checkpoint
	behind           time.Time // since when the tree lacks entries
	feeding          error     // of the last try to take them over

	forgetful  time.Time // since when the database could not be told
	forgetting error
	newest     time.Time
}

// Health returns nil when entries become durable, and the tree and the database keep up; the reason otherwise. It tells
// what the last real uses said, and costs nothing. An error that is ErrBehind stops no act.
func (l *Log) Health() error { return l.state.health(time.Now()) }

// Newest returns the time of the newest entry, as its writer gave it; zero when there is none.
func (l *Log) Newest() time.Time {
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	return l.state.newest
}

func (s *state) health(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.displaced:
		return fmt.Errorf("audit log: %w", errDisplaced)
	case s.closed:
		return fmt.Errorf("audit log: %w", errClosed)
	case !s.writing.IsZero() && now.Sub(s.writing) > hungAfter:
		return fmt.Errorf("audit log: %w since %v", errSlow, now.Sub(s.writing).Round(time.Second))
	case s.failed != nil:
		return fmt.Errorf("audit log: the last entry could not be written: %w", s.failed)
	case !s.behind.IsZero() && now.Sub(s.behind) > behindAfter:
		why := s.feeding
		if why == nil {
			why = errSlow
		}
		return fmt.Errorf("audit log: %w %d of them are under no checkpoint since %v: %w", ErrBehind, s.durable-s.covered,
			now.Sub(s.behind).Round(time.Second), why)
	case !s.forgetful.IsZero() && now.Sub(s.forgetful) > behindAfter:
		return fmt.Errorf("audit log: %w the database is not told of checkpoints since %v: %w", ErrBehind,
			now.Sub(s.forgetful).Round(time.Second), s.forgetting)
	}
	return nil
}

func (s *state) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = time.Now()
}

// end notes how a write ended and returns how many entries the tree lacks.
func (s *state) end(err error, durable uint64, newest time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.failed = time.Time{}, err
	if err == nil && newest.After(s.newest) {
		s.newest = newest
	}
	s.durable = durable
	if s.behind.IsZero() && s.durable > s.covered {
		s.behind = time.Now()
	}
	return s.durable - s.covered
}

func (s *state) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// fed notes how taking entries over into the tree ended, and how many are under a checkpoint.
func (s *state) fed(err error, covered uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feeding = err
	if err != nil {
		return
	}
	s.covered, s.behind = covered, time.Time{}
	if s.durable > covered {
		s.behind = time.Now()
	}
}

// told notes how telling the database ended.
func (s *state) told(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.displaced = s.displaced || errors.Is(err, errDisplaced)
	s.forgetting = err
	if err == nil {
		s.forgetful = time.Time{}
	} else if s.forgetful.IsZero() {
		s.forgetful = time.Now()
	}
}

func (s *state) isDisplaced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.displaced
}

// close reports whether the log was closed before.
func (s *state) close() (before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.closed = s.closed, true
	return before
}
