package pki

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trustcore/internal/audit"
	"trustcore/pki/profile"
)

// ceremonies acts where an authority takes up what its ceremony decided.
var ceremonies = audit.Actor{Kind: "officer", ID: "ceremony"}

// openIssuers takes up authorities that the database does not know: those whose ceremony said so wait for officers, the others issue
// from now on, in the order of their ceremonies. What one is for is decided once: files that say another are refused.
func (ca *CA) openIssuers(ctx context.Context) error {
	if err := ca.followIssuers(ctx); err != nil {
		return err
	}
	for n, i := range ca.issuers {
		said := ca.cfg.Issuers[n]
		purposes := said.Purposes
		if len(purposes) == 0 {
			purposes = profile.Purposes()
		}
		s, there := ca.known().of(i.id)
		if there && (s.name != i.name || !slices.Equal(s.purposes, purposes)) {
			return fmt.Errorf("authority %s: the database has it as %s for %v, its files say %v: restore them", i.name, s.name, s.purposes, purposes)
		}
		if there {
			continue
		}
		if err := ca.takeUp(ctx, standing{id: i.id, name: i.name, purposes: purposes, state: Planned}, !said.Planned); err != nil {
			return fmt.Errorf("authority %s: %w", i.name, err)
		}
	}
	return nil
}

// takeUp records an authority, and activates it.
func (ca *CA) takeUp(ctx context.Context, s standing, activate bool) error {
	state := Planned
	if activate {
		state = Active
	}
	entry := audit.Entry{Actor: ceremonies, Action: "issuer.change", Subject: s.name,
		Details: map[string]string{"to": string(state), "purposes": join(s.purposes)}}
	return ca.cfg.Audit.Act(ctx, entry, ca.cfg.Now, func() error {
		err := ca.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
			made, err := tx.ExecContext(ctx, `INSERT INTO pki_issuer (id, name, purposes, state, activated, since)
				VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT DO NOTHING`, s.id, s.name, join(s.purposes), string(Planned), ca.cfg.Now().Unix())
			if err != nil {
				return err
			}
			if count, err := made.RowsAffected(); err != nil || count == 0 || !activate {
				return err // another node was faster
			}
			return move(ctx, tx, s, Active, ca.cfg.Now())
		})
		return errors.Join(err, ca.followIssuers(ctx))
	})
}

func join(purposes []Purpose) string {
	var texts []string
	for _, p := range purposes {
		texts = append(texts, string(p))
	}
	return strings.Join(texts, " ")
}

// move brings an authority into a state. Activated, it takes its purposes over: who issues for none any more is retiring by that.
func move(ctx context.Context, tx *sql.Tx, s standing, to IssuerState, now time.Time) error {
	done, err := tx.ExecContext(ctx, `UPDATE pki_issuer SET state = $1, since = $2,
		activated = CASE WHEN $3 = 1 THEN (SELECT MAX(activated) FROM pki_issuer) + 1 ELSE activated END WHERE id = $4 AND state = $5`,
		string(to), now.Unix(), map[bool]int{true: 1}[lives[to].issue], s.id, string(s.state))
	if err != nil {
		return fmt.Errorf("changing the state: %w", err)
	}
	if count, err := done.RowsAffected(); err != nil || count != 1 {
		return errors.Join(err, refuse("state", "look at the states, and propose it anew", "authority %s is not %s any more", s.name, s.state))
	}
	if !lives[to].issue {
		return nil
	}
	all, err := readStandings(ctx, tx)
	if err != nil {
		return err
	}
	for _, old := range all.succeeded() {
		if err := move(ctx, tx, old, Retiring, now); err != nil {
			return err
		}
	}
	return nil
}

// CheckIssuerChange refuses (*RequestError) what ChangeIssuer would refuse now: ask it before officers decide.
func (ca *CA) CheckIssuerChange(ctx context.Context, name string, to IssuerState) error {
	s, err := ca.named(ctx, name)
	if err != nil {
		return err
	}
	return ca.mayBecome(ctx, s, to)
}

// named is an authority as the database has it now.
func (ca *CA) named(ctx context.Context, name string) (standing, error) {
	if err := ca.followIssuers(ctx); err != nil {
		return standing{}, err
	}
	s, there := ca.known().find(func(s standing) bool { return s.name == name })
	if !there {
		return s, refuse("name", "name one that is there", "there is no issuing authority %q", name)
	}
	return s, nil
}

// ChangeIssuer brings an issuing authority into another state. It is the caller's to have two officers decide. Called again it changes
// nothing. A *RequestError says what speaks against it.
func (ca *CA) ChangeIssuer(ctx context.Context, actor audit.Actor, name string, to IssuerState, order string) error {
	s, err := ca.named(ctx, name)
	if err == nil && s.state == to {
		return nil
	}
	if err == nil {
		err = ca.mayBecome(ctx, s, to)
	}
	entry := audit.Entry{Time: ca.cfg.Now(), Actor: actor, Action: "issuer.change", Subject: name, Order: order, Outcome: audit.Granted,
		Details: map[string]string{"from": string(s.state), "to": string(to), "purposes": join(s.purposes)}}
	if err != nil {
		entry.Outcome, entry.Reason = audit.Refused, err.Error()
		_, failed := ca.cfg.Audit.Append(ctx, entry)
		return fmt.Errorf("authority %s: %w", name, errors.Join(err, failed))
	}
	err = ca.cfg.Audit.Act(ctx, entry, ca.cfg.Now, func() error {
		if to == Ended {
			if err := ca.lastList(ctx, s); err != nil {
				return err
			}
		}
		return ca.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
			if err := ca.holdsNothing(ctx, tx, s, to); err != nil {
				return err
			}
			return move(ctx, tx, s, to, ca.cfg.Now())
		})
	})
	if err != nil {
		return fmt.Errorf("authority %s: %w", name, err)
	}
	return ca.followIssuers(ctx)
}

// mayBecome says what speaks against a state.
func (ca *CA) mayBecome(ctx context.Context, s standing, to IssuerState) error {
	if next := lives[s.state].next; !slices.Contains(next, to) {
		return refuse("state", fmt.Sprintf("choose one of %v", next), "from %s there is no way to %q", s.state, to)
	}
	i := ca.issuerOf(s.id)
	switch {
	case i == nil:
		return refuse("name", "ask a node that has it, or bring what its ceremony left", "this node does not have authority %s", s.name)
	case lives[to].issue && i.certificate.NotAfter.Sub(ca.cfg.Now()) < MinimumLife:
		return refuse("state", "hold a ceremony for a new issuing authority", "authority %s ends %s", s.name, i.certificate.NotAfter.UTC().Format(time.RFC3339))
	case lives[to].issue && !ca.signs(i):
		return refuse("state", "bring its key back: a list of its own has to be there first", "the key of authority %s has not signed", s.name)
	case s.state == Retiring && to == CRLOnly:
		for _, p := range s.purposes {
			if _, there := ca.known().issuing(p, ""); !there {
				return refuse("state", "activate another authority first", "nobody would renew certificates for %s", p)
			}
		}
	}
	return ca.holdsNothing(ctx, ca.cfg.DB, s, to)
}

// signs reports whether an authority's key has signed its list not long ago: officers activate none whose token is away.
func (ca *CA) signs(i *issuer) bool {
	_, list := i.list.Current()
	return list != nil && list.NextUpdate.After(ca.cfg.Now()) && ca.failing.of(listOf(i.id)) == ""
}

// holdsNothing refuses to retire an authority whose certificates somebody relies on.
func (ca *CA) holdsNothing(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, s standing, to IssuerState) error {
	if to != Ended {
		return nil
	}
	var count int
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM pki_certificate c LEFT JOIN pki_revocation r ON r.issuer = c.issuer AND r.serial = c.serial
		WHERE c.issuer = $1 AND c.der IS NOT NULL AND c.not_after >= $2 AND c.profile <> $3 AND (`+isGood+` OR `+isHeld+`)`,
		s.id, ca.cfg.Now().Unix(), string(OCSPResponder)).Scan(&count); err != nil {
		return fmt.Errorf("counting certificates: %w", err)
	}
	if count > 0 {
		return refuse("state", "wait until they have ended, or revoke them", "%d certificates of authority %s still hold", count, s.name)
	}
	return nil
}

// lastList makes the list with which a retired authority ends: it lives as long as the authority.
func (ca *CA) lastList(ctx context.Context, s standing) error {
	i := ca.issuerOf(s.id)
	if i == nil || ca.cfg.Now().After(i.certificate.NotAfter) {
		return nil // has ended: its last list is there
	}
	ca.listing.Lock()
	defer ca.listing.Unlock()
	last := ca.signerOf(i)
	last.validity = i.certificate.NotAfter.Sub(ca.cfg.Now())
	for range maxRaces {
		old, err := ca.newest(ctx, last.id)
		if err != nil {
			return err
		}
		next, err := ca.makeList(ctx, last, old.number+1, ca.cfg.Now())
		if err != nil {
			return fmt.Errorf("its last list: %w", err)
		}
		if won, err := ca.replace(ctx, last.id, old.number, next); err != nil || won {
			return errors.Join(err, last.publication.Set(next.der))
		}
	}
	return errors.New("its last list: other nodes were faster")
}
