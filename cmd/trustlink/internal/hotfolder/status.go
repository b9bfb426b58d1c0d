package hotfolder

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"trustcore/internal/durable"
)

const (
	statusFile = "status.json" // in Work
	maxStatus  = 64 << 10
	maxIgnored = 20 // names that the status tells
)

// Status is how a hot folder is. Counts are since the start of the process, but for InWork and InFailed.
type Status struct {
	Running   bool       `json:"running"` // a process works on it now
	PID       int        `json:"pid,omitempty"`
	Started   time.Time  `json:"started,omitzero"`
	Updated   time.Time  `json:"updated,omitzero"`
	Sealed    int        `json:"sealed"`
	Refused   int        `json:"refused"` // put into the folder failed
	InFlight  int        `json:"in_flight"`
	Waiting   int        `json:"waiting"`           // documents in the folder in, whole or not, at the last look
	Ignored   int        `json:"ignored"`           // what is no regular file, at the last look
	Names     []string   `json:"ignored_names"`     // some of them
	LastOut   time.Time  `json:"last_out,omitzero"` // when a document was sealed last
	Blocked   string     `json:"blocked,omitempty"` // why documents wait; "" when they don't
	BlockedAt *time.Time `json:"blocked_since,omitempty"`
	InWork    int        `json:"in_work"`   // documents in the folder work
	InFailed  int        `json:"in_failed"` // documents in the folder failed, with their reasons beside them
}

// Well tells whether nobody has to look after the folder.
func (s Status) Well() bool { return s.Running && s.Blocked == "" && s.InFailed == 0 }

// outcomes count what became of documents.
type outcomes struct {
	sync.Mutex
	status Status // guarded by the mutex
}

func newOutcomes() *outcomes {
	return &outcomes{status: Status{PID: os.Getpid(), Started: time.Now().UTC(), Names: []string{}}}
}

// survey is what a look at In found.
type survey struct {
	Waiting, Ignored int
	Names            []string
}

func (s *survey) ignore(name string) {
	if s.Ignored++; len(s.Names) < maxIgnored {
		s.Names = append(s.Names, name)
	}
}

func (o *outcomes) surveyed(s survey) {
	o.Lock()
	defer o.Unlock()
	o.status.Waiting, o.status.Ignored, o.status.Names = s.Waiting, s.Ignored, append([]string{}, s.Names...)
}

func (o *outcomes) began(n int) {
	o.Lock()
	defer o.Unlock()
	o.status.InFlight += n
}

func (o *outcomes) settle(r Result) {
	o.Lock()
	defer o.Unlock()
	if r.Failed != "" {
		o.status.Refused++
		return
	}
	o.status.Sealed, o.status.LastOut = o.status.Sealed+1, r.Time
}

func (o *outcomes) blocked(err error) {
	o.Lock()
	defer o.Unlock()
	if err == nil {
		o.status.Blocked, o.status.BlockedAt = "", nil
		return
	}
	if o.status.BlockedAt == nil {
		now := time.Now().UTC()
		o.status.BlockedAt = &now
	}
	o.status.Blocked = err.Error()
}

func (o *outcomes) read() Status {
	o.Lock()
	defer o.Unlock()
	s := o.status
	s.Updated = time.Now().UTC()
	return s
}

// tell writes the status. That it can't be written, as on a full disk, must not stop the sealing.
func (f *Folder) tell() {
	text, err := json.Marshal(f.outcomes.read())
	if err == nil {
		err = durable.WriteFile(filepath.Join(f.Work, statusFile), text, 0o600)
	}
	if err != nil {
		f.Log.Warn("the status can't be written", "error", err.Error())
	}
}

// Inspect tells how the hot folder with these folders for work and failed is, running or not. Nothing is written.
func Inspect(work, failed string) (Status, error) {
	var s Status
	text, err := durable.ReadFile(filepath.Join(work, statusFile), maxStatus)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if s.Running, err = locked(filepath.Join(work, lockFile)); err != nil {
		return s, err
	}
	if s.InWork, err = count(work, func(name string) bool {
		return strings.HasSuffix(name, claimedEnd) || strings.Contains(name, stagedPart)
	}); err != nil {
		return s, err
	}
	s.InFailed, err = count(failed, func(name string) bool { return !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, reasonEnd) })
	if !s.Running {
		s.InFlight, s.PID = 0, 0
	}
	return s, err
}

// locked tells whether a process has the lock. One that isn't there was never taken.
func locked(path string) (bool, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	f, err := takeLock(path)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, f.Close()
}

func count(dir string, counts func(name string) bool) (n int, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries {
		if counts(e.Name()) {
			n++
		}
	}
	return n, err
}
