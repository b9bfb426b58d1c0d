package lease

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Node is one of those that share the database.
type Node struct {
	Name  string    `json:"name"` // "" is one that was alone once
	Lives bool      `json:"lives"`
	Until time.Time `json:"until,omitzero"` // the end of its lease; zero where an earlier version did not write it
}

// Why a node is not forgotten.
var (
	ErrUnknownNode = errors.New("the database knows no such node")
	ErrLives       = errors.New("the node lives: stop its trustd, then ask again")
)

const nodeRow = "node "

// Nodes are those that the database has seen, by name, whether they live or not. A nil receiver, of a process that is alone, has none.
func (l *Leases) Nodes(ctx context.Context) (nodes []Node, err error) {
	if l == nil {
		return nil, nil
	}
	rows, err := l.db.QueryContext(ctx, `SELECT name, until, until >= `+l.db.Clock()+` FROM lease WHERE name LIKE 'node %' ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n Node
		var until int64
		if err := rows.Scan(&n.Name, &until, &n.Lives); err != nil {
			return nil, fmt.Errorf("nodes: %w", err)
		}
		n.Name = strings.TrimPrefix(n.Name, nodeRow)
		if until > 0 {
			n.Until = time.UnixMilli(until).UTC()
		}
		nodes = append(nodes, n)
	}
	return nodes, rows.Err()
}

// Forget takes a node that is gone for good out of the list, else ErrUnknownNode or ErrLives. One that starts again is in it again.
func (l *Leases) Forget(ctx context.Context, name string) error {
	if l == nil {
		return ErrUnknownNode
	}
	return l.db.InTx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM lease WHERE name = $1 AND until < `+l.db.Clock(), nodeRow+name)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return err
		}
		var there int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM lease WHERE name = $1`, nodeRow+name).Scan(&there); err != nil {
			return err
		}
		if there == 0 {
			return ErrUnknownNode
		}
		return ErrLives
	})
}
