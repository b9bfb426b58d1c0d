package batch

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"trustcore/cmd/internal/program"
	"trustcore/internal/durable"
)

// resultsFile holds a batch's results, a line each, in the order in which they came. What lies behind the number of
// bytes that the database has is not there yet.
const resultsFile = "results.ndjson"

// Results become durable in groups: each costs two writes that the disk confirms, however many are in it.
const (
	maxGroup  = 512
	maxHeld   = 64 << 20              // bytes of results that are not durable yet
	groupTime = 25 * time.Millisecond // that a result waits for others
)

// row is one result as it is kept.
type row struct {
	N       int64           `json:"n"`
	Name    string          `json:"name"`
	Report  json.RawMessage `json:"report,omitempty"`
	Problem *Refusal        `json:"problem,omitempty"`
}

// commitAll makes outcomes durable, in groups, until the workers have ended.
func (b *Batches) commitAll(ctx context.Context) error {
	for o := range b.results {
		group := b.gather(ctx, o)
		byLine := map[*line][]outcome{}
		for _, o := range group {
			byLine[o.line] = append(byLine[o.line], o)
		}
		for l, outcomes := range byLine {
			b.commitSurely(ctx, l, outcomes)
		}
	}
	return nil
}

// gather takes the outcomes that come soon after a first one.
func (b *Batches) gather(ctx context.Context, first outcome) []outcome {
	group := []outcome{first}
	timer := time.NewTimer(groupTime)
	defer timer.Stop()
	for len(group) < maxGroup {
		select {
		case next, open := <-b.results:
			if !open {
				return group
			}
			group = append(group, next)
		case <-timer.C:
			return group
		case <-ctx.Done():
			return group
		}
	}
	return group
}

// commitSurely tries again until the outcomes are durable: while database or disk are away, nothing goes on.
func (b *Batches) commitSurely(ctx context.Context, l *line, outcomes []outcome) {
	for again := againFirst; ; again = min(2*again, againMost) {
		err := b.commit(context.WithoutCancel(ctx), l, outcomes)
		if err == nil || errors.Is(err, ErrUnknown) { // erased or cancelled meanwhile
			b.settle(l, outcomes)
			return
		}
		b.cfg.Logger.Error("results can't be kept", "batch", l.id, "error", err)
		if !program.Pause(ctx, again) {
			return // they are judged again
		}
	}
}

// kept is an outcome with the place of its line in the batch's file.
type kept struct {
	outcome
	at, bytes int64
}

// commit appends results to their file and marks their documents. A sudden end between the two leaves bytes that
// nobody counts.
func (b *Batches) commit(ctx context.Context, l *line, outcomes []outcome) error {
	found, err := b.infos(ctx, `id = $1 AND finished = 0`, l.id)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return ErrUnknown
	}
	begin := found[0].resultBytes
	var text bytes.Buffer
	results := make([]kept, len(outcomes))
	for i, o := range outcomes {
		results[i] = kept{outcome: o, at: begin + int64(text.Len())}
		if o.later.IsZero() {
			results[i].refusal = o.write(&text)
			results[i].bytes = begin + int64(text.Len()) - results[i].at - 1
		}
	}
	if text.Len() > 0 {
		if err := b.append(l.id, begin, text.Bytes()); err != nil {
			return err
		}
	}
	emptied, err := b.mark(ctx, l.id, results, int64(text.Len()))
	if err != nil {
		return err
	}
	b.counters.add(results)
	for _, segment := range emptied {
		if err := os.Remove(b.segment(l.id, segment)); err != nil && !errors.Is(err, os.ErrNotExist) {
			b.cfg.Logger.Error("judged documents can't be removed", "batch", l.id, "error", err) // the next start does
		}
	}
	return nil
}

// append writes lines behind those that are marked.
func (b *Batches) append(id string, at int64, lines []byte) error {
	file, err := os.OpenFile(filepath.Join(b.folder(id), resultsFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(lines, at)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil && at == 0 {
		err = durable.SyncFolder(b.folder(id))
	}
	return err
}

// write writes one line, and returns the problem that it tells. A report that is no line is one.
func (o *outcome) write(to *bytes.Buffer) *Refusal {
	report := bytes.TrimSpace(o.report)
	r := row{N: o.n, Name: o.name, Problem: o.refusal}
	if o.refusal == nil && (len(report) < 2 || len(report) > maxResult || report[0] != '{' ||
		report[len(report)-1] != '}' ||
		bytes.IndexByte(report, '\n') >= 0) {
		r.Problem = &Refusal{500, "the service's answer can't be kept: it is too large, or no report"}
	}
	head, err := json.Marshal(r) // strings and numbers always marshal
	if err != nil {
		panic(err)
	}
	if r.Problem == nil {
		// The report is written as it came: reading it again would cost more than all else here.
		head = append(head[:len(head)-1], `,"report":`...)
		to.Write(head)
		to.Write(report)
		to.WriteByte('}')
	} else {
		to.Write(head)
	}
	to.WriteByte('\n')
	return r.Problem
}

// mark records what became of documents, and returns the segments of which nothing is needed any more.
func (b *Batches) mark(ctx context.Context, id string, results []kept, added int64) (emptied []string, err error) {
	err = b.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		done, err := tx.PrepareContext(ctx, `UPDATE batch_document SET done = 1, result_at = $1, result_bytes = $2
			WHERE batch = $3 AND n = $4 AND done = 0`)
		if err != nil {
			return err
		}
		defer done.Close()
		segments, judged, refused, size := map[string]int64{}, 0, 0, int64(0)
		for _, r := range results {
			if !r.later.IsZero() {
				if _, err := tx.ExecContext(ctx, `UPDATE batch_document SET due = $1, laters = laters + 1 WHERE batch = $2
					AND n = $3`,
					r.later.Unix()+1, id, r.n); err != nil {
					return err
				}
				continue
			}
			marked, err := done.ExecContext(ctx, r.at, r.bytes, id, r.n)
			if err != nil {
				return err
			}
			if n, err := marked.RowsAffected(); err != nil || n != 1 {
				return errors.Join(err, ErrUnknown)
			}
			judged++
			if r.segment != "" {
				segments[r.segment]++
				size += r.task.bytes
			}
			if r.refusal != nil {
				refused++
			}
		}
		if err := count(ctx, tx, id, judged, refused, size, added); err != nil {
			return err
		}
		if emptied, err = lessWaiting(ctx, tx, id, segments); err != nil {
			return err
		}
		return b.finishWhereDone(ctx, tx, id)
	})
	return emptied, err
}

// count adds to what a batch that is not finished has.
func count(ctx context.Context, tx *sql.Tx, id string, judged, refused int, size, added int64) error {
	counted, err := tx.ExecContext(ctx, `UPDATE batch SET judged = judged + $1, refused = refused + $2,
		waiting_bytes = waiting_bytes - $3,
		result_bytes = result_bytes + $4 WHERE id = $5 AND finished = 0`, judged, refused, size, added, id)
	if err != nil {
		return err
	}
	if n, err := counted.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrUnknown)
	}
	return nil
}

func lessWaiting(ctx context.Context, tx *sql.Tx, id string, segments map[string]int64) (emptied []string, err error) {
	for segment, n := range segments {
		var waiting int64
		if err := tx.QueryRowContext(ctx, `UPDATE batch_segment SET waiting = waiting - $1 WHERE batch = $2 AND segment = $3
			RETURNING waiting`,
			n, id, segment).Scan(&waiting); err != nil {
			return nil, err
		}
		if waiting == 0 {
			emptied = append(emptied, segment)
		}
	}
	return emptied, nil
}
