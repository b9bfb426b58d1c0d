package pki

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"trustcore/internal/audit"
	"trustcore/pki/profile"
)

// row is what is recorded of a certificate before it is signed.
type row struct {
	issuer   string
	kind     Profile
	subject  Subject
	order    string
	actor    audit.Actor
	template *x509.Certificate
	spki     []byte // SubjectPublicKeyInfo
}

// Issue makes a certificate of the given kind for the request's key. Serial number and audit entry are written before the
// signature. A refused request (*RequestError) is written to the audit log too and costs no signature. When the key can't sign
// now, the error wraps ErrUnavailable and the request may be made again.
func (ca *CA) Issue(ctx context.Context, actor audit.Actor, kind Profile, csr *x509.CertificateRequest, subject Subject, order string) (*x509.Certificate, error) {
	r, err := ca.prepare(kind, csr, subject)
	if err == nil {
		r.actor, r.order = actor, order
		err = ca.reserve(ctx, r)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate %s for %q: %w", kind, subject.CommonName, ca.refused(ctx, actor, kind, subject, order, err))
	}
	serial := hexSerial(r.template.SerialNumber)
	if _, err := ca.cfg.Audit.Append(ctx, audit.Entry{Time: ca.cfg.Now(), Actor: actor, Action: "certificate.issue", Subject: serial,
		Partner: subject.Partner, Order: order, Outcome: audit.Granted, Details: r.details()}); err != nil {
		return nil, fmt.Errorf("certificate %s for %q: %w", kind, subject.CommonName, err)
	}
	certificate, err := ca.step.sign(ctx, csr, r.template)
	if err != nil {
		return nil, fmt.Errorf("certificate %s for %q: serial number %s: %w: %w", kind, subject.CommonName, serial, ErrUnavailable, err)
	}
	return certificate, nil
}

// prepare checks the request and fills in the whole certificate but the signature.
func (ca *CA) prepare(kind Profile, csr *x509.CertificateRequest, subject Subject) (row, error) {
	if err := CheckRequest(kind, csr, subject); err != nil {
		return row{}, err
	}
	if err := ca.checkAllowed(subject); err != nil {
		return row{}, err
	}
	begin := ca.cfg.Now().Add(-backdate)
	if begin.Before(ca.cfg.Issuing.NotBefore) {
		begin = ca.cfg.Issuing.NotBefore
	}
	validity := kind.Longest()
	if shorter, set := ca.cfg.Validity[kind]; set && shorter < validity {
		validity = shorter
	}
	end := begin.Add(validity)
	if end.After(ca.cfg.Issuing.NotAfter) {
		end = ca.cfg.Issuing.NotAfter
	}
	template, err := kind.Template(begin, end, ca.places)
	if err != nil {
		return row{}, err
	}
	if template.SerialNumber, err = profile.NewSerial(); err != nil {
		return row{}, err
	}
	if template.SubjectKeyId, err = profile.KeyID(csr.PublicKey); err != nil {
		return row{}, err
	}
	template.Subject = pkix.Name{CommonName: subject.CommonName}
	if subject.Partner != "" {
		template.Subject.Organization = []string{subject.Partner}
	}
	template.DNSNames = subject.DNS
	for _, ip := range subject.IPs {
		template.IPAddresses = append(template.IPAddresses, shortest(ip))
	}
	return row{issuer: ca.issuer, kind: kind, subject: subject, template: template, spki: csr.RawSubjectPublicKeyInfo}, nil
}

func shortest(ip net.IP) net.IP {
	if four := ip.To4(); four != nil {
		return four
	}
	return ip
}

func (ca *CA) checkAllowed(subject Subject) error {
	if ca.cfg.AllowName == nil {
		return nil
	}
	names := subject.DNS
	for _, ip := range subject.IPs {
		names = append(names[:len(names):len(names)], ip.String())
	}
	for _, name := range names {
		if !ca.cfg.AllowName(subject.Partner, name) {
			return refuse("names", "order the name for this partner first", "%q does not belong to partner %q", name, subject.Partner)
		}
	}
	return nil
}

// reserve writes the row, unless the key is in use for someone or something else.
func (ca *CA) reserve(ctx context.Context, r row) error {
	ca.writing.Lock()
	defer ca.writing.Unlock()
	return ca.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		if err := checkKeyUse(ctx, tx, r); err != nil {
			return err
		}
		return ca.insert(ctx, tx, r, nil)
	})
}

// checkKeyUse refuses a key that another partner or another profile has a certificate for, and a compromised one: a key has one
// holder and one purpose. Renewal with the same key is fine.
func checkKeyUse(ctx context.Context, tx *sql.Tx, r row) error {
	const remedy = "make a new key for this certificate"
	rows, err := tx.QueryContext(ctx, `SELECT c.profile, c.partner, COALESCE(r.reason, -1) FROM pki_certificate c
		LEFT JOIN pki_revocation r ON r.issuer = c.issuer AND r.serial = c.serial
		WHERE c.public_key = $1 AND c.der IS NOT NULL`, digestHex(r.spki))
	if err != nil {
		return fmt.Errorf("looking for uses of the key: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var kind, partner string
		var reason int
		if err := rows.Scan(&kind, &partner, &reason); err != nil {
			return fmt.Errorf("looking for uses of the key: %w", err)
		}
		switch {
		case Reason(reason) == KeyCompromise:
			return refuse("public key", remedy, "a certificate for this key was revoked as compromised")
		case partner != r.subject.Partner:
			return refuse("public key", remedy, "another partner has a certificate for this key")
		case Profile(kind) != r.kind:
			return refuse("public key", remedy, "this key has a certificate of profile %s", kind)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("looking for uses of the key: %w", err)
	}
	return nil
}

// refused writes a refusal to the audit log and returns the error to be given.
func (ca *CA) refused(ctx context.Context, actor audit.Actor, kind Profile, subject Subject, order string, err error) error {
	var request *RequestError
	if !errors.As(err, &request) {
		return err
	}
	_, failed := ca.cfg.Audit.Append(ctx, audit.Entry{Time: ca.cfg.Now(), Actor: actor, Action: "certificate.issue", Subject: subject.CommonName,
		Partner: subject.Partner, Order: order, Outcome: audit.Refused, Reason: err.Error(), Details: map[string]string{"profile": string(kind)}})
	return errors.Join(err, failed)
}

func (r row) details() map[string]string {
	return map[string]string{
		"profile": string(r.kind), "common_name": r.subject.CommonName, "names": names(r.template), "public_key_sha256": digestHex(r.spki),
		"not_before": r.template.NotBefore.UTC().Format(time.RFC3339), "not_after": r.template.NotAfter.UTC().Format(time.RFC3339),
	}
}

// storeSigned completes the reserved row: from now on the certificate is good.
func (ca *CA) storeSigned(ctx context.Context, certificate *x509.Certificate) error {
	serial := hexSerial(certificate.SerialNumber)
	ca.writing.Lock()
	defer ca.writing.Unlock()
	result, err := ca.cfg.DB.ExecContext(ctx, `UPDATE pki_certificate SET der = $1, fingerprint = $2 WHERE issuer = $3 AND serial = $4 AND der IS NULL`,
		certificate.Raw, digestHex(certificate.Raw), ca.issuer, serial)
	if err != nil {
		return fmt.Errorf("storing certificate %s: %w", serial, err)
	}
	if count, err := result.RowsAffected(); err != nil || count != 1 {
		return errors.Join(fmt.Errorf("storing certificate %s: its serial number is not reserved", serial), err)
	}
	ca.status.issued(certificate.SerialNumber)
	return nil
}

func digestHex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
