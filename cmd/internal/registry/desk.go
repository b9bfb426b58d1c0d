package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What the officers' desk asks: each question costs a fixed number of statements, however much is found.

// Head is an order as a list shows it, without its body and its steps.
type Head struct {
	ID                   string
	Kind                 OrderKind
	Partner, PartnerName string // the name as the registry has it, or, of a partner that is none yet, as the order does
	State                State
	SubmittedBy          string
	SubmittedAt          time.Time
	DecidedBy            string
}

// Heads returns all orders, newest first; of one partner where that is not "".
func (r *Registry) Heads(ctx context.Context, partner string) ([]Head, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT o.id, o.kind, o.partner, COALESCE(p.name, ''), o.state, o.submitted_by, o.submitted_at,
		o.decided_by, CASE WHEN p.id IS NULL THEN o.body ELSE '' END
		FROM orders o LEFT JOIN partners p ON p.id = o.partner WHERE $1 = '' OR o.partner = $2
		ORDER BY o.submitted_at DESC, o.id`, partner, partner)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	defer rows.Close()
	var all []Head
	for rows.Next() {
		var h Head
		var at, body string
		if err := rows.Scan(&h.ID, &h.Kind, &h.Partner, &h.PartnerName, &h.State, &h.SubmittedBy, &at, &h.DecidedBy, &body); err != nil {
			return nil, fmt.Errorf("orders: %w", err)
		}
		if body != "" {
			var o struct{ Partner Partner }
			if err := json.Unmarshal([]byte(body), &o); err != nil {
				return nil, fmt.Errorf("order %s: %w", h.ID, err)
			}
			h.PartnerName = o.Partner.Name
		}
		h.SubmittedAt = parseTime(at)
		all = append(all, h)
	}
	return all, rows.Err()
}

// Undecided returns the orders that wait for a decision, who waits longest first; of one partner where that is not "".
func (r *Registry) Undecided(ctx context.Context, partner string) ([]Record, error) {
	return r.orders(ctx, `WHERE state = $1 AND ($2 = '' OR partner = $3) ORDER BY submitted_at, id`, string(Submitted), partner, partner)
}

// OrdersOf returns the orders of a partner, newest first.
func (r *Registry) OrdersOf(ctx context.Context, partner string) ([]Record, error) {
	return r.orders(ctx, `WHERE partner = $1 ORDER BY submitted_at DESC, id`, partner)
}

// OrdersNamed returns the orders of these numbers, newest first. Numbers of no order are left out.
func (r *Registry) OrdersNamed(ctx context.Context, ids []string) (all []Record, err error) {
	err = inParts(ids, func(in string, args []any) error {
		found, err := r.orders(ctx, `WHERE id IN `+in+` ORDER BY submitted_at DESC, id`, args...)
		all = append(all, found...)
		return err
	})
	return all, err
}

// Service is a component that is on for a partner, or is being brought: B_HSM once for each application.
type Service struct {
	Partner     string
	Component   Component
	Application string // of B_HSM
	Order       string // that switched it on
}

// On returns what is on, in the order of partners, components and applications; of one partner where that is not "".
func (r *Registry) On(ctx context.Context, partner string) ([]Service, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT c.partner, c.component, c.application, c.order_id FROM components c
		JOIN orders o ON o.id = c.order_id WHERE c.ended_by = '' AND o.state IN ($1, $2) AND ($3 = '' OR c.partner = $4)
		ORDER BY c.partner, c.component, c.application, c.order_id`, string(Approved), string(Active), partner, partner)
	if err != nil {
		return nil, fmt.Errorf("components: %w", err)
	}
	defer rows.Close()
	var all []Service
	for rows.Next() {
		var s Service
		if err := rows.Scan(&s.Partner, &s.Component, &s.Application, &s.Order); err != nil {
			return nil, fmt.Errorf("components: %w", err)
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// Enrolled returns the orders, of those that are being carried out, whose office has enrolled.
func (r *Registry) Enrolled(ctx context.Context) (map[string]bool, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT DISTINCT e.order_id FROM enrolments e JOIN orders o ON o.id = e.order_id
		WHERE o.state = $1 AND e.site = '' AND e.used_at <> ''`, string(Approved))
	if err != nil {
		return nil, fmt.Errorf("enrolments: %w", err)
	}
	defer rows.Close()
	enrolled := map[string]bool{}
	for rows.Next() {
		var order string
		if err := rows.Scan(&order); err != nil {
			return nil, fmt.Errorf("enrolments: %w", err)
		}
		enrolled[order] = true
	}
	return enrolled, rows.Err()
}

// Admissible says whether an order would be taken now, by the rules that Submit and Approve follow: a *FieldError or a
// *Refusal says why not. Nothing is recorded: it is a question.
func (r *Registry) Admissible(ctx context.Context, o Order) error {
	if err := o.check(); err != nil {
		return err
	}
	return r.admissible(ctx, o)
}

// stepsOf returns the done steps of orders, of each in the order in which they were done.
func (r *Registry) stepsOf(ctx context.Context, orders []string) (map[string][]Step, error) {
	all := map[string][]Step{}
	err := inParts(orders, func(in string, args []any) error {
		rows, err := r.db.QueryContext(ctx, `SELECT order_id, name, fact, done_at FROM order_steps WHERE order_id IN `+in+`
			ORDER BY order_id, seq`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s Step
			var order, at string
			if err := rows.Scan(&order, &s.Name, &s.Fact, &at); err != nil {
				return err
			}
			s.DoneAt = parseTime(at)
			all[order] = append(all[order], s)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("steps of orders: %w", err)
	}
	return all, nil
}

// unitsOf returns the subordinate units of partners, by name.
func (r *Registry) unitsOf(ctx context.Context, partners []string) (map[string][]SubordinateUnit, error) {
	all := map[string][]SubordinateUnit{}
	err := inParts(partners, func(in string, args []any) error {
		rows, err := r.db.QueryContext(ctx, `SELECT partner, id, name FROM units WHERE partner IN `+in+` ORDER BY name, id`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var u SubordinateUnit
			var partner string
			if err := rows.Scan(&partner, &u.ID, &u.Name); err != nil {
				return err
			}
			all[partner] = append(all[partner], u)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("units: %w", err)
	}
	return all, nil
}

// maxNamed bounds the values of one statement: databases do.
const maxNamed = 500

// inParts asks for values in as few statements as may be; in is the list of their placeholders, from $1 on.
func inParts(values []string, ask func(in string, args []any) error) error {
	for len(values) > 0 {
		part := values[:min(len(values), maxNamed)]
		values = values[len(part):]
		marks, args := make([]string, len(part)), make([]any, len(part))
		for i, v := range part {
			marks[i], args[i] = "$"+strconv.Itoa(i+1), v
		}
		if err := ask("("+strings.Join(marks, ", ")+")", args); err != nil {
			return err
		}
	}
	return nil
}
