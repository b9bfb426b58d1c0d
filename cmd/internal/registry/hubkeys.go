package registry

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"trustcore/internal/audit"
)

// KeyHolder is a gateway that has, or wants, the hub's keys of a pair. Keys are here sealed to the gateway alone.
type KeyHolder struct {
	Gateway string
	Offered []byte // its recipient, as it offers it
	From    string // the gateway whose keys it wants; "" where it has its own
	Serial  int64  // of the keys that it has, as it says
	// Approved is the recipient that two officers decided on, nil before, and Pair who gave the keys at first.
	Approved     []byte
	Pair         string
	Sealed       []byte // the newest keys that were sealed to it
	SealedSerial int64
}

// OfferKeys remembers what a gateway says of the hub's keys. A recipient that is another than the approved one gets nothing.
func (r *Registry) OfferKeys(ctx context.Context, gateway, from string, recipient []byte, serial int64) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO hub_keys (gateway, offered, wants_from, serial) VALUES ($1, $2, $3, $4)
		ON CONFLICT (gateway) DO UPDATE SET offered = excluded.offered, wants_from = excluded.wants_from, serial = excluded.serial`,
		gateway, base64.StdEncoding.EncodeToString(recipient), from, serial)
	if err != nil {
		return fmt.Errorf("hub's keys of gateway %s: %w", gateway, err)
	}
	return nil
}

// KeyHolders returns all of them, by name of the gateway.
func (r *Registry) KeyHolders(ctx context.Context) (map[string]KeyHolder, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT gateway, offered, wants_from, serial, approved, pair, sealed, sealed_serial FROM hub_keys`)
	if err != nil {
		return nil, fmt.Errorf("hub's keys: %w", err)
	}
	defer rows.Close()
	all := make(map[string]KeyHolder)
	for rows.Next() {
		var h KeyHolder
		var offered, approved, sealed string
		if err := rows.Scan(&h.Gateway, &offered, &h.From, &h.Serial, &approved, &h.Pair, &sealed, &h.SealedSerial); err != nil {
			return nil, fmt.Errorf("hub's keys: %w", err)
		}
		for text, to := range map[*string]*[]byte{&offered: &h.Offered, &approved: &h.Approved, &sealed: &h.Sealed} {
			if *to, err = base64.StdEncoding.DecodeString(*text); err != nil {
				return nil, fmt.Errorf("hub's keys of gateway %s: %w", h.Gateway, err)
			}
		}
		all[h.Gateway] = h
	}
	return all, rows.Err()
}

// ShareHubKeys makes two gateways a pair by a motion: each gets the hub's keys that the other one seals to the recipient that
// it offered when the motion was proposed.
func (r *Registry) ShareHubKeys(ctx context.Context, actor audit.Actor, giver, taker KeyHolder, motion string) error {
	return r.recordedOfGateway(ctx, actor, "gateway.share-keys", taker.Gateway, motion, func(tx *sql.Tx) error {
		for _, h := range []KeyHolder{giver, taker} {
			offered := base64.StdEncoding.EncodeToString(h.Offered)
			err := changeOne(ctx, tx, `UPDATE hub_keys SET approved = $1, pair = $2, sealed = '', sealed_serial = 0
				WHERE gateway = $3 AND offered = $1`, offered, giver.Gateway, h.Gateway)
			if err != nil {
				return fmt.Errorf("gateway %s: %w", h.Gateway, err)
			}
		}
		return nil
	})
}

// PutSealedKeys takes keys that a gateway sealed to another one of its pair. Older ones replace none.
func (r *Registry) PutSealedKeys(ctx context.Context, pair, to string, recipient, sealed []byte, serial int64) error {
	_, err := r.db.ExecContext(ctx, `UPDATE hub_keys SET sealed = $1, sealed_serial = $2 WHERE gateway = $3 AND pair = $4 AND approved = $5
		AND pair <> '' AND sealed_serial < $2`, base64.StdEncoding.EncodeToString(sealed), serial, to, pair,
		base64.StdEncoding.EncodeToString(recipient))
	if err != nil {
		return fmt.Errorf("hub's keys for gateway %s: %w", to, err)
	}
	return nil
}

// HandHubKeys has it on record that a gateway is about to be given keys that were sealed to it.
func (r *Registry) HandHubKeys(ctx context.Context, gateway string, serial int64) error {
	_, err := r.audit.Append(ctx, audit.Entry{Time: r.now(), Actor: audit.Actor{Kind: "gateway", ID: gateway}, Action: "gateway.take-keys",
		Subject: gateway, Outcome: audit.Granted, Reason: fmt.Sprintf("number %d", serial)})
	return err
}

// AskTakeOver has a gateway take the tunnels over from the other one of its pair.
func (r *Registry) AskTakeOver(ctx context.Context, actor audit.Actor, gateway string) error {
	return r.ofGateway(ctx, actor, "gateway.take-over", gateway, "", `UPDATE gateways SET asked_active = $1 WHERE name = $2`, r.stamp(), gateway)
}

// TookOver forgets that a gateway was asked to.
func (r *Registry) TookOver(ctx context.Context, gateway string) error {
	_, err := r.db.ExecContext(ctx, `UPDATE gateways SET asked_active = '' WHERE name = $1 AND asked_active <> ''`, gateway)
	if err != nil {
		return fmt.Errorf("gateway %s: %w", gateway, err)
	}
	return nil
}

// recordedOfGateway does something about a gateway, on record.
func (r *Registry) recordedOfGateway(ctx context.Context, actor audit.Actor, action, name, motion string, do func(*sql.Tx) error) error {
	record := func(ctx context.Context, outcome, reason string) error {
		_, err := r.audit.Append(ctx, audit.Entry{Time: r.now(), Actor: actor, Action: action, Subject: name, Order: motion,
			Outcome: outcome, Reason: reason})
		return err
	}
	return granted(ctx, "", record, func() error { return r.db.InTx(ctx, do) })
}

// HeardOffice is where the gateway that carries heard an office last.
type HeardOffice struct {
	PublicKey string
	Endpoint  string
	At        time.Time
	Followed  bool // by the hub's next key
	Busy      bool // it had traffic
}

const heardSerial = "heard" // the name of the number of changes

// OfficesHeard remembers where offices were heard. Those that have no tunnel any more are forgotten.
func (r *Registry) OfficesHeard(ctx context.Context, heard []HeardOffice) error {
	if len(heard) == 0 {
		return nil
	}
	return r.db.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO revision (name, value) VALUES ($1, 1)
			ON CONFLICT (name) DO UPDATE SET value = revision.value + 1`, heardSerial); err != nil {
			return fmt.Errorf("where offices were heard: %w", err)
		}
		for _, h := range heard {
			if _, err := tx.ExecContext(ctx, `INSERT INTO offices_heard (public_key, endpoint, at, followed, busy, serial)
				SELECT $1, $2, $3, $4, $5, value FROM revision WHERE name = $6
				ON CONFLICT (public_key) DO UPDATE SET endpoint = excluded.endpoint, at = excluded.at, followed = excluded.followed,
				busy = excluded.busy, serial = excluded.serial WHERE excluded.at >= offices_heard.at`,
				h.PublicKey, h.Endpoint, h.At.UTC().Format(timeFormat), boolText(h.Followed), boolText(h.Busy), heardSerial); err != nil {
				return fmt.Errorf("where offices were heard: %w", err)
			}
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM offices_heard WHERE public_key NOT IN (SELECT public_key FROM tunnels WHERE gone_at = '')
			AND public_key NOT IN (SELECT next_key FROM tunnels WHERE gone_at = '')`)
		return err
	})
}

// HeardAfter returns where offices were heard, as far as that changed after a serial number, with all of the last number
// that it has: at least limit, if there are as many.
func (r *Registry) HeardAfter(ctx context.Context, serial int64, limit int) (upTo int64, heard []HeardOffice, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT public_key, endpoint, at, followed, busy, serial FROM offices_heard WHERE serial > $1 ORDER BY serial`, serial)
	if err != nil {
		return 0, nil, fmt.Errorf("where offices were heard: %w", err)
	}
	defer rows.Close()
	upTo = serial
	for rows.Next() {
		var h HeardOffice
		var at, followed, busy string
		var number int64
		if err := rows.Scan(&h.PublicKey, &h.Endpoint, &at, &followed, &busy, &number); err != nil {
			return 0, nil, fmt.Errorf("where offices were heard: %w", err)
		}
		if len(heard) >= limit && number != upTo {
			break
		}
		h.At, h.Followed, h.Busy, upTo = parseTime(at), followed != "", busy != "", number
		heard = append(heard, h)
	}
	return upTo, heard, errors.Join(rows.Err())
}

func boolText(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
