package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"time"

	"trustcore/internal/audit"
	"trustcore/pki/crl"
)

// signer is an authority whose lists the CA makes.
type signer struct {
	id          string
	certificate *x509.Certificate
	key         crypto.Signer // nil where another machine signs, or nobody any more
	validity    time.Duration
	publication *crl.Publication
	// since is when the youngest authority below it began: an older list says nothing of that one (RFC 5280 5.1.2.4).
	since time.Time
}

// stored is the newest list of an issuer in the database.
type stored struct {
	number, sequence int64
	nextUpdate       time.Time
	der              []byte
}

// publishRoots takes the roots' lists from Config, where they are newer than the stored ones.
func (ca *CA) publishRoots(ctx context.Context) error {
	for n, r := range ca.roots {
		der := ca.cfg.Roots[n].List
		if len(der) == 0 {
			continue
		}
		list, err := r.reads(der)
		if err != nil {
			return err
		}
		old, err := ca.newest(ctx, r.id)
		if err != nil {
			return err
		}
		if old.number < list.Number.Int64() {
			next := stored{number: list.Number.Int64(), nextUpdate: list.NextUpdate, der: der}
			if _, err := ca.replace(ctx, r.id, old.number, next); err != nil {
				return err
			}
			old = next
		}
		if err := r.list.Set(old.der); err != nil {
			return err
		}
	}
	return nil
}

// reads reads a list of the root's.
func (r *root) reads(der []byte) (*x509.RevocationList, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("the root's list: %w", err)
	}
	if err := list.CheckSignatureFrom(r.certificate); err != nil {
		return nil, fmt.Errorf("the root's list: %w", err)
	}
	if list.Number == nil || !list.Number.IsInt64() {
		return nil, errors.New("the root's list has no number")
	}
	return list, nil
}

// TakeRootList takes a newer list of a root whose key is not here, which the root's machine made. It is signed by the root, so who
// brings it need not be trusted: an older one, one that is there and one that has ended are refused (*RequestError).
func (ca *CA) TakeRootList(ctx context.Context, actor audit.Actor, der []byte) error {
	r, list, err := ca.readRootList(ctx, der)
	entry := audit.Entry{Time: ca.cfg.Now(), Actor: actor, Action: "root.list", Subject: digestHex(der), Outcome: audit.Granted}
	if err != nil {
		entry.Outcome, entry.Reason = audit.Refused, err.Error()
		_, failed := ca.cfg.Audit.Append(ctx, entry)
		return errors.Join(err, failed)
	}
	entry.Details = map[string]string{"root": r.name, "number": list.Number.String(), "next_update": list.NextUpdate.UTC().Format(time.RFC3339)}
	return ca.cfg.Audit.Act(ctx, entry, ca.cfg.Now, func() error {
		old, err := ca.newest(ctx, r.id)
		if err != nil {
			return err
		}
		next := stored{number: list.Number.Int64(), nextUpdate: list.NextUpdate, der: der}
		won, err := ca.replace(ctx, r.id, old.number, next)
		if err == nil && (!won || old.number >= next.number) {
			err = refuse("list", "look which one is there", "another one came meanwhile")
		}
		if err != nil {
			return err
		}
		return r.list.Set(der)
	})
}

// readRootList finds the root that signed a list, and refuses one that is not news.
func (ca *CA) readRootList(ctx context.Context, der []byte) (*root, *x509.RevocationList, error) {
	const remedy = "bring the newest list that the root's machine made"
	for _, r := range ca.roots {
		list, err := r.reads(der)
		if err != nil {
			continue
		}
		old, err := ca.newest(ctx, r.id)
		switch {
		case err != nil:
			return nil, nil, err
		case r.key != nil:
			return nil, nil, refuse("list", "nothing is to be done", "root %s has its key here, and makes its lists itself", r.name)
		case list.Number.Int64() <= old.number:
			return nil, nil, refuse("list", remedy, "number %v is there already, or was: number %d is the newest", list.Number, old.number)
		case !list.NextUpdate.After(ca.cfg.Now()):
			return nil, nil, refuse("list", remedy, "it has ended on %s", list.NextUpdate.UTC().Format(time.DateOnly))
		case list.ThisUpdate.After(ca.cfg.Now().Add(skew)):
			return nil, nil, refuse("list", "set the clocks of both machines right", "it begins on %s, in the future", list.ThisUpdate.UTC().Format(time.RFC3339))
		}
		return r, list, nil
	}
	return nil, nil, refuse("list", remedy, "none of the roots that are here signed it")
}

// publishLists gives out what is in the database already, so that a node serves without its keys.
func (ca *CA) publishLists(ctx context.Context) error {
	for _, s := range ca.signers() {
		old, err := ca.newest(ctx, s.id)
		if err != nil {
			return err
		}
		if old.der != nil {
			if err := s.publication.Set(old.der); err != nil {
				return err
			}
		}
	}
	return nil
}

// signers are the authorities that make lists, and those whose lists are brought: these have no key here.
func (ca *CA) signers() (all []signer) {
	for _, i := range ca.issuers {
		all = append(all, ca.signerOf(i))
	}
	for _, r := range ca.roots {
		s := signer{id: r.id, certificate: r.certificate, key: r.key, validity: rootValidity, publication: &r.list}
		for _, c := range ca.belowRoots() {
			if authorityOf(c) == r.id && c.NotBefore.After(s.since) {
				s.since = c.NotBefore
			}
		}
		all = append(all, s)
	}
	return all
}

// belowRoots are the certificates that roots made for authorities, other roots among them.
func (ca *CA) belowRoots() (all []*x509.Certificate) {
	for _, i := range ca.issuers {
		all = append(all, i.certificates()...)
	}
	for _, r := range ca.roots {
		all = append(all, r.crosses...)
	}
	return all
}

// signerOf is without a key where the authority is retired: it signs nothing.
func (ca *CA) signerOf(i *issuer) signer {
	s := signer{id: i.id, certificate: i.certificate, validity: listValidity, publication: &i.list}
	if lives[ca.stateOf(i)].status {
		s.key = i.key
	}
	return s
}

// renewLists publishes what other nodes made and, on the one node whose task it is, makes the lists that lack a revocation or an
// authority, are past half of their life or lie in the future.
func (ca *CA) renewLists(ctx context.Context) error { return ca.eachList(ctx, false) }

// eachList does so; revoked says that this node has revoked something, and makes the lists that lack it.
func (ca *CA) eachList(ctx context.Context, revoked bool) (failed error) {
	ca.listing.Lock()
	defer ca.listing.Unlock()
	for _, s := range ca.signers() {
		err := ca.renew(ctx, s, revoked)
		ca.failing.note(listOf(s.id), err)
		failed = errors.Join(failed, err)
	}
	return failed
}

// listOf names an issuer's list in failing.
func listOf(id string) string { return "list " + id }

// maxRaces bounds how often a list is made anew because another node was faster.
const maxRaces = 5

func (ca *CA) renew(ctx context.Context, s signer, revoked bool) error {
	for range maxRaces {
		old, err := ca.newest(ctx, s.id)
		if err != nil {
			return err
		}
		if old.der != nil {
			if err := s.publication.Set(old.der); err != nil {
				return err
			}
		}
		if s.key == nil {
			return nil
		}
		newestSequence, err := ca.newestSequence(ctx, s.id)
		if err != nil {
			return err
		}
		now := ca.cfg.Now()
		lacks := old.sequence < newestSequence
		if !lacks && s.fresh(now) || now.After(s.certificate.NotAfter) {
			return nil
		}
		if !ca.cfg.Leases.Holds(Upkeep) && !(lacks && revoked) {
			return nil
		}
		next, err := ca.makeList(ctx, s, old.number+1, now)
		if err != nil {
			return err
		}
		won, err := ca.replace(ctx, s.id, old.number, next)
		if err != nil {
			return err
		}
		if won {
			return s.publication.Set(next.der)
		}
	}
	return fmt.Errorf("list of %q: another node was faster %d times", s.certificate.Subject.CommonName, maxRaces)
}

// fresh reports whether the published list is before half of its life, or needs no successor: the issuer itself has ended. One that a
// clock made which ran ahead is not fresh.
func (s signer) fresh(now time.Time) bool {
	_, list := s.publication.Current()
	if list == nil {
		return false
	}
	if list.ThisUpdate.Before(s.since) && !now.Before(s.since) {
		return false
	}
	end := s.end(now)
	return !list.ThisUpdate.After(now.Add(skew)) && (list.NextUpdate.Sub(now) > s.validity/2 || !end.After(list.NextUpdate))
}

// end is when a list that is made now ends: an issuer's last list lives as long as the issuer, no longer.
func (s signer) end(now time.Time) time.Time {
	end := now.Add(s.validity)
	if last := s.certificate.NotAfter; end.After(last) {
		return last
	}
	return end
}

func (ca *CA) makeList(ctx context.Context, s signer, number int64, now time.Time) (stored, error) {
	list := crl.List{Number: big.NewInt(number), ThisUpdate: now, NextUpdate: s.end(now), KeptSince: s.certificate.NotBefore}
	next := stored{number: number, nextUpdate: list.NextUpdate}
	rows, err := ca.cfg.DB.QueryContext(ctx, `SELECT serial, sequence, revoked_at, reason FROM pki_revocation WHERE issuer = $1 ORDER BY sequence`, s.id)
	if err != nil {
		return stored{}, fmt.Errorf("reading revocations: %w", err)
	}
	err = each(rows, func() error {
		var text string
		var at, reason int64
		if err := rows.Scan(&text, &next.sequence, &at, &reason); err != nil || Reason(reason) == RemoveFromCRL {
			return err
		}
		serial, err := parseSerial(text)
		list.Entries = append(list.Entries, crl.Entry{Serial: serial, RevokedAt: time.Unix(at, 0), Reason: int(reason)})
		return err
	})
	if err != nil {
		return stored{}, fmt.Errorf("reading revocations: %w", err)
	}
	next.der, err = crl.Create(s.certificate, s.key, list)
	return next, err
}

func (ca *CA) newest(ctx context.Context, issuer string) (stored, error) {
	var s stored
	var next int64
	err := ca.cfg.DB.QueryRowContext(ctx, `SELECT number, sequence, next_update, der FROM pki_list WHERE issuer = $1`, issuer).
		Scan(&s.number, &s.sequence, &next, &s.der)
	if errors.Is(err, sql.ErrNoRows) {
		return stored{}, nil
	}
	if err != nil {
		return stored{}, fmt.Errorf("reading the newest list: %w", err)
	}
	s.nextUpdate = time.Unix(next, 0)
	return s, nil
}

func (ca *CA) newestSequence(ctx context.Context, issuer string) (int64, error) {
	var sequence sql.NullInt64
	if err := ca.cfg.DB.QueryRowContext(ctx, `SELECT MAX(sequence) FROM pki_revocation WHERE issuer = $1`, issuer).Scan(&sequence); err != nil {
		return 0, fmt.Errorf("reading revocations: %w", err)
	}
	return sequence.Int64, nil
}

// replace stores a list where the stored one still has the old number; won is false when another node was faster.
func (ca *CA) replace(ctx context.Context, issuer string, old int64, next stored) (won bool, err error) {
	result, err := ca.cfg.DB.ExecContext(ctx, `INSERT INTO pki_list (issuer, number, sequence, next_update, der) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (issuer) DO UPDATE SET number = excluded.number, sequence = excluded.sequence, next_update = excluded.next_update, der = excluded.der
		WHERE pki_list.number = $6`, issuer, next.number, next.sequence, next.nextUpdate.Unix(), next.der, old)
	if err != nil {
		return false, fmt.Errorf("storing a list: %w", err)
	}
	count, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("storing a list: %w", err)
	}
	return count == 1, nil
}
