package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// KeyVersion is one of the keys that an order means by a name, one after the other. The highest whose moment has come
// signs; all of them verify, and stay listed.
type KeyVersion struct {
	Name     string
	Version  int // from 1 on
	ID       string
	SignsOn  time.Time // signs from then on; zero: since it was made
	Replaced time.Time // signs no more from then on; zero: no other version is to follow
	By       string    // the key that signs then
	First    string    // the key of the lowest version of that name
}

// AddKey remembers which HSM key an order's authorisation means by a name: the first version, which the order made.
func (r *Registry) AddKey(ctx context.Context, order, name, keyID string) error {
	err := r.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO order_keys (order_id, name, version, id) VALUES ($1, $2, 1, $3)`,
			order, name, keyID)
		return err
	})
	if err != nil && !store.Taken(err) {
		return fmt.Errorf("key %s: %w", name, err)
	}
	return nil
}

// takenOver are the rows, as k, of what an order takes over: $1 is B_HSM, $2 the order that it renews, $3 its own number,
// $4 the order that it resumes.
const takenOver = `JOIN components c ON c.order_id = k.order_id AND c.component = $1
	WHERE (k.order_id = $2 AND c.ended_by IN ('', $3) OR k.order_id = $4)`

// KeptKeys returns the keys, id of the newest version by name, that an order takes over: those of its names that are in
// force through the order which it renews, or that the order had which it resumes.
func (r *Registry) KeptKeys(ctx context.Context, o Order) (map[string]string, error) {
	if o.HSMAuthorization == nil {
		return nil, nil
	}
	before, err := r.keys(ctx, takenOver, string(NetworkHSM), o.Renews, o.ID, o.Resume)
	if err != nil {
		return nil, err
	}
	kept := map[string]string{}
	for _, k := range o.HSMAuthorization.Keys {
		if id := before[k.Name]; id != "" {
			kept[k.Name] = id
		}
	}
	return kept, nil
}

// KeepKeys makes the keys of KeptKeys those of the order, in all their versions. Doing it again adds what came meanwhile.
func (r *Registry) KeepKeys(ctx context.Context, o Order) error {
	err := r.change(ctx, func(tx *sql.Tx) error {
		if err := lockWish(ctx, tx); err != nil { // no version comes between
			return err
		}
		for _, k := range o.HSMAuthorization.Keys {
			if _, err := tx.ExecContext(ctx, `INSERT INTO order_keys (order_id, name, version, id, signs_on)
				SELECT $3, k.name, k.version, k.id, k.signs_on FROM order_keys k `+takenOver+` AND k.name = $5
				ON CONFLICT DO NOTHING`, string(NetworkHSM), o.Renews, o.ID, o.Resume, k.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keys of order %s: %w", o.ID, err)
	}
	return nil
}

// AddVersion has a key sign in the place of another, from a moment on: next is the version after it, of the same name, of
// every order in force that names the other one. It may be repeated.
func (r *Registry) AddVersion(ctx context.Context, actor audit.Actor, rec *Record, replaced string, next KeyVersion) error {
	return granted(ctx, "", func(ctx context.Context, outcome, reason string) error {
		_, err := r.audit.Append(ctx, audit.Entry{Time: r.now(), Actor: actor, Action: "key.rotate", Subject: next.ID,
			Partner: rec.Partner.ID, Order: rec.ID, Outcome: outcome, Reason: reason, Details: map[string]string{
				"label": next.Name, "version": fmt.Sprint(next.Version), "replaces": replaced,
				"signs_on": next.SignsOn.UTC().Format(timeFormat)}})
		return err
	}, func() error {
		return r.change(ctx, func(tx *sql.Tx) error { return addVersion(ctx, tx, replaced, next) })
	})
}

func addVersion(ctx context.Context, tx *sql.Tx, replaced string, next KeyVersion) error {
	if err := lockWish(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO order_keys (order_id, name, version, id, signs_on)
		SELECT k.order_id, k.name, k.version + 1, $1, $2 FROM order_keys k
		JOIN components c ON c.order_id = k.order_id AND c.component = $3 AND c.ended_by = ''
		WHERE k.id = $4 AND k.name = $5 AND k.version + 1 = $6 ON CONFLICT DO NOTHING`, next.ID,
		next.SignsOn.UTC().Format(timeFormat), string(NetworkHSM), replaced, next.Name, next.Version); err != nil {
		return err
	}
	var follows int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM order_keys WHERE id = $1 AND name = $2 AND version = $3`, next.ID,
		next.Name, next.Version).Scan(&follows)
	if err == nil && follows == 0 {
		err = refuse("key %s is not the newest version of %s that an order in force gives", replaced, next.Name)
	}
	return err
}

// Newest returns the key of that ID as the newest version of its name in an order in force, with that order. A *Refusal
// says that it is not.
func (r *Registry) Newest(ctx context.Context, keyID string) (*Record, KeyVersion, error) {
	records, err := r.orders(ctx, `WHERE state = $1 AND id IN (SELECT k.order_id FROM order_keys k
		JOIN components c ON c.order_id = k.order_id AND c.component = $2 AND c.ended_by = '' WHERE k.id = $3)`,
		string(Active), string(NetworkHSM), keyID)
	if err != nil {
		return nil, KeyVersion{}, err
	}
	if len(records) == 0 {
		return nil, KeyVersion{}, refuse("no order in force gives key %s: one that renews or resumes another does", keyID)
	}
	versions, err := r.Versions(ctx, records[0].ID)
	if err != nil {
		return nil, KeyVersion{}, err
	}
	for _, v := range versions {
		switch {
		case v.ID != keyID:
		case v.By != "":
			return nil, KeyVersion{}, refuse("key %s has been followed by version %d already: name that one, %s", keyID, v.Version+1,
				versions[slices.IndexFunc(versions, func(n KeyVersion) bool { return n.Name == v.Name && n.Version == v.Version+1 })].ID)
		default:
			return &records[0], v, nil
		}
	}
	return nil, KeyVersion{}, refuse("no order in force gives key %s", keyID)
}

// Keys returns the HSM keys of an order, id of the newest version by name.
func (r *Registry) Keys(ctx context.Context, order string) (map[string]string, error) {
	return r.keys(ctx, `WHERE k.order_id = $1`, order)
}

func (r *Registry) keys(ctx context.Context, where string, args ...any) (map[string]string, error) {
	rows, err := r.versions(ctx, where, args...)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, row := range rows {
		keys[row.Name] = row.ID
	}
	return keys, nil
}

// Versions returns the HSM keys of an order in all their versions, those of one name together, the lowest first.
func (r *Registry) Versions(ctx context.Context, order string) ([]KeyVersion, error) {
	rows, err := r.versions(ctx, `WHERE k.order_id = $1`, order)
	if err != nil {
		return nil, err
	}
	return succession(rows), nil
}

// ordersKey is a version of a key by an order.
type ordersKey struct {
	order string
	KeyVersion
}

func (r *Registry) versions(ctx context.Context, where string, args ...any) ([]ordersKey, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT k.order_id, k.name, k.version, k.id, k.signs_on FROM order_keys k `+where+`
		ORDER BY k.order_id, k.name, k.version`, args...)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer rows.Close()
	var all []ordersKey
	for rows.Next() {
		var k ordersKey
		var on string
		if err := rows.Scan(&k.order, &k.Name, &k.Version, &k.ID, &on); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		if on != "" {
			k.SignsOn = parseTime(on)
		}
		all = append(all, k)
	}
	return all, rows.Err()
}

// succession says of the keys of one order what follows them: of the higher versions the one whose moment comes first.
func succession(rows []ordersKey) []KeyVersion {
	all := make([]KeyVersion, len(rows))
	for i, row := range rows {
		all[i] = row.KeyVersion
	}
	for i := len(all) - 2; i >= 0; i-- {
		next := &all[i+1]
		if next.Name != all[i].Name {
			continue
		}
		all[i].Replaced, all[i].By = next.SignsOn, next.ID
		if !next.Replaced.IsZero() && next.Replaced.Before(next.SignsOn) {
			all[i].Replaced, all[i].By = next.Replaced, next.By
		}
	}
	for i := range all {
		all[i].First = all[i].ID
		if i > 0 && all[i-1].Name == all[i].Name {
			all[i].First = all[i-1].First
		}
	}
	return all
}

// keysOfLine returns the keys of each order of a line.
func (r *Registry) keysOfLine(ctx context.Context, order string) (map[string][]KeyVersion, error) {
	rows, err := r.versions(ctx, `JOIN orders o ON o.id = k.order_id
		WHERE o.line = (SELECT line FROM orders WHERE id = $1)`, order)
	if err != nil {
		return nil, fmt.Errorf("order %s: %w", order, err)
	}
	return perOrder(rows), nil
}

// perOrder divides rows by their orders.
func perOrder(rows []ordersKey) map[string][]KeyVersion {
	keys := map[string][]KeyVersion{}
	for len(rows) > 0 {
		of := rows[0].order
		end := slices.IndexFunc(rows, func(k ordersKey) bool { return k.order != of })
		if end < 0 {
			end = len(rows)
		}
		keys[of], rows = succession(rows[:end]), rows[end:]
	}
	return keys
}

// SignsAt reports whether the version is the one that signs at a time.
func (v KeyVersion) SignsAt(t time.Time) bool {
	return !t.Before(v.SignsOn) && (v.By == "" || t.Before(v.Replaced))
}

// AllVersions returns the versions of every key that an order gave, by ID. What followed a key says the order by which it
// was followed.
func (r *Registry) AllVersions(ctx context.Context) (map[string]KeyVersion, error) {
	rows, err := r.versions(ctx, ``)
	if err != nil {
		return nil, err
	}
	all := map[string]KeyVersion{}
	for _, versions := range perOrder(rows) {
		for _, v := range versions {
			if all[v.ID].By == "" {
				all[v.ID] = v
			}
		}
	}
	return all, nil
}
