package registry

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
)

// StepDone remembers that a step of an order is done and what came of it. Doing it twice changes nothing.
func (r *Registry) StepDone(ctx context.Context, order, name, fact string) error {
	err := r.change(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE orders SET waiting = '' WHERE id = $1`, order); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO order_steps (order_id, name, fact, done_at, seq)
			SELECT $1, $2, $3, $4, COUNT(*) FROM order_steps WHERE order_id = $5 ON CONFLICT DO NOTHING`, order, name, fact, r.stamp(), order)
		return err
	})
	if err != nil {
		return fmt.Errorf("order %s, step %s: %w", order, name, err)
	}
	return nil
}

// Waiting remembers what the next step of an order waits for, for people to read.
func (r *Registry) Waiting(ctx context.Context, order, why string) error {
	_, err := r.db.ExecContext(ctx, `UPDATE orders SET waiting = $1 WHERE id = $2`, why, order)
	if err != nil {
		return fmt.Errorf("order %s: %w", order, err)
	}
	return nil
}

// Finish ends the carrying out of an order: an activation order becomes active and takes the place of the one that it
// renews, a change order carried-out, and activation orders of which no component is left become ended.
func (r *Registry) Finish(ctx context.Context, order string, to State) error {
	rec, err := r.Order(ctx, order)
	if err != nil || rec.State != Approved {
		return err
	}
	if to != Active || rec.Renews == "" {
		return r.finish(ctx, rec.Order, to)
	}
	return r.act(ctx, carrier, "order.replace", rec.Order, "it takes the place of order "+rec.Renews, func() error {
		return r.finish(ctx, rec.Order, to)
	})
}

func (r *Registry) finish(ctx context.Context, o Order, to State) error {
	err := r.change(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE orders SET state = $1, waiting = '' WHERE id = $2 AND state = $3`,
			string(to), o.ID, string(Approved))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err // another node did
		}
		if to == Active && o.Renews != "" {
			if err := r.replace(ctx, tx, o); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE orders SET state = $1 WHERE state = $2 AND NOT EXISTS
			(SELECT 1 FROM components WHERE components.order_id = orders.id AND ended_by = '')`, string(Ended), string(Active))
		return err
	})
	if err != nil {
		return fmt.Errorf("order %s: %w", o.ID, err)
	}
	return nil
}

// Ending is an activation order of which a change order takes components away.
type Ending struct {
	Order      string
	Line       []string // the order with all that it renewed and that renewed it
	Components []Component
	Left       []Component // what stays on through the line
}

// Connects reports whether an office needs a client certificate for one of these components.
func Connects(cs []Component) bool {
	return slices.Contains(cs, NetworkHSM) || slices.Contains(cs, VPN)
}

// Ending tells what a change order that is not decided yet would end, by the rule that its approval follows.
func (r *Registry) Ending(ctx context.Context, change Order) ([]Ending, error) {
	ended := map[string][]Component{}
	for _, c := range change.Components {
		where, args := change.named(c, 1)
		if err := r.components(ctx, ended, where, args...); err != nil {
			return nil, fmt.Errorf("order %s: %w", change.ID, err)
		}
	}
	var endings []Ending
	for _, order := range slices.Sorted(maps.Keys(ended)) {
		line, err := r.Line(ctx, order)
		if err != nil {
			return nil, err
		}
		endings = append(endings, Ending{Order: order, Line: line, Components: ended[order]})
	}
	for i := range endings {
		if err := r.stays(ctx, &endings[i], ended); err != nil {
			return nil, err
		}
	}
	return endings, nil
}

// stays fills in what is left of an ending's line when all of ended is off.
func (r *Registry) stays(ctx context.Context, e *Ending, ended map[string][]Component) error {
	for _, order := range e.Line {
		on, err := r.Left(ctx, order)
		if err != nil {
			return err
		}
		for _, c := range on {
			if !slices.Contains(ended[order], c) && !slices.Contains(e.Left, c) {
				e.Left = append(e.Left, c)
			}
		}
	}
	return nil
}

// EndedBy returns, for a change order, the activation orders whose components it ended, with those components.
func (r *Registry) EndedBy(ctx context.Context, change string) (map[string][]Component, error) {
	ended := map[string][]Component{}
	if err := r.components(ctx, ended, `ended_by = $1`, change); err != nil {
		return nil, fmt.Errorf("order %s: %w", change, err)
	}
	return ended, nil
}

// components adds the chosen rows' components to those of their orders.
func (r *Registry) components(ctx context.Context, of map[string][]Component, where string, args ...any) error {
	rows, err := r.db.QueryContext(ctx, `SELECT order_id, component FROM components WHERE `+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var order, c string
		if err := rows.Scan(&order, &c); err != nil {
			return err
		}
		of[order] = append(of[order], Component(c))
	}
	return rows.Err()
}

// Left returns the components of an activation order that are on, or will be when it is carried out.
func (r *Registry) Left(ctx context.Context, order string) ([]Component, error) {
	return r.left(ctx, `order_id = $1`, order)
}

func (r *Registry) left(ctx context.Context, where, order string) ([]Component, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT DISTINCT component FROM components WHERE `+where+` AND ended_by = ''
		ORDER BY component`, order)
	if err != nil {
		return nil, fmt.Errorf("order %s: %w", order, err)
	}
	defer rows.Close()
	var left []Component
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			return nil, fmt.Errorf("order %s: %w", order, err)
		}
		left = append(left, Component(c))
	}
	return left, rows.Err()
}
