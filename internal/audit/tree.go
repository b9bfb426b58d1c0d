package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"

	"trustcore/internal/durable"
)

// tree is the Merkle tree behind the journal, written by tessera. One goroutine uses it.
type tree struct {
	files   client.FileFetcher
	driver  tessera.Driver
	options func() *tessera.AppendOptions
	signer  note.Signer
	built   *compact.Range // over all leaves that are in the tree
	stop    context.CancelFunc
}

// never is how long tessera waits before it does by itself what is done here: a batch, a checkpoint.
const never = 100 * 365 * 24 * time.Hour

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// openTree opens the tree below dir, making an empty one when there is none: who calls knows that none has to be there.
func openTree(ctx context.Context, dir string, signer note.Signer) (*tree, error) {
	silence()
	root := filepath.Join(dir, tilesDir)
	if err := durable.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: root})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	t := &tree{files: client.FileFetcher{Root: root}, driver: driver, signer: signer, stop: stop}
	t.options = func() *tessera.AppendOptions {
		return tessera.NewAppendOptions().WithCheckpointSigner(signer).
			WithCheckpointInterval(never).WithCheckpointRepublishInterval(0)
	}
	// This one is kept for its collector of partial tiles alone.
	if _, _, _, err := tessera.NewAppender(running, driver, t.options()); err != nil {
		stop()
		return nil, err
	}
	if t.built, err = readRange(ctx, t.files); err != nil {
		stop()
		return nil, err
	}
	return t, nil
}

// readRange reads how far the tree has grown, which may be further than its checkpoint says.
func readRange(ctx context.Context, files client.FileFetcher) (*compact.Range, error) {
	size, err := treeSize(files)
	if err != nil {
		return nil, err
	}
	nodes, err := client.FetchRangeNodes(ctx, size, files.ReadTile)
	if err != nil {
		return nil, fmt.Errorf("the tree's tiles can't be read: %w", err)
	}
	return ranges.NewRange(0, size, nodes)
}

// treeSize reads tessera's own note of how many entries are in the tree; fs.ErrNotExist says that there is no tree.
func treeSize(files client.FileFetcher) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(files.Root, ".state", "treeState"))
	if err != nil {
		return 0, err
	}
	var state struct {
		Size uint64 `json:"size"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return 0, fmt.Errorf("the tree's state can't be read: %w", err)
	}
	return state.Size, nil
}

func (t *tree) size() uint64 { return t.built.End() }

// add puts entries into the tree, the first of them at the index first; those that are in it already are left out, so
// that a batch that failed half-way can be given again.
func (t *tree) add(ctx context.Context, first uint64, entries [][]byte) error {
	size, err := treeSize(t.files)
	if err != nil {
		return err
	}
	if size < max(first, t.size()) || size > first+uint64(len(entries)) {
		return fmt.Errorf("the tree has %d entries where %d were put into it", size, first)
	}
	if err := t.integrate(ctx, size, entries[size-first:]); err != nil {
		return err
	}
	for _, e := range entries[t.size()-first:] {
		if err := t.built.Append(rfc6962.DefaultHasher.HashLeaf(e), nil); err != nil {
			return err
		}
	}
	return nil
}

// integrate has an appender of its own for each batch, whose size it is made for: so tessera takes all of the batch at
// once. An appender that cut it in two could fail at the first part and put the second one in its place.
func (t *tree) integrate(ctx context.Context, first uint64, entries [][]byte) error {
	if len(entries) == 0 {
		return nil
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	options := t.options().WithBatching(uint(len(entries)), never).WithGarbageCollectionInterval(0)
	appender, _, _, err := tessera.NewAppender(running, t.driver, options)
	if err != nil {
		return err
	}
	futures := make([]tessera.IndexFuture, len(entries))
	for i, e := range entries {
		futures[i] = appender.Add(running, tessera.NewEntry(e))
	}
	for i, f := range futures {
		switch index, err := f(); {
		case err != nil:
			return err
		case index.Index != first+uint64(i):
			return fmt.Errorf("entry %d of the journal became entry %d of the tree", first+uint64(i), index.Index)
		}
	}
	return nil
}

// publish signs and writes the checkpoint of the tree as it is.
func (t *tree) publish() (*log.Checkpoint, error) {
	root, err := t.root()
	if err != nil {
		return nil, err
	}
	c := &log.Checkpoint{Origin: t.signer.Name(), Size: t.size(), Hash: root}
	text, err := note.Sign(&note.Note{Text: string(c.Marshal())}, t.signer)
	if err != nil {
		return nil, err
	}
	return c, durable.WriteFile(filepath.Join(t.files.Root, checkpointFile), text, 0o644)
}

func (t *tree) root() ([]byte, error) { return rootOf(t.built) }

func rootOf(r *compact.Range) ([]byte, error) {
	if r.End() == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	return r.GetRootHash(nil)
}

// errOther says that a tree doesn't continue an earlier one.
var errOther = errors.New("the entries are others")

// continues proves that the tree that built stands for begins with the one of size and root.
func continues(ctx context.Context, files client.FileFetcher, built *compact.Range, size uint64, root []byte) error {
	now, err := rootOf(built)
	if err != nil {
		return err
	}
	switch {
	case size > built.End():
		return fmt.Errorf("%w: there are %d, there were %d", errOther, built.End(), size)
	case size == 0:
		return nil
	case size == built.End():
		if !bytes.Equal(root, now) {
			return errOther
		}
		return nil
	}
	builder, err := client.NewProofBuilder(ctx, built.End(), files.ReadTile)
	if err != nil {
		return err
	}
	path, err := builder.ConsistencyProof(ctx, size, built.End())
	if err != nil {
		return fmt.Errorf("the tree's tiles can't be read: %w", err)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, size, built.End(), path, root, now); err != nil {
		return errOther
	}
	return nil
}

// silence keeps tessera from writing its progress to standard error beside the daemon's JSON; what fails
// it returns as errors.
var silence = sync.OnceFunc(func() {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	_ = flags.Set("logtostderr", "false")
	_ = flags.Set("stderrthreshold", "FATAL")
	klog.SetOutput(io.Discard)
})

// leaves compares entries with the hashes of a tree, a bundle at a time.
type leaves struct {
	files  client.FileFetcher
	size   uint64 // of the tree
	first  uint64
	hashes [][]byte
}

// compare says when the journal's entry at index, which is below size, is not the one of the tree.
func (l *leaves) compare(ctx context.Context, index uint64, entry []byte) error {
	if first := index / perBundle * perBundle; l.hashes == nil || first != l.first {
		hashes, err := client.FetchLeafHashes(ctx, l.files.ReadTile, first, min(perBundle, l.size-first), l.size)
		if err != nil {
			return lost("the tree's tiles can't be read (%v)", err)
		}
		l.first, l.hashes = first, hashes
	}
	if !bytes.Equal(l.hashes[index-l.first], rfc6962.DefaultHasher.HashLeaf(entry)) {
		return lost("entry %d of the journal is not entry %[1]d of the tree", index)
	}
	return nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
