package batch

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// atOnce is how many documents are read from the database at a time, when half as many are left.
const atOnce = 1024

// owner is an application with batches in the queue.
type owner struct {
	name  string
	lines []*line // oldest first
	out   int     // documents, or parcels of them, that are being judged
}

// line is a batch in the queue. Its documents are read in rounds: the first has all of them, a later one those that
// are to be judged again and whose time has come.
type line struct {
	id     string
	owner  *owner
	wish   Wish
	paused bool
	cutoff int64  // of the round: documents that are due later wait for another
	next   int64  // the first document that was not read yet
	read   []task // and not handed over
	more   bool   // documents may follow those that were read
	out    int    // handed over, without a durable result
	round  int64  // when the next round begins; 0 when that is not known
	judged int64  // since the start
	since  time.Time
}

// task is a document that is to be judged.
type task struct {
	line    *line
	n       int64
	name    string
	segment string
	pieces  []piece
	bytes   int64
	tries   int64 // that failed
	laters  int64 // verdicts that it was to be judged again
	suspect bool  // the service was lost over it, or over one that was handed over beside it
}

// findWork looks for batches with documents that have no result.
func (b *Batches) findWork(ctx context.Context) error {
	all, err := b.infos(ctx, `finished = 0 AND judged < documents ORDER BY created, id`)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range all {
		b.enqueue(i)
	}
	return nil
}

// enqueue is called with mu held.
func (b *Batches) enqueue(i Info) {
	at := slices.IndexFunc(b.owners, func(o *owner) bool { return o.name == i.owner })
	if at < 0 {
		at = len(b.owners)
		b.owners = append(b.owners, &owner{name: i.owner})
	}
	now := b.cfg.Now()
	l := &line{id: i.ID, owner: b.owners[at], wish: i.Wish, paused: i.Paused, cutoff: now.Unix(), more: true, since: now}
	l.owner.lines = append(l.owner.lines, l)
	b.lines[i.ID] = l
}

// hasWork tells the workers of documents that came in.
func (b *Batches) hasWork(id string) {
	found, err := b.infos(context.Background(), `id = $1 AND finished = 0`, id)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch l := b.lines[id]; {
	case l != nil:
		l.more = true
	case err == nil && len(found) == 1:
		b.enqueue(found[0])
	case err != nil: // the next start finds it
		b.cfg.Logger.Error("a batch waits for the next start", "batch", id, "error", err)
	}
	b.rouse()
}

// rouse wakes one worker, which wakes the next.
func (b *Batches) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *Batches) pause(id string, paused bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lines[id]; l != nil {
		l.paused = paused
	}
	return nil
}

// forget takes a batch out of the queue.
func (b *Batches) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(b.lines[id])
}

// drop takes a line out of the queue, nil for none. It is called with mu held.
func (b *Batches) drop(l *line) {
	if l == nil {
		return
	}
	delete(b.lines, l.id)
	l.owner.lines = slices.DeleteFunc(l.owner.lines, func(other *line) bool { return other == l })
	b.dropIdle(l.owner)
}

// dropIdle forgets an owner without work. It is called with mu held.
func (b *Batches) dropIdle(idle *owner) {
	if len(idle.lines) == 0 && idle.out == 0 {
		b.owners = slices.DeleteFunc(b.owners, func(o *owner) bool { return o == idle })
	}
}

// nextTasks takes the next documents of one batch: one, or several small ones that are handed over together. The owner
// comes first who has the fewest handed over, and among those the one whose turn it is; one place is kept free of who
// has many. An owner's batches come one after the other.
func (b *Batches) nextTasks(ctx context.Context) ([]task, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	byLoad := slices.SortedStableFunc(slices.Values(b.owners), func(a, b *owner) int { return cmp.Compare(a.out, b.out) })
	for _, o := range byLoad {
		if o.out >= max(1, b.cfg.Concurrency-1) {
			break
		}
		for _, l := range slices.Clone(o.lines) {
			t, found, err := b.take(ctx, l)
			if err != nil {
				return nil, err
			}
			if found {
				at := slices.Index(b.owners, o)
				b.owners = append(slices.Delete(b.owners, at, at+1), o)
				o.out++
				return b.withOthers(t), nil
			}
		}
	}
	return nil, nil
}

// take takes a line's next document. It is called with mu held.
func (b *Batches) take(ctx context.Context, l *line) (t task, found bool, err error) {
	if l.paused {
		return t, false, nil
	}
	if len(l.read) == 0 && !l.more && l.out == 0 {
		if err := b.nextRound(ctx, l); err != nil {
			return t, false, err
		}
	}
	if len(l.read) < atOnce/2 && l.more {
		if err := b.readMore(ctx, l); err != nil {
			return t, false, err
		}
	}
	if len(l.read) == 0 {
		return t, false, nil
	}
	t, l.read = l.read[0], l.read[1:]
	l.out++
	return t, true, nil
}

// nextRound begins the next round of a line of which all documents were judged, when its time has come; a line
// without one leaves the queue. It is called with mu held.
func (b *Batches) nextRound(ctx context.Context, l *line) error {
	now := b.cfg.Now().Unix()
	if l.round == 0 {
		var due sql.NullInt64
		if err := b.cfg.DB.QueryRowContext(ctx, `SELECT MIN(due) FROM batch_document WHERE batch = $1 AND done = 0
			AND due > 0`, l.id).
			Scan(&due); err != nil {
			return fmt.Errorf("batch %s: %w", l.id, err)
		}
		if !due.Valid {
			b.drop(l)
			return nil
		}
		l.round = due.Int64
	}
	if l.round <= now {
		l.round, l.cutoff, l.next, l.more = 0, now, 0, true
	}
	return nil
}

// readMore reads a part of a line. It is called with mu held.
func (b *Batches) readMore(ctx context.Context, l *line) error {
	rows, err := b.cfg.DB.QueryContext(ctx, `SELECT n, name, segment, files, bytes, tries, laters FROM batch_document
		WHERE batch = $1 AND n >= $2 AND done = 0 AND due <= $3 ORDER BY n LIMIT $4`, l.id, l.next, l.cutoff, atOnce)
	if err != nil {
		return fmt.Errorf("batch %s: %w", l.id, err)
	}
	defer rows.Close()
	count := 0
	for ; rows.Next(); count++ {
		t := task{line: l}
		var files string
		if err := rows.Scan(&t.n, &t.name, &t.segment, &files, &t.bytes, &t.tries, &t.laters); err != nil {
			return fmt.Errorf("batch %s: %w", l.id, err)
		}
		if err := json.Unmarshal([]byte(files), &t.pieces); err != nil {
			return fmt.Errorf("batch %s: document %d: %w", l.id, t.n, err)
		}
		t.suspect = t.tries > 0
		l.read, l.next = append(l.read, t), t.n+1
	}
	l.more = count == atOnce
	return rows.Err()
}

// judged gives back an owner's place.
func (b *Batches) judged(o *owner) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.out--
	b.dropIdle(o)
	b.rouse()
}

// settle counts what has become durable of a line.
func (b *Batches) settle(l *line, outcomes []outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.out -= len(outcomes)
	for _, o := range outcomes {
		b.held.Release(o.size())
		if o.later.IsZero() {
			l.judged++
		}
	}
	b.rouse() // the next round may begin
}

// rest estimates how long a batch still takes, in seconds.
func (b *Batches) rest(i Info) *int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lines[i.ID]
	if l == nil || l.judged == 0 || i.Documents == i.Judged {
		return nil
	}
	seconds := int64(b.cfg.Now().Sub(l.since).Seconds() / float64(l.judged) * float64(i.Documents-i.Judged))
	return &seconds
}
