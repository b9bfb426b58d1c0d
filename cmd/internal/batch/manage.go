package batch

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"trustcore/internal/durable"
)

// ErrUnknown tells that there is no such batch of this owner.
var ErrUnknown = errors.New("there is no such batch")

// StateError tells that a batch is in no state for what was asked.
type StateError struct{ What string }

// Error says in which.
func (e *StateError) Error() string { return e.What }

// LimitError tells which limit a request meets.
type LimitError struct {
	What string
	Wait time.Duration // after which it may be another; 0 where waiting does not help
}

// Error names the limit.
func (e *LimitError) Error() string { return e.What }

// Info is a batch as its owner sees it.
type Info struct {
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"`
	Created time.Time `json:"created"`
	Wish
	State     State      `json:"state"`
	Paused    bool       `json:"paused,omitempty"`
	Documents int64      `json:"documents"` // that came in
	Judged    int64      `json:"judged"`    // that have a result
	Refused   int64      `json:"refused"`   // of those, whose result is a problem
	Finished  *time.Time `json:"finished,omitempty"`
	Until     *time.Time `json:"until,omitempty"` // when the results are erased
	// Seconds is how long the rest will take, by what was judged since the last start; absent while that is not known.
	Seconds *int64 `json:"seconds,omitempty"`

	owner       string
	resultBytes int64
}

// State is how far a batch is.
type State string

// The states. Documents are judged as soon as they come in.
const (
	Taking    State = "open"      // takes documents
	Closed    State = "closed"    // takes none, and has some without a result
	Finished  State = "finished"  // each document has its result
	Cancelled State = "cancelled" // what had no result then has none
)

// Create begins a batch.
func (b *Batches) Create(ctx context.Context, owner, name string, wish Wish) (Info, error) {
	text, err := json.Marshal(wish)
	if err != nil {
		return Info{}, err
	}
	if err := b.mayCreate(ctx, owner); err != nil {
		return Info{}, err
	}
	id := rand.Text()
	if err := b.cfg.Record(ctx, Act{Owner: owner, Action: "batch.create", Batch: id}); err != nil {
		return Info{}, err
	}
	_, err = b.cfg.DB.ExecContext(ctx, `INSERT INTO batch (id, owner, name, wish, created, closed, paused, cancelled,
		finished, documents, judged, refused, waiting_bytes, result_bytes)
		VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, 0, 0, 0, 0)`, id, owner, name, string(text), b.cfg.Now().Unix())
	if err == nil {
		err = durable.MkdirAll(b.folder(id), 0o700)
	}
	if err != nil {
		return Info{}, fmt.Errorf("making a batch: %w", err)
	}
	return b.Info(ctx, owner, id)
}

// mayCreate refuses one batch too many. Of two that come at once both may be taken: the limits are no security.
func (b *Batches) mayCreate(ctx context.Context, owner string) error {
	var all, open sql.NullInt64
	if err := b.cfg.DB.QueryRowContext(ctx, `SELECT COUNT(*), SUM(CASE WHEN finished = 0 THEN 1 ELSE 0 END) FROM batch
		WHERE owner = $1`, owner).
		Scan(&all, &open); err != nil {
		return fmt.Errorf("batches: %w", err)
	}
	most := int64(b.terms(owner).OpenBatches)
	switch {
	case all.Int64 >= maxBatches:
		return &LimitError{What: fmt.Sprintf("there are %d batches already: erase some", all.Int64)}
	case open.Int64 >= most:
		return &LimitError{What: fmt.Sprintf("%d batches are not finished, and %d are the limit: wait until one is",
			open.Int64, most), Wait: time.Minute}
	}
	return nil
}

// terms are those of an owner, with the defaults.
func (b *Batches) terms(owner string) Terms {
	t := b.cfg.Terms(owner)
	if t.SpoolBytes == 0 {
		t.SpoolBytes = (b.cfg.Quota + 1) / 2
	}
	if t.OpenBatches == 0 {
		t.OpenBatches = defaultOpen
	}
	return t
}

func (b *Batches) folder(id string) string { return filepath.Join(b.cfg.Dir, id) }

// List returns an owner's batches, newest first.
func (b *Batches) List(ctx context.Context, owner string) ([]Info, error) {
	return b.infos(ctx, `owner = $1 ORDER BY created DESC, id`, owner)
}

// Info tells of one batch: ErrUnknown where it is not the owner's.
func (b *Batches) Info(ctx context.Context, owner, id string) (Info, error) {
	found, err := b.infos(ctx, `id = $1 AND owner = $2`, id, owner)
	if err == nil && len(found) == 0 {
		err = ErrUnknown
	}
	if err != nil {
		return Info{}, err
	}
	return found[0], nil
}

func (b *Batches) infos(ctx context.Context, where string, args ...any) ([]Info, error) {
	rows, err := b.cfg.DB.QueryContext(ctx, `SELECT id, owner, name, wish, created, closed, paused, cancelled,
		finished, documents, judged, refused, result_bytes FROM batch WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("batches: %w", err)
	}
	defer rows.Close()
	found := []Info{}
	for rows.Next() {
		i, err := b.scan(rows)
		if err != nil {
			return nil, fmt.Errorf("batches: %w", err)
		}
		found = append(found, i)
	}
	return found, rows.Err()
}

func (b *Batches) scan(rows *sql.Rows) (i Info, err error) {
	var wish string
	var created, closed, paused, cancelled, finished int64
	if err := rows.Scan(&i.ID, &i.owner, &i.Name, &wish, &created, &closed, &paused, &cancelled, &finished,
		&i.Documents, &i.Judged, &i.Refused, &i.resultBytes); err != nil {
		return i, err
	}
	if err := json.Unmarshal([]byte(wish), &i.Wish); err != nil {
		return i, fmt.Errorf("%s: %w", i.ID, err)
	}
	i.Created, i.Paused = time.Unix(created, 0).UTC(), paused != 0
	switch {
	case cancelled != 0:
		i.State = Cancelled
	case finished != 0:
		i.State = Finished
	case closed != 0:
		i.State = Closed
	default:
		i.State = Taking
	}
	if finished != 0 {
		at := time.Unix(finished, 0).UTC()
		until := at.Add(b.cfg.Hold)
		i.Finished, i.Until = &at, &until
	}
	i.Seconds = b.rest(i)
	return i, nil
}

// change is what an owner may do to a batch that is not finished.
type change struct {
	set string // of SQL; $1 is the time
	run func(b *Batches, id string) error
}

// changes by their names.
var changes = map[string]change{
	"close":  {`closed = $1`, func(*Batches, string) error { return nil }},
	"pause":  {`paused = $1`, func(b *Batches, id string) error { return b.pause(id, true) }},
	"resume": {`paused = 0 * $1`, func(b *Batches, id string) error { return b.pause(id, false) }},
	"cancel": {`closed = $1, cancelled = $1, finished = $1, waiting_bytes = 0`, func(b *Batches, id string) error {
		b.forget(id)
		return b.sweepSegments(id, nil)
	}},
}

// ending closes a batch and resumes it.
var ending = change{`closed = $1, paused = 0`, func(b *Batches, id string) error { return b.pause(id, false) }}

// Change closes, pauses, resumes or cancels a batch: "close" says that no more documents come; "pause" hands none
// over until "resume"; "cancel" erases the documents that have no result, which then get none. Another name is an
// ErrUnknown.
func (b *Batches) Change(ctx context.Context, owner, id, what string) (Info, error) {
	c, known := changes[what]
	i, err := b.Info(ctx, owner, id)
	switch {
	case err == nil && !known:
		return i, ErrUnknown
	case err != nil || what == "close" && i.State != Taking: // repeated
		return i, err
	case i.Finished != nil:
		return i, &StateError{fmt.Sprintf("the batch is %s", i.State)}
	}
	if err := b.cfg.Record(ctx, Act{Owner: owner, Action: "batch." + what, Batch: id}); err != nil {
		return i, err
	}
	if err := b.apply(ctx, id, c); err != nil {
		return i, err
	}
	return b.Info(ctx, owner, id)
}

// apply changes a batch that is not finished.
func (b *Batches) apply(ctx context.Context, id string, c change) error {
	err := b.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE batch SET `+c.set+` WHERE id = $2
			AND finished = 0`, b.cfg.Now().Unix(), id); err != nil {
			return err
		}
		return b.finishWhereDone(ctx, tx, id)
	})
	if err == nil {
		err = c.run(b, id)
	}
	if err != nil {
		return fmt.Errorf("changing batch %s: %w", id, err)
	}
	b.rouse()
	return nil
}

// finishWhereDone finishes a closed batch of which each document has a result, and has its owner told.
func (b *Batches) finishWhereDone(ctx context.Context, tx *sql.Tx, id string) error {
	done, err := tx.ExecContext(ctx, `UPDATE batch SET finished = $1 WHERE id = $2 AND closed <> 0 AND finished = 0
		AND judged = documents`,
		b.cfg.Now().Unix(), id)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return b.noteFinished(ctx, tx, id)
}

// Delete erases a batch with its documents and results. What is being judged of it ends without a result.
func (b *Batches) Delete(ctx context.Context, owner, id string) error {
	if _, err := b.Info(ctx, owner, id); err != nil {
		return err
	}
	if err := b.cfg.Record(ctx, Act{Owner: owner, Action: "batch.erase", Batch: id}); err != nil {
		return err
	}
	return b.remove(ctx, id)
}

func (b *Batches) remove(ctx context.Context, id string) error {
	b.forget(id)
	err := b.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{`batch_document WHERE batch = $1`, `batch_segment WHERE batch = $1`,
			`batch WHERE id = $1`} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = os.RemoveAll(b.folder(id))
	}
	if err != nil {
		return fmt.Errorf("erasing batch %s: %w", id, err)
	}
	return nil
}

// sweep removes what no row knows of, and cuts results that did not become durable with their mark.
func (b *Batches) sweep(ctx context.Context) error {
	all, err := b.infos(ctx, `id <> '' ORDER BY id`)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(b.cfg.Dir)
	if err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !slices.ContainsFunc(all, func(i Info) bool { return i.ID == e.Name() }) {
			if err := os.RemoveAll(filepath.Join(b.cfg.Dir, e.Name())); err != nil {
				return fmt.Errorf("batch: %w", err)
			}
		}
	}
	for _, i := range all {
		needed, err := b.neededSegments(ctx, i)
		if err = errors.Join(err, b.sweepSegments(i.ID, needed), b.cutResults(i)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Batches) cutResults(i Info) error {
	path := filepath.Join(b.folder(i.ID), resultsFile)
	switch info, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist) && i.resultBytes == 0:
		return nil
	case err != nil:
		return fmt.Errorf("results of batch %s: %w", i.ID, err)
	case info.Size() < i.resultBytes:
		return fmt.Errorf("results of batch %s: %d bytes of %d are there: the folder was changed", i.ID, info.Size(),
			i.resultBytes)
	}
	return os.Truncate(path, i.resultBytes)
}

// expire erases finished batches whose time is over, ends those that were begun so long ago and left open or paused,
// so that theirs begins, and forgets the counts of days that are over.
func (b *Batches) expire(ctx context.Context) error {
	now := b.cfg.Now()
	before := now.Add(-b.cfg.Hold).Unix()
	err := errors.Join(b.each(ctx, "batch.expire", b.remove, `finished <> 0 AND finished < $1`, before),
		b.each(ctx, "batch.end", func(ctx context.Context, id string) error { return b.apply(ctx, id, ending) },
			`finished = 0 AND (closed = 0 OR paused <> 0) AND created < $1`, before))
	_, also := b.cfg.DB.ExecContext(ctx, `DELETE FROM batch_day
		WHERE day < $1`, now.UTC().Add(-48*time.Hour).Format(time.DateOnly))
	return errors.Join(err, also)
}

// each does something with batches that nobody asked for, and records it.
func (b *Batches) each(ctx context.Context, action string, do func(ctx context.Context, id string) error,
	where string, args ...any) error {
	found, err := b.infos(ctx, where, args...)
	for _, i := range found {
		failed := b.cfg.Record(ctx, Act{Action: action, Batch: i.ID, Details: map[string]string{"owner": i.owner}})
		if failed == nil {
			failed = do(ctx, i.ID)
		}
		err = errors.Join(err, failed)
	}
	return err
}
