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
		(issuer, serial, profile, partner, common_name, names, order_id, actor_kind, actor_id, not_before, not_after, created, public_key,
		fingerprint, der, renews, cut, holder)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT DO NOTHING`,
		r.issuer, hexSerial(r.template.SerialNumber), string(r.kind), r.subject.Partner, r.subject.CommonName, names(r.template),
		r.order, r.actor.Kind, r.actor.ID, r.template.NotBefore.Unix(), r.template.NotAfter.Unix(), ca.cfg.Now().Unix(),
		r.key, fingerprint, der, r.renews, string(r.cut), ca.cfg.Leases.Holder())
	if err != nil {
		return fmt.Errorf("recording serial number %s: %w", hexSerial(r.template.SerialNumber), err)
	}
	return nil
}

// names are the DNS names and addresses, separated by spaces.
func names(c *x509.Certificate) string { return strings.Join(namesOf(c), " ") }

func namesOf(c *x509.Certificate) []string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return list
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
	where, args := ca.where(filter)
	query := columns + ` WHERE ` + where + ` ORDER BY c.created DESC, c.serial`
	if filter.Limit > 0 {
		args = append(args, filter.Limit)
		query += fmt.Sprintf(` LIMIT $%d`, len(args))
	}
	return ca.read(ctx, ca.cfg.DB, query, args...)
}

// Version grows with every certificate that is completed, revoked, suspended or released, by whatever node; it costs one row. A list
// that was made after a version was asked for has at least what that version has.
func (ca *CA) Version(ctx context.Context) (version int64, err error) {
	err = ca.cfg.DB.QueryRowContext(ctx, `SELECT SUM(value) FROM pki_counter WHERE name IN ('inventory', 'revocation')`).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("reading the inventory's version: %w", err)
	}
	return version, nil
}

// Valid calls do for every certificate that is valid now, however many there are, in a constant order, until it returns an error.
func (ca *CA) Valid(ctx context.Context, do func(Certificate) error) error {
	where, args := ca.where(Filter{State: Valid})
	rows, err := ca.cfg.DB.QueryContext(ctx, columns+` WHERE `+where+` ORDER BY c.issuer, c.serial`, args...)
	if err == nil {
		err = each(rows, func() error {
			c, err := ca.scan(rows)
			if err != nil {
				return err
			}
			return do(c)
		})
	}
	if err != nil {
		return fmt.Errorf("reading the inventory: %w", err)
	}
	return nil
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (ca *CA) read(ctx context.Context, db queryer, query string, args ...any) ([]Certificate, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	var found []Certificate
	err = each(rows, func() error {
		c, err := ca.scan(rows)
		found = append(found, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	return found, nil
}

// each calls do for every row and closes rows.
func each(rows *sql.Rows, do func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := do(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// columns begins a statement whose rows scan reads.
const columns = `SELECT c.issuer, c.serial, c.profile, c.partner, c.common_name, c.names, c.order_id, c.actor_kind, c.actor_id,
	c.not_before, c.not_after, c.renews, c.cut, c.public_key, c.fingerprint, c.der, r.sequence, r.revoked_at, r.reason
	FROM pki_certificate c LEFT JOIN pki_revocation r ON r.issuer = c.issuer AND r.serial = c.serial`

// Conditions on the newest word about a certificate. CertificateHold is 6, RemoveFromCRL 8.
const (
	isGood    = `(r.reason IS NULL OR r.reason = 8)`
	isHeld    = `(r.reason = 6)`
	isRevoked = `(r.reason IS NOT NULL AND r.reason NOT IN (6, 8))`
)

// where builds the condition; every value is a parameter.
func (ca *CA) where(f Filter) (condition string, args []any) {
	conditions := []string{map[bool]string{true: "c.der IS NULL", false: "c.der IS NOT NULL"}[f.State == Reserved]}
	and := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args))))
	}
	for column, value := range map[string]string{"c.serial": f.Serial, "c.partner": f.Partner, "c.order_id": f.Order,
		"c.common_name": f.CommonName, "c.public_key": f.PublicKey, "c.profile": string(f.Profile)} {
		if value != "" {
			and(column+" = ?", value)
		}
	}
	if !f.ExpiresBefore.IsZero() {
		and("c.not_after < ?", f.ExpiresBefore.Unix())
	}
	now := ca.cfg.Now().Unix()
	switch f.State {
	case Valid:
		and(isGood+" AND c.not_after >= ?", now)
	case Expired:
		and(isGood+" AND c.not_after < ?", now)
	case Suspended:
		conditions = append(conditions, isHeld)
	case Revoked:
		conditions = append(conditions, isRevoked)
	}
	return strings.Join(conditions, " AND "), args
}

func (ca *CA) scan(rows *sql.Rows) (Certificate, error) {
	var c Certificate
	var names string
	var begin, end int64
	var sequence, revokedAt, reason sql.NullInt64
	if err := rows.Scan(&c.issuerID, &c.Serial, &c.Profile, &c.Partner, &c.CommonName, &names, &c.Order, &c.Actor.Kind, &c.Actor.ID,
		&begin, &end, &c.Renews, &c.Cut, &c.PublicKey, &c.Fingerprint, &c.DER, &sequence, &revokedAt, &reason); err != nil {
		return Certificate{}, err
	}
	c.Names = strings.Fields(names)
	c.NotBefore, c.NotAfter, c.sequence = time.Unix(begin, 0).UTC(), time.Unix(end, 0).UTC(), sequence.Int64
	if by := ca.issuerOf(c.issuerID); by != nil {
		c.Issuer = by.certificate.Subject.CommonName
	} else if by := ca.rootOf(c.issuerID); by != nil {
		c.Issuer = by.certificate.Subject.CommonName
	}
	if reason.Valid {
		c.Reason, c.RevokedAt = Reason(reason.Int64), time.Unix(revokedAt.Int64, 0).UTC()
		word := c.Reason
		c.word = &word
	}
	switch {
	case c.DER == nil:
		c.State = Reserved
	case c.word != nil && *c.word == CertificateHold:
		c.State = Suspended
	case c.word != nil && *c.word != RemoveFromCRL:
		c.State = Revoked
	case ca.cfg.Now().After(c.NotAfter):
		c.State = Expired
	default:
		c.State = Valid
	}
	if c.State != Revoked && c.State != Suspended {
		c.Reason, c.RevokedAt = Unspecified, time.Time{}
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
