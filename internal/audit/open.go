package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"trustcore/internal/audit/journal"
	"trustcore/internal/durable"
	"trustcore/internal/store"
)

// Config tells Open where the log lies.
type Config struct {
	Dir    string           // a folder of its own on a local file system
	Origin string           // name of the log in its checkpoints, one for each node; "" means "trustcore/audit"
	DB     *store.DB        // remembers the newest checkpoint; without it a log that was taken back as a whole is not found
	Now    func() time.Time // nil means time.Now
	Logger *slog.Logger     // nil discards

	disk  journal.Disk  // nil is the local file system
	every time.Duration // how often the tree takes over what the journal has; 0 is feedEvery
}

const defaultOrigin = "trustcore/audit"

// The files of a log's folder.
const (
	tilesDir       = "log"
	checkpointFile = "checkpoint" // in tilesDir
	journalDir     = "journal"
	signerFile     = "checkpoint.key" // the signing key of the checkpoints, mode 0600
	verifierFile   = "checkpoint.pub" // what an auditor keeps elsewhere
	lockFile       = "lock"           // of who writes
)

// Log is an open log. One process has it open at a time; readers use a Reader.
type Log struct {
	*Reader
	journal *journal.Writer
	queue   chan *request
	urgent  chan struct{} // the tree is far behind
	closing chan struct{} // no entry is taken any more
	stopped chan struct{} // the journal has ended
	fed     chan struct{} // the tree has ended
	every   time.Duration
	ended   error // how all of it ended, when fed is closed
	state   state
	lock    *folderLock
	feeder  *feeder
}

// Open opens the log in cfg.Dir for writing, making it and its checkpoint key when the folder is new. What the journal
// has and the tree lacks is put into the tree first. A *LossError says that the log is not the one that was written.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	cfg, lock, err := cfg.begin()
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	memory, known, err := openMemory(ctx, cfg, lock)
	var l *Log
	if err == nil {
		l, err = open(ctx, cfg, lock, memory, known)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit log: %w", err), lock.release())
	}
	return l, nil
}

// begin fills the defaults and takes the folder.
func (c Config) begin() (Config, *folderLock, error) {
	if c.Dir == "" {
		return c, nil, errors.New("its folder (Dir) is missing")
	}
	if c.Origin == "" {
		c.Origin = defaultOrigin
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.every == 0 {
		c.every = feedEvery
	}
	if err := durable.MkdirAll(c.Dir, 0o700); err != nil {
		return c, nil, err
	}
	lock, err := lockFolder(c.Dir)
	return c, lock, err
}

// open opens a log whose folder is locked, when it is what is known of it.
func open(ctx context.Context, cfg Config, lock *folderLock, m *memory, known *Remembered) (*Log, error) {
	before, err := examine(ctx, cfg, known)
	if err != nil {
		return nil, err
	}
	if before.signer == nil {
		if before.signer, before.public, err = makeKeys(cfg); err != nil {
			return nil, err
		}
	}
	tree, err := openTree(ctx, cfg.Dir, before.signer)
	if err != nil {
		return nil, err
	}
	l, err := start(ctx, cfg, before, tree, m)
	if err != nil {
		tree.stop()
		return nil, err
	}
	l.lock = lock
	go l.run()
	go l.feed()
	return l, nil
}

// start replays the journal's tail, begins a new segment and claims the origin.
func start(ctx context.Context, cfg Config, before *folder, t *tree, m *memory) (*Log, error) {
	if before.journal.Newest > 0 {
		cfg.Logger.Info("audit journal read", "what", before.journal.Summary(), "tree", t.size(), "torn", before.journal.Torn)
	}
	if err := replay(ctx, cfg, t); err != nil {
		return nil, err
	}
	newest, err := before.newest(t)
	if err != nil {
		return nil, err
	}
	reader, err := OpenReader(cfg.Dir)
	if err != nil {
		return nil, err
	}
	w, err := journal.Create(journal.Config{
		Dir: filepath.Join(cfg.Dir, journalDir), Origin: cfg.Origin, First: t.size(), After: before.journal, Disk: cfg.disk,
	})
	if err != nil {
		return nil, err
	}
	err = m.claim(ctx, Remembered{Size: newest.Size, Root: newest.Hash, Key: before.public, Segment: w.Number()})
	if err == nil {
		err = w.Release(newest.Size)
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	l := &Log{
		Reader: reader, journal: w, every: cfg.every,
		feeder: &feeder{tree: t, journal: w, cursor: w.Cursor(), newest: newest, memory: m, told: newest.Size, last: time.Now()},
		queue:  make(chan *request, maxQueue), urgent: make(chan struct{}, 1),
		closing: make(chan struct{}), stopped: make(chan struct{}), fed: make(chan struct{}),
	}
	l.state.durable, l.state.covered = t.size(), newest.Size
	if l.state.newest, err = reader.newest(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return l, nil
}

// replay puts into the tree what the journal has and the tree lacks.
func replay(ctx context.Context, cfg Config, t *tree) error {
	var batch [][]byte
	size := 0
	flush := func() error {
		err := t.add(ctx, t.size(), batch)
		batch, size = nil, 0
		return err
	}
	_, err := journal.Read(filepath.Join(cfg.Dir, journalDir), func(index uint64, payload []byte) error {
		if index < t.size() {
			return ctx.Err()
		}
		batch, size = append(batch, payload), size+len(payload)
		if size < journal.MaxGroup {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// Close ends the log when a signed checkpoint covers every entry and the database knows it. It waits as long as ctx
// allows; a disk that answers later ends it then. What the tree did not take over is taken over at the next Open.
func (l *Log) Close(ctx context.Context) error {
	if before := l.state.close(); !before {
		close(l.closing)
	}
	select {
	case <-l.fed:
	case <-ctx.Done():
		return fmt.Errorf("closing the audit log: %w: %w", errSlow, ctx.Err())
	}
	if l.ended != nil {
		return fmt.Errorf("closing the audit log: %w", l.ended)
	}
	return nil
}

// readKeys reads the pair of keys.
func readKeys(dir string) (note.Signer, string, error) {
	private, err := os.ReadFile(filepath.Join(dir, signerFile))
	if err != nil {
		return nil, "", err
	}
	public, err := os.ReadFile(filepath.Join(dir, verifierFile))
	if err != nil {
		return nil, "", err
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(private)))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", signerFile, err)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(public)))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", verifierFile, err)
	}
	if signer.Name() != verifier.Name() || signer.KeyHash() != verifier.KeyHash() {
		return nil, "", fmt.Errorf("%s and %s are no pair", signerFile, verifierFile)
	}
	return signer, strings.TrimSpace(string(public)), nil
}

// makeKeys makes the pair of keys of a new log; the private one is written last.
func makeKeys(cfg Config) (note.Signer, string, error) {
	private, public, err := note.GenerateKey(rand.Reader, cfg.Origin)
	if err != nil {
		return nil, "", err
	}
	if err := durable.WriteFile(filepath.Join(cfg.Dir, verifierFile), []byte(public+"\n"), 0o644); err != nil {
		return nil, "", err
	}
	if err := durable.WriteFile(filepath.Join(cfg.Dir, signerFile), []byte(private+"\n"), 0o600); err != nil {
		return nil, "", err
	}
	return readKeys(cfg.Dir)
}

// newest returns the checkpoint of the tree, which is published when the one that is there covers less.
func (f *folder) newest(t *tree) (*log.Checkpoint, error) {
	if f.checkpoint != nil && f.checkpoint.Size == t.size() {
		return f.checkpoint, nil
	}
	return t.publish()
}
