package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"trustcore/internal/audit"
)

// Gateway is a VPN gateway that was ever answered. Who is listed may still carry tunnels.
type Gateway struct {
	Name      string
	Epoch     string // this and the next two name the wish that it reported last as carried out, "" before the first
	Revision  int64
	Digest    string
	PublicKey string        // of its hub, "" before the first report
	Lease     time.Duration // the longest that it may have been given and not given back
	HeardAt   time.Time     // when it was answered last
	KeySince  time.Time     // since when that key is known; zero when it was before this was kept
	NextKey   string        // to which the hub changes, "" when it does not
	AskedKey  bool          // an officer wants it to have a next key
	AskedOver time.Time     // since when an officer wants it to take the tunnels over; zero when nobody does
	EndKey    string        // the former key, which two officers had ended; "" when there is none
	Struck    bool          // two officers struck it off the list since; it is back when it is answered again
}

// Gateways returns those that were not struck off the list, by name.
func (r *Registry) Gateways(ctx context.Context) ([]Gateway, error) {
	all, err := r.EveryGateway(ctx)
	return slices.DeleteFunc(all, func(g Gateway) bool { return g.Struck }), err
}

// EveryGateway returns all of them, by name.
func (r *Registry) EveryGateway(ctx context.Context) ([]Gateway, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT name, epoch, revision, digest, public_key, lease, heard_at, struck,
		key_since, next_key, asked_key, end_key, asked_active FROM gateways ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("gateways: %w", err)
	}
	defer rows.Close()
	var all []Gateway
	for rows.Next() {
		var g Gateway
		var seconds int64
		var heard, struck, since, asked, over string
		if err := rows.Scan(&g.Name, &g.Epoch, &g.Revision, &g.Digest, &g.PublicKey, &seconds, &heard, &struck,
			&since, &g.NextKey, &asked, &g.EndKey, &over); err != nil {
			return nil, fmt.Errorf("gateways: %w", err)
		}
		g.Lease, g.HeardAt, g.Struck = time.Duration(seconds)*time.Second, parseTime(heard), struck != ""
		g.KeySince, g.AskedKey, g.AskedOver = parseTime(since), asked != "", parseTime(over)
		all = append(all, g)
	}
	return all, rows.Err()
}

// GatewayAnswered remembers that the gateway is about to be given a lease. It must come before the answer, so that a
// crash forgets no lease that somebody holds.
func (r *Registry) GatewayAnswered(ctx context.Context, name string, lease time.Duration) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO gateways (name, lease, heard_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET heard_at = excluded.heard_at, struck = '',
		lease = CASE WHEN excluded.lease > gateways.lease THEN excluded.lease ELSE gateways.lease END`,
		name, wholeSeconds(lease), r.stamp())
	if err != nil {
		return fmt.Errorf("gateway %s: %w", name, err)
	}
	return nil
}

// GatewayReported remembers a report. Its Lease is the longer of what the gateway says that it holds and what it is
// about to be given.
func (r *Registry) GatewayReported(ctx context.Context, g Gateway) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO gateways (name, epoch, revision, digest, public_key, lease, heard_at, next_key, key_since)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision,
		digest = excluded.digest, public_key = excluded.public_key, lease = excluded.lease, heard_at = excluded.heard_at, struck = '',
		next_key = excluded.next_key,
		key_since = CASE WHEN gateways.public_key = excluded.public_key AND gateways.key_since <> '' THEN gateways.key_since
			ELSE excluded.key_since END,
		asked_key = CASE WHEN excluded.next_key = '' THEN gateways.asked_key ELSE '' END,
		end_key = CASE WHEN gateways.end_key = excluded.public_key THEN gateways.end_key ELSE '' END`,
		g.Name, g.Epoch, g.Revision, g.Digest, g.PublicKey, wholeSeconds(g.Lease), r.stamp(), g.NextKey, r.stamp())
	if err != nil {
		return fmt.Errorf("gateway %s: %w", g.Name, err)
	}
	return nil
}

// Strike takes a gateway off the list, unless it was answered since it was looked at: how it was then is heardAt.
func (r *Registry) Strike(ctx context.Context, name string, heardAt time.Time) error {
	err := r.db.InTx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE gateways SET struck = $1 WHERE name = $2 AND heard_at = $3 AND struck = ''`,
			r.stamp(), name, heardAt.UTC().Format(timeFormat))
		if err != nil {
			return fmt.Errorf("gateway %s: %w", name, err)
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, refuse("gateway %s was heard at this moment, or is not on the list", name))
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM hub_keys WHERE gateway = $1`, name) // it gets none any more
		return err
	})
	if err != nil {
		return err
	}
	r.announce()
	return nil
}

// AskHubKey has a gateway asked to make its hub's next key.
func (r *Registry) AskHubKey(ctx context.Context, actor audit.Actor, name string) error {
	return r.ofGateway(ctx, actor, "gateway.ask-key", name, "", `UPDATE gateways SET asked_key = $1 WHERE name = $2 AND next_key = ''`,
		r.stamp(), name)
}

// EndHubKey has a gateway asked to end its hub's former key, which is key while it changes to another.
func (r *Registry) EndHubKey(ctx context.Context, actor audit.Actor, name, key, motion string) error {
	return r.ofGateway(ctx, actor, "gateway.end-key", name, motion,
		`UPDATE gateways SET end_key = $1 WHERE name = $2 AND public_key = $3 AND next_key <> ''`, key, name, key)
}

// ofGateway does one change of a gateway's row, on record.
func (r *Registry) ofGateway(ctx context.Context, actor audit.Actor, action, name, motion, statement string, args ...any) error {
	return r.recordedOfGateway(ctx, actor, action, name, motion, func(tx *sql.Tx) error {
		if err := changeOne(ctx, tx, statement, args...); err != nil {
			return fmt.Errorf("gateway %s: %w", name, err)
		}
		return nil
	})
}

func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// WishVersion returns the epoch of this database and the revision of its wish. The epoch is random and made once.
func (r *Registry) WishVersion(ctx context.Context) (epoch string, revision int64, err error) {
	epoch, revision, err = wishVersion(ctx, r.db)
	if errors.Is(err, errNoEpoch) {
		err = r.db.InTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO revision (name, value) VALUES ('epoch', $1) ON CONFLICT DO NOTHING`, randomEpoch())
			if err == nil {
				epoch, revision, err = wishVersion(ctx, tx)
			}
			return err
		})
	}
	if err != nil {
		return "", 0, fmt.Errorf("epoch of the wish: %w", err)
	}
	return epoch, revision, nil
}

var errNoEpoch = errors.New("the database has no epoch yet")

// wishVersion only reads: it needs no lock that somebody else may hold.
func wishVersion(ctx context.Context, from interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}) (epoch string, revision int64, err error) {
	rows, err := from.QueryContext(ctx, `SELECT name, value FROM revision WHERE name IN ('wish', 'epoch')`)
	if err != nil {
		return "", 0, err
	}
	defer rows.Close()
	found := map[string]int64{}
	for rows.Next() {
		var name string
		var value int64
		if err := rows.Scan(&name, &value); err != nil {
			return "", 0, err
		}
		found[name] = value
	}
	if err := rows.Err(); err != nil {
		return "", 0, err
	}
	number, made := found["epoch"]
	if _, there := found["wish"]; !there {
		return "", 0, sql.ErrNoRows
	}
	if !made {
		return "", 0, errNoEpoch
	}
	return epochText(number), found["wish"], nil
}

// NewEpoch gives the database another epoch, since it was found to be older than what a gateway has seen of the epoch
// old. When that is not its epoch any more nothing changes.
func (r *Registry) NewEpoch(ctx context.Context, old string) error {
	number, err := strconv.ParseInt(old, 16, 64)
	if err != nil {
		return fmt.Errorf("epoch %q: %w", old, err)
	}
	err = r.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE revision SET value = $1 WHERE name = 'epoch' AND value = $2`, randomEpoch(), number)
		return err
	})
	if err != nil {
		return fmt.Errorf("new epoch: %w", err)
	}
	return nil
}

func randomEpoch() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return int64(binary.BigEndian.Uint64(b[:]) >> 1)
}

func epochText(number int64) string { return fmt.Sprintf("%016x", number) }
