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

// MinimumLife is the shortest life that a certificate is issued for where its issuer or its authorisation ends: a shorter one would
// be over before anybody could install it.
const MinimumLife = time.Hour

// wish is what a certificate is asked for with.
type wish struct {
	actor   audit.Actor
	kind    Profile
	csr     *x509.CertificateRequest
	subject Subject
	order   string
	issuer  *issuer      // of a delegate its own authority; nil: the one that issues for the profile's purpose
	renews  *Certificate // the certificate that is renewed, nil for a new one
	name    *pkix.Name   // the subject's whole name where it has more than Subject says

	repeatable bool // what was issued for this wish before is returned
}

// row is what is recorded of a certificate before it is signed.
type row struct {
	issuer   string
	kind     Profile
	subject  Subject
	order    string
	actor    audit.Actor
	renews   string // serial number
	renewsOf string // key identifier of the authority that issued that one
	delegate bool   // is its own authority's, whatever that issues
	cut      Cut
	template *x509.Certificate
	key      string // SHA-256 of SubjectPublicKeyInfo

	repeatable bool
}

// Issue makes a certificate of the given kind for the request's key, which lives until subject.NotAfter at most. Serial number and
// audit entry are written before the signature. A refused request (*RequestError) is written to the audit log too and costs no
// signature. When the key can't sign now, the error wraps ErrUnavailable and the request may be made again.
//
// Within an order Issue may be repeated: while a certificate for the same order, profile, subject and key holds, which ends no later
// than asked for, that one is returned.
func (ca *CA) Issue(ctx context.Context, actor audit.Actor, kind Profile, csr *x509.CertificateRequest, subject Subject,
	order string) (*x509.Certificate, error) {
	return ca.issue(ctx, wish{actor: actor, kind: kind, csr: csr, subject: subject, order: order,
		repeatable: order != ""})
}

// IssueAnew is Issue for who keeps account of their own of what was issued: it makes another certificate each time, even for a key
// that has one by the same order.
func (ca *CA) IssueAnew(ctx context.Context, actor audit.Actor, kind Profile, csr *x509.CertificateRequest, subject Subject,
	order string) (*x509.Certificate, error) {
	return ca.issue(ctx, wish{actor: actor, kind: kind, csr: csr, subject: subject, order: order})
}

func (ca *CA) issue(ctx context.Context, w wish) (*x509.Certificate, error) {
	certificate, err := ca.tryIssue(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("certificate %s for %q: %w", w.kind, w.subject.CommonName, ca.refused(ctx, w, err))
	}
	return certificate, nil
}

// maxMoves bounds how often a wish is made anew because another authority issues by now.
const maxMoves = 5

// tryIssue has the authority sign that issues for the wish when its serial number is reserved.
func (ca *CA) tryIssue(ctx context.Context, w wish) (*x509.Certificate, error) {
	if err := CheckRequest(w.kind, w.csr, w.subject); err != nil {
		return nil, err
	}
	if err := ca.checkAllowed(w.subject); err != nil {
		return nil, err
	}
	for range maxMoves {
		by, err := ca.issuerFor(w)
		if err != nil {
			return nil, err
		}
		certificate, err := ca.issueBy(ctx, by, w)
		if !errors.Is(err, errMoved) {
			return certificate, err
		}
		if err := ca.followIssuers(ctx); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, errMoved)
}

func (ca *CA) issueBy(ctx context.Context, by *issuer, w wish) (*x509.Certificate, error) {
	r, err := ca.prepare(by, w)
	if err != nil {
		return nil, err
	}
	release, err := ca.turns.take(ctx, r)
	if err != nil {
		return nil, err
	}
	defer release()
	there, err := ca.await(ctx, r)
	if err != nil || there != nil {
		return there, err
	}
	serial := hexSerial(r.template.SerialNumber)
	entry := audit.Entry{Time: ca.cfg.Now(), Actor: w.actor, Action: "certificate.issue", Subject: serial,
		Partner: w.subject.Partner, Order: w.order, Outcome: audit.Granted, Details: r.details()}
	if _, err := ca.cfg.Audit.Append(ctx, entry); err != nil {
		return nil, err
	}
	certificate, err := ca.sign(ctx, by, w.csr, r.template)
	if err != nil {
		entry.Time, entry.Outcome, entry.Reason, entry.Details = ca.cfg.Now(), audit.Failed, err.Error(), nil
		_, failed := ca.cfg.Audit.Append(context.WithoutCancel(ctx), entry)
		return nil, errors.Join(fmt.Errorf("serial number %s: %w: %w", serial, ErrUnavailable, err), failed, ca.giveUp(ctx, r))
	}
	ca.status.add(certificate.SerialNumber, known{issuer: by, Certificate: r.issued(certificate, by)})
	if r.cut != "" {
		ca.cfg.Logger.Warn("a certificate lives shorter than its profile says", "serial", serial,
			"profile", w.kind, "name", w.subject.CommonName, "not_after", certificate.NotAfter, "cut_by", r.cut)
	}
	if ca.Revoked(certificate.SerialNumber) { // its order, key or holder was revoked while it was being signed
		return nil, fmt.Errorf("serial number %s: %w", serial, ErrRevoked)
	}
	return certificate, nil
}

// prepare fills in the whole certificate but the signature.
func (ca *CA) prepare(by *issuer, w wish) (row, error) {
	begin, end, cut, err := ca.life(by, w)
	if err != nil {
		return row{}, err
	}
	template, err := w.kind.Template(begin, end, by.places)
	if err != nil {
		return row{}, err
	}
	if template.SerialNumber, err = profile.NewSerial(); err != nil {
		return row{}, err
	}
	if template.SubjectKeyId, err = profile.KeyID(w.csr.PublicKey); err != nil {
		return row{}, err
	}
	template.Subject = pkix.Name{CommonName: w.subject.CommonName}
	if w.subject.Partner != "" {
		template.Subject.Organization = []string{w.subject.Partner}
	}
	if w.name != nil {
		template.Subject = *w.name
	}
	template.DNSNames = w.subject.DNS
	for _, ip := range w.subject.IPs {
		template.IPAddresses = append(template.IPAddresses, shortest(ip))
	}
	if err := by.permits(w.kind, template, ca.cfg.Now()); err != nil {
		return row{}, err
	}
	r := row{issuer: by.id, delegate: w.issuer != nil, kind: w.kind, subject: w.subject, order: w.order, actor: w.actor, cut: cut, template: template,
		repeatable: w.repeatable}
	if w.renews != nil {
		r.renews, r.renewsOf = w.renews.Serial, w.renews.issuerID
	}
	r.key, err = keyDigest(w.csr.PublicKey)
	return r, err
}

// life is how long the certificate will hold, and what cut that short.
func (ca *CA) life(by *issuer, w wish) (begin, end time.Time, cut Cut, err error) {
	now := ca.cfg.Now()
	begin = now.Add(-backdate)
	if first := by.certificate.NotBefore; begin.Before(first) {
		begin = first
	}
	validity := w.kind.Longest()
	if shorter, set := ca.cfg.Validity[w.kind]; set && shorter < validity {
		validity = shorter
	}
	end = begin.Add(validity)
	if last := by.certificate.NotAfter; end.After(last) {
		end, cut = last, CutByIssuer
	}
	if last := w.subject.NotAfter; !last.IsZero() && end.After(last) {
		end, cut = last, CutByAuthorisation
	}
	if cut == "" || end.Sub(now) >= MinimumLife {
		return begin, end, cut, nil
	}
	if cut == CutByAuthorisation {
		return begin, end, cut, refuse("validity", "extend the authorisation by an order",
			"the authorisation ends %s", end.UTC().Format(time.RFC3339))
	}
	return begin, end, cut, refuse("validity", "hold a ceremony for a new issuing authority",
		"the issuing authority ends %s", end.UTC().Format(time.RFC3339))
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

// errUnderWay says that another node is about to sign for the same wish.
var errUnderWay = errors.New("another node makes this certificate at this moment")

// How often it is looked whether another node has signed.
const firstLook, lastLook = 10 * time.Millisecond, 200 * time.Millisecond

// await reserves, after another node that is at the same wish: it finds what that one made, or goes on when that one is dead.
func (ca *CA) await(ctx context.Context, r row) (there *x509.Certificate, err error) {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		if there, err = ca.reserve(ctx, r); !errors.Is(err, errUnderWay) {
			return there, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w: %w", ErrUnavailable, err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// reserve writes the row, unless the key is in use for someone or something else, or the certificate is there already.
func (ca *CA) reserve(ctx context.Context, r row) (there *x509.Certificate, err error) {
	ca.writing.Lock()
	defer ca.writing.Unlock()
	err = ca.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		there = nil
		if err := claimKey(ctx, tx, r, ca.cfg.Now()); err != nil {
			return err
		}
		var err error
		if there, err = ca.same(ctx, tx, r); err != nil || there != nil {
			return err
		}
		if err := ca.takeOver(ctx, tx, r); err != nil {
			return err
		}
		if r.renews != "" {
			if err := ca.checkRate(ctx, tx, r); err != nil {
				return err
			}
		}
		if err := r.mayStill(ctx, tx); err != nil {
			return err
		}
		return ca.insert(ctx, tx, r, nil)
	})
	return there, err
}

// claimKey gives the key to its first holder and refuses it to anybody else, for another profile, and when it was compromised. A
// claim stands though nothing was signed for it: of several who ask at once with one key, one wins.
func claimKey(ctx context.Context, db interface {
	executor
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, r row, now time.Time) error {
	const remedy = "make a new key for this certificate"
	if _, err := db.ExecContext(ctx, `INSERT INTO pki_key (public_key, profile, holder, first, blocked)
		VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING`,
		r.key, string(r.kind), r.subject.holder(), now.Unix()); err != nil {
		return fmt.Errorf("recording the key: %w", err)
	}
	var kind, holder string
	var blocked int64
	if err := db.QueryRowContext(ctx, `SELECT profile, holder, blocked FROM pki_key WHERE public_key = $1`, r.key).
		Scan(&kind, &holder, &blocked); err != nil {
		return fmt.Errorf("looking for uses of the key: %w", err)
	}
	switch {
	case blocked != 0:
		return refuse("public key", remedy, "this key was reported as compromised")
	case Profile(kind) != r.kind:
		return refuse("public key", remedy, "this key is one of profile %s", kind)
	case holder != r.subject.holder():
		return refuse("public key", remedy, "this key is another partner's or holder's")
	}
	return nil
}

// holder names who has a key: the partner, or the person or daemon of the data centre.
func (s Subject) holder() string {
	if s.Partner != "" {
		return "partner:" + s.Partner
	}
	return "name:" + s.CommonName
}

// same returns the certificate that was issued for the same wish before and still holds, nil when there is none.
func (ca *CA) same(ctx context.Context, tx *sql.Tx, r row) (*x509.Certificate, error) {
	if !r.repeatable {
		return nil, nil
	}
	found, err := ca.read(ctx, tx, columns+` WHERE c.public_key = $1 AND c.order_id = $2 AND c.profile = $3 AND c.partner = $4
		AND c.common_name = $5 AND c.names = $6 AND c.not_after > $7 AND c.not_after <= $8 AND c.der IS NOT NULL AND `+isGood+`
		AND ($9 = '' OR c.renews = $10) ORDER BY c.not_after DESC LIMIT 1`,
		r.key, r.order, string(r.kind), r.subject.Partner, r.subject.CommonName, names(r.template),
		ca.cfg.Now().Unix(), r.template.NotAfter.Unix(), r.renews, r.renews)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return x509.ParseCertificate(found[0].DER)
}

// maxSigning is how long a reservation for a wish keeps other nodes from it, at most: a signature takes no longer.
const maxSigning = 2 * time.Minute

// takeOver gives up what was reserved for the same wish and not signed, by an earlier try of this process or one that is dead:
// what is given up can't be completed any more. Another process that may still sign is errUnderWay.
func (ca *CA) takeOver(ctx context.Context, tx *sql.Tx, r row) error {
	if !r.repeatable {
		return nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT issuer, serial, holder, created FROM pki_certificate
		WHERE public_key = $1 AND order_id = $2 AND profile = $3 AND partner = $4 AND common_name = $5 AND names = $6 AND renews = $7
		AND der IS NULL AND given_up = 0`,
		r.key, r.order, string(r.kind), r.subject.Partner, r.subject.CommonName, names(r.template), r.renews)
	if err != nil {
		return fmt.Errorf("looking for what is under way: %w", err)
	}
	type reserved struct{ issuer, serial, holder string }
	var open []reserved
	var newest int64
	err = each(rows, func() error {
		var o reserved
		var created int64
		err := rows.Scan(&o.issuer, &o.serial, &o.holder, &created)
		open, newest = append(open, o), max(newest, created)
		return err
	})
	if err != nil {
		return fmt.Errorf("looking for what is under way: %w", err)
	}
	for _, o := range open {
		lives := false
		if o.holder != ca.cfg.Leases.Holder() && ca.cfg.Now().Sub(time.Unix(newest, 0)) < maxSigning {
			if lives, err = ca.cfg.Leases.Lives(ctx, tx, o.holder); err != nil {
				return err
			}
		}
		if lives {
			return errUnderWay
		}
		if err := giveUp(ctx, tx, o.issuer, o.serial, ca.cfg.Now()); err != nil {
			return err
		}
	}
	return nil
}

// giveUp lets nobody wait for a signature that failed. When that can't be recorded, they wait for maxSigning.
func (ca *CA) giveUp(ctx context.Context, r row) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return giveUp(ctx, ca.cfg.DB, r.issuer, hexSerial(r.template.SerialNumber), ca.cfg.Now())
}

func giveUp(ctx context.Context, db executor, issuer, serial string, now time.Time) error {
	if _, err := db.ExecContext(ctx, `UPDATE pki_certificate SET given_up = $1 WHERE issuer = $2 AND serial = $3 AND der IS NULL`,
		now.Unix(), issuer, serial); err != nil {
		return fmt.Errorf("giving serial number %s up: %w", serial, err)
	}
	return nil
}

// refused writes a refusal to the audit log and returns the error to be given.
func (ca *CA) refused(ctx context.Context, w wish, err error) error {
	var request *RequestError
	if !errors.As(err, &request) {
		return err
	}
	details := map[string]string{"profile": string(w.kind)}
	if w.renews != nil {
		details["renews"] = w.renews.Serial
	}
	_, failed := ca.cfg.Audit.Append(ctx, audit.Entry{Time: ca.cfg.Now(), Actor: w.actor, Action: "certificate.issue", Subject: w.subject.CommonName,
		Partner: w.subject.Partner, Order: w.order, Outcome: audit.Refused, Reason: err.Error(), Details: details})
	return errors.Join(err, failed)
}

func (r row) details() map[string]string {
	details := map[string]string{
		"profile": string(r.kind), "common_name": r.subject.CommonName, "names": names(r.template), "public_key_sha256": r.key,
		"not_before": r.template.NotBefore.UTC().Format(time.RFC3339), "not_after": r.template.NotAfter.UTC().Format(time.RFC3339),
	}
	if r.renews != "" {
		details["renews"] = r.renews
	}
	if r.cut != "" {
		details["cut_by"] = string(r.cut)
	}
	return details
}

// issued is the row as the inventory has it.
func (r row) issued(c *x509.Certificate, by *issuer) Certificate {
	return Certificate{Serial: hexSerial(c.SerialNumber), Issuer: by.certificate.Subject.CommonName,
		Profile: r.kind, Partner: r.subject.Partner, CommonName: r.subject.CommonName, Names: namesOf(c), Order: r.order, Actor: r.actor, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		Cut: r.cut, Renews: r.renews, State: Valid, issuerID: by.id, PublicKey: r.key, Fingerprint: digestHex(c.Raw)}
}

// storeSigned completes the reserved row: from now on the certificate is good.
func (ca *CA) storeSigned(ctx context.Context, certificate *x509.Certificate) error {
	serial := hexSerial(certificate.SerialNumber)
	ca.writing.Lock()
	defer ca.writing.Unlock()
	err := ca.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE pki_counter SET value = value + 1 WHERE name = 'inventory'`); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `UPDATE pki_certificate SET der = $1, fingerprint = $2
			WHERE NOT EXISTS (SELECT 1 FROM pki_issuer WHERE id = $5 AND state = $6)
			AND issuer = $3 AND serial = $4 AND der IS NULL AND given_up = 0`,
			certificate.Raw, digestHex(certificate.Raw), authorityOf(certificate), serial, authorityOf(certificate), string(Ended))
		if err != nil {
			return err
		}
		if count, err := result.RowsAffected(); err != nil || count != 1 {
			return errors.Join(errors.New("its serial number is not reserved any more"), err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storing certificate %s: %w", serial, err)
	}
	return nil
}

// keyDigest names a public key: SHA-256 of its one encoding, however a request has encoded it.
func keyDigest(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	return digestHex(der), nil
}

func digestHex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// turns lets wishes for one key go one after the other, so that the second finds what the first made.
type turns [64]chan struct{}

func newTurns() (t turns) {
	for i := range t {
		t[i] = make(chan struct{}, 1)
	}
	return t
}

// take waits for the key's turn, no longer than ctx. What can't be repeated finds nothing, and does not wait.
func (t *turns) take(ctx context.Context, r row) (release func(), err error) {
	if !r.repeatable {
		return func() {}, nil
	}
	sum := sha256.Sum256([]byte(r.key))
	turn := t[int(sum[0])%len(t)]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}
