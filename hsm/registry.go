package hsm

import (
	"cmp"
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"trustcore/hsm/mechanism"
	"trustcore/internal/store"
)

const schemaName = "hsm"

var schema = []string{
	`CREATE TABLE hsm_keys (
		id          TEXT PRIMARY KEY,
		partner     TEXT NOT NULL,
		order_id    TEXT NOT NULL,
		label       TEXT NOT NULL,
		algorithm   TEXT NOT NULL,
		mechanisms  TEXT NOT NULL,
		state       TEXT NOT NULL,
		spki        BLOB,
		attestation TEXT NOT NULL,
		created_at  TEXT NOT NULL
	)`,
	`CREATE UNIQUE INDEX hsm_keys_name ON hsm_keys (partner, order_id, label) WHERE state <> 'destroyed'`,
	// A key of that name is followed by others.
	`ALTER TABLE hsm_keys ADD COLUMN version BIGINT NOT NULL DEFAULT 1`,
	`DROP INDEX hsm_keys_name`,
	`CREATE UNIQUE INDEX hsm_keys_version ON hsm_keys (partner, order_id, label, version) WHERE state <> 'destroyed'`,
	// Which process is generating a pending key, or undoing its generation.
	`ALTER TABLE hsm_keys ADD COLUMN holder TEXT NOT NULL DEFAULT ''`,
}

const columns = `id, partner, order_id, label, algorithm, mechanisms, state, spki, attestation, created_at, version, holder`

// lockRegistry waits for the registry as long as ctx lets it: a statement of another caller may hang.
func (m *Module) lockRegistry(ctx context.Context) error {
	select {
	case m.registry <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("key registry: %w", ctx.Err())
	}
}

func (m *Module) unlockRegistry() { <-m.registry }

// reload reads the registry anew.
func (m *Module) reload(ctx context.Context) error {
	if err := m.lockRegistry(ctx); err != nil {
		return err
	}
	defer m.unlockRegistry()
	rows, err := m.cfg.DB.QueryContext(ctx, `SELECT `+columns+` FROM hsm_keys`)
	if err != nil {
		return fmt.Errorf("key registry: %w", err)
	}
	defer rows.Close()
	keys := make(map[string]KeyInfo)
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return fmt.Errorf("key registry: %w", err)
		}
		keys[k.ID] = k
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("key registry: %w", err)
	}
	m.keysMu.Lock()
	m.keys = keys
	m.keysMu.Unlock()
	return nil
}

func scanKey(row interface{ Scan(...any) error }) (KeyInfo, error) {
	var k KeyInfo
	var names, attestation, created string
	err := row.Scan(&k.ID, &k.Partner, &k.Order, &k.Label, &k.Algorithm, &names, &k.State, &k.SPKI, &attestation, &created,
		&k.Version, &k.holder)
	if err != nil {
		return KeyInfo{}, err
	}
	if k.Mechanisms, err = mechanism.ParseList(strings.Fields(names)); err != nil {
		return KeyInfo{}, fmt.Errorf("key %s: %w", k.ID, err)
	}
	if err := json.Unmarshal([]byte(attestation), &k.Attestation); err != nil {
		return KeyInfo{}, fmt.Errorf("key %s: attestation: %w", k.ID, err)
	}
	if k.Created, err = time.Parse(time.RFC3339Nano, created); err != nil {
		return KeyInfo{}, fmt.Errorf("key %s: %w", k.ID, err)
	}
	if len(k.SPKI) == 0 {
		return k, nil
	}
	if k.Public, err = x509.ParsePKIXPublicKey(k.SPKI); err != nil {
		return KeyInfo{}, fmt.Errorf("key %s: %w", k.ID, err)
	}
	return k, nil
}

// insert records a new key. A second one of the same name is refused.
func (m *Module) insert(ctx context.Context, k KeyInfo) error {
	if err := m.lockRegistry(ctx); err != nil {
		return err
	}
	defer m.unlockRegistry()
	names := make([]string, len(k.Mechanisms))
	for i, n := range k.Mechanisms {
		names[i] = string(n)
	}
	_, err := m.cfg.DB.ExecContext(ctx, `INSERT INTO hsm_keys (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		k.ID, k.Partner, k.Order, k.Label, string(k.Algorithm), strings.Join(names, " "), string(k.State), nil, "{}",
		k.Created.Format(time.RFC3339Nano), k.Version, k.holder)
	if store.Taken(err) {
		return fmt.Errorf("there is a key labelled %q already", k.Name())
	}
	if err != nil {
		return fmt.Errorf("key registry: %w", err)
	}
	m.remember(k)
	return nil
}

// errElsewhere says that another node, which lives, is generating a key.
var errElsewhere = errors.New("another node is generating the key")

// takeOver makes a pending key this process's to undo, unless whoever generates it lives: errElsewhere. From then on no other process
// completes it.
func (m *Module) takeOver(ctx context.Context, k KeyInfo) (KeyInfo, error) {
	if err := m.lockRegistry(ctx); err != nil {
		return k, err
	}
	defer m.unlockRegistry()
	holder := m.cfg.Leases.Holder()
	err := m.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		if lives, err := m.cfg.Leases.Lives(ctx, tx, k.holder); err != nil || lives && k.holder != holder {
			return cmp.Or(err, errElsewhere)
		}
		result, err := tx.ExecContext(ctx, `UPDATE hsm_keys SET holder = $1 WHERE id = $2 AND state = 'pending' AND holder = $3`,
			holder, k.ID, k.holder)
		return changedOne(result, err)
	})
	k.holder = holder
	return k, err
}

// complete records the public half of a generated key and makes it active, unless another process has taken it over.
func (m *Module) complete(ctx context.Context, k KeyInfo) error {
	if err := m.lockRegistry(ctx); err != nil {
		return err
	}
	defer m.unlockRegistry()
	attestation, err := json.Marshal(k.Attestation)
	if err != nil {
		return err
	}
	err = m.update(ctx, `UPDATE hsm_keys SET state = $1, spki = $2, attestation = $3 WHERE id = $4 AND state = 'pending' AND holder = $5`,
		string(k.State), k.SPKI, string(attestation), k.ID, k.holder)
	if err != nil {
		return err
	}
	m.remember(k)
	return nil
}

// move takes a key from one of the states to another. It refuses when the key is in neither; being there already is
// fine.
func (m *Module) move(ctx context.Context, k KeyInfo, to State, from ...State) error {
	if k.State == to {
		return nil
	}
	if !slices.Contains(from, k.State) {
		return fmt.Errorf("key %s is %s and can't become %s", k.ID, k.State, to)
	}
	if err := m.lockRegistry(ctx); err != nil {
		return err
	}
	defer m.unlockRegistry()
	err := m.update(ctx, `UPDATE hsm_keys SET state = $1 WHERE id = $2 AND state = $3`, string(to), k.ID, string(k.State))
	if err != nil {
		return err
	}
	k.State = to
	m.remember(k)
	return nil
}

// reassign makes a suspended key active under another order.
func (m *Module) reassign(ctx context.Context, from, to KeyInfo) error {
	if err := m.lockRegistry(ctx); err != nil {
		return err
	}
	defer m.unlockRegistry()
	err := m.update(ctx, `UPDATE hsm_keys SET state = $1, order_id = $2 WHERE id = $3 AND state = $4 AND order_id = $5`,
		string(to.State), to.Order, from.ID, string(from.State), from.Order)
	if store.Taken(err) {
		return fmt.Errorf("order %s has a key labelled %q already", to.Order, to.Name())
	}
	if err != nil {
		return err
	}
	m.remember(to)
	return nil
}

// update changes exactly one row.
func (m *Module) update(ctx context.Context, statement string, args ...any) error {
	result, err := m.cfg.DB.ExecContext(ctx, statement, args...)
	return changedOne(result, err)
}

func changedOne(result sql.Result, err error) error {
	if err != nil {
		return fmt.Errorf("key registry: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("key registry: %w", err)
	}
	if n != 1 {
		return errors.New("key registry: another process has changed the key meanwhile")
	}
	return nil
}

func (m *Module) remember(k KeyInfo) {
	m.keysMu.Lock()
	defer m.keysMu.Unlock()
	m.keys[k.ID] = k
}

func (m *Module) known(id string) (KeyInfo, error) {
	m.keysMu.RLock()
	defer m.keysMu.RUnlock()
	k, ok := m.keys[id]
	if !ok {
		return KeyInfo{}, fmt.Errorf("%w: %s", ErrUnknownKey, id)
	}
	return k, nil
}

func (m *Module) snapshot() []KeyInfo {
	m.keysMu.RLock()
	defer m.keysMu.RUnlock()
	return slices.SortedFunc(maps.Values(m.keys), func(a, b KeyInfo) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// read reads one key from the database, not from memory: another node may have made or changed it a moment ago.
func (m *Module) read(ctx context.Context, id string) (KeyInfo, error) {
	if err := m.lockRegistry(ctx); err != nil {
		return KeyInfo{}, err
	}
	defer m.unlockRegistry()
	k, err := scanKey(m.cfg.DB.QueryRowContext(ctx, `SELECT `+columns+` FROM hsm_keys WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return KeyInfo{}, fmt.Errorf("%w: %s", ErrUnknownKey, id)
	}
	if err != nil {
		return KeyInfo{}, fmt.Errorf("key registry: %w", err)
	}
	m.remember(k)
	return k, nil
}
