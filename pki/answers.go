package pki

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math/big"
	"sync"
	"time"

	codes "golang.org/x/crypto/ocsp"

	"trustcore/pki/ocsp"
)

// maxUnsaved bounds the answers that wait to be stored.
const maxUnsaved = 2 * presignMost

// answers are those that were signed since the last time that they were stored.
type answers struct {
	mu      sync.Mutex
	waiting map[answerKey]ocsp.Kept // guarded by mu
}

type answerKey struct{ issuer, serial, certID string }

func answerOf(by *issuer, k ocsp.Kept) answerKey {
	return answerKey{by.id, hexSerial(k.Serial), hex.EncodeToString(k.CertID)}
}

// keep lets an answer wait; a newer one for the same question stays.
func (a *answers) keep(key answerKey, k ocsp.Kept) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[answerKey]ocsp.Kept{}
	}
	if old, there := a.waiting[key]; len(a.waiting) < maxUnsaved && (!there || !k.ThisUpdate.Before(old.ThisUpdate)) {
		a.waiting[key] = k
	}
}

// saveAnswers stores what was signed and drops what has ended, so that a node goes on after a restart while the key is away.
func (ca *CA) saveAnswers(ctx context.Context) error {
	for {
		batch := ca.answers.take()
		if len(batch) == 0 {
			return nil
		}
		if err := ca.cfg.DB.InTx(ctx, func(tx *sql.Tx) error { return ca.storeAnswers(ctx, tx, batch) }); err != nil {
			for key, k := range batch {
				ca.answers.keep(key, k)
			}
			return fmt.Errorf("storing OCSP answers: %w", err)
		}
	}
}

// answerBatch is how many answers one transaction stores: others want to write too.
const answerBatch = 256

// take removes some of the answers.
func (a *answers) take() map[answerKey]ocsp.Kept {
	a.mu.Lock()
	defer a.mu.Unlock()
	batch := map[answerKey]ocsp.Kept{}
	for key, k := range a.waiting {
		if len(batch) == answerBatch {
			break
		}
		batch[key] = k
		delete(a.waiting, key)
	}
	return batch
}

func (ca *CA) storeAnswers(ctx context.Context, tx *sql.Tx, batch map[answerKey]ocsp.Kept) error {
	for key, k := range batch {
		if _, err := tx.ExecContext(ctx, `INSERT INTO pki_answer (issuer, serial, cert_id, status, reason, this_update, next_update, der)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (issuer, serial, cert_id) DO UPDATE SET status = excluded.status,
			reason = excluded.reason, this_update = excluded.this_update, next_update = excluded.next_update, der = excluded.der`,
			key.issuer, key.serial, key.certID, k.Status.Code, k.Status.Reason, k.ThisUpdate.Unix(), k.NextUpdate.Unix(), k.Response); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM pki_answer WHERE next_update < $1`, ca.cfg.Now().Unix())
	return err
}

// loadAnswers hands the stored answers to the responders: those that say what is so now. An answer may have been stored behind the
// revocation of its certificate.
func (ca *CA) loadAnswers(ctx context.Context) error {
	rows, err := ca.cfg.DB.QueryContext(ctx, `SELECT issuer, serial, cert_id, status, reason, this_update, next_update, der FROM pki_answer
		WHERE next_update > $1`, ca.cfg.Now().Unix())
	if err != nil {
		return fmt.Errorf("loading OCSP answers: %w", err)
	}
	err = each(rows, func() error {
		var issuer, serial, certID string
		var k ocsp.Kept
		var begin, end int64
		if err := rows.Scan(&issuer, &serial, &certID, &k.Status.Code, &k.Status.Reason, &begin, &end, &k.Response); err != nil {
			return err
		}
		by := ca.issuerOf(issuer)
		if k.Serial, err = parseSerial(serial); err != nil || by == nil {
			return err
		}
		if k.CertID, err = hex.DecodeString(certID); err != nil {
			return err
		}
		k.ThisUpdate, k.NextUpdate = time.Unix(begin, 0), time.Unix(end, 0)
		if ca.holds(by, k.Serial, k.Status) {
			by.responder.Restore(k)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("loading OCSP answers: %w", err)
	}
	return nil
}

// holds reports whether a status is what memory says of a certificate.
func (ca *CA) holds(by *issuer, serial *big.Int, status ocsp.Status) bool {
	k, r, issued, revoked := ca.status.find(serial)
	if !issued || k.issuer != by {
		return false
	}
	if revoked {
		return status.Code == codes.Revoked && status.Reason == int(r.reason)
	}
	return status.Code == codes.Good
}
