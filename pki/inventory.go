package pki

import (
	"context"
	"crypto/x509"
	"database/sql"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// executor is a database or a transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// insert records a certificate; der is nil while it is only reserved. A row that is there already stays as it is.
func (ca *CA) insert(ctx context.Context, db executor, r row, der []byte) error {
	fingerprint := ""
	if der != nil {
		fingerprint = digestHex(der)
	}
	_, err := db.ExecContext(ctx, `INSERT INTO pki_certificate
		(issuer, serial, profile, partner, common_name, names, order_id, actor_kind, actor_id, not_before, not_after, created, public_key, fingerprint, der)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING`,
		r.issuer, hexSerial(r.template.SerialNumber), string(r.kind), r.subject.Partner, r.subject.CommonName, names(r.template),
		r.order, r.actor.Kind, r.actor.ID, r.template.NotBefore.Unix(), r.template.NotAfter.Unix(), ca.cfg.Now().Unix(),
		digestHex(r.spki), fingerprint, der)
	if err != nil {
		return fmt.Errorf("recording serial number %s: %w", hexSerial(r.template.SerialNumber), err)
	}
	return nil
}

// names are the DNS names and addresses, separated by spaces.
func names(c *x509.Certificate) string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return strings.Join(list, " ")
}

// Certificate returns the certificate of the issuing authority with this serial number, or ErrUnknownCertificate.
func (ca *CA) Certificate(ctx context.Context, serial string) (Certificate, error) {
	if serial == "" {
		return Certificate{}, ErrUnknownCertificate
	}
	found, err := ca.Certificates(ctx, Filter{Serial: serial})
	if err != nil {
		return Certificate{}, err
	}
	for _, c := range found {
		if c.Profile != "root" && c.Profile != "issuing" {
			return c, nil
		}
	}
	return Certificate{}, ErrUnknownCertificate
}

// Certificates returns the part of the inventory that filter chooses, newest first. Serial numbers that were reserved and never
// became a certificate appear only when asked for by their state.
func (ca *CA) Certificates(ctx context.Context, filter Filter) ([]Certificate, error) {
	query, args := ca.query(filter)
	rows, err := ca.cfg.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	defer rows.Close()
	var found []Certificate
	for rows.Next() {
		c, err := ca.scan(rows)
		if err != nil {
			return nil, fmt.Errorf("reading the inventory: %w", err)
		}
		found = append(found, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	return found, nil
}

// query builds the statement; every value is a parameter.
func (ca *CA) query(f Filter) (string, []any) {
	var where []string
	var args []any
	and := func(condition string, value any) {
		args = append(args, value)
		where = append(where, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args))))
	}
	equal := func(column, value string) {
		if value != "" {
			and(column+" = ?", value)
		}
	}
	equal("c.serial", f.Serial)
	equal("c.partner", f.Partner)
	equal("c.order_id", f.Order)
	equal("c.profile", string(f.Profile))
	if !f.ExpiresBefore.IsZero() {
		and("c.not_after < ?", f.ExpiresBefore.Unix())
	}
	now := ca.cfg.Now().Unix()
	switch f.State {
	case Reserved:
		where = append(where, "c.der IS NULL")
	case Revoked:
		where = append(where, "r.serial IS NOT NULL")
	case Valid:
		and("c.der IS NOT NULL AND r.serial IS NULL AND c.not_after >= ?", now)
	case Expired:
		and("c.der IS NOT NULL AND r.serial IS NULL AND c.not_after < ?", now)
	default:
		where = append(where, "c.der IS NOT NULL")
	}
	limit := f.Limit
	if limit <= 0 || limit > MaxCertificates {
		limit = MaxCertificates
	}
	args = append(args, limit)
	return fmt.Sprintf(`SELECT c.issuer, c.serial, c.profile, c.partner, c.common_name, c.names, c.order_id, c.actor_kind, c.actor_id,
		c.not_before, c.not_after, c.fingerprint, c.der, r.revoked_at, r.reason
		FROM pki_certificate c LEFT JOIN pki_revocation r ON r.issuer = c.issuer AND r.serial = c.serial
		WHERE %s ORDER BY c.created DESC, c.serial LIMIT $%d`, strings.Join(where, " AND "), len(args)), args
}

func (ca *CA) scan(rows *sql.Rows) (Certificate, error) {
	var c Certificate
	var issuer, names string
	var begin, end int64
	var revokedAt, reason sql.NullInt64
	if err := rows.Scan(&issuer, &c.Serial, &c.Profile, &c.Partner, &c.CommonName, &names, &c.Order, &c.Actor.Kind, &c.Actor.ID,
		&begin, &end, &c.Fingerprint, &c.DER, &revokedAt, &reason); err != nil {
		return Certificate{}, err
	}
	c.Names = strings.Fields(names)
	c.NotBefore, c.NotAfter = time.Unix(begin, 0).UTC(), time.Unix(end, 0).UTC()
	c.Issuer = ca.cfg.Issuing.Subject.CommonName
	if issuer == ca.rootID {
		c.Issuer = ca.cfg.Root.Subject.CommonName
	}
	switch {
	case revokedAt.Valid:
		c.State, c.RevokedAt, c.Reason = Revoked, time.Unix(revokedAt.Int64, 0).UTC(), Reason(reason.Int64)
	case c.DER == nil:
		c.State = Reserved
	case ca.cfg.Now().After(c.NotAfter):
		c.State = Expired
	default:
		c.State = Valid
	}
	return c, nil
}

// hexSerial writes a serial number as the inventory does.
func hexSerial(serial *big.Int) string { return serial.Text(16) }

func parseSerial(text string) (*big.Int, error) {
	number, ok := new(big.Int).SetString(text, 16)
	if !ok || number.Sign() <= 0 || number.BitLen() > 160 || hexSerial(number) != text {
		return nil, fmt.Errorf("%w: %q is no serial number in lower-case hex", ErrUnknownCertificate, text)
	}
	return number, nil
}

func decimal(text string) (*big.Int, error) {
	number, ok := new(big.Int).SetString(text, 10)
	if !ok || number.Sign() <= 0 {
		return nil, fmt.Errorf("%w: %q is no serial number", ErrUnknownCertificate, text)
	}
	return number, nil
}
