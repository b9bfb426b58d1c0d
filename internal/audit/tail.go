package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/formats/log"

	"trustcore/internal/audit/journal"
)

// tail returns the newest checkpoint and what f chooses of the entries behind it, which are in the journal. The journal
// is read first and the checkpoint then: what leaves the journal in between is under the checkpoint.
func (r *Reader) tail(ctx context.Context, f Filter) (*log.Checkpoint, []Recorded, error) {
	old, _, err := r.checkpoint(ctx)
	if err != nil {
		return nil, nil, err
	}
	var chosen []Recorded
	next := old.Size
	_, err = r.readTail(func(index uint64, data []byte) error {
		if index < next { // under the checkpoint, or read before
			return ctx.Err()
		}
		next = index + 1
		rec, err := record(index, data)
		if err == nil && f.chooses(rec.Entry) {
			chosen = append(chosen, rec)
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("audit log: %w", err)
	}
	c, _, err := r.checkpoint(ctx)
	if err != nil {
		return nil, nil, err
	}
	for len(chosen) > 0 && chosen[0].Index < c.Size {
		chosen = chosen[1:]
	}
	return c, chosen, nil
}

// readTail reads the journal, again from its beginning when its writer took a segment away meanwhile.
func (r *Reader) readTail(do func(index uint64, data []byte) error) (journal.End, error) {
	const tries = 10
	for try := 1; ; try++ {
		end, err := journal.Read(r.journal, do)
		if try == tries || !missing(err) {
			return end, err
		}
	}
}

// holds compares the records of the journal with the entries of the tree that c covers, gives those behind it to each,
// and returns how many these are. The log may grow meanwhile: what came after c may be left out.
func (r *Reader) holds(ctx context.Context, c *log.Checkpoint, each func(Recorded) error) (uint64, error) {
	both := leaves{files: r.files, size: c.Size}
	next := c.Size
	end, err := r.readTail(func(index uint64, data []byte) error {
		if index < c.Size {
			return both.compare(ctx, index, data)
		}
		if index != next || each == nil {
			return ctx.Err()
		}
		next++
		rec, err := record(index, data)
		if err == nil {
			err = each(rec)
		}
		return err
	})
	var damage *journal.DamageError
	if errors.As(err, &damage) {
		return 0, lost("%v", damage)
	}
	if err != nil || end.Newest == 0 { // a log of the time before the journal has none
		return 0, err
	}
	now, _, err := r.checkpoint(ctx)
	if err == nil && (end.First > now.Size || end.Next < c.Size) {
		err = lost("the journal has entries %d to %d, the checkpoint covers %d: one of them was taken back", end.First,
			int64(end.Next)-1, c.Size)
	}
	return end.Next - min(c.Size, end.Next), err
}
