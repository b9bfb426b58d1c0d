package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"

	"trustcore/internal/audit/journal"
)

// LossError says that a log is not the one that was written: something was changed, cut off, taken back or removed.
type LossError struct {
	What string // is wrong
	Do   string // about it
}

// Error is both sentences.
func (e *LossError) Error() string { return e.What + ": " + e.Do }

// acceptLoss is the way on that every loss has.
const acceptLoss = "restore the newest copy of the log's folder; when there is none, " +
	"`trustctl audit accept-loss --reason TEXT` as root keeps what is there aside and begins a new log that tells of it"

func lost(format string, args ...any) error {
	return &LossError{fmt.Sprintf(format, args...), acceptLoss}
}

// folder is what a log's folder holds before it is opened.
type folder struct {
	signer     note.Signer // nil: the folder is new
	public     string
	tree       *compact.Range
	checkpoint *log.Checkpoint // nil: there is none
	journal    journal.End
}

// examine reads a log's folder and holds its parts against each other and against what the database knows.
func examine(ctx context.Context, cfg Config, known *Remembered) (*folder, error) {
	f := &folder{tree: ranges.NewEmptyRange(0)}
	files := client.FileFetcher{Root: filepath.Join(cfg.Dir, tilesDir)}
	begun, err := f.readTree(ctx, files)
	if err != nil {
		return nil, err
	}
	journalFolder := filepath.Join(cfg.Dir, journalDir)
	if err := f.readJournal(ctx, journalFolder, files); err != nil {
		return nil, err
	}
	begun = begun || f.journal.Newest > 0
	_, err = os.Stat(filepath.Join(cfg.Dir, signerFile))
	if missing(err) && !begun {
		if known != nil {
			return nil, lost("the log in %s is not there, and the database remembers %d entries of it", cfg.Dir, known.Size)
		}
		return f, nil
	}
	if err := f.readKeys(ctx, cfg, files); err != nil {
		return nil, err
	}
	if err := f.fits(cfg); err != nil {
		return nil, err
	}
	return f, f.remembered(ctx, files, known)
}

// readTree reads how far the tree has grown; begun says that it holds entries.
func (f *folder) readTree(ctx context.Context, files client.FileFetcher) (begun bool, err error) {
	_, err = os.Stat(filepath.Join(files.Root, checkpointFile))
	signed := err == nil
	if err != nil && !missing(err) {
		return false, err
	}
	if _, err := treeSize(files); missing(err) {
		if signed {
			return true, lost("the log has a checkpoint and no tree")
		}
		return false, nil
	}
	grown, err := readRange(ctx, files)
	switch {
	case err != nil:
		return true, lost("%v", err)
	case !signed && grown.End() > 0:
		return true, lost("the log's tree has %d entries and no checkpoint", grown.End())
	}
	f.tree = grown
	return grown.End() > 0, nil
}

// readJournal holds what the journal and the tree both have against each other.
func (f *folder) readJournal(ctx context.Context, dir string, files client.FileFetcher) error {
	both := leaves{files: files, size: f.tree.End()}
	var damage *journal.DamageError
	end, err := journal.Read(dir, func(index uint64, payload []byte) error {
		if index >= both.size {
			return nil
		}
		return both.compare(ctx, index, payload)
	})
	if errors.As(err, &damage) {
		return lost("%v", damage)
	}
	f.journal = end
	return err
}

// readKeys reads the keys and the checkpoint, which must be theirs.
func (f *folder) readKeys(ctx context.Context, cfg Config, files client.FileFetcher) (err error) {
	f.signer, f.public, err = readKeys(cfg.Dir)
	if err != nil {
		return lost("the keys of the log can't be read (%v)", err)
	}
	if f.signer.Name() != cfg.Origin {
		return fmt.Errorf("the log in %s is %s, this node writes %s: give the node the name that it had, "+
			"or the log a folder of its own",
			cfg.Dir, f.signer.Name(), cfg.Origin)
	}
	verifier, err := note.NewVerifier(f.public)
	if err != nil {
		return err
	}
	f.checkpoint, _, _, err = client.FetchCheckpoint(ctx, files.ReadCheckpoint, verifier, verifier.Name())
	if missing(err) {
		return nil
	}
	if err != nil {
		return lost("the log's checkpoint is not signed with its key (%v)", err)
	}
	if err := continues(ctx, files, f.tree, f.checkpoint.Size, f.checkpoint.Hash); err != nil {
		return lost("the log's tree does not continue its checkpoint of %d entries (%v)", f.checkpoint.Size, err)
	}
	return nil
}

// fits holds the journal's ends against the tree's. A log of the time before the journal has none: it begins at the
// tree's size.
func (f *folder) fits(cfg Config) error {
	size := f.tree.End()
	switch {
	case f.journal.Newest == 0:
		f.journal.First, f.journal.Next = size, size
	case f.journal.Origin != cfg.Origin:
		return lost("the journal is of the log %s, the checkpoints are of %s", f.journal.Origin, cfg.Origin)
	case f.journal.First > size:
		return lost("the journal begins at entry %d and the tree ends at %d: the tree was taken back", f.journal.First, size)
	case f.journal.Next < size:
		return lost("the journal ends at entry %d and the tree has %d: the journal was taken back or cut", f.journal.Next, size)
	}
	return nil
}

// remembered holds the log against what the database knows. A log that is ahead of the database is none the worse: the
// database may have been restored from a copy.
func (f *folder) remembered(ctx context.Context, files client.FileFetcher, known *Remembered) error {
	if known == nil {
		return nil
	}
	return known.judge(ctx, files, f.tree, f.public, f.journal.Newest)
}

// judge holds a tree, the key of its checkpoints and the number of the journal's newest segment against what is
// remembered.
func (r *Remembered) judge(ctx context.Context, files client.FileFetcher, tree *compact.Range, key string,
	segment uint64) error {
	if r.Key != key {
		return lost("the log signs with another key (%s) than the database remembers (%s)", key, r.Key)
	}
	err := continues(ctx, files, tree, r.Size, r.Root)
	switch {
	case r.Size > tree.End():
		return lost("the log has %d entries, the database remembers %d: it was taken back or cut", tree.End(), r.Size)
	case errors.Is(err, errOther):
		return lost("the first %d entries of the log are not those that the database remembers", r.Size)
	case err != nil:
		return lost("%v", err)
	case r.Segment > segment:
		return lost("the newest segment of the journal is %d, the database remembers %d: the journal was taken back or removed",
			segment, r.Segment)
	}
	return nil
}
