package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Refusal is an answer of no: the rules do not allow what was asked. Anything else is a fault.
type Refusal struct{ Reason string }

// Error returns the reason.
func (e *Refusal) Error() string { return e.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Submit takes an order for another officer to decide. The officer who submits can't approve.
func (r *Registry) Submit(ctx context.Context, actor audit.Actor, o Order) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := r.admissible(ctx, o); err != nil {
		return r.refused(ctx, actor, "order.submit", o, err)
	}
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("order %s: %w", o.ID, err)
	}
	return r.act(ctx, actor, "order.submit", o, "", func() error {
		err := r.change(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO orders (id, kind, partner, body, state, submitted_by,
				submitted_at, line)
				VALUES ($1, $2, $3, $4, $5, $6, $7, COALESCE((SELECT line FROM orders WHERE id = $8), $9))`,
				o.ID, string(o.Kind), o.Partner.ID, string(body), string(Submitted), actor.ID, r.stamp(), o.Renews, o.ID)
			return err
		})
		if store.Taken(err) {
			return refuse("order %s is already there: give it another number", o.ID)
		}
		if err != nil {
			return fmt.Errorf("order %s: %w", o.ID, err)
		}
		return nil
	})
}

// refused records the refusal and returns it.
func (r *Registry) refused(ctx context.Context, actor audit.Actor, action string, o Order, why error) error {
	var no *Refusal
	var field *FieldError
	if !errors.As(why, &no) && !errors.As(why, &field) {
		return why
	}
	return errors.Join(why, r.record(ctx, actor, action, o, audit.Refused, why.Error()))
}

// admissible holds an order against the clock, what is there (agreement, partner, components, earlier orders), and what
// can be made.
func (r *Registry) admissible(ctx context.Context, o Order) error {
	if err := o.checkDates(r.now()); err != nil {
		return err
	}
	p, err := r.Partner(ctx, o.Partner.ID)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	on, err := r.switchedOn(ctx, o.Partner.ID)
	if err != nil {
		return err
	}
	if o.Kind == Change {
		return admissibleChange(o, p, on)
	}
	if p != nil && p.Agreement.Number != o.Agreement.Number {
		return refuse("agreement.number: %s has agreement %q, the order names %q", o.Partner.ID, p.Agreement.Number, o.Agreement.Number)
	}
	kept, err := r.admissibleEarlier(ctx, o)
	if err != nil {
		return err
	}
	for i, c := range o.Components {
		if by := on[o.slot(c)]; by != "" && by != o.Renews {
			return refuse("components[%d]: %s is already switched on for %s by order %s; to change it, write renews: %s",
				i, c, o.Partner.ID, by, by)
		}
	}
	if o.Has(VPN) {
		if err := r.db.InTx(ctx, func(tx *sql.Tx) error { return r.roomForSites(ctx, tx, o) }); err != nil {
			return err
		}
	}
	if err := r.admissibleServers(ctx, o); err != nil {
		return err
	}
	return r.canCarryOut(ctx, o, kept)
}

func admissibleChange(o Order, p *Partner, on map[slot]string) error {
	if p == nil {
		return refuse("partner.id: %q has no framework agreement here: check the spelling", o.Partner.ID)
	}
	for i, c := range o.Components {
		found := false
		for s := range on {
			ofApplication := o.Application == "" || c != NetworkHSM || s.application == o.Application
			found = found || s.component == c && ofApplication
		}
		if !found && c == NetworkHSM && o.Application != "" {
			return refuse("application: %s is not switched on for %s of %s", c, o.Application, o.Partner.ID)
		}
		if !found {
			return refuse("components[%d]: %s is not switched on for %s", i, c, o.Partner.ID)
		}
	}
	return nil
}

// slot is what of a partner can be on once: a component, B_HSM once for each application.
type slot struct {
	component   Component
	application string
}

func (o Order) slot(c Component) slot {
	if c == NetworkHSM && o.HSMAuthorization != nil {
		return slot{c, o.HSMAuthorization.Application}
	}
	return slot{component: c}
}

// switchedOn returns, for what is on for a partner, the order that switched it on.
func (r *Registry) switchedOn(ctx context.Context, partner string) (map[slot]string, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT component, application, order_id FROM components
		WHERE partner = $1 AND ended_by = '' AND renews = ''`, partner)
	if err != nil {
		return nil, fmt.Errorf("components of %s: %w", partner, err)
	}
	defer rows.Close()
	on := map[slot]string{}
	for rows.Next() {
		var s slot
		var order string
		if err := rows.Scan(&s.component, &s.application, &order); err != nil {
			return nil, fmt.Errorf("components of %s: %w", partner, err)
		}
		on[s] = order
	}
	return on, rows.Err()
}

// IsOn reports whether a component is on for a partner, for any application.
func (r *Registry) IsOn(ctx context.Context, partner string, c Component) (bool, error) {
	on, err := r.switchedOn(ctx, partner)
	for s := range on {
		if s.component == c {
			return true, err
		}
	}
	return false, err
}

// Approve decides for an order. From here on it is carried out: a change order takes the access away in
// this very transaction.
func (r *Registry) Approve(ctx context.Context, actor audit.Actor, id string) error {
	rec, err := r.Order(ctx, id)
	if err != nil {
		return err
	}
	if err := r.decidable(ctx, actor, rec); err != nil {
		return r.refused(ctx, actor, "order.approve", rec.Order, err)
	}
	return r.act(ctx, actor, "order.approve", rec.Order, "", func() error {
		err := r.change(ctx, func(tx *sql.Tx) error {
			if err := r.decide(ctx, tx, actor, id, Approved, ""); err != nil {
				return err
			}
			if rec.Kind == Change {
				return r.endComponents(ctx, tx, rec.Order)
			}
			if err := r.roomForSites(ctx, tx, rec.Order); err != nil { // others may be approved at this moment
				return asRefusal(err)
			}
			return beginComponents(ctx, tx, rec.Order)
		})
		if store.Taken(err) {
			return refuse("order %s: a component was switched on by another order meanwhile", id)
		}
		return err
	})
}

// Reject declines an order for a reason that the submitter sees.
func (r *Registry) Reject(ctx context.Context, actor audit.Actor, id, reason string) error {
	rec, err := r.Order(ctx, id)
	if err != nil {
		return err
	}
	if strings.TrimSpace(reason) == "" {
		return refuse("reason: say why the order is rejected; the submitter will read it")
	}
	if rec.State != Submitted {
		return r.refused(ctx, actor, "order.reject", rec.Order, refuse("order %s is %s: only a submitted order can be rejected", id, rec.State))
	}
	return r.act(ctx, actor, "order.reject", rec.Order, reason, func() error {
		return r.change(ctx, func(tx *sql.Tx) error { return r.decide(ctx, tx, actor, id, Rejected, reason) })
	})
}

func (r *Registry) decidable(ctx context.Context, actor audit.Actor, rec *Record) error {
	if rec.State != Submitted {
		return refuse("order %s is %s: only a submitted order can be approved", rec.ID, rec.State)
	}
	if rec.SubmittedBy == actor.ID {
		return refuse("order %s was submitted by %s: another officer must approve it", rec.ID, actor.ID)
	}
	return asRefusal(r.admissible(ctx, rec.Order)) // much may have changed since it was submitted
}

// asRefusal makes a refusal of a field's error: who approves can't change the order.
func asRefusal(err error) error {
	var field *FieldError
	if errors.As(err, &field) {
		return refuse("%s", field.Error())
	}
	return err
}

func (r *Registry) decide(ctx context.Context, tx *sql.Tx, actor audit.Actor, id string, to State, reason string) error {
	done, err := tx.ExecContext(ctx, `UPDATE orders SET state = $1, decided_by = $2, decided_at = $3, reason = $4 WHERE id = $5 AND state = $6`,
		string(to), actor.ID, r.stamp(), reason, id, string(Submitted))
	if err != nil {
		return fmt.Errorf("order %s: %w", id, err)
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, refuse("order %s was decided by another officer meanwhile", id))
	}
	return nil
}

// beginComponents enters partner, units and components. What a component grants begins when its step is done.
func beginComponents(ctx context.Context, tx *sql.Tx, o Order) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO partners (id, name, agreement, signed) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name`, o.Partner.ID, o.Partner.Name, o.Agreement.Number, o.Agreement.Signed)
	if err != nil {
		return fmt.Errorf("partner %s: %w", o.Partner.ID, err)
	}
	for _, u := range o.Units {
		if _, err := tx.ExecContext(ctx, `INSERT INTO units (partner, id, name) VALUES ($1, $2, $3)
			ON CONFLICT (partner, id) DO UPDATE SET name = excluded.name`, o.Partner.ID, u.ID, u.Name); err != nil {
			return fmt.Errorf("unit %s: %w", u.ID, err)
		}
	}
	return insertComponents(ctx, tx, o)
}

// insertComponents enters the components; those that are on through the renewed order wait until the order takes its
// place.
func insertComponents(ctx context.Context, tx *sql.Tx, o Order) error {
	var state State
	err := tx.QueryRowContext(ctx, `SELECT state FROM orders WHERE id = $1`, o.Renews).Scan(&state)
	if o.Renews != "" && err != nil {
		return fmt.Errorf("order %s: %w", o.Renews, err)
	}
	if o.Renews != "" && state != Active {
		return refuse("renews: order %s is %s meanwhile", o.Renews, state)
	}
	for _, c := range o.Components {
		if _, err := tx.ExecContext(ctx, `INSERT INTO components (partner, component, order_id, application, renews)
			VALUES ($1, $2, $3, $4,
			COALESCE((SELECT order_id FROM components WHERE order_id = $5 AND component = $6 AND ended_by = ''), ''))`,
			o.Partner.ID, string(c), o.ID, o.slot(c).application, o.Renews, string(c)); err != nil {
			return fmt.Errorf("component %s: %w", c, err)
		}
	}
	return nil
}

// endComponents switches off what a change order names, of an order that is under way to renew another one too.
func (r *Registry) endComponents(ctx context.Context, tx *sql.Tx, o Order) error {
	for _, c := range o.Components {
		where, args := o.named(c, 2)
		if _, err := tx.ExecContext(ctx, `UPDATE components SET ended_by = $1 WHERE `+where,
			append([]any{o.ID}, args...)...); err != nil {
			return fmt.Errorf("component %s: %w", c, err)
		}
	}
	return r.endTunnels(ctx, tx, `order_id IN (SELECT order_id FROM components WHERE component = $2 AND ended_by = $3)`, string(VPN), o.ID)
}

// named chooses the rows of components that a change order means by one of its components; first is the number of the first of args.
func (o Order) named(c Component, first int) (where string, args []any) {
	application := ""
	if c == NetworkHSM {
		application = o.Application
	}
	return fmt.Sprintf(`partner = $%d AND component = $%d AND ended_by = '' AND ($%d = '' OR application = $%d)`,
		first, first+1, first+2, first+3), []any{o.Partner.ID, string(c), application, application}
}

// Order returns one order with what became of it.
func (r *Registry) Order(ctx context.Context, id string) (*Record, error) {
	records, err := r.orders(ctx, `WHERE id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, refuse("order %s is not there", id)
	}
	return &records[0], nil
}

// Orders returns all orders, newest first.
func (r *Registry) Orders(ctx context.Context) ([]Record, error) {
	return r.orders(ctx, `ORDER BY submitted_at DESC`)
}

// Unfinished returns the approved orders that are not carried out yet, and replaced ones of which something may be left
// behind (Retired), oldest decision first.
func (r *Registry) Unfinished(ctx context.Context) ([]Record, error) {
	return r.orders(ctx, `WHERE state = 'approved' OR state = 'replaced' AND NOT EXISTS
		(SELECT 1 FROM order_steps WHERE order_id = orders.id AND name = $1) ORDER BY decided_at`, Retired)
}

func (r *Registry) orders(ctx context.Context, where string, args ...any) ([]Record, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT body, state, submitted_by, submitted_at, decided_by, decided_at,
		reason, waiting, replaced_by FROM orders `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	defer rows.Close()
	var records []Record
	for rows.Next() {
		var rec Record
		var body, state, submitted, decided string
		if err := rows.Scan(&body, &state, &rec.SubmittedBy, &submitted, &rec.DecidedBy, &decided, &rec.Reason,
			&rec.Waiting, &rec.ReplacedBy); err != nil {
			return nil, fmt.Errorf("orders: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &rec.Order); err != nil {
			return nil, fmt.Errorf("orders: %w", err)
		}
		rec.State, rec.SubmittedAt = State(state), parseTime(submitted)
		if decided != "" {
			at := parseTime(decided)
			rec.DecidedAt = &at
		}
		records = append(records, rec)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	ids := make([]string, len(records))
	for i := range records {
		ids[i] = records[i].ID
	}
	steps, err := r.stepsOf(ctx, ids)
	for i := range records {
		records[i].Steps = steps[records[i].ID]
	}
	return records, err
}

// Partner returns one partner, or an error that is sql.ErrNoRows.
func (r *Registry) Partner(ctx context.Context, id string) (*Partner, error) {
	partners, err := r.partners(ctx, `WHERE id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(partners) == 0 {
		return nil, fmt.Errorf("partner %s: %w", id, sql.ErrNoRows)
	}
	return &partners[0], nil
}

// Partners returns all partners by name.
func (r *Registry) Partners(ctx context.Context) ([]Partner, error) {
	return r.partners(ctx, `ORDER BY name`)
}

func (r *Registry) partners(ctx context.Context, where string, args ...any) ([]Partner, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT id, name, agreement, signed FROM partners `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("partners: %w", err)
	}
	defer rows.Close()
	var partners []Partner
	for rows.Next() {
		var p Partner
		if err := rows.Scan(&p.ID, &p.Name, &p.Agreement.Number, &p.Agreement.Signed); err != nil {
			return nil, fmt.Errorf("partners: %w", err)
		}
		partners = append(partners, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("partners: %w", err)
	}
	ids := make([]string, len(partners))
	for i := range partners {
		ids[i] = partners[i].ID
	}
	units, err := r.unitsOf(ctx, ids)
	for i := range partners {
		partners[i].Units = units[partners[i].ID]
	}
	return partners, err
}
