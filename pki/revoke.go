package pki

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"trustcore/internal/audit"
)

// Selector chooses the certificates of issuing authorities that are revoked, suspended or released together. What is set has to
// fit; one of Serial, PublicKey, Partner and Order has to be set, or CommonName with Profile: the holder in the data centre.
type Selector struct {
	Serial     string // lower-case hex
	PublicKey  string // SHA-256 of SubjectPublicKeyInfo, lower-case hex
	Partner    string
	CommonName string
	Profile    Profile
	Order      string
}

// Check refuses a selector that would choose everything, or whose serial number is none.
func (s Selector) Check() error {
	if s.Serial == "" && s.PublicKey == "" && s.Partner == "" && s.Order == "" && (s.CommonName == "" || s.Profile == "") {
		return refuse("selector", "name a serial number, key, partner, order, or a common name with its profile", "chooses everything")
	}
	if s.Serial != "" {
		if _, err := parseSerial(s.Serial); err != nil {
			return err
		}
	}
	return nil
}

// Revoke revokes certificates for good, and returns those that it changed. The next OCSP answer says so; the CRL follows at once,
// or as soon as the key can sign. A graver reason replaces a lighter one: any reason a suspension, keyCompromise any other; what is
// revoked as gravely already stays as it is. keyCompromise reaches every certificate of the key, expired ones too, and blocks the
// key for ever, which PublicKey alone does for a key that nobody has a certificate for. Certificates that have expired are reached
// by their serial number only, otherwise; serial numbers whose signature is still under way are revoked too. ErrUnknownCertificate
// says that there is no certificate with this serial number.
func (ca *CA) Revoke(ctx context.Context, actor audit.Actor, which Selector, reason Reason, order string) ([]Certificate, error) {
	if !reason.final() {
		return nil, fmt.Errorf("revoking: %w", refuse("reason",
			"choose unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn",
			"%d is not one for a final revocation", reason))
	}
	return ca.mark(ctx, mark{actor, which, reason, order, "certificate.revoke"})
}

// Suspend takes certificates out of use until Release (certificateHold, RFC 5280 5.3.1). What is revoked stays revoked.
func (ca *CA) Suspend(ctx context.Context, actor audit.Actor, which Selector, order string) ([]Certificate, error) {
	return ca.mark(ctx, mark{actor, which, CertificateHold, order, "certificate.suspend"})
}

// Release makes suspended certificates good again: they leave the list, and OCSP answers good (removeFromCRL, RFC 5280 5.3.1).
func (ca *CA) Release(ctx context.Context, actor audit.Actor, which Selector, order string) ([]Certificate, error) {
	return ca.mark(ctx, mark{actor, which, RemoveFromCRL, order, "certificate.release"})
}

// Preview returns the certificates that Revoke would change now for this reason, Suspend for CertificateHold and Release for
// RemoveFromCRL: those of a compromised key that were not chosen too.
func (ca *CA) Preview(ctx context.Context, which Selector, reason Reason) ([]Certificate, error) {
	if err := which.Check(); err != nil {
		return nil, err
	}
	found, _, err := ca.choose(ctx, mark{which: which, reason: reason})
	return found, err
}

// mark is a word to be said on certificates.
type mark struct {
	actor  audit.Actor
	which  Selector
	reason Reason
	order  string
	action string
}

// overrides is the condition on the word that stands, r.reason, which the new one replaces.
func (r Reason) overrides() string {
	switch r {
	case CertificateHold:
		return `r.reason = 8`
	case RemoveFromCRL:
		return `r.reason = 6`
	case KeyCompromise:
		return `r.reason <> 1`
	}
	return `r.reason IN (6, 8)`
}

func (ca *CA) mark(ctx context.Context, m mark) ([]Certificate, error) {
	if err := m.which.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", m.action, err)
	}
	found, keys, err := ca.choose(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.action, err)
	}
	indexes, err := ca.auditMarks(ctx, m, found, keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.action, err)
	}
	learned, err := ca.write(ctx, m, found, keys, indexes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.action, errors.Join(err, ca.notMarked(ctx, m, found, keys, err)))
	}
	for serial, r := range learned {
		if number, err := parseSerial(serial); err == nil {
			ca.learn(number, r)
		}
	}
	if len(found) > 0 {
		ca.listSoon(ctx)
	}
	return found, nil
}

// listSoon makes the lists that are due, and waits for them a moment: a key that hangs must not hold up who revokes or starts.
func (ca *CA) listSoon(ctx context.Context) {
	made := make(chan struct{})
	go func() {
		defer close(made)
		if err := ca.eachList(context.WithoutCancel(ctx), true); err != nil {
			ca.cfg.Logger.Error("renewing lists failed", "error", err)
		}
	}()
	timer := time.NewTimer(listWait)
	defer timer.Stop()
	select {
	case <-made:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// choose finds the certificates on which there is something new to say, reserved serial numbers too, and the keys to be blocked.
func (ca *CA) choose(ctx context.Context, m mark) (found []Certificate, keys []string, err error) {
	chosen, err := ca.chosen(ctx, m.which, m.reason)
	if err != nil {
		return nil, nil, err
	}
	if m.which.Serial != "" && len(chosen) == 0 {
		return nil, nil, ErrUnknownCertificate
	}
	if m.reason == KeyCompromise {
		byKey := map[string]bool{}
		for _, c := range chosen {
			byKey[c.PublicKey] = true
		}
		if m.which == (Selector{PublicKey: m.which.PublicKey}) {
			byKey[m.which.PublicKey] = true
		}
		keys = slices.Sorted(maps.Keys(byKey))
		chosen = nil
		for _, key := range keys {
			more, err := ca.chosen(ctx, Selector{PublicKey: key}, m.reason)
			if err != nil {
				return nil, nil, err
			}
			chosen = append(chosen, more...)
		}
	}
	for _, c := range chosen {
		if m.news(c) {
			found = append(found, c)
		}
	}
	return found, keys, nil
}

func (ca *CA) chosen(ctx context.Context, s Selector, reason Reason) ([]Certificate, error) {
	conditions := []string{`c.issuer <> $1`}
	args := []any{ca.roots[0].id}
	for _, r := range ca.roots[1:] {
		args = append(args, r.id)
		conditions = append(conditions, fmt.Sprintf("c.issuer <> $%d", len(args)))
	}
	for _, field := range []struct{ column, value string }{{"serial", s.Serial}, {"public_key", s.PublicKey}, {"partner", s.Partner},
		{"common_name", s.CommonName}, {"profile", string(s.Profile)}, {"order_id", s.Order}} {
		if field.value != "" {
			args = append(args, field.value)
			conditions = append(conditions, fmt.Sprintf("c.%s = $%d", field.column, len(args)))
		}
	}
	if s.Serial == "" && reason != KeyCompromise {
		args = append(args, ca.cfg.Now().Unix())
		conditions = append(conditions, fmt.Sprintf("c.not_after >= $%d", len(args)))
	}
	return ca.read(ctx, ca.cfg.DB, columns+` WHERE `+strings.Join(conditions, " AND ")+` ORDER BY c.created, c.serial`, args...)
}

// news reports whether the mark changes what stands; the statement that writes it decides in the end.
func (m mark) news(c Certificate) bool {
	switch {
	case c.word == nil:
		return m.reason != RemoveFromCRL
	case m.reason == CertificateHold:
		return *c.word == RemoveFromCRL
	case m.reason == RemoveFromCRL:
		return *c.word == CertificateHold
	case m.reason == KeyCompromise:
		return *c.word != KeyCompromise
	}
	return *c.word == CertificateHold || *c.word == RemoveFromCRL
}

// auditMarks writes the entries before the act: one for each certificate, and one for each key to be blocked.
func (ca *CA) auditMarks(ctx context.Context, m mark, found []Certificate, keys []string) ([]int64, error) {
	indexes := make([]int64, len(found))
	for i, c := range found {
		receipt, err := ca.cfg.Audit.Append(ctx, ca.entryOf(m, c))
		if err != nil {
			return nil, err
		}
		indexes[i] = int64(receipt.Index)
	}
	for _, key := range keys {
		if _, err := ca.cfg.Audit.Append(ctx, ca.entryOfKey(m, key)); err != nil {
			return nil, err
		}
	}
	return indexes, nil
}

func (ca *CA) entryOf(m mark, c Certificate) audit.Entry {
	return audit.Entry{Time: ca.cfg.Now(), Actor: m.actor, Action: m.action, Subject: c.Serial, Partner: c.Partner, Order: m.order,
		Outcome: audit.Granted, Details: map[string]string{
			"reason": strconv.Itoa(int(m.reason)), "profile": string(c.Profile), "common_name": c.CommonName}}
}

func (ca *CA) entryOfKey(m mark, key string) audit.Entry {
	return audit.Entry{Time: ca.cfg.Now(), Actor: m.actor, Action: "certificate.block-key", Subject: key,
		Order: m.order, Outcome: audit.Granted}
}

// notMarked corrects the audit log: the entries before were written, the act did not happen.
func (ca *CA) notMarked(ctx context.Context, m mark, found []Certificate, keys []string, cause error) error {
	ctx = context.WithoutCancel(ctx)
	var entries []audit.Entry
	for _, c := range found {
		entries = append(entries, ca.entryOf(m, c))
	}
	for _, key := range keys {
		entries = append(entries, ca.entryOfKey(m, key))
	}
	var all error
	for _, e := range entries {
		e.Outcome, e.Reason = audit.Failed, cause.Error()
		_, err := ca.cfg.Audit.Append(ctx, e)
		all = errors.Join(all, err)
	}
	return all
}

// write records the marks in one transaction. Answers that were kept go with it: they say what was.
func (ca *CA) write(ctx context.Context, m mark, found []Certificate, keys []string, indexes []int64) (map[string]revocation, error) {
	now := ca.cfg.Now()
	learned := map[string]revocation{}
	err := ca.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		clear(learned)
		for _, key := range keys {
			if _, err := tx.ExecContext(ctx, `INSERT INTO pki_key (public_key, profile, holder, first, blocked) VALUES ($1, '', '', $2, $3)
				ON CONFLICT (public_key) DO UPDATE SET blocked = excluded.blocked WHERE pki_key.blocked = 0`,
				key, now.Unix(), now.Unix()); err != nil {
				return err
			}
		}
		for i, c := range found {
			var sequence int64 // taken inside the transaction, so that who follows misses none
			if err := tx.QueryRowContext(ctx, `UPDATE pki_counter SET value = value + 1 WHERE name = 'revocation' RETURNING value`).
				Scan(&sequence); err != nil {
				return err
			}
			at, err := ca.writeOne(ctx, tx, m, c, sequence, now, indexes[i])
			if err != nil {
				return err
			}
			learned[c.Serial] = revocation{at: at, reason: m.reason, sequence: sequence}
		}
		return nil
	})
	return learned, err
}

// writeOne records a mark. A revocation that follows another, or a suspension, keeps the earlier moment: since then nobody could
// rely on the certificate.
func (ca *CA) writeOne(ctx context.Context, tx *sql.Tx, m mark, c Certificate, sequence int64, now time.Time,
	index int64) (at time.Time, err error) {
	var seconds int64
	err = tx.QueryRowContext(ctx, `INSERT INTO pki_revocation AS r
		(issuer, serial, sequence, revoked_at, reason, order_id, actor_kind, actor_id, audit_index)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (issuer, serial) DO UPDATE SET sequence = excluded.sequence, reason = excluded.reason, order_id = excluded.order_id,
			actor_kind = excluded.actor_kind, actor_id = excluded.actor_id, audit_index = excluded.audit_index,
			revoked_at = CASE WHEN r.reason = 8 THEN excluded.revoked_at ELSE r.revoked_at END
		WHERE `+m.reason.overrides()+` RETURNING revoked_at`,
		c.issuerID, c.Serial, sequence, now.Unix(), int(m.reason), m.order, m.actor.Kind, m.actor.ID, index).Scan(&seconds)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("certificate %s: somebody else changed its standing at this moment; try again", c.Serial)
	}
	if err != nil {
		return time.Time{}, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM pki_answer WHERE serial = $1`, c.Serial)
	return time.Unix(seconds, 0), err
}

// final tells the reasons of a revocation for good.
func (r Reason) final() bool {
	switch r {
	case Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn:
		return true
	}
	return false
}

// maxRevocations bounds one answer of Revocations.
const maxRevocations = 10_000

// Revocation is a change of a certificate's standing, for daemons that have no database.
type Revocation struct {
	Sequence int64
	Serial   string // lower-case hex
	Issuer   string // key identifier of the issuer, lower-case hex
	Revoked  bool   // false: it was suspended and is good again
	At       time.Time
	Reason   Reason
}

// Revocations returns the newest word on each certificate whose standing changed after a sequence number, oldest first, and the
// number to ask with the next time; 0 asks for all. It costs no statement when nothing is new to this node, which is at most
// followInterval behind. At most maxRevocations come at once; the number says where to go on.
func (ca *CA) Revocations(ctx context.Context, after int64) (changes []Revocation, newest int64, err error) {
	ca.status.mu.RLock()
	newest = ca.status.sequence
	ca.status.mu.RUnlock()
	if after >= newest {
		return nil, after, nil
	}
	rows, err := ca.cfg.DB.QueryContext(ctx, `SELECT sequence, serial, issuer, revoked_at, reason FROM pki_revocation
		WHERE sequence > $1 ORDER BY sequence LIMIT $2`, after, maxRevocations)
	if err != nil {
		return nil, after, fmt.Errorf("reading revocations: %w", err)
	}
	err = each(rows, func() error {
		var r Revocation
		var at int64
		if err := rows.Scan(&r.Sequence, &r.Serial, &r.Issuer, &at, &r.Reason); err != nil {
			return err
		}
		r.At, r.Revoked = time.Unix(at, 0).UTC(), r.Reason != RemoveFromCRL
		changes, after = append(changes, r), r.Sequence
		return nil
	})
	if err != nil {
		return nil, after, fmt.Errorf("reading revocations: %w", err)
	}
	return changes, after, nil
}
