package audit

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
)

// Story is what Verify found to be true.
type Story struct {
	Entries    uint64 `json:"entries"`    // covered by the checkpoint
	Root       []byte `json:"root"`       // Merkle tree hash, RFC 6962
	Checkpoint string `json:"checkpoint"` // signed note, to be kept elsewhere for a later Verify
}

// Verify reads the whole log and checks every entry against the newest signed checkpoint. Earlier
// checkpoints that were kept elsewhere, when given, must be a beginning of this log: that finds a log
// whose end was cut off. The error names the first entry that was changed or removed.
func (r *Reader) Verify(ctx context.Context, earlier ...string) (*Story, error) {
	c, text, err := r.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := r.parseEarlier(earlier, c.Size)
	if err != nil {
		return nil, err
	}
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	tree := factory.NewEmptyRange(0)
	err = r.each(ctx, c.Size, func(index uint64, data []byte) error {
		if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(data), nil); err != nil {
			return err
		}
		return matches(tree, kept[index+1])
	})
	if err != nil {
		return nil, err
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	if c.Size > 0 && !bytes.Equal(root, c.Hash) {
		return nil, r.firstChanged(ctx, c.Size)
	}
	return &Story{Entries: c.Size, Root: c.Hash, Checkpoint: string(text)}, nil
}

// parseEarlier returns the kept checkpoints by size.
func (r *Reader) parseEarlier(earlier []string, size uint64) (map[uint64]*log.Checkpoint, error) {
	kept := make(map[uint64]*log.Checkpoint, len(earlier))
	for _, text := range earlier {
		c, _, _, err := log.ParseCheckpoint([]byte(text), r.verifier.Name(), r.verifier)
		if err != nil {
			return nil, fmt.Errorf("kept checkpoint: %w", err)
		}
		if c.Size > size {
			return nil, fmt.Errorf("audit log: it had %d entries when the kept checkpoint was signed and has %d now: entries were removed", c.Size, size)
		}
		kept[c.Size] = c
	}
	return kept, nil
}

func matches(tree *compact.Range, kept *log.Checkpoint) error {
	if kept == nil {
		return nil
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(root, kept.Hash) {
		return fmt.Errorf("audit log: its first %d entries are not those of the kept checkpoint", kept.Size)
	}
	return nil
}

// firstChanged names the first entry whose hash is not the one in the tree's tiles.
func (r *Reader) firstChanged(ctx context.Context, size uint64) error {
	for first := uint64(0); first < size; first += perBundle {
		n := min(perBundle, size-first)
		hashes, err := client.FetchLeafHashes(ctx, r.files.ReadTile, first, n, size)
		if err != nil {
			return fmt.Errorf("audit log does not match its checkpoint, and its tiles can't be read: %w", err)
		}
		entries, err := r.bundle(ctx, first, size)
		if err != nil {
			return err
		}
		for i := range n {
			if !bytes.Equal(hashes[i], rfc6962.DefaultHasher.HashLeaf(entries[i])) {
				return fmt.Errorf("audit entry %d was changed after it was recorded", first+i)
			}
		}
	}
	return fmt.Errorf("audit log does not match its checkpoint: entries and tiles were changed together")
}

// Summary returns the story in one line for people.
func (s *Story) Summary() string {
	origin, _, _ := strings.Cut(s.Checkpoint, "\n")
	return fmt.Sprintf("%s: %d entries, none changed, none removed; tree hash %x", origin, s.Entries, s.Root)
}
