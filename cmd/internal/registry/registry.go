// Package registry keeps what is wished for: partners, orders, what they switch on, who decided. Rules,
// permission, audit and SQL stand in one place, so that no path leads around them. The facts that
// the pillars need (tunnels, grants, certificates) are plain values; no pillar is known here.
package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Config is what Open needs; every field must be set unless marked.
type Config struct {
	DB    *store.DB
	Audit *audit.Log
	Now   func() time.Time
	Pool  AddressPool // tunnel addresses

	// CanCarryOut says which field of an activation order can't be carried out as it is written, with a *FieldError: who makes
	// keys and certificates knows what it can make. kept are the keys, id by name, that the order takes over from the
	// one that it renews or resumes. It is asked before an order is taken, and again before it is approved.
	CanCarryOut func(ctx context.Context, o Order, kept map[string]string) error
	// CanUse refuses keys and requests of an office that are of no use for its order, with a *FieldError. It is asked before a
	// token is used up.
	CanUse func(o Order, e Enrolment) error

	Leader Leader // optional: who runs the data centre
}

// Registry is safe for concurrent use.
type Registry struct {
	db    *store.DB
	audit *audit.Log
	now   func() time.Time
	pool  AddressPool

	canCarryOut func(context.Context, Order, map[string]string) error
	canUse      func(Order, Enrolment) error
	leader      Leader

	mu      sync.Mutex
	changed chan struct{} // closed and renewed at every change; guarded by mu
}

var schema = []string{
	`CREATE TABLE partners (id TEXT PRIMARY KEY, name TEXT NOT NULL, agreement TEXT NOT NULL, signed TEXT NOT NULL)`,
	`CREATE TABLE units (partner TEXT NOT NULL REFERENCES partners(id), id TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (partner, id))`,
	`CREATE TABLE orders (id TEXT PRIMARY KEY, kind TEXT NOT NULL, partner TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL,
		submitted_by TEXT NOT NULL, submitted_at TEXT NOT NULL, decided_by TEXT NOT NULL DEFAULT '', decided_at TEXT NOT NULL DEFAULT '',
		reason TEXT NOT NULL DEFAULT '', waiting TEXT NOT NULL DEFAULT '')`,
	`CREATE TABLE order_steps (order_id TEXT NOT NULL REFERENCES orders(id), name TEXT NOT NULL, fact TEXT NOT NULL, done_at TEXT NOT NULL,
		seq BIGINT NOT NULL, PRIMARY KEY (order_id, name))`,
	`CREATE TABLE components (partner TEXT NOT NULL REFERENCES partners(id), component TEXT NOT NULL, order_id TEXT NOT NULL REFERENCES orders(id),
		ended_by TEXT NOT NULL DEFAULT '', PRIMARY KEY (order_id, component))`,
	`CREATE UNIQUE INDEX components_on ON components (partner, component) WHERE ended_by = ''`,
	`CREATE TABLE enrolments (token TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES orders(id), expires_at TEXT NOT NULL,
		public_key TEXT NOT NULL DEFAULT '', csr TEXT NOT NULL DEFAULT '', used_at TEXT NOT NULL DEFAULT '')`,
	`CREATE TABLE tunnels (order_id TEXT PRIMARY KEY REFERENCES orders(id), partner TEXT NOT NULL, site TEXT NOT NULL,
		public_key TEXT NOT NULL UNIQUE, address TEXT NOT NULL UNIQUE)`,
	`CREATE TABLE certificates (serial TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES orders(id), partner TEXT NOT NULL,
		purpose TEXT NOT NULL, key_id TEXT NOT NULL DEFAULT '', fingerprint TEXT NOT NULL UNIQUE, pem TEXT NOT NULL)`,
	`CREATE TABLE keys (id TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES orders(id), name TEXT NOT NULL, UNIQUE (order_id, name))`,
	`CREATE TABLE revision (name TEXT PRIMARY KEY, value BIGINT NOT NULL)`,
	`INSERT INTO revision (name, value) VALUES ('wish', 1)`,
	`CREATE TABLE motions (id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL,
		proposed_by TEXT NOT NULL, proposed_at TEXT NOT NULL, decided_by TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
		outcome TEXT NOT NULL DEFAULT '')`,
	`CREATE TABLE gateways (name TEXT PRIMARY KEY, epoch TEXT NOT NULL DEFAULT '', revision BIGINT NOT NULL DEFAULT 0,
		digest TEXT NOT NULL DEFAULT '', public_key TEXT NOT NULL DEFAULT '', lease BIGINT NOT NULL, heard_at TEXT NOT NULL)`,
	// A line is an order with all that renewed it, one after the other; it has the name of the first.
	`ALTER TABLE orders ADD COLUMN line TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE orders ADD COLUMN replaced_by TEXT NOT NULL DEFAULT ''`,
	`UPDATE orders SET line = id`,
	`CREATE INDEX orders_line ON orders (line)`,
	// renews is the order whose component this one is to replace, until it does; application is B_HSM's.
	`ALTER TABLE components ADD COLUMN application TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE components ADD COLUMN renews TEXT NOT NULL DEFAULT ''`,
	`DROP INDEX components_on`,
	`CREATE UNIQUE INDEX components_in_force ON components (partner, component, application)
		WHERE ended_by = '' AND renews = ''`,
	`CREATE UNIQUE INDEX components_renewed ON components (renews, component) WHERE ended_by = '' AND renews <> ''`,
	`CREATE TABLE order_keys (order_id TEXT NOT NULL REFERENCES orders(id), name TEXT NOT NULL, id TEXT NOT NULL,
		PRIMARY KEY (order_id, name))`,
	`INSERT INTO order_keys (order_id, name, id) SELECT order_id, name, id FROM keys`,
	`DROP TABLE keys`,
	// When two officers struck the gateway off the list; '' while it is on it. Its hub's key stays nobody else's.
	`ALTER TABLE gateways ADD COLUMN struck TEXT NOT NULL DEFAULT ''`,
	// Names with spaces between.
	`ALTER TABLE tunnels ADD COLUMN services TEXT NOT NULL DEFAULT ''`,
	// Programs of the layers above, and the digests of their tokens.
	`CREATE TABLE applications (name TEXT PRIMARY KEY, partner TEXT NOT NULL, terms TEXT NOT NULL, created_by TEXT NOT NULL,
		created_at TEXT NOT NULL, revoked_at TEXT NOT NULL DEFAULT '')`,
	`CREATE TABLE application_tokens (digest TEXT PRIMARY KEY, application TEXT NOT NULL REFERENCES applications(name), created_at TEXT NOT NULL)`,
	// The office's half of the agreement on a pre-shared key, the answer to it, and the key, which is enciphered.
	`ALTER TABLE enrolments ADD COLUMN exchange TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE enrolments ADD COLUMN encapsulated TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE enrolments ADD COLUMN preshared TEXT NOT NULL DEFAULT ''`,
	// Pre-shared keys are enciphered; serial 0 is none. What was asked for stands there since when.
	`ALTER TABLE tunnels ADD COLUMN preshared TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE tunnels ADD COLUMN preshared_serial BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE tunnels ADD COLUMN preshared_at TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE tunnels ADD COLUMN preshared_offer TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE tunnels ADD COLUMN key_at TEXT NOT NULL DEFAULT ''`,
	`UPDATE tunnels SET key_at = COALESCE((SELECT MAX(e.used_at) FROM enrolments e WHERE e.public_key = tunnels.public_key), '')`,
	`ALTER TABLE tunnels ADD COLUMN next_key TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE tunnels ADD COLUMN asked_preshared TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE tunnels ADD COLUMN asked_key TEXT NOT NULL DEFAULT ''`,
	// Every key that an office has, had or wanted to have: none is ever another's. Since is when it was wanted beside another.
	`CREATE TABLE tunnel_keys (public_key TEXT PRIMARY KEY, address TEXT NOT NULL, since TEXT NOT NULL)`,
	`INSERT INTO tunnel_keys (public_key, address, since) SELECT public_key, address, '' FROM tunnels`,
	// The digest of the settings that the office was given last, and their number.
	`ALTER TABLE tunnels ADD COLUMN settings_digest TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE tunnels ADD COLUMN settings_serial BIGINT NOT NULL DEFAULT 0`,
	// The hub's next key that the office is about to use.
	`ALTER TABLE tunnels ADD COLUMN hub_key TEXT NOT NULL DEFAULT ''`,
	// Since when the hub has its key, the next one, since when an officer wants one, and the former one that is to end.
	`ALTER TABLE gateways ADD COLUMN key_since TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE gateways ADD COLUMN next_key TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE gateways ADD COLUMN asked_key TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE gateways ADD COLUMN end_key TEXT NOT NULL DEFAULT ''`,
	// A tunnel is that of a site. It ends when access is taken away, and is gone when every gateway has proved that it carries it
	// no more: from then on its address rests, and is another's afterwards.
	`CREATE TABLE site_tunnels (order_id TEXT NOT NULL REFERENCES orders(id), site TEXT NOT NULL, partner TEXT NOT NULL,
		unit TEXT NOT NULL DEFAULT '', public_key TEXT NOT NULL, address TEXT NOT NULL, services TEXT NOT NULL DEFAULT '',
		networks TEXT NOT NULL DEFAULT '', preshared TEXT NOT NULL DEFAULT '', preshared_serial BIGINT NOT NULL DEFAULT 0,
		preshared_at TEXT NOT NULL DEFAULT '', preshared_offer TEXT NOT NULL DEFAULT '', key_at TEXT NOT NULL DEFAULT '',
		next_key TEXT NOT NULL DEFAULT '', asked_preshared TEXT NOT NULL DEFAULT '', asked_key TEXT NOT NULL DEFAULT '',
		settings_digest TEXT NOT NULL DEFAULT '', settings_serial BIGINT NOT NULL DEFAULT 0, hub_key TEXT NOT NULL DEFAULT '',
		ended_at TEXT NOT NULL DEFAULT '', gone_at TEXT NOT NULL DEFAULT '', PRIMARY KEY (order_id, site))`,
	`INSERT INTO site_tunnels (order_id, site, partner, public_key, address, services, preshared, preshared_serial, preshared_at,
		preshared_offer, key_at, next_key, asked_preshared, asked_key, settings_digest, settings_serial, hub_key)
		SELECT order_id, site, partner, public_key, address, services, preshared, preshared_serial, preshared_at,
		preshared_offer, key_at, next_key, asked_preshared, asked_key, settings_digest, settings_serial, hub_key FROM tunnels`,
	`DROP TABLE tunnels`,
	`ALTER TABLE site_tunnels RENAME TO tunnels`,
	`UPDATE tunnels SET ended_at = COALESCE((SELECT o.decided_at FROM components c JOIN orders o ON o.id = c.ended_by
		WHERE c.order_id = tunnels.order_id AND c.component = 'P_VPN' AND c.ended_by <> ''), '')`,
	`UPDATE tunnels SET gone_at = COALESCE((SELECT MAX(s.done_at) FROM order_steps s JOIN components c ON c.ended_by = s.order_id
		WHERE c.order_id = tunnels.order_id AND c.component = 'P_VPN' AND s.name = 'tunnel of ' || tunnels.order_id), '')
		WHERE ended_at <> ''`,
	`CREATE UNIQUE INDEX tunnels_address ON tunnels (address) WHERE gone_at = ''`,
	`CREATE UNIQUE INDEX tunnels_key ON tunnels (public_key)`,
	// The site that a token is for; '' is the order's own office.
	`ALTER TABLE enrolments ADD COLUMN site TEXT NOT NULL DEFAULT ''`,
	// What each site could reach, from when to when, by which order. What began before this was kept began with the key.
	`CREATE TABLE tunnel_reach (order_id TEXT NOT NULL, partner TEXT NOT NULL, site TEXT NOT NULL, unit TEXT NOT NULL,
		address TEXT NOT NULL, services TEXT NOT NULL, networks TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL DEFAULT '')`,
	`INSERT INTO tunnel_reach (order_id, partner, site, unit, address, services, networks, since, until)
		SELECT order_id, partner, site, unit, address, services, networks, key_at, ended_at FROM tunnels`,
	// What the configuration had by P_VPN, B_HSM or the orders' own words, from when to when.
	`CREATE TABLE offered_services (name TEXT NOT NULL, proto TEXT NOT NULL, addr TEXT NOT NULL, given_by TEXT NOT NULL,
		since TEXT NOT NULL, until TEXT NOT NULL DEFAULT '')`,
	// A name is that of several keys, one after the other; signs_on is '' for what signs since it was made.
	`CREATE TABLE key_versions (order_id TEXT NOT NULL REFERENCES orders(id), name TEXT NOT NULL, version BIGINT NOT NULL DEFAULT 1,
		id TEXT NOT NULL, signs_on TEXT NOT NULL DEFAULT '', PRIMARY KEY (order_id, name, version), UNIQUE (order_id, id))`,
	`INSERT INTO key_versions (order_id, name, version, id) SELECT order_id, name, 1, id FROM order_keys`,
	`DROP TABLE order_keys`,
	`ALTER TABLE key_versions RENAME TO order_keys`,
	// Gateways of a pair: the recipients to which the hub's keys are sealed, those that two officers decided on, and sealed keys.
	`CREATE TABLE hub_keys (gateway TEXT PRIMARY KEY, offered TEXT NOT NULL, wants_from TEXT NOT NULL, serial BIGINT NOT NULL,
		approved TEXT NOT NULL DEFAULT '', pair TEXT NOT NULL DEFAULT '', sealed TEXT NOT NULL DEFAULT '',
		sealed_serial BIGINT NOT NULL DEFAULT 0)`,
	// Since when an officer wants the gateway to take over from the other one of its pair.
	`ALTER TABLE gateways ADD COLUMN asked_active TEXT NOT NULL DEFAULT ''`,
	// Where the gateway that carries heard the offices last; the serial grows with each report that changes something.
	`CREATE TABLE offices_heard (public_key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, at TEXT NOT NULL,
		followed TEXT NOT NULL DEFAULT '', busy TEXT NOT NULL DEFAULT '', serial BIGINT NOT NULL)`,
}

// Open brings the schema up to date and returns the registry.
func Open(ctx context.Context, cfg Config) (*Registry, error) {
	if cfg.DB == nil || cfg.Audit == nil || cfg.Now == nil || !cfg.Pool.Prefix.IsValid() || cfg.CanCarryOut == nil || cfg.CanUse == nil {
		return nil, errors.New("registry: DB, Audit, Now, Pool, CanCarryOut or CanUse is missing")
	}
	if err := cfg.DB.Migrate(ctx, "registry", schema); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r := &Registry{db: cfg.DB, audit: cfg.Audit, now: cfg.Now, pool: cfg.Pool, leader: cfg.Leader,
		canCarryOut: cfg.CanCarryOut, canUse: cfg.CanUse, changed: make(chan struct{})}
	if err := r.nameApplications(ctx); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return r, nil
}

// nameApplications writes the application to components that a version before recorded without.
func (r *Registry) nameApplications(ctx context.Context) error {
	records, err := r.orders(ctx, `WHERE id IN (SELECT order_id FROM components WHERE component = $1
		AND application = '')`, string(NetworkHSM))
	if err != nil {
		return err
	}
	return r.db.InTx(ctx, func(tx *sql.Tx) error {
		for _, rec := range records {
			if _, err := tx.ExecContext(ctx, `UPDATE components SET application = $1
				WHERE order_id = $2 AND component = $3`,
				rec.HSMAuthorization.Application, rec.ID, string(NetworkHSM)); err != nil {
				return fmt.Errorf("application of order %s: %w", rec.ID, err)
			}
		}
		return nil
	})
}

// Leader returns who runs the data centre.
func (r *Registry) Leader() Leader { return r.leader }

// Changed returns a channel that is closed at the next change.
func (r *Registry) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *Registry) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
}

// change runs do in a transaction that moves the wish to its next revision, then wakes who waits.
func (r *Registry) change(ctx context.Context, do func(tx *sql.Tx) error) error {
	err := r.db.InTx(ctx, func(tx *sql.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE revision SET value = value + 1 WHERE name = 'wish'`)
		return err
	})
	if err == nil {
		r.announce()
	}
	return err
}

// act writes that an act on an order is granted, does it, and writes too when it came to nothing.
func (r *Registry) act(ctx context.Context, actor audit.Actor, action string, o Order, reason string, do func() error) error {
	return granted(ctx, reason, func(ctx context.Context, outcome, reason string) error {
		return r.record(ctx, actor, action, o, outcome, reason)
	}, do)
}

// granted has it recorded that an act is granted, does it, and has it recorded too when it came to nothing.
func granted(ctx context.Context, reason string, record func(ctx context.Context, outcome, reason string) error, do func() error) error {
	if err := record(ctx, audit.Granted, reason); err != nil {
		return err
	}
	err := do()
	if err == nil {
		return nil
	}
	// Who asked may be gone; the entry above must not stand for an act that did not happen.
	return errors.Join(err, record(context.WithoutCancel(ctx), audit.Failed, err.Error()))
}

// record writes an audit entry of somebody's act on an order.
func (r *Registry) record(ctx context.Context, actor audit.Actor, action string, o Order, outcome, reason string) error {
	_, err := r.audit.Append(ctx, audit.Entry{
		Time: r.now(), Actor: actor, Action: action, Subject: o.ID, Partner: o.Partner.ID, Order: o.ID,
		Outcome: outcome, Reason: reason,
	})
	return err
}

const timeFormat = "2006-01-02T15:04:05.000000Z"

func (r *Registry) stamp() string { return r.now().UTC().Format(timeFormat) }

func parseTime(s string) time.Time {
	t, err := time.Parse(timeFormat, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
