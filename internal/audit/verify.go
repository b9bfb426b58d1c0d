package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
)

// Story is what Verify found to be true.
type Story struct {
	Entries    uint64 `json:"entries"`              // covered by the checkpoint
	Root       []byte `json:"root"`                 // Merkle tree hash, RFC 6962
	Checkpoint string `json:"checkpoint"`           // signed note, to be kept elsewhere for a later Verify
	Tail       uint64 `json:"tail"`                 // entries behind it, in the journal alone
	Remembered uint64 `json:"remembered,omitempty"` // entries that the database knows, and that were held against the log
}

// Against is what Verify holds a log against, besides its own checkpoint.
type Against struct {
	Kept       []string             // checkpoints that were kept elsewhere: the log must continue each
	Remembered *Remembered          // what the database knows, nil when it can't be asked
	Each       func(Recorded) error // is called for each entry in order; its error is a finding and ends the reading
}

// Verify reads the whole log and checks every entry against the newest signed checkpoint, and the log against what lies
// elsewhere: that finds one whose end was cut off, or that was taken back as a whole. The error joins the findings, and
// names the first entry that was changed or removed; *LossError says what to do.
func (r *Reader) Verify(ctx context.Context, a Against) (*Story, error) {
	c, text, err := r.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	kept, found := r.parseKept(a.Kept, c.Size)
	tree := ranges.NewEmptyRange(0)
	err = r.each(ctx, c.Size, func(index uint64, data []byte) error {
		if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(data), nil); err != nil {
			return err
		}
		for _, k := range kept[index+1] {
			found = append(found, matches(tree, k))
		}
		if a.Each == nil {
			return nil
		}
		rec, err := record(index, data)
		if err == nil {
			err = a.Each(rec)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(append(found, err)...)
	}
	root, err := rootOf(tree)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	if !bytes.Equal(root, c.Hash) {
		found = append(found, r.firstChanged(ctx, c.Size))
	}
	story := &Story{Entries: c.Size, Root: c.Hash, Checkpoint: string(text)}
	story.Tail, err = r.holds(ctx, c, a.Each)
	found = append(found, err, r.tiled(ctx, tree), r.judge(ctx, tree, a.Remembered))
	if a.Remembered != nil {
		story.Remembered = a.Remembered.Size
	}
	return story, errors.Join(found...)
}

// tiled says when the tiles, which proofs are made of, are not those of the entries.
func (r *Reader) tiled(ctx context.Context, tree *compact.Range) error {
	nodes, err := client.FetchRangeNodes(ctx, tree.End(), r.files.ReadTile)
	if err != nil {
		return lost("the tree's tiles can't be read (%v)", err)
	}
	tiles, err := ranges.NewRange(0, tree.End(), nodes)
	if err == nil && !tiles.Equal(tree) {
		err = lost("the tree's tiles are not those of its entries")
	}
	return err
}

// judge holds the tree against what the database knows. A log that is being written may be behind it by now.
func (r *Reader) judge(ctx context.Context, tree *compact.Range, known *Remembered) error {
	if known == nil {
		return nil
	}
	end, err := r.readTail(func(uint64, []byte) error { return ctx.Err() })
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return known.judge(ctx, r.files, tree, r.public, end.Newest)
}

// parseKept returns the kept checkpoints by size, and what is wrong with them.
func (r *Reader) parseKept(texts []string, size uint64) (kept map[uint64][]*log.Checkpoint, found []error) {
	kept = make(map[uint64][]*log.Checkpoint, len(texts))
	for _, text := range texts {
		c, _, _, err := log.ParseCheckpoint([]byte(text), r.verifier.Name(), r.verifier)
		switch {
		case err != nil:
			found = append(found, fmt.Errorf("kept checkpoint: it is not signed with the log's key (%w): "+
				"was the log replaced, or is --key another log's?", err))
		case c.Size > size:
			found = append(found, lost("the log had %d entries when the kept checkpoint was signed and has %d now: "+
				"entries were removed", c.Size, size))
		default:
			kept[c.Size] = append(kept[c.Size], c)
		}
	}
	return kept, found
}

func matches(tree *compact.Range, kept *log.Checkpoint) error {
	root, err := rootOf(tree)
	if err == nil && !bytes.Equal(root, kept.Hash) {
		err = lost("the first %d entries are not those of the kept checkpoint", kept.Size)
	}
	return err
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
	text := fmt.Sprintf("%s: %d entries, none changed, none removed; tree hash %x", origin, s.Entries, s.Root)
	if s.Tail > 0 {
		text += fmt.Sprintf("; %d more in the journal, under no checkpoint yet", s.Tail)
	}
	return text
}
