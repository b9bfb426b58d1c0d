// Package hotfolder seals what appears in a folder, for record systems that can't call anything. Every document gets
// exactly one seal, whenever the process is killed or the power fails; item.go has the argument.
package hotfolder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Sealed is a document with its seal.
type Sealed struct {
	Content []byte
	Suffix  string // of its name behind that of the document: "" where the seal is in the document, or such as ".p7s"
	Note    string // what its seal lacks, for the log; "" where it is as it was asked for
}

// Refusal says that a document can't be sealed, whenever it is tried: the fault is its own. The texts are for people.
type Refusal struct {
	PL, EN string
	Err    error // what was found; may be nil
}

// Error is the English text with what was found.
func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.EN
	}
	return r.EN + ": " + r.Err.Error()
}

// Unwrap is what was found.
func (r *Refusal) Unwrap() error { return r.Err }

// Config says what is done with which folder. All fields are required unless marked.
type Config struct {
	In     string // documents appear here
	Out    string // sealed ones are put here
	Failed string // documents that can't be sealed, each with a reason
	Done   string // originals of sealed documents; "" removes them
	Work   string // documents being sealed, the lock and the status; on the file system of In, Failed and Done

	// Seal seals one document. A *Refusal puts the document into Failed; with every other error it is kept and tried
	// again, as long as that takes. It is called by up to InFlight goroutines.
	Seal func(ctx context.Context, name string, content []byte) (Sealed, error)

	MaxBytes int64         // of a document
	InFlight int           // documents in work at once; no more are taken out of In
	Settle   time.Duration // for which size and time of a file must not change before it is taken; 0 takes it at once
	Poll     time.Duration // between two looks at In
	Mode     fs.FileMode   // of files in Out, whatever the umask

	Log    *slog.Logger
	Report func(Result) // told of each document that is settled, by one goroutine at a time; optional
}

// Result is what became of a document.
type Result struct {
	File   string    `json:"file"`             // its name in In
	Out    string    `json:"out,omitempty"`    // path of the sealed document
	Failed string    `json:"failed,omitempty"` // path of the document in Failed
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
}

// Limits.
const (
	MaxInFlight = 64    // each document lies in memory two or three times
	maxListed   = 10000 // names that are watched at once; the others follow when these are gone
	maxSame     = 10000 // documents of one name whose results lie in one folder

	firstPause = time.Second // while documents can't be sealed: doubled each time
	lastPause  = time.Minute
)

// ErrLocked says that another process works on the folder.
var ErrLocked = errors.New("another process works on this folder")

// Folder is a hot folder at work.
type Folder struct {
	Config
	lock     *os.File
	mark     string // a hidden file in Out, by which it is known
	outcomes *outcomes
	watched  map[string]sighting
	held     map[string]sighting // of claimed documents that changed under the seal, by id
}

var suffix = regexp.MustCompile(`^(\.[a-z0-9]{1,12}){0,3}$`)

// Open makes the folders Failed, Done and Work where they are missing, checks that documents can be moved between
// them, and takes the lock. In and Out must be there: a share that is not mounted must not be taken for an empty
// folder.
func Open(cfg Config) (*Folder, error) {
	switch {
	case cfg.Seal == nil, cfg.Log == nil:
		return nil, errors.New("hot folder: what seals, or the log, is missing")
	case cfg.InFlight < 1 || cfg.InFlight > MaxInFlight:
		return nil, fmt.Errorf("hot folder: %d documents in work at once: 1 to %d are possible", cfg.InFlight, MaxInFlight)
	case cfg.MaxBytes < 1:
		return nil, errors.New("hot folder: the size of documents needs a limit")
	case cfg.Settle < 0 || cfg.Poll <= 0:
		return nil, errors.New("hot folder: times must be positive")
	case cfg.Mode&^fs.ModePerm != 0 || cfg.Mode&0o400 == 0:
		return nil, fmt.Errorf("hot folder: mode %#o: give permissions such as 0640", cfg.Mode)
	}
	if err := cfg.prepare(); err != nil {
		return nil, fmt.Errorf("hot folder: %w", err)
	}
	held, err := takeLockPatiently(filepath.Join(cfg.Work, lockFile))
	if err != nil {
		return nil, fmt.Errorf("hot folder %s: %w", cfg.In, err)
	}
	f := &Folder{Config: cfg, lock: held, outcomes: newOutcomes(), watched: map[string]sighting{}, held: map[string]sighting{}}
	err = f.probe()
	if err == nil {
		err = f.recognise()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hot folder: %w", err), held.Close())
	}
	return f, nil
}

// Close gives the lock back.
func (f *Folder) Close() error { return f.lock.Close() }

// Run seals what is there and what comes, until ctx ends. What is in work then is left as after a kill.
func (f *Folder) Run(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		busy, err := f.round(ctx)
		wait := f.Poll
		switch {
		case ctx.Err() != nil:
		case err != nil:
			f.Log.Warn("documents wait", "for", pause.String(), "error", err.Error())
			wait, pause = pause, min(2*pause, lastPause)
		default:
			pause = firstPause
			if busy {
				wait = 0 // more may have come meanwhile
			}
		}
		f.outcomes.blocked(err)
		f.tell()
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}
