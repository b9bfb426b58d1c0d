package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Results is what is there of a batch's results: NDJSON, a line a document, each {"n", "name", "report"} or {"n",
// "name", "problem"}, in the order in which they were judged. It only grows until the batch is erased. The caller
// closes it.
func (b *Batches) Results(ctx context.Context, owner, id string) (io.ReadSeeker, io.Closer, error) {
	i, err := b.Info(ctx, owner, id)
	if err != nil {
		return nil, nil, err
	}
	if i.resultBytes == 0 {
		return bytes.NewReader(nil), io.NopCloser(nil), nil
	}
	file, err := os.Open(filepath.Join(b.folder(id), resultsFile))
	if err != nil {
		return nil, nil, fmt.Errorf("results of batch %s: %w", id, err)
	}
	return io.NewSectionReader(file, 0, i.resultBytes), file, nil
}

// orderedAtOnce is how many places of results are read from the database at a time.
const orderedAtOnce = 1024

// Ordered writes the same lines in the order of the documents, beginning at number from, as far as there is no gap.
func (b *Batches) Ordered(ctx context.Context, owner, id string, from int64, to io.Writer) (err error) {
	content, end, err := b.Results(ctx, owner, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end.Close()) }()
	for more := true; more && err == nil; {
		var places [][2]int64
		if places, more, err = b.places(ctx, id, from); err != nil {
			return err
		}
		for _, p := range places {
			if _, err := content.Seek(p[0], io.SeekStart); err != nil {
				return err
			}
			if _, err := io.CopyN(to, content, p[1]+1); errors.Is(err, io.EOF) {
				return nil // it was judged since: who asks again gets it
			} else if err != nil {
				return err
			}
		}
		from += int64(len(places))
	}
	return err
}

// places are where the results of documents lie, until the first that has none; more tells that others may follow.
func (b *Batches) places(ctx context.Context, id string, from int64) (found [][2]int64, more bool, err error) {
	rows, err := b.cfg.DB.QueryContext(ctx, `SELECT result_at, result_bytes, done FROM batch_document WHERE batch = $1
		AND n >= $2
		ORDER BY n LIMIT $3`, id, from, orderedAtOnce)
	if err != nil {
		return nil, false, fmt.Errorf("results of batch %s: %w", id, err)
	}
	defer rows.Close()
	for rows.Next() {
		var p [2]int64
		var done int64
		if err := rows.Scan(&p[0], &p[1], &done); err != nil {
			return nil, false, fmt.Errorf("results of batch %s: %w", id, err)
		}
		if done == 0 {
			return found, false, nil
		}
		found = append(found, p)
	}
	return found, len(found) == orderedAtOnce, rows.Err()
}
