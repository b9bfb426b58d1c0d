package pki

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"trustcore/internal/audit"
	"trustcore/pki/clock"
	"trustcore/pki/ocsp"
	"trustcore/pki/profile"
	"trustcore/pki/tsa"
)

// Times of units.
const (
	retireAfter  = time.Hour // a key is destroyed so long after its successor came into force: other nodes follow within seconds
	retryRenewal = 30        // looks (renewInterval) between two tries of what failed
)

// renewer acts when the authority renews what is its own.
var renewer = audit.Actor{Kind: "daemon", ID: "pki"}

// unit is a role, an issuer's OCSP responder or the time-stamping unit, whose key and certificate follow one another. Which are in
// force stands in the database, for all nodes.
type unit struct {
	role   string // in the database
	kind   Profile
	issuer *issuer // whose responder it is; nil for the time-stamping unit, which whoever issues for services certifies
	apply  func(*x509.Certificate, crypto.Signer) error

	inForce atomic.Pointer[generation]
	wait    int // looks until what failed is tried again
}

// generation is a row of pki_unit, with its key.
type generation struct {
	number      int64
	keyID       string
	certificate *x509.Certificate
	key         crypto.Signer
}

// openUnits makes responders and the time-stamping unit from what is in force. The delegates of Config are the first generation.
func (ca *CA) openUnits(ctx context.Context) error {
	for n, i := range ca.issuers {
		u := &unit{role: "ocsp " + i.id, kind: OCSPResponder, issuer: i}
		if err := ca.openUnit(ctx, u, ca.cfg.Issuers[n].OCSP); err != nil {
			return err
		}
		var err error
		if i.responder, err = ocsp.New(ocsp.Config{Issuer: i.certificate,
			Delegate:      ocsp.Delegate{Certificate: u.inForce.Load().certificate, Key: u.inForce.Load().key},
			Status:        func(ctx context.Context, serial *big.Int) (ocsp.Status, error) { return ca.ocspStatus(ctx, i, serial) },
			Keep:          func(k ocsp.Kept) { ca.answers.keep(answerOf(i, k), k) },
			ArchiveCutoff: i.certificate.NotBefore, Now: ca.cfg.Now, Logger: ca.cfg.Logger}); err != nil {
			return err
		}
		u.apply = func(c *x509.Certificate, key crypto.Signer) error {
			return i.responder.Swap(ocsp.Delegate{Certificate: c, Key: key})
		}
	}
	return ca.openStamps(ctx)
}

// openStamps makes the time-stamping unit, where there is one, and the guard of its clock.
func (ca *CA) openStamps(ctx context.Context) (err error) {
	if ca.clock, err = clock.New(ctx, clock.Config{Now: ca.cfg.Now, Accuracy: tsa.DefaultAccuracy, Newest: ca.newestTime,
		Strict: ca.cfg.StrictClock, Kernel: ca.cfg.Kernel, Elapsed: ca.cfg.Elapsed, Logger: ca.cfg.Logger}); err != nil || ca.cfg.TSA == (Delegate{}) {
		return err
	}
	u := &unit{role: "time-stamping", kind: TimeStamping}
	if err := ca.openUnit(ctx, u, ca.cfg.TSA); err != nil {
		return err
	}
	u.apply = func(c *x509.Certificate, key crypto.Signer) error {
		return ca.stamps.Swap(tsa.Unit{Certificate: c, Chain: ca.chainOf(c), Key: key})
	}
	first := u.inForce.Load()
	ca.stamps, err = tsa.New(tsa.Config{
		Unit:   tsa.Unit{Certificate: first.certificate, Chain: ca.chainOf(first.certificate), Key: first.key},
		Policy: ca.cfg.TSAPolicy, Clock: ca.clock.Time, Vouched: ca.clock.Vouched, Journal: ca.journal.append, Logger: ca.cfg.Logger})
	return err
}

func (ca *CA) chainOf(c *x509.Certificate) []*x509.Certificate {
	if by := ca.issuerOf(authorityOf(c)); by != nil {
		return []*x509.Certificate{by.certificate}
	}
	return nil
}

func (ca *CA) openUnit(ctx context.Context, u *unit, first Delegate) error {
	if _, err := ca.cfg.DB.ExecContext(ctx, `INSERT INTO pki_unit (role, generation, key_id, der, since, retired)
		VALUES ($1, 1, $2, $3, $4, 0)
		ON CONFLICT DO NOTHING`, u.role, first.KeyID, first.Certificate.Raw, ca.cfg.Now().Unix()); err != nil {
		return fmt.Errorf("recording the unit %s: %w", u.role, err)
	}
	newest, err := ca.newestGeneration(ctx, u)
	if err != nil {
		return err
	}
	if first.Key != nil && newest.certificate.Equal(first.Certificate) {
		newest.key = first.Key
	} else {
		newest.key = ca.openKey(ctx, newest)
	}
	u.inForce.Store(&newest)
	ca.units = append(ca.units, u)
	return nil
}

func (ca *CA) newestGeneration(ctx context.Context, u *unit) (g generation, err error) {
	var der []byte
	if err := ca.cfg.DB.QueryRowContext(ctx, `SELECT generation, key_id, der FROM pki_unit
		WHERE role = $1 ORDER BY generation DESC LIMIT 1`, u.role).
		Scan(&g.number, &g.keyID, &der); err != nil {
		return g, fmt.Errorf("reading the unit %s: %w", u.role, err)
	}
	if g.certificate, err = x509.ParseCertificate(der); err != nil {
		return g, fmt.Errorf("certificate of the unit %s: %w", u.role, err)
	}
	return g, nil
}

// openKey opens a generation's key. One that can't be opened fails when it is to sign, so that the rest serves on.
func (ca *CA) openKey(ctx context.Context, g generation) crypto.Signer {
	if ca.cfg.OpenKey == nil {
		return lostKey{g.certificate.PublicKey, errors.New("nobody can open it")}
	}
	key, err := ca.cfg.OpenKey(ctx, g.keyID)
	if err != nil {
		ca.cfg.Logger.Error("a unit's key can't be opened", "certificate", hexSerial(g.certificate.SerialNumber), "error", err)
		return lostKey{g.certificate.PublicKey, err}
	}
	return key
}

// lostKey is a key that is not there.
type lostKey struct {
	public crypto.PublicKey
	reason error
}

// Public returns the public key of the certificate.
func (k lostKey) Public() crypto.PublicKey { return k.public }

// Sign fails.
func (k lostKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("the unit's key is lost: %w", k.reason)
}

// renewUnits follows what other nodes renewed and, on the one node whose task it is, renews what is due and retires keys that have a
// successor.
func (ca *CA) renewUnits(ctx context.Context) (failed error) {
	ca.renewing.Lock()
	defer ca.renewing.Unlock()
	for _, u := range ca.units {
		if u.wait > 0 {
			u.wait--
			continue
		}
		err := ca.renewUnit(ctx, u)
		ca.failing.note(u.role, err)
		if err != nil {
			u.wait = retryRenewal
			failed = errors.Join(failed, fmt.Errorf("unit %s: %w", u.role, err))
		}
	}
	return failed
}

func (ca *CA) renewUnit(ctx context.Context, u *unit) error {
	newest, err := ca.newestGeneration(ctx, u)
	if err != nil {
		return err
	}
	if newest.number != u.inForce.Load().number {
		newest.key = ca.openKey(ctx, newest)
		if err := ca.install(ctx, u, newest); err != nil {
			return err
		}
	}
	if ca.cfg.NewKey == nil || !ca.cfg.Leases.Holds(Upkeep) {
		return nil
	}
	if ca.due(u) {
		return ca.succeed(ctx, u)
	}
	return ca.retire(ctx, u)
}

// certifier is who certifies the unit's next key, nil when nobody does now.
func (ca *CA) certifier(u *unit) *issuer {
	if u.issuer == nil {
		return ca.successor(u.kind)
	}
	if lives[ca.stateOf(u.issuer)].status {
		return u.issuer
	}
	return nil
}

// due reports whether the unit needs a successor: two thirds of its life are over and a new one lives longer, or its certificate
// was revoked, or its key is lost.
func (ca *CA) due(u *unit) bool {
	now := ca.cfg.Now()
	if by := ca.certifier(u); by == nil || now.After(by.certificate.NotAfter.Add(-MinimumLife)) {
		return false // nothing can be certified any more
	}
	if _, lost := u.inForce.Load().key.(lostKey); lost || ca.Revoked(u.inForce.Load().certificate.SerialNumber) {
		return true
	}
	end := endOf(u.kind, u.inForce.Load().certificate)
	return !now.Before(dueAt(u.inForce.Load().certificate.NotBefore, end)) && ca.gains(u, end, now)
}

// dueAt is when two thirds of a life are over.
func dueAt(begin, end time.Time) time.Time { return begin.Add(end.Sub(begin) / 3 * 2) }

// endOf is when a certificate's key is of no more use.
func endOf(kind Profile, c *x509.Certificate) time.Time {
	if kind == TimeStamping {
		if end, err := tsa.EndOfUse(c); err == nil {
			return end
		}
	}
	return c.NotAfter
}

// gains reports whether a successor would outlive end: towards the end of the issuer it does not.
func (ca *CA) gains(u *unit, end, now time.Time) bool {
	next := now.Add(u.kind.KeyUse())
	if last := ca.certifier(u).certificate.NotAfter; next.After(last) {
		next = last
	}
	return next.Sub(end) > MinimumLife
}

// succeed makes the unit's next key and certificate and puts them in force. A key that an earlier try made is found by its label.
func (ca *CA) succeed(ctx context.Context, u *unit) error {
	by, old := ca.certifier(u), u.inForce.Load()
	next := generation{number: old.number + 1}
	algorithm, err := algorithmOf(old.certificate.PublicKey)
	if err != nil {
		return err
	}
	label := fmt.Sprintf("%s/%.8s/%d", u.kind, by.id, next.number)
	if next.keyID, next.key, err = ca.cfg.NewKey(ctx, label, algorithm); err != nil {
		return fmt.Errorf("making the key %s: %w", label, err)
	}
	if next.certificate, err = ca.certifyUnit(ctx, u, next.key, label); err != nil {
		return err
	}
	result, err := ca.cfg.DB.ExecContext(ctx, `INSERT INTO pki_unit (role, generation, key_id, der, since, retired)
		VALUES ($1, $2, $3, $4, $5, 0)
		ON CONFLICT DO NOTHING`, u.role, next.number, next.keyID, next.certificate.Raw, ca.cfg.Now().Unix())
	if err != nil {
		return fmt.Errorf("recording generation %d: %w", next.number, err)
	}
	if count, err := result.RowsAffected(); err != nil || count == 0 {
		return err // another node was faster: the next look finds its generation
	}
	return ca.install(ctx, u, next)
}

// certifyUnit issues the certificate of a unit's next key; a second try finds what the first made.
func (ca *CA) certifyUnit(ctx context.Context, u *unit, key crypto.Signer, label string) (*x509.Certificate, error) {
	name := u.inForce.Load().certificate.Subject
	subject := Subject{CommonName: nextName(name.CommonName)}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: subject.CommonName}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("request of the key %s: %w", label, err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("request of the key %s: %w", label, err)
	}
	whole := pkix.Name{CommonName: subject.CommonName, Organization: name.Organization, Country: name.Country}
	return ca.issue(ctx, wish{actor: renewer, kind: u.kind, csr: csr, subject: subject, issuer: u.issuer, name: &whole, repeatable: true})
}

var numbered = regexp.MustCompile(`^(.*\D)([0-9]{1,6})$`)

// nextName counts the number at the end of a name, so that people tell the generations apart.
func nextName(name string) string {
	base, number := name+" ", 1
	if match := numbered.FindStringSubmatch(name); match != nil {
		base = match[1]
		number, _ = strconv.Atoi(match[2]) // digits alone
	}
	if next := base + strconv.Itoa(number+1); profile.IsName(next) {
		return next
	}
	return name
}

func algorithmOf(public crypto.PublicKey) (string, error) {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return key.Curve.Params().Name, nil
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen()), nil
	}
	return "", fmt.Errorf("no successor is made for a key of type %T", public)
}

// install puts a generation in force on this node. What a revoked delegate signed is dropped.
func (ca *CA) install(ctx context.Context, u *unit, next generation) error {
	distrusted := ca.Revoked(u.inForce.Load().certificate.SerialNumber)
	if err := u.apply(next.certificate, next.key); err != nil {
		return fmt.Errorf("generation %d: %w", next.number, err)
	}
	u.inForce.Store(&next)
	ca.cfg.Logger.Info("a unit has a new key and certificate", "unit", u.role, "generation", next.number,
		"certificate", hexSerial(next.certificate.SerialNumber), "until", endOf(u.kind, next.certificate))
	if u.issuer == nil || !distrusted {
		return nil
	}
	u.issuer.responder.ForgetAll()
	if _, err := ca.cfg.DB.ExecContext(ctx, `DELETE FROM pki_answer WHERE issuer = $1`, u.issuer.id); err != nil {
		return fmt.Errorf("dropping the answers of a revoked delegate: %w", err)
	}
	return nil
}

// retire destroys the keys of generations whose successor has been in force for a while.
func (ca *CA) retire(ctx context.Context, u *unit) error {
	var number int64
	var keyID string
	err := ca.cfg.DB.QueryRowContext(ctx, `SELECT o.generation, o.key_id FROM pki_unit o
		JOIN pki_unit n ON n.role = o.role AND n.generation = o.generation + 1
		WHERE o.role = $1 AND o.retired = 0 AND n.since < $2 ORDER BY o.generation LIMIT 1`,
		u.role, ca.cfg.Now().Add(-retireAfter).Unix()).Scan(&number, &keyID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for keys to retire: %w", err)
	}
	if keyID != "" {
		if err := ca.cfg.RetireKey(ctx, keyID); err != nil {
			return fmt.Errorf("retiring the key of generation %d: %w", number, err)
		}
	}
	_, err = ca.cfg.DB.ExecContext(ctx, `UPDATE pki_unit SET retired = $1 WHERE role = $2 AND generation = $3`,
		ca.cfg.Now().Unix(), u.role, number)
	return err
}
