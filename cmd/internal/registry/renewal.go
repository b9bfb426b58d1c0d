package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trustcore/internal/audit"
)

// Retired is the step of a replaced order after which nothing is left of what its successor did not take over.
const Retired = "retired"

// admissibleEarlier holds an order against the one that it renews or resumes, and returns the keys that it takes over,
// id by name.
func (r *Registry) admissibleEarlier(ctx context.Context, o Order) (kept map[string]string, err error) {
	field, id := "renews", o.Renews
	if o.Resume != "" {
		field, id = "resume", o.Resume
	}
	if id == "" {
		return nil, nil
	}
	records, err := r.orders(ctx, `WHERE id = $1 AND partner = $2 AND kind = $3`, id, o.Partner.ID, string(Activation))
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, &FieldError{field, fmt.Sprintf("%s has no activation order %s: check the number", o.Partner.ID, id)}
	}
	if o.Resume != "" {
		err = r.admissibleResumption(ctx, o, &records[0])
	} else {
		err = r.admissibleRenewal(ctx, o, &records[0])
	}
	if err != nil {
		return nil, err
	}
	if kept, err = r.KeptKeys(ctx, o); err != nil || o.HSMAuthorization == nil {
		return nil, err
	}
	if o.Resume != "" && len(kept) == 0 {
		return nil, &FieldError{"resume",
			fmt.Sprintf("order %s has none of these keys: write their names as they stand there, or leave resume out", id)}
	}
	return kept, sameAlgorithms(o, &records[0], kept)
}

// sameAlgorithms refuses another algorithm under the name of a key that is kept.
func sameAlgorithms(o Order, earlier *Record, kept map[string]string) error {
	for i, k := range o.HSMAuthorization.Keys {
		if kept[k.Name] == "" {
			continue
		}
		for _, before := range earlier.HSMAuthorization.Keys {
			if before.Name == k.Name && before.Algorithm != k.Algorithm {
				return &FieldError{fmt.Sprintf("hsm_authorization.keys[%d].algorithm", i), fmt.Sprintf(
					"the key %s of order %s is %s and stays so: write that, or give the new key another name", k.Name, earlier.ID, before.Algorithm)}
			}
		}
	}
	return nil
}

func (r *Registry) admissibleRenewal(ctx context.Context, o Order, old *Record) error {
	switch {
	case old.State == Replaced:
		return &FieldError{"renews", fmt.Sprintf("order %s was replaced by %s: renew that one", old.ID, old.ReplacedBy)}
	case old.State != Active:
		return &FieldError{"renews", fmt.Sprintf("order %s is %s: only one that is active can be renewed", old.ID,
			old.State)}
	}
	left, err := r.Left(ctx, old.ID)
	if err != nil {
		return err
	}
	for _, c := range left {
		if !o.Has(c) {
			return &FieldError{"components",
				fmt.Sprintf("order %s has %s on: list it too; a change order (-) switches it off", old.ID, c)}
		}
	}
	var other string
	err = r.db.QueryRowContext(ctx, `SELECT order_id FROM components WHERE renews = $1 AND ended_by = ''`,
		old.ID).Scan(&other)
	switch {
	case err == nil:
		return &FieldError{"renews",
			fmt.Sprintf("order %s is being renewed by %s: wait until that one is carried out", old.ID, other)}
	case !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("renewals of order %s: %w", old.ID, err)
	}
	if o.Has(VPN) && slices.Contains(left, VPN) && o.VPNRequest.Site != old.VPNRequest.Site {
		return &FieldError{"vpn_request.site", fmt.Sprintf("the tunnel of order %s is that of site %s, and stays so",
			old.ID, old.VPNRequest.Site)}
	}
	if !slices.Contains(left, NetworkHSM) {
		return nil
	}
	a, before := o.HSMAuthorization, old.HSMAuthorization
	switch {
	case a.Application != before.Application:
		return &FieldError{"hsm_authorization.application", fmt.Sprintf(
			"order %s is for %s, and stays so; order another application without renews", old.ID, before.Application)}
	case a.NotBefore.After(r.now()) && a.NotBefore.After(before.NotBefore):
		return &FieldError{"hsm_authorization.not_before", fmt.Sprintf(
			"the keys of order %s would rest until then: write no later day than today, such as that of order %s", old.ID, old.ID)}
	}
	return nil
}

func (r *Registry) admissibleResumption(ctx context.Context, o Order, old *Record) error {
	if old.HSMAuthorization == nil {
		return &FieldError{"resume", fmt.Sprintf("order %s had no keys: leave it out", old.ID)}
	}
	if old.HSMAuthorization.Application != o.HSMAuthorization.Application {
		return &FieldError{"hsm_authorization.application", fmt.Sprintf("the keys of order %s are those of %s",
			old.ID, old.HSMAuthorization.Application)}
	}
	var end, state string
	err := r.db.QueryRowContext(ctx, `SELECT c.ended_by, COALESCE(e.state, '') FROM components c
		LEFT JOIN orders e ON e.id = c.ended_by
		WHERE c.order_id = $1 AND c.component = $2`, old.ID, string(NetworkHSM)).Scan(&end, &state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &FieldError{"resume", fmt.Sprintf("order %s is %s and never had keys: leave it out", old.ID, old.State)}
	case err != nil:
		return fmt.Errorf("end of order %s: %w", old.ID, err)
	case end == "":
		return &FieldError{"resume", fmt.Sprintf("order %s is in force: write renews: %s", old.ID, old.ID)}
	case end == old.ReplacedBy:
		return &FieldError{"resume", fmt.Sprintf("order %s was replaced by %s: name that one", old.ID, end)}
	case State(state) != CarriedOut:
		return &FieldError{"resume",
			fmt.Sprintf("the keys of order %s are still being taken away by order %s: wait until that is carried out", old.ID, end)}
	}
	return nil
}

// replace puts an order that is carried out into the place of the one that it renews: tunnels and components are its own
// now. Tunnels of sites that it does not name end.
func (r *Registry) replace(ctx context.Context, tx *sql.Tx, o Order) error {
	for _, s := range []struct {
		statement string
		args      []any
	}{
		{`UPDATE components SET ended_by = $1 WHERE order_id = $2 AND ended_by = '' AND component IN
			(SELECT component FROM components WHERE order_id = $3 AND ended_by = '' AND renews <> '')`,
			[]any{o.ID, o.Renews, o.ID}},
		{`UPDATE components SET renews = '' WHERE order_id = $1`, []any{o.ID}},
		{`UPDATE orders SET state = $1, replaced_by = $2 WHERE id = $3 AND state = $4
			AND EXISTS (SELECT 1 FROM components WHERE order_id = $5 AND ended_by = $6)`,
			[]any{string(Replaced), o.ID, o.Renews, string(Active), o.Renews, o.ID}},
	} {
		if _, err := tx.ExecContext(ctx, s.statement, s.args...); err != nil {
			return fmt.Errorf("renewal of order %s: %w", o.Renews, err)
		}
	}
	if err := r.replaceTunnels(ctx, tx, o); err != nil {
		return fmt.Errorf("renewal of order %s: %w", o.Renews, err)
	}
	return nil
}

// replaceTunnels gives an order the tunnels of the one that it renews, where P_VPN was taken over.
func (r *Registry) replaceTunnels(ctx context.Context, tx *sql.Tx, o Order) error {
	var over int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM components WHERE order_id = $1 AND component = $2 AND ended_by = $3`,
		o.Renews, string(VPN), o.ID).Scan(&over); err != nil || over == 0 {
		return err
	}
	if err := r.endReach(ctx, tx, `order_id = $2`, o.Renews); err != nil {
		return err
	}
	for _, site := range o.VPNRequest.AllSites() {
		if _, err := tx.ExecContext(ctx, `UPDATE tunnels SET order_id = $1, unit = $2, services = $3, networks = $4
			WHERE order_id = $5 AND site = $6 AND ended_at = ''`, o.ID, site.Unit, strings.Join(site.Services, " "),
			strings.Join(site.Networks, " "), o.Renews, site.Name); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE tunnels SET public_key = COALESCE((SELECT e.public_key FROM enrolments e
		WHERE e.order_id = tunnels.order_id AND e.site = '' AND e.used_at <> '' ORDER BY e.used_at DESC LIMIT 1), public_key)
		WHERE order_id = $1 AND site = $2`, o.ID, o.VPNRequest.Site); err != nil {
		return err
	}
	main, _ := o.SiteNamed("")
	if err := enrolledSecrets(ctx, tx, o, main); err != nil {
		return err
	}
	if err := r.endTunnels(ctx, tx, `order_id = $2`, o.Renews); err != nil {
		return err
	}
	return r.beginReach(ctx, tx, o.ID)
}

// carrier is who acts when an order takes another one's place: the officers decided, the daemon obeys.
var carrier = audit.Actor{Kind: "daemon", ID: "activation"}

// Line returns the order with all that it renewed and that renewed it, by their numbers.
func (r *Registry) Line(ctx context.Context, order string) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT id FROM orders WHERE line = (SELECT line FROM orders WHERE id = $1)
		ORDER BY id`, order)
	if err != nil {
		return nil, fmt.Errorf("line of order %s: %w", order, err)
	}
	defer rows.Close()
	var line []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("line of order %s: %w", order, err)
		}
		line = append(line, id)
	}
	return line, rows.Err()
}

// InForce returns the active order of an order's line: itself, or the last one that renewed it; nil when none is.
func (r *Registry) InForce(ctx context.Context, order string) (*Record, error) {
	records, err := r.orders(ctx, `WHERE line = (SELECT line FROM orders WHERE id = $1) AND state = $2`, order,
		string(Active))
	if err != nil || len(records) == 0 {
		return nil, err
	}
	return &records[0], nil
}

// LineLeft returns the components that are on through an order's line.
func (r *Registry) LineLeft(ctx context.Context, order string) ([]Component, error) {
	return r.left(ctx, `order_id IN (SELECT id FROM orders WHERE line = (SELECT line FROM orders WHERE id = $1))`,
		order)
}

// KeysOn returns the ids of a partner's keys that orders name whose B_HSM is on or being brought.
func (r *Registry) KeysOn(ctx context.Context, partner string) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT DISTINCT k.id FROM order_keys k
		JOIN components c ON c.order_id = k.order_id AND c.component = $1
		WHERE c.partner = $2 AND c.ended_by = ''`, string(NetworkHSM), partner)
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", partner, err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("keys of %s: %w", partner, err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Authorised is a key that an active order lets its application use.
type Authorised struct {
	Record   *Record
	Name, ID string
	Until    time.Time // it may be used for the last time
	Replaced bool      // another version signs in its place: this one verifies alone
}

// Authorisations returns the keys that active orders give, of orders whose authorisation is over too.
func (r *Registry) Authorisations(ctx context.Context) ([]Authorised, error) {
	records, err := r.orders(ctx, `WHERE state = $1 AND EXISTS
		(SELECT 1 FROM components c WHERE c.order_id = orders.id AND c.component = $2 AND c.ended_by = '')`,
		string(Active), string(NetworkHSM))
	if err != nil {
		return nil, err
	}
	var all []Authorised
	for i := range records {
		versions, err := r.Versions(ctx, records[i].ID)
		if err != nil {
			return nil, err
		}
		a := records[i].HSMAuthorization
		for _, v := range versions {
			k := slices.IndexFunc(a.Keys, func(k HSMKey) bool { return k.Name == v.Name })
			if k >= 0 {
				all = append(all, Authorised{Record: &records[i], Name: v.Name, ID: v.ID, Until: a.until(a.Keys[k]),
					Replaced: v.By != "" && !r.now().Before(v.Replaced)})
			}
		}
	}
	return all, nil
}
