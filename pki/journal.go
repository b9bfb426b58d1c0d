package pki

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"trustcore/internal/store"
	"trustcore/pki/tsa"
)

// journalBatch is how many time-stamps one transaction records; each takes five parameters of the statement.
const journalBatch = 256

// journal records time-stamps, many in one transaction: whoever finds no transaction running writes for all who wait, so a
// durable write is shared by those who came during the one before.
type journal struct {
	db      *store.DB
	writing sync.Mutex // held by the one who writes

	mu      sync.Mutex
	waiting []*pending // guarded by mu
}

type pending struct {
	record tsa.Record
	done   chan struct{} // closed when err is set
	err    error
}

// append returns when the record is durable.
func (j *journal) append(ctx context.Context, record tsa.Record) error {
	own := &pending{record: record, done: make(chan struct{})}
	j.mu.Lock()
	j.waiting = append(j.waiting, own)
	j.mu.Unlock()

	j.writing.Lock()
	defer j.writing.Unlock()
	for {
		select {
		case <-own.done:
			return own.err
		default:
		}
		j.mu.Lock()
		batch := j.waiting[:min(len(j.waiting), journalBatch)]
		j.waiting = j.waiting[len(batch):]
		j.mu.Unlock()
		// The others of the batch must not fail because this request was given up.
		err := j.write(context.WithoutCancel(ctx), batch)
		for _, p := range batch {
			p.err = err
			close(p.done)
		}
	}
}

// write records a batch in one transaction; a serial number that was used before fails it.
func (j *journal) write(ctx context.Context, batch []*pending) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var statement strings.Builder
	statement.WriteString(`INSERT INTO pki_timestamp (serial, gen_time, policy, hash, imprint) VALUES `)
	var args []any
	for i, p := range batch {
		if i > 0 {
			statement.WriteString(", ")
		}
		fmt.Fprintf(&statement, "($%d, $%d, $%d, $%d, $%d)", 5*i+1, 5*i+2, 5*i+3, 5*i+4, 5*i+5)
		args = append(args, hexSerial(p.record.Serial), p.record.Time.UnixMilli(), p.record.Policy, p.record.Hash, hex.EncodeToString(p.record.Imprint))
	}
	return j.db.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, statement.String(), args...); err != nil {
			return fmt.Errorf("recording %d time-stamps: %w", len(batch), err)
		}
		return nil
	})
}
