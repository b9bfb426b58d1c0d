// Package quota counts uses that may not exceed a total, over all nodes that share a database.
//
// A node leases uses in blocks: the database has them as given before the first of them is used, so that a crash loses
// the rest of a block and never gives one twice, and a use costs a statement only when a block is used up. While other
// nodes hold blocks, a total can seem spent a little early; a node that ends in order gives its rest back.
package quota

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"trustcore/internal/store"
)

// Total is how often something may be used in a period.
type Total struct {
	Name   string // of what is counted
	Period string // such as 2026-03-03, a later one sorting behind; "" where the total is for ever
	Limit  int64
}

// block is how many uses a node leases at once: a small part of the whole, for what others hold is not to be had here.
func (t Total) block() int64 { return min(max(t.Limit/64, 1), 4096) }

// Spent says that a total has not as many uses left as were asked for. It is an error.
type Spent struct{ Total Total }

// Error names the total.
func (s *Spent) Error() string {
	return fmt.Sprintf("the %d uses of %s %s are spent", s.Total.Limit, s.Total.Name, s.Total.Period)
}

var schema = []string{
	`CREATE TABLE hsm_quotas (name TEXT NOT NULL, period TEXT NOT NULL, given BIGINT NOT NULL,
		PRIMARY KEY (name, period))`,
}

// Meter is one node's count. It is safe for concurrent use.
type Meter struct {
	db      *store.DB
	leasing chan struct{} // held, by sending to it, by who leases

	mu     sync.Mutex
	leases map[string]lease // guarded by mu; by the total's name
	closed bool             // guarded by mu
}

// lease is what is left here of the blocks of a period.
type lease struct {
	period string
	left   int64
}

// Open brings the schema up to date.
func Open(ctx context.Context, db *store.DB) (*Meter, error) {
	if err := db.Migrate(ctx, "hsm-quota", schema); err != nil {
		return nil, fmt.Errorf("quotas: %w", err)
	}
	return &Meter{db: db, leasing: make(chan struct{}, 1), leases: map[string]lease{}}, nil
}

// Take counts n uses in each of the totals, or in none: the error is a *Spent when one has not as many left.
func (m *Meter) Take(ctx context.Context, totals []Total, n int64) error {
	for {
		lacking := m.take(totals, n)
		if lacking == nil {
			return nil
		}
		if err := m.lease(ctx, *lacking, n); err != nil {
			return err
		}
	}
}

// take counts when all totals have enough here, else it returns one that has not.
func (m *Meter) take(totals []Total, n int64) (lacking *Total) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, t := range totals {
		if l := m.leases[t.Name]; l.period != t.Period || l.left < n {
			return &totals[i]
		}
	}
	for _, t := range totals {
		m.add(t, -n)
	}
	return nil
}

// add is called with m.mu.
func (m *Meter) add(t Total, n int64) {
	l := m.leases[t.Name]
	if l.period != t.Period {
		l = lease{period: t.Period} // the rest of another period is lost
	}
	l.left += n
	m.leases[t.Name] = l
}

// Give takes back the count of uses that did not happen. A period that is over meanwhile is left as it is.
func (m *Meter) Give(totals []Total, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range totals {
		if l, there := m.leases[t.Name]; there && l.period == t.Period {
			m.add(t, n)
		}
	}
}

var errClosed = errors.New("quotas: they are closed")

// lease gets a block of a total for this node, enough for n uses where the total has them.
func (m *Meter) lease(ctx context.Context, t Total, n int64) error {
	select {
	case m.leasing <- struct{}{}:
		defer func() { <-m.leasing }()
	case <-ctx.Done():
		return fmt.Errorf("quotas: %w", ctx.Err())
	}
	m.mu.Lock()
	have, closed := m.leases[t.Name], m.closed
	m.mu.Unlock()
	switch {
	case closed:
		return errClosed
	case have.period != t.Period:
		have.left = 0
	case have.left >= n:
		return nil // another caller leased it
	}
	given, err := m.block(ctx, t, max(n-have.left, t.block()))
	if err != nil {
		return fmt.Errorf("quotas: %w", err)
	}
	if given > 0 {
		m.mu.Lock()
		m.add(t, given)
		m.mu.Unlock()
	}
	if have.left+given < n {
		return &Spent{t}
	}
	return nil
}

// block has the database give up to want uses, and forget periods that are long over: clocks of nodes differ.
func (m *Meter) block(ctx context.Context, t Total, want int64) (given int64, err error) {
	err = m.db.InTx(ctx, func(tx *sql.Tx) error {
		var before int64
		err := tx.QueryRowContext(ctx, `SELECT given FROM hsm_quotas WHERE name = $1 AND period = $2`,
			t.Name, t.Period).Scan(&before)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if given = max(min(want, t.Limit-before), 0); given == 0 {
			return nil
		}
		if before == 0 {
			if err := m.forget(ctx, tx, t); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO hsm_quotas (name, period, given) VALUES ($1, $2, $3)
			ON CONFLICT (name, period) DO UPDATE SET given = excluded.given`, t.Name, t.Period, before+given)
		return err
	})
	return given, err
}

// kept is how many periods of a total are remembered.
const kept = 8

// forget removes the periods before the last ones.
func (m *Meter) forget(ctx context.Context, tx *sql.Tx, t Total) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM hsm_quotas WHERE name = $1 AND period < $2 AND period NOT IN
		(SELECT period FROM hsm_quotas WHERE name = $3 ORDER BY period DESC LIMIT $4)`, t.Name, t.Period, t.Name, kept)
	return err
}

// Close gives back what is left of the blocks. Nothing can be taken afterwards.
func (m *Meter) Close(ctx context.Context) error {
	m.mu.Lock()
	rest := m.leases
	m.leases, m.closed = map[string]lease{}, true
	m.mu.Unlock()
	if len(rest) == 0 {
		return nil
	}
	err := m.db.InTx(ctx, func(tx *sql.Tx) error {
		for name, l := range rest {
			_, err := tx.ExecContext(ctx, `UPDATE hsm_quotas SET given = given - $1 WHERE name = $2 AND period = $3`,
				l.left, name, l.period)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("quotas: giving the rest back: %w", err)
	}
	return nil
}
