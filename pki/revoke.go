package pki

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"trustcore/internal/audit"
)

// Revoke revokes a certificate of the issuing authority for good. The next OCSP answer says so; the CRL follows at once, or as
// soon as the key can sign. Revoking a revoked certificate does nothing. serial is lower-case hex as in the inventory;
// ErrUnknownCertificate says that there is none.
func (ca *CA) Revoke(ctx context.Context, actor audit.Actor, serial string, reason Reason, order string) error {
	if err := ca.revoke(ctx, actor, serial, reason, order); err != nil {
		return fmt.Errorf("revoking certificate %s: %w", serial, err)
	}
	if err := ca.renewLists(ctx); err != nil {
		ca.cfg.Logger.Error("renewing the list after a revocation failed", "serial", serial, "error", err)
	}
	return nil
}

func (ca *CA) revoke(ctx context.Context, actor audit.Actor, serial string, reason Reason, order string) error {
	number, err := parseSerial(serial)
	if err != nil {
		return err
	}
	if !reason.known() {
		return refuse("reason", "choose unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn",
			"%d is not one for a final revocation", reason)
	}
	found, err := ca.Certificate(ctx, serial)
	if err != nil {
		return err
	}
	if found.State == Revoked {
		return nil
	}
	receipt, err := ca.cfg.Audit.Append(ctx, audit.Entry{Time: ca.cfg.Now(), Actor: actor, Action: "certificate.revoke", Subject: serial,
		Partner: found.Partner, Order: order, Outcome: audit.Granted, Details: map[string]string{"reason": strconv.Itoa(int(reason))}})
	if err != nil {
		return err
	}
	now := ca.cfg.Now()
	err = ca.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		var sequence int64 // taken inside the transaction, so that who follows misses none
		if err := tx.QueryRowContext(ctx, `UPDATE pki_counter SET value = value + 1 WHERE name = 'revocation' RETURNING value`).Scan(&sequence); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO pki_revocation
			(issuer, serial, sequence, revoked_at, reason, order_id, actor_kind, actor_id, audit_index)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
			ca.issuer, serial, sequence, now.Unix(), int(reason), order, actor.Kind, actor.ID, int64(receipt.Index))
		return err
	})
	if err != nil {
		return errors.Join(err, ca.notRevoked(ctx, actor, found, order, err))
	}
	ca.learn(number, revocation{at: now, reason: reason})
	return nil
}

// notRevoked corrects the audit log: the entry before was written, the act did not happen.
func (ca *CA) notRevoked(ctx context.Context, actor audit.Actor, found Certificate, order string, cause error) error {
	_, err := ca.cfg.Audit.Append(context.WithoutCancel(ctx), audit.Entry{Time: ca.cfg.Now(), Actor: actor, Action: "certificate.revoke",
		Subject: found.Serial, Partner: found.Partner, Order: order, Outcome: audit.Refused, Reason: "not carried out: " + cause.Error()})
	return err
}

func (r Reason) known() bool {
	switch r {
	case Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn:
		return true
	}
	return false
}
