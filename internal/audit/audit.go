// Package audit keeps the record of who did what under which authorisation, in an append-only Merkle
// log (tiles and checkpoints of C2SP tlog-tiles on the local file system, by transparency-dev/tessera).
//
// Whoever performs an irreversible act appends the entry before the act; if Append fails, the act must
// not happen. Checkpoints are signed, so a changed or removed entry is found by Verify, and Prove gives
// an auditor an entry with the proof that it stands in the log.
package audit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"

	"trustcore/internal/durable"
)

// Actor is who performs an act.
type Actor struct {
	Kind string `json:"kind"` // "officer", "partner", "application" or "daemon"
	ID   string `json:"id"`
}

// String returns kind and identity, such as "officer:officer-1".
func (a Actor) String() string { return a.Kind + ":" + a.ID }

// Entry is one act. Details hold public facts only: digests, serial numbers, mechanisms; never a
// secret, never a document's content.
type Entry struct {
	Time    time.Time         `json:"time"`              // when the act was asked for, UTC
	Actor   Actor             `json:"actor"`             //
	Action  string            `json:"action"`            // such as "hsm.sign", "order.approve", "certificate.revoke"
	Subject string            `json:"subject"`           // what is acted on: key id, order id, serial number
	Partner string            `json:"partner,omitempty"` // whose it is
	Order   string            `json:"order,omitempty"`   // the authorisation: id of the order
	Outcome string            `json:"outcome"`           // "granted", "refused" or "failed"
	Reason  string            `json:"reason,omitempty"`  // why it was refused, or came to nothing
	Details map[string]string `json:"details,omitempty"`
}

// Outcomes of an act.
const (
	Granted = "granted" // may happen, and happens unless a Failed entry follows
	Refused = "refused" // did not happen: who asked had no right to it
	Failed  = "failed"  // was granted before and came to nothing
)

// Receipt says where an entry stands.
type Receipt struct {
	Index uint64 // position in the log, from 0
}

// Limits and timing.
const (
	maxEntry           = 32 << 10               // bytes of JSON: an entry is facts, not content
	batchSize          = 256                    // entries written by one flush at most
	batchAge           = 5 * time.Millisecond   // how long an entry waits for others
	checkpointInterval = 200 * time.Millisecond // how often a new signed checkpoint is published
)

// Config tells Open where the log lies.
type Config struct {
	Dir    string // a folder of its own on a local file system
	Origin string // name of the log in its checkpoints; "" means "trustcore/audit"
}

const defaultOrigin = "trustcore/audit"

// The files of a log's folder.
const (
	tilesDir     = "log"
	signerFile   = "checkpoint.key" // the signing key of the checkpoints, mode 0600
	verifierFile = "checkpoint.pub" // what an auditor keeps elsewhere
)

// Log is an open log. One process has it open at a time; readers use a Reader.
type Log struct {
	*Reader
	add   tessera.AddFn
	close func(context.Context) error
}

// Open opens the log in cfg.Dir, making it and its checkpoint key when the folder is new.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Dir == "" {
		return nil, errors.New("audit log: Dir is missing")
	}
	if cfg.Origin == "" {
		cfg.Origin = defaultOrigin
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, tilesDir), 0o700); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	signer, err := openSigner(cfg)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	silence()
	driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(cfg.Dir, tilesDir)})
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(batchSize, batchAge).
		WithCheckpointInterval(checkpointInterval)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	appender, shutdown, _, err := tessera.NewAppender(running, driver, options)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("audit log: %w", err)
	}
	reader, err := OpenReader(cfg.Dir)
	if err != nil {
		cancel()
		return nil, err
	}
	return &Log{Reader: reader, add: appender.Add, close: func(ctx context.Context) error {
		defer cancel()
		return shutdown(ctx)
	}}, nil
}

// Append writes the entry and returns when it is durable. An error means that the act must not happen.
func (l *Log) Append(ctx context.Context, e Entry) (Receipt, error) {
	if err := e.check(); err != nil {
		return Receipt{}, fmt.Errorf("audit entry: %w", err)
	}
	e.Time = e.Time.UTC()
	data, err := json.Marshal(e)
	if err != nil {
		return Receipt{}, fmt.Errorf("audit entry: %w", err)
	}
	if len(data) > maxEntry {
		return Receipt{}, fmt.Errorf("audit entry: %d bytes, at most %d are taken", len(data), maxEntry)
	}
	index, err := l.add(ctx, tessera.NewEntry(data))()
	if err != nil {
		return Receipt{}, fmt.Errorf("audit entry: %w", err)
	}
	return Receipt{Index: index.Index}, nil
}

// Close waits until a signed checkpoint covers every entry.
func (l *Log) Close(ctx context.Context) error {
	if err := l.close(ctx); err != nil {
		return fmt.Errorf("closing the audit log: %w", err)
	}
	return nil
}

func (e Entry) check() error {
	switch {
	case e.Time.IsZero():
		return errors.New("its time is missing")
	case e.Actor.Kind == "" || e.Actor.ID == "":
		return errors.New("its actor is missing")
	case e.Action == "":
		return errors.New("its action is missing")
	case e.Outcome != Granted && e.Outcome != Refused && e.Outcome != Failed:
		return fmt.Errorf("its outcome %q is none of %q, %q and %q", e.Outcome, Granted, Refused, Failed)
	}
	return nil
}

// silence keeps tessera from writing its progress to standard error beside the daemon's JSON; what fails
// it returns as errors.
var silence = sync.OnceFunc(func() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
})

// openSigner reads the checkpoint key, or makes it when the log is new.
func openSigner(cfg Config) (note.Signer, error) {
	path := filepath.Join(cfg.Dir, signerFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeSigner(cfg, path)
	}
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", signerFile, err)
	}
	return signer, nil
}

// makeSigner refuses to make a new key beside an old log: that would hide what happened to the old one.
func makeSigner(cfg Config, path string) ([]byte, error) {
	if _, err := os.Stat(filepath.Join(cfg.Dir, tilesDir, "checkpoint")); err == nil {
		return nil, fmt.Errorf("%s is missing beside an existing log: restore it from the backup", signerFile)
	}
	private, public, err := note.GenerateKey(rand.Reader, cfg.Origin)
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(filepath.Join(cfg.Dir, verifierFile), []byte(public+"\n"), 0o644); err != nil {
		return nil, err
	}
	return []byte(private), durable.WriteFile(path, []byte(private+"\n"), 0o600)
}
