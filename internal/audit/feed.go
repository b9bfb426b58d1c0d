package audit

import (
	"context"
	"errors"
	"time"

	"github.com/transparency-dev/formats/log"

	"trustcore/internal/audit/journal"
)

// feedEvery is how often the tree takes over what the journal has. Each time it writes a checkpoint and tells the
// database.
const feedEvery = time.Second

// maxBatches is how many batches of the journal, of journal.MaxGroup octets each, are taken over before a checkpoint.
const maxBatches = 16

// tellWithin bounds one write to the database.
const tellWithin = 5 * time.Second

// feeder takes entries from the journal into the tree. One goroutine uses it.
type feeder struct {
	*tree
	journal *journal.Writer
	cursor  *journal.Cursor
	first   uint64 // of what was taken from the journal and is not known to be in the tree
	taken   [][]byte
	newest  *log.Checkpoint // published
	memory  *memory
	told    uint64    // size that the database knows
	last    time.Time // when it was told
}

// feed runs until the journal has ended, then ends everything else.
func (l *Log) feed() {
	f := l.feeder
	defer close(l.fed)
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.urgent:
		case <-l.stopped:
			err := l.finish(f)
			f.stop()
			l.ended = errors.Join(err, l.journal.Close(), l.lock.release())
			return
		}
		l.state.fed(f.swallow(context.Background()), f.newest.Size)
		if f.due() {
			l.state.told(f.tell(f.memory.remember))
		}
	}
}

// finish takes over all that is left and gives the origin up.
func (l *Log) finish(f *feeder) error {
	for f.newest.Size < l.journal.Next() {
		if err := f.swallow(context.Background()); err != nil {
			return err
		}
	}
	l.state.fed(nil, f.newest.Size)
	return f.tell(f.memory.release)
}

// swallow puts what the journal has into the tree, publishes a checkpoint and lets segments go that are not needed now.
func (f *feeder) swallow(ctx context.Context) (err error) {
	for range maxBatches {
		if len(f.taken) == 0 {
			if f.first, f.taken, err = f.cursor.Next(); err != nil {
				return err
			}
		}
		if len(f.taken) == 0 {
			break
		}
		if err := f.add(ctx, f.first, f.taken); err != nil {
			return err
		}
		f.taken = nil
	}
	if f.size() == f.newest.Size {
		return nil
	}
	published, err := f.publish()
	if err != nil {
		return err
	}
	f.newest = published
	return f.journal.Release(f.newest.Size)
}

// due reports whether the database is to be told: once a second while there is something new, or to keep the origin.
func (f *feeder) due() bool {
	since := time.Since(f.last)
	return f.told != f.newest.Size && since >= feedEvery || since >= renew
}

func (f *feeder) tell(how func(context.Context, *log.Checkpoint, uint64) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
	defer cancel()
	f.last = time.Now()
	if err := how(ctx, f.newest, f.journal.Number()); err != nil {
		return err
	}
	f.told = f.newest.Size
	return nil
}
