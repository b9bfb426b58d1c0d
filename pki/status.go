package pki

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	codes "golang.org/x/crypto/ocsp"

	"trustcore/pki/ocsp"
)

// statusTable is the memory of what was issued and revoked, so that TLS handshakes and OCSP answers do not wait for the database
// and go on without it. Keys are the octets of serial numbers.
type statusTable struct {
	mu       sync.RWMutex
	valid    map[string]struct{}   // guarded by mu
	revoked  map[string]revocation // guarded by mu
	sequence int64                 // guarded by mu; the newest revocation that is in the table
}

type revocation struct {
	at     time.Time
	reason Reason
}

func (t *statusTable) issued(serial *big.Int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.valid[string(serial.Bytes())] = struct{}{}
}

func (t *statusTable) revoke(serial *big.Int, r revocation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.revoked[string(serial.Bytes())] = r
}

func (t *statusTable) find(serial *big.Int) (r revocation, revoked, valid bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r, revoked = t.revoked[string(serial.Bytes())]
	_, valid = t.valid[string(serial.Bytes())]
	return r, revoked, valid
}

// Revoked tells from memory whether a certificate of the issuing authority is revoked: cheap enough for every TLS handshake.
func (ca *CA) Revoked(serial *big.Int) bool {
	_, revoked, _ := ca.status.find(serial)
	return revoked
}

// ocspStatus reads memory, and the database for a serial number that another node may have issued.
func (ca *CA) ocspStatus(ctx context.Context, serial *big.Int) (ocsp.Status, error) {
	r, revoked, valid := ca.status.find(serial)
	if !revoked && !valid {
		var err error
		if r, revoked, valid, err = ca.lookUp(ctx, serial); err != nil {
			return ocsp.Status{}, err
		}
	}
	switch {
	case revoked:
		return ocsp.Status{Code: codes.Revoked, RevokedAt: r.at, Reason: int(r.reason)}, nil
	case valid:
		return ocsp.Status{Code: codes.Good}, nil
	}
	return ocsp.Status{Code: codes.Unknown}, nil
}

func (ca *CA) lookUp(ctx context.Context, serial *big.Int) (r revocation, revoked, valid bool, err error) {
	var at, reason sql.NullInt64
	err = ca.cfg.DB.QueryRowContext(ctx, `SELECT r.revoked_at, r.reason FROM pki_certificate c
		LEFT JOIN pki_revocation r ON r.issuer = c.issuer AND r.serial = c.serial
		WHERE c.issuer = $1 AND c.serial = $2 AND c.der IS NOT NULL`, ca.issuer, hexSerial(serial)).Scan(&at, &reason)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return revocation{}, false, false, nil
	case err != nil:
		return revocation{}, false, false, fmt.Errorf("status of %s: %w", hexSerial(serial), err)
	}
	if !at.Valid {
		ca.status.issued(serial)
		return revocation{}, false, true, nil
	}
	return revocation{at: time.Unix(at.Int64, 0), reason: Reason(reason.Int64)}, true, true, nil
}

// loadStatus fills the memory at the start.
func (ca *CA) loadStatus(ctx context.Context) error {
	ca.status.valid, ca.status.revoked = map[string]struct{}{}, map[string]revocation{}
	rows, err := ca.cfg.DB.QueryContext(ctx, `SELECT serial FROM pki_certificate WHERE issuer = $1 AND der IS NOT NULL`, ca.issuer)
	if err != nil {
		return fmt.Errorf("loading the inventory: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return fmt.Errorf("loading the inventory: %w", err)
		}
		serial, err := parseSerial(text)
		if err != nil {
			return fmt.Errorf("loading the inventory: %w", err)
		}
		ca.status.issued(serial)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("loading the inventory: %w", err)
	}
	return ca.follow(ctx)
}

// follow takes over revocations that are newer than the memory: those of other nodes. The sequence is given inside the
// transaction that revokes and transactions are serialised, so none can appear behind it.
func (ca *CA) follow(ctx context.Context) error {
	ca.status.mu.RLock()
	after := ca.status.sequence
	ca.status.mu.RUnlock()
	rows, err := ca.cfg.DB.QueryContext(ctx, `SELECT serial, sequence, revoked_at, reason FROM pki_revocation
		WHERE issuer = $1 AND sequence > $2 ORDER BY sequence`, ca.issuer, after)
	if err != nil {
		return fmt.Errorf("reading revocations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var sequence, at, reason int64
		if err := rows.Scan(&text, &sequence, &at, &reason); err != nil {
			return fmt.Errorf("reading revocations: %w", err)
		}
		serial, err := parseSerial(text)
		if err != nil {
			return fmt.Errorf("reading revocations: %w", err)
		}
		ca.learn(serial, revocation{at: time.Unix(at, 0), reason: Reason(reason)})
		ca.status.mu.Lock()
		ca.status.sequence = max(ca.status.sequence, sequence)
		ca.status.mu.Unlock()
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading revocations: %w", err)
	}
	return nil
}

// learn makes a revocation known to handshakes and the responder: memory first, so that no answer can be signed and kept from
// the old status after Forget.
func (ca *CA) learn(serial *big.Int, r revocation) {
	ca.status.revoke(serial, r)
	ca.responder.Forget(serial)
}
