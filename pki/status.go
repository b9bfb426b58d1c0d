package pki

import (
	"context"
	"crypto/x509"
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
	issued   map[string]known      // guarded by mu
	revoked  map[string]revocation // guarded by mu; those that are good again too
	sequence int64                 // guarded by mu; the newest revocation that is in the table
}

// known is a certificate that was issued, without its DER.
type known struct {
	issuer *issuer
	Certificate
}

// revocation is the newest word on a certificate.
type revocation struct {
	at       time.Time
	reason   Reason
	sequence int64
}

func (t *statusTable) add(serial *big.Int, k known) {
	k.DER = nil
	t.mu.Lock()
	defer t.mu.Unlock()
	t.issued[string(serial.Bytes())] = k
}

func (t *statusTable) revoke(serial *big.Int, r revocation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key := string(serial.Bytes()); r.sequence >= t.revoked[key].sequence {
		t.revoked[key] = r
	}
}

func (t *statusTable) find(serial *big.Int) (k known, r revocation, issued, revoked bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	k, issued = t.issued[string(serial.Bytes())]
	r, revoked = t.revoked[string(serial.Bytes())]
	return k, r, issued, revoked && r.reason != RemoveFromCRL
}

// issuerOf is who issued the certificate with this serial number, nil when that is not in memory.
func (t *statusTable) issuerOf(serial *big.Int) *issuer {
	if serial == nil {
		return nil
	}
	k, _, _, _ := t.find(serial)
	return k.issuer
}

// Revoked tells from memory whether a certificate of an issuing authority is revoked or suspended: cheap enough for every TLS
// handshake.
func (ca *CA) Revoked(serial *big.Int) bool {
	_, _, _, revoked := ca.status.find(serial)
	return revoked
}

// Standing says whether a certificate that a peer presents is one of ours and may be used now: in the inventory with this very
// fingerprint (else ErrUnknownCertificate), neither ErrRevoked nor ErrSuspended nor ErrNotInTime. It answers from memory, but for
// a certificate that another node issued a moment ago; the chain is the caller's to verify first. With an error about a known
// certificate the certificate is returned too: refusals name its partner and order.
func (ca *CA) Standing(ctx context.Context, presented *x509.Certificate) (Certificate, error) {
	if presented == nil || presented.SerialNumber == nil || presented.SerialNumber.Sign() <= 0 {
		return Certificate{}, ErrUnknownCertificate
	}
	k, issued, err := ca.recall(ctx, presented.SerialNumber)
	if err != nil {
		return Certificate{}, err
	}
	if !issued || k.Fingerprint != digestHex(presented.Raw) {
		return Certificate{}, ErrUnknownCertificate
	}
	c := k.Certificate
	_, r, _, revoked := ca.status.find(presented.SerialNumber)
	now := ca.cfg.Now()
	switch {
	case revoked:
		c.RevokedAt, c.Reason, c.State = r.at, r.reason, Revoked
		if r.reason == CertificateHold {
			c.State = Suspended
			return c, ErrSuspended
		}
		return c, ErrRevoked
	case now.After(c.NotAfter):
		c.State = Expired
		return c, ErrNotInTime
	case now.Before(c.NotBefore):
		return c, ErrNotInTime
	}
	return c, nil
}

// recall finds a certificate of an issuing authority in memory, or in the database: another node may have issued it.
func (ca *CA) recall(ctx context.Context, serial *big.Int) (known, bool, error) {
	if k, _, issued, _ := ca.status.find(serial); issued {
		return k, true, nil
	}
	found, err := ca.Certificate(ctx, hexSerial(serial))
	if errors.Is(err, ErrUnknownCertificate) {
		return known{}, false, nil
	}
	if err != nil {
		return known{}, false, err
	}
	k, err := ca.remember(found)
	return k, err == nil, err
}

// remember takes a row of the inventory into memory. What it says of revocation goes there too: the row may be newer than what
// was followed.
func (ca *CA) remember(c Certificate) (known, error) {
	serial, err := parseSerial(c.Serial)
	if err != nil {
		return known{}, err
	}
	k := known{issuer: ca.issuerOf(c.issuerID), Certificate: c}
	ca.status.add(serial, k)
	switch {
	case c.State == Revoked || c.State == Suspended:
		ca.status.revoke(serial, revocation{at: c.RevokedAt, reason: c.Reason, sequence: c.sequence})
	case c.sequence > 0:
		ca.status.revoke(serial, revocation{reason: RemoveFromCRL, sequence: c.sequence})
	}
	return k, nil
}

// ocspStatus reads memory, and the database for a serial number that another node may have issued.
func (ca *CA) ocspStatus(ctx context.Context, of *issuer, serial *big.Int) (ocsp.Status, error) {
	k, issued, err := ca.recall(ctx, serial)
	if err != nil {
		return ocsp.Status{}, err
	}
	if !issued || k.issuer != of {
		return ocsp.Status{Code: codes.Unknown}, nil
	}
	if _, r, _, revoked := ca.status.find(serial); revoked {
		return ocsp.Status{Code: codes.Revoked, RevokedAt: r.at, Reason: int(r.reason)}, nil
	}
	return ocsp.Status{Code: codes.Good}, nil
}

// loadStatus fills the memory at the start.
func (ca *CA) loadStatus(ctx context.Context) error {
	ca.status.issued, ca.status.revoked = map[string]known{}, map[string]revocation{}
	for _, i := range ca.issuers {
		rows, err := ca.cfg.DB.QueryContext(ctx, columns+` WHERE c.issuer = $1 AND c.der IS NOT NULL`, i.id)
		if err != nil {
			return fmt.Errorf("loading the inventory: %w", err)
		}
		err = each(rows, func() error {
			c, err := ca.scan(rows)
			if err != nil {
				return err
			}
			serial, err := parseSerial(c.Serial)
			if err == nil {
				ca.status.add(serial, known{issuer: i, Certificate: c})
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("loading the inventory: %w", err)
		}
	}
	return ca.follow(ctx)
}

// follow takes over the states of authorities and the revocations that are newer than the memory: those of other nodes. The sequence is given inside the
// transaction that revokes and transactions are serialised, so none can appear behind it.
func (ca *CA) follow(ctx context.Context) error {
	if err := ca.followIssuers(ctx); err != nil {
		return err
	}
	ca.status.mu.RLock()
	after := ca.status.sequence
	ca.status.mu.RUnlock()
	rows, err := ca.cfg.DB.QueryContext(ctx, `SELECT serial, sequence, revoked_at, reason FROM pki_revocation
		WHERE sequence > $1 ORDER BY sequence`, after)
	if err != nil {
		return fmt.Errorf("reading revocations: %w", err)
	}
	err = each(rows, func() error {
		var text string
		var sequence, at, reason int64
		if err := rows.Scan(&text, &sequence, &at, &reason); err != nil {
			return err
		}
		serial, err := parseSerial(text)
		if err != nil {
			return err
		}
		ca.learn(serial, revocation{at: time.Unix(at, 0), reason: Reason(reason), sequence: sequence})
		ca.status.mu.Lock()
		ca.status.sequence = max(ca.status.sequence, sequence)
		ca.status.mu.Unlock()
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading revocations: %w", err)
	}
	return nil
}

// learn makes a revocation known to handshakes and responders: memory first, so that no answer can be signed and kept from
// the old status after Forget.
func (ca *CA) learn(serial *big.Int, r revocation) {
	ca.status.revoke(serial, r)
	for _, i := range ca.issuers {
		i.responder.Forget(serial)
	}
}
