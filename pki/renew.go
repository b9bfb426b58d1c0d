package pki

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"trustcore/internal/audit"
)

// Limits of renewals.
const (
	MaxRenewals = 10 // certificates that one holder may have renewed in a profile within 24 hours
	// MaxKeyAge is how long after a key's first certificate a new key is due. A seal's key may live as long as its order.
	MaxKeyAge = 3 * 366 * 24 * time.Hour
)

// Renew is the one way to a successor of a certificate: for the same holder, names, profile and order. presented has to be in the
// inventory, with this fingerprint, neither revoked nor suspended nor expired; who presents it has to have proved that they hold its
// key. The request brings a new key, or the old one while it is young enough. The successor ends with until, the end of the
// authorisation, where that is set. Asked again with the same request Renew returns the same certificate. Refusals are audited.
//
// The errors are those of Standing and Issue.
func (ca *CA) Renew(ctx context.Context, actor audit.Actor, presented *x509.Certificate, csr *x509.CertificateRequest,
	until time.Time) (*x509.Certificate, error) {
	c, err := ca.Standing(ctx, presented)
	if err == nil && (c.Profile == OCSPResponder || c.Profile == TimeStamping) {
		err = refuse("profile", "nothing is to be done: the authority renews it",
			"certificates of profile %s are not renewed by request", c.Profile)
	}
	if err != nil {
		return nil, fmt.Errorf("renewal: %w", ca.notRenewed(ctx, actor, presented, c, err))
	}
	subject := Subject{Partner: c.Partner, CommonName: c.CommonName, DNS: presented.DNSNames,
		IPs: presented.IPAddresses, NotAfter: until}
	next, err := ca.issue(ctx, wish{actor: actor, kind: c.Profile, csr: csr, subject: subject, order: c.Order,
		renews: &c, repeatable: true})
	ca.failing.note(c.Serial, err)
	return next, err
}

// notRenewed writes the refusal of a certificate that may not be renewed.
func (ca *CA) notRenewed(ctx context.Context, actor audit.Actor, presented *x509.Certificate, c Certificate, cause error) error {
	serial := c.Serial
	if serial == "" && presented != nil && presented.SerialNumber != nil {
		serial = hexSerial(presented.SerialNumber)
	}
	_, err := ca.cfg.Audit.Append(ctx, audit.Entry{Time: ca.cfg.Now(), Actor: actor, Action: "certificate.issue", Subject: c.CommonName,
		Partner: c.Partner, Order: c.Order, Outcome: audit.Refused, Reason: cause.Error(), Details: map[string]string{"renews": serial}})
	return errors.Join(cause, err)
}

// checkRate refuses renewals that come too often, that keep a key for too long, or that gain nothing.
func (ca *CA) checkRate(ctx context.Context, tx *sql.Tx, r row) error {
	now := ca.cfg.Now()
	var count int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM pki_certificate WHERE profile = $1 AND partner = $2 AND common_name = $3
		AND renews <> '' AND created > $4 AND created <= $5`, string(r.kind), r.subject.Partner, r.subject.CommonName,
		now.Add(-24*time.Hour).Unix(), now.Unix()).Scan(&count); err != nil {
		return fmt.Errorf("counting renewals: %w", err)
	}
	if count >= MaxRenewals {
		return refuse("renewal", "try again tomorrow", "%d certificates of this holder were renewed within a day", count)
	}
	var renewedKey string
	var ends, first int64
	if err := tx.QueryRowContext(ctx, `SELECT c.public_key, c.not_after, k.first
		FROM pki_certificate c JOIN pki_key k ON k.public_key = c.public_key
		WHERE c.profile NOT IN ('root', 'issuing') AND c.serial = $1`, r.renews).Scan(&renewedKey, &ends, &first); err != nil {
		return fmt.Errorf("looking for what is renewed: %w", err)
	}
	if renewedKey != r.key {
		return nil
	}
	if r.kind != Seal && now.Sub(time.Unix(first, 0)) > MaxKeyAge {
		return refuse("public key", "make a new key", "this key is in use since %s", time.Unix(first, 0).UTC().Format(time.DateOnly))
	}
	if r.template.NotAfter.Sub(time.Unix(ends, 0)) < MinimumLife {
		return refuse("validity", "extend the authorisation, or come back later", "the certificate that is there ends %s, a renewed one %s",
			time.Unix(ends, 0).UTC().Format(time.RFC3339), r.template.NotAfter.Format(time.RFC3339))
	}
	return nil
}
