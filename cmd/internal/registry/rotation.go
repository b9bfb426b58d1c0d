package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Secret names a secret of a tunnel that is rotated.
type Secret string

// The secrets of a tunnel.
const (
	PresharedKey Secret = "preshared-key"
	OfficeKey    Secret = "key" // the office's own key pair
)

// Secrets are those that officers may have rotated.
var Secrets = []Secret{PresharedKey, OfficeKey}

// rotationRest is how long a tunnel rests between two rotations of a secret: an office that rotates all the time would have
// every gateway change all the time.
const rotationRest = time.Minute

// Rotation is how the secrets of one tunnel stand. It holds none of them in clear.
type Rotation struct {
	Serial    int64     // of the pre-shared key; 0 is none
	Preshared string    // it, enciphered by who gave it
	Offered   string    // the next one, enciphered: agreed with the office, not in force
	RotatedAt time.Time // when the pre-shared key came into force; zero when that is not known
	KeyAt     time.Time // when the office's key did; zero when that is not known
	NextKey   string    // to which the office changes, "" when it does not
	HubKey    string    // the hub's next key that the office is about to use, or used last; "" before
	Asked     []Secret  // that an officer asked to have rotated since
}

// Wants says whether the secret is to be rotated: an officer asked, or it is older than it may be. One of an unknown age was
// there before ages were kept.
func (r Rotation) Wants(s Secret, oldest time.Duration, now time.Time) bool {
	since := r.RotatedAt
	if s == OfficeKey {
		since = r.KeyAt
	}
	return slices.Contains(r.Asked, s) || oldest > 0 && now.Sub(since) > oldest
}

// rotationColumns are what scanRotation reads of a tunnel's row.
const rotationColumns = `t.preshared_serial, t.preshared, t.preshared_offer, t.preshared_at, t.key_at, t.next_key,
	t.asked_preshared, t.asked_key, t.hub_key`

// scan returns where to put the columns, and what makes a Rotation of them afterwards.
func (r *Rotation) scan() (into []any, finish func()) {
	var rotated, keyed, askedPreshared, askedKey string
	return []any{&r.Serial, &r.Preshared, &r.Offered, &rotated, &keyed, &r.NextKey, &askedPreshared, &askedKey, &r.HubKey}, func() {
		r.RotatedAt, r.KeyAt = parseTime(rotated), parseTime(keyed)
		if askedPreshared != "" {
			r.Asked = append(r.Asked, PresharedKey)
		}
		if askedKey != "" {
			r.Asked = append(r.Asked, OfficeKey)
		}
	}
}

// ErrNoTunnel says that an order has no tunnel in force.
var ErrNoTunnel error = &Refusal{"the order has no tunnel of its own that is in force"}

// TunnelOf returns the tunnel of a site that an order in force brings; "" is the main site.
func (r *Registry) TunnelOf(ctx context.Context, order, site string) (*Tunnel, error) {
	rec, err := r.Order(ctx, order)
	if err != nil {
		return nil, err
	}
	named, ok := rec.SiteNamed(site)
	if !ok {
		return nil, ErrNoTunnel
	}
	_, tunnels, err := r.Wish(ctx)
	if err != nil {
		return nil, err
	}
	for i := range tunnels {
		if tunnels[i].Order == order && tunnels[i].Site == named.Name {
			return &tunnels[i], nil
		}
	}
	return nil, ErrNoTunnel
}

// OfferPreshared keeps the pre-shared key that was agreed with the office of a tunnel, enciphered, until the office has
// shown that it has it too. Of two offers the later one counts.
func (r *Registry) OfferPreshared(ctx context.Context, t *Tunnel, sealed string) error {
	if err := r.rested(t.Rotation.RotatedAt, t.Rotation.Serial > 1); err != nil {
		return err
	}
	_, err := r.db.ExecContext(ctx, `UPDATE tunnels SET preshared_offer = $1 WHERE order_id = $2 AND site = $3 AND preshared_serial = $4`,
		sealed, t.Order, t.Site, t.Rotation.Serial)
	if err != nil {
		return fmt.Errorf("pre-shared key of order %s: %w", t.Order, err)
	}
	return nil
}

func (r *Registry) rested(since time.Time, rotated bool) error {
	if past := r.now().Sub(since); rotated && past >= 0 && past < rotationRest {
		return refuse("it was rotated %d seconds ago: wait a minute", int(past.Seconds()))
	}
	return nil
}

// TakePreshared puts the offered pre-shared key of a tunnel into force, which is the one of t.
func (r *Registry) TakePreshared(ctx context.Context, actor audit.Actor, t *Tunnel) error {
	return r.rotate(ctx, actor, "tunnel.preshared-key", t, fmt.Sprintf("serial number %d", t.Rotation.Serial+1),
		`UPDATE tunnels SET preshared = preshared_offer, preshared_offer = '', preshared_serial = preshared_serial + 1,
			preshared_at = $1, asked_preshared = '' WHERE order_id = $2 AND site = $3
			AND preshared_serial = $4 AND preshared_offer = $5`, r.stamp(), t.Order, t.Site, t.Rotation.Serial, t.Rotation.Offered)
}

// rotate does one change of a tunnel's row, on record; one that meets no row was overtaken by another.
func (r *Registry) rotate(ctx context.Context, actor audit.Actor, action string, t *Tunnel, reason, statement string, args ...any) error {
	o := Order{ID: t.Order, Partner: Partner{ID: t.Partner}}
	return r.act(ctx, actor, action, o, reason, func() error {
		err := r.change(ctx, func(tx *sql.Tx) error { return changeOne(ctx, tx, statement, args...) })
		if err != nil {
			return fmt.Errorf("%s of order %s: %w", action, t.Order, err)
		}
		return nil
	})
}

func changeOne(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	done, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, refuse("the tunnel changed meanwhile: ask again"))
	}
	return nil
}

// NextKey makes a key the next one of a tunnel's office, beside the present one. A key that is or was a tunnel's is refused.
func (r *Registry) NextKey(ctx context.Context, actor audit.Actor, t *Tunnel, key string) error {
	if key == t.Rotation.NextKey {
		return nil
	}
	if err := checkPublicKey(key); err != nil {
		return err
	}
	var last string
	if err := r.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(since), '') FROM tunnel_keys WHERE address = $1`,
		t.Address.String()).Scan(&last); err != nil {
		return fmt.Errorf("keys of order %s: %w", t.Order, err)
	}
	if err := r.rested(parseTime(last), last != ""); err != nil {
		return err
	}
	o := Order{ID: t.Order, Partner: Partner{ID: t.Partner}}
	err := r.act(ctx, actor, "tunnel.next-key", o, key, func() error {
		return r.change(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `INSERT INTO tunnel_keys (public_key, address, since) VALUES ($1, $2, $3)`,
				key, t.Address.String(), r.stamp()); err != nil {
				return err
			}
			return changeOne(ctx, tx, `UPDATE tunnels SET next_key = $1 WHERE order_id = $2 AND site = $3 AND public_key = $4`,
				key, t.Order, t.Site, t.PublicKey)
		})
	})
	if store.Taken(err) {
		err = refuse("wireguard_public_key: it is or was a tunnel's; make a new key")
	}
	return err
}

// TakeKey makes the next key of a tunnel's office its key; the one before is nobody's from then on.
func (r *Registry) TakeKey(ctx context.Context, actor audit.Actor, t *Tunnel) error {
	return r.rotate(ctx, actor, "tunnel.key", t, t.Rotation.NextKey,
		`UPDATE tunnels SET public_key = next_key, next_key = '', key_at = $1, asked_key = ''
			WHERE order_id = $2 AND site = $3 AND public_key = $4 AND next_key = $5`,
		r.stamp(), t.Order, t.Site, t.PublicKey, t.Rotation.NextKey)
}

// FollowHub remembers that an office is about to use the hub's next key. It makes another wish, so that the gateways look out
// for the office.
func (r *Registry) FollowHub(ctx context.Context, actor audit.Actor, t *Tunnel, key string) error {
	if t.Rotation.HubKey == key {
		return nil
	}
	return r.rotate(ctx, actor, "tunnel.follow-hub", t, key, `UPDATE tunnels SET hub_key = $1 WHERE order_id = $2 AND site = $3`,
		key, t.Order, t.Site)
}

// AskRotation has the office of a tunnel asked to rotate a secret; when it does is its own affair.
func (r *Registry) AskRotation(ctx context.Context, actor audit.Actor, t *Tunnel, s Secret) error {
	column := map[Secret]string{PresharedKey: "asked_preshared", OfficeKey: "asked_key"}[s]
	if column == "" {
		return &FieldError{"secret", fmt.Sprintf("%q is none of %v", s, Secrets)}
	}
	o := Order{ID: t.Order, Partner: Partner{ID: t.Partner}}
	return r.act(ctx, actor, "tunnel.ask-rotation", o, string(s), func() error {
		_, err := r.db.ExecContext(ctx, `UPDATE tunnels SET `+column+` = $1 WHERE order_id = $2 AND site = $3`,
			r.stamp(), t.Order, t.Site)
		return err
	})
}

// SettingsSerial is the number of a tunnel's settings of that digest. Other settings get a higher number, that of the present
// second at least: so it is higher, too, than what was given before the database was taken back.
func (r *Registry) SettingsSerial(ctx context.Context, t *Tunnel, digest string) (serial int64, err error) {
	err = r.db.InTx(ctx, func(tx *sql.Tx) error {
		var before string
		row := tx.QueryRowContext(ctx, `SELECT settings_digest, settings_serial FROM tunnels WHERE order_id = $1 AND site = $2`,
			t.Order, t.Site)
		err := row.Scan(&before, &serial)
		if err != nil || before == digest {
			return err
		}
		serial = max(serial+1, r.now().Unix())
		return changeOne(ctx, tx, `UPDATE tunnels SET settings_digest = $1, settings_serial = $2 WHERE order_id = $3 AND site = $4`,
			digest, serial, t.Order, t.Site)
	})
	if err != nil {
		return 0, fmt.Errorf("settings of order %s: %w", t.Order, err)
	}
	return serial, nil
}
