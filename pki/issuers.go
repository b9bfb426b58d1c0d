package pki

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"trustcore/pki/profile"
)

// Purpose is what an issuing authority is for: whose certificates it makes.
type Purpose = profile.Purpose

// The purposes of issuing authorities.
const (
	Services = profile.Services
	Offices  = profile.Offices
	Seals    = profile.Seals
	Persons  = profile.Persons
)

// IssuerState is where an issuing authority stands in its life.
type IssuerState string

// The states of an issuing authority, in their order.
const (
	Planned  IssuerState = "planned"  // known, with its list and responder, before it issues
	Active   IssuerState = "active"   // issues
	Retiring IssuerState = "retiring" // its successor issues; where there is none it renews its own
	CRLOnly  IssuerState = "crl-only" // answers for its certificates' status alone, to its last day
	Ended    IssuerState = "retired"  // its key signs nothing any more
)

// powers are what an authority may do in a state.
type powers struct {
	issue  bool // certificates of its purposes, and renewals of those of its predecessors
	renew  bool // what it issued itself, where nobody issues for the purpose
	status bool // its lists, and the certificates of its responder's delegates
}

// lives is the one table of the states: what an authority may do in each, and to which others officers may bring it. What is retired
// stays so, what answers for status alone issues no more; who took over too early may be called back.
var lives = map[IssuerState]struct {
	powers
	next []IssuerState
}{
	Planned:  {powers{status: true}, []IssuerState{Active, Ended}},
	Active:   {powers{issue: true, renew: true, status: true}, []IssuerState{Retiring}},
	Retiring: {powers{renew: true, status: true}, []IssuerState{Active, CRLOnly}},
	CRLOnly:  {powers{status: true}, []IssuerState{Ended}},
	Ended:    {},
}

// IssuerStates are the states, in their order.
func IssuerStates() []IssuerState { return []IssuerState{Planned, Active, Retiring, CRLOnly, Ended} }

// standing is what the database says of an authority: a row of pki_issuer.
type standing struct {
	id, name  string
	purposes  []Purpose
	state     IssuerState
	activated int64 // grows with each activation; the newest of a purpose issues for it
}

func (s standing) serves(p Purpose) bool { return slices.Contains(s.purposes, p) }

// standings are all authorities that the database knows.
type standings []standing

// readStandings reads them in the order of their activation.
func readStandings(ctx context.Context, db queryer) (standings, error) {
	rows, err := db.QueryContext(ctx, `SELECT id, name, purposes, state, activated FROM pki_issuer ORDER BY activated, name`)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities' states: %w", err)
	}
	var all standings
	err = each(rows, func() error {
		var s standing
		var purposes string
		if err := rows.Scan(&s.id, &s.name, &purposes, &s.state, &s.activated); err != nil {
			return err
		}
		if _, known := lives[s.state]; !known {
			return fmt.Errorf("authority %s: its state %q is none of %v: a newer version wrote it", s.name, s.state, IssuerStates())
		}
		for _, p := range strings.Fields(purposes) {
			s.purposes = append(s.purposes, Purpose(p))
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the authorities' states: %w", err)
	}
	return all, nil
}

// issuing is who issues for a purpose: of those in a state that issues, the one that was activated last. Where there is none,
// whoever issued what is renewed renews it, while its state lets it.
func (all standings) issuing(p Purpose, renews string) (chosen standing, there bool) {
	for _, s := range all {
		if lives[s.state].issue && s.serves(p) && (!there || s.activated > chosen.activated) {
			chosen, there = s, true
		}
	}
	if there || renews == "" {
		return chosen, there
	}
	chosen, there = all.of(renews)
	return chosen, there && lives[chosen.state].renew
}

// of finds an authority by its key identifier.
func (all standings) of(id string) (standing, bool) {
	return all.find(func(s standing) bool { return s.id == id })
}

func (all standings) find(which func(standing) bool) (standing, bool) {
	n := slices.IndexFunc(all, which)
	if n < 0 {
		return standing{}, false
	}
	return all[n], true
}

// succeeded are the authorities that issue for no purpose any more, because others were activated later for all of theirs.
func (all standings) succeeded() (found []standing) {
	for _, s := range all {
		issues := slices.ContainsFunc(s.purposes, func(p Purpose) bool {
			by, there := all.issuing(p, "")
			return there && by.id == s.id
		})
		if lives[s.state].issue && !issues {
			found = append(found, s)
		}
	}
	return found
}

// errMoved says that another authority issues by now.
var errMoved = errors.New("another authority issues by now")

// issuerFor is who signs a wish, by what this node knows.
func (ca *CA) issuerFor(w wish) (*issuer, error) {
	if w.issuer != nil { // a delegate of its own
		return w.issuer, nil
	}
	purpose, renews := w.kind.Purpose(), ""
	if w.renews != nil {
		renews = w.renews.issuerID
	}
	s, there := ca.known().issuing(purpose, renews)
	if !there {
		return nil, fmt.Errorf("%w: no authority issues for %s: activate one", ErrUnavailable, purpose)
	}
	if by := ca.issuerOf(s.id); by != nil {
		return by, nil
	}
	return nil, fmt.Errorf("%w: %q issues for %s, and this node does not have it: bring what its ceremony left", ErrUnavailable, s.name, purpose)
}

// mayStill reports, inside the transaction that reserves a serial number, whether the authority is the one that signs now: on
// another node officers may have changed that a moment ago.
func (r row) mayStill(ctx context.Context, tx *sql.Tx) error {
	all, err := readStandings(ctx, tx)
	if err != nil {
		return err
	}
	if r.delegate {
		if s, there := all.of(r.issuer); there && lives[s.state].status {
			return nil
		}
		return refuse("issuer", "nothing is to be done: an authority that is retired answers no more", "%s signs nothing any more", r.issuer)
	}
	if s, there := all.issuing(r.kind.Purpose(), r.renewsOf); !there || s.id != r.issuer {
		return errMoved
	}
	return nil
}

// known are the authorities' states as this node knows them.
func (ca *CA) known() standings { return *ca.states.Load() }

// followIssuers takes over what officers decided on other nodes.
func (ca *CA) followIssuers(ctx context.Context) error {
	all, err := readStandings(ctx, ca.cfg.DB)
	if err == nil {
		ca.states.Store(&all)
	}
	return err
}

// stateOf is the state of an authority; one that the database does not know has none, and may do nothing.
func (ca *CA) stateOf(i *issuer) IssuerState {
	s, _ := ca.known().of(i.id)
	return s.state
}

// current are the authorities that issue for a purpose now, each once.
func (ca *CA) current() (all []*issuer) {
	for _, p := range profile.Purposes() {
		if s, there := ca.known().issuing(p, ""); there {
			if by := ca.issuerOf(s.id); by != nil && !slices.Contains(all, by) {
				all = append(all, by)
			}
		}
	}
	return all
}

// issuesNow reports whether an authority issues for any purpose.
func (ca *CA) issuesNow(i *issuer) bool { return slices.Contains(ca.current(), i) }

// successor is the authority that would issue for a profile now, nil when there is none here.
func (ca *CA) successor(kind Profile) *issuer {
	by, err := ca.issuerFor(wish{kind: kind})
	if err != nil {
		return nil
	}
	return by
}

// IssuesFor is the name of the authority that issues for a purpose now, "" when there is none.
func (ca *CA) IssuesFor(p Purpose) string {
	s, _ := ca.known().issuing(p, "")
	return s.name
}

// IssuerInfo is an issuing authority as officers see it.
type IssuerInfo struct {
	Name      string      `json:"name"`
	Subject   string      `json:"subject,omitempty"` // common name; "" where this node does not have it
	State     IssuerState `json:"state"`
	Purposes  []Purpose   `json:"purposes"`   // what it is for
	IssuesFor []Purpose   `json:"issues_for"` // what it issues for now
	NotAfter  string      `json:"not_after,omitempty"`
	Roots     []string    `json:"roots,omitempty"` // who certified it
}

// Issuers lists the issuing authorities, by their names.
func (ca *CA) Issuers() (list []IssuerInfo) {
	known := ca.known()
	for _, s := range known {
		info := IssuerInfo{Name: s.name, State: s.state, Purposes: s.purposes, IssuesFor: []Purpose{}}
		for _, p := range s.purposes {
			if by, there := known.issuing(p, ""); there && by.id == s.id {
				info.IssuesFor = append(info.IssuesFor, p)
			}
		}
		if i := ca.issuerOf(s.id); i != nil {
			info.Subject, info.NotAfter = i.certificate.Subject.CommonName, i.certificate.NotAfter.UTC().Format("2006-01-02")
			for _, c := range i.certificates() {
				info.Roots = append(info.Roots, c.Issuer.CommonName)
			}
		}
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b IssuerInfo) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
