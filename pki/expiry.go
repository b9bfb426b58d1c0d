package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/pki/profile"
)

// Expiry is one thing that ends.
type Expiry struct {
	Kind     string // the profile of a certificate, or "crl"
	Subject  string // common name of the holder; of a list its issuer's
	Serial   string // of a certificate
	Partner  string
	Order    string
	NotAfter time.Time // when it ends; of a time-stamping unit when its key is used for the last time
	Cut      Cut       // what made it end earlier than its profile says

	Renewal Renewal
	Due     time.Time // when the renewal is due, or when people have to hear of the end
	Remedy  string    // what people do about it; "" where nothing is to be done
	Failure string    // why the last try to renew it failed; "" when it did not
}

// Renewal says who sees to a successor.
type Renewal string

// The ways in which things are renewed.
const (
	ByAuthority Renewal = "authority" // the authority does, by itself
	ByHolder    Renewal = "holder"    // who holds it asks for it by itself (CA.Renew)
	ByPeople    Renewal = "people"    // nobody does: it is announced
)

// Times before an end at which people have to hear of it.
const (
	announceCertificate = 60 * 24 * time.Hour
	announceAuthority   = 366 * 24 * time.Hour
)

// Expiring lists all that the authority has given out and that still counts, what ends first first: certificates that hold or are
// suspended and have no successor, and the lists. OCSP answers are renewed at half of their hour and are left out.
func (ca *CA) Expiring(ctx context.Context) ([]Expiry, error) {
	all, err := ca.read(ctx, ca.cfg.DB, columns+` WHERE c.der IS NOT NULL AND c.not_after >= $1
		AND (r.reason IS NULL OR r.reason IN (6, 8))
		AND NOT EXISTS (SELECT 1 FROM pki_certificate n LEFT JOIN pki_revocation s ON s.issuer = n.issuer AND s.serial = n.serial
			WHERE n.profile = c.profile AND n.partner = c.partner AND n.order_id = c.order_id AND n.der IS NOT NULL
			AND (n.renews = c.serial OR n.common_name = c.common_name
				AND (n.not_after > c.not_after OR n.not_after = c.not_after AND n.serial > c.serial))
			AND (s.reason IS NULL OR s.reason = 8))`, ca.cfg.Now().Unix())
	if err != nil {
		return nil, err
	}
	var found []Expiry
	for _, c := range all {
		if e, counts := ca.expiryOf(c); counts {
			found = append(found, e)
		}
	}
	found = append(found, ca.expiryOfLists()...)
	slices.SortStableFunc(found, func(a, b Expiry) int { return a.NotAfter.Compare(b.NotAfter) })
	return found, nil
}

// expiryOf tells of a certificate; counts is false for a unit's that is no longer in force.
func (ca *CA) expiryOf(c Certificate) (e Expiry, counts bool) {
	e = Expiry{Kind: string(c.Profile), Subject: c.CommonName, Serial: c.Serial, Partner: c.Partner, Order: c.Order,
		NotAfter: c.NotAfter, Cut: c.Cut, Failure: ca.failing.of(c.Serial)}
	switch c.Profile {
	case profile.Root, profile.Issuing:
		if ca.succeeded(c) {
			return endsByItself(e), true
		}
		e.Renewal, e.Due = ByPeople, e.NotAfter.Add(-announceAuthority)
		e.Remedy = "hold a ceremony for a new " + string(c.Profile) + " authority; certificates that are issued until then end with this one"
		return e, true
	case OCSPResponder, TimeStamping:
		return ca.expiryOfUnit(c, e)
	case Officer, Auditor:
		e.Renewal, e.Due = ByPeople, e.NotAfter.Add(-announceCertificate)
		e.Remedy = "have a new certificate issued for this " + string(c.Profile)
		return e, true
	}
	e.Renewal, e.Due = ByHolder, dueAt(c.NotBefore, c.NotAfter)
	switch c.Cut {
	case CutByAuthorisation:
		e.Renewal, e.Due, e.Remedy = ByPeople, e.NotAfter.Add(-announceCertificate), "extend the authorisation by an order"
	case CutByIssuer:
		e.Renewal, e.Due, e.Remedy = ByPeople, e.NotAfter.Add(-announceCertificate), "hold a ceremony for a new issuing authority"
	}
	if ca.outlivesIssuer(c) { // there is a newer authority: the cut is no end
		e.Renewal, e.Due, e.Remedy = ByHolder, dueAt(c.NotBefore, c.NotAfter), ""
	}
	return e, true
}

// endsByItself is of what has a successor already, or needs none.
func endsByItself(e Expiry) Expiry {
	e.Renewal, e.Due, e.Remedy = ByAuthority, e.NotAfter, ""
	return e
}

// outlivesIssuer reports whether a certificate that was cut to its issuer's end would be renewed by an authority that lives longer.
func (ca *CA) outlivesIssuer(c Certificate) bool {
	by := ca.successor(c.Profile)
	return c.Cut == CutByIssuer && by != nil && by.certificate.NotAfter.Sub(c.NotAfter) > MinimumLife
}

// succeeded reports whether an authority's certificate may end: of one that issues there is one by another root that lives longer, of one
// that does not others issue for all that it is for, of a root all that issue have one by a root that lives longer.
func (ca *CA) succeeded(c Certificate) bool {
	longer := func(i *issuer) bool {
		return slices.ContainsFunc(i.certificates(), func(other *x509.Certificate) bool {
			above := ca.rootOf(authorityOf(other))
			return authorityOf(other) != c.issuerID && other.NotAfter.Sub(c.NotAfter) > MinimumLife ||
				c.Profile == profile.Root && above != nil && above.certificate.NotAfter.Sub(c.NotAfter) > MinimumLife
		})
	}
	if c.Profile == profile.Root {
		return !slices.ContainsFunc(ca.current(), func(i *issuer) bool { return !longer(i) })
	}
	for _, i := range ca.issuers {
		if !slices.ContainsFunc(i.certificates(), func(own *x509.Certificate) bool { return digestHex(own.Raw) == c.Fingerprint }) {
			continue
		}
		if ca.issuesNow(i) {
			return longer(i)
		}
		s, _ := ca.known().of(i.id)
		return s.state == Ended || !slices.ContainsFunc(s.purposes, func(p Purpose) bool {
			by, there := ca.known().issuing(p, "")
			successor := ca.issuerOf(by.id)
			return !there || successor == nil || successor.certificate.NotAfter.Sub(c.NotAfter) <= MinimumLife
		})
	}
	return false
}

func (ca *CA) expiryOfUnit(c Certificate, e Expiry) (Expiry, bool) {
	for _, u := range ca.units {
		if hexSerial(u.inForce.Load().certificate.SerialNumber) != c.Serial {
			continue
		}
		e.NotAfter, e.Failure = endOf(u.kind, u.inForce.Load().certificate), ca.failing.of(u.role)
		e.Renewal, e.Due = ByAuthority, dueAt(c.NotBefore, e.NotAfter)
		by := ca.certifier(u)
		switch {
		case ca.cfg.NewKey == nil:
			e.Renewal, e.Due, e.Remedy = ByPeople, e.NotAfter.Add(-announceCertificate), "the authority has no means to make keys"
		case by == nil && u.issuer == nil:
			e.Renewal, e.Due, e.Remedy = ByPeople, e.NotAfter.Add(-announceAuthority), "activate an issuing authority for services"
		case by == nil:
			e = endsByItself(e) // with the authority that is retired
		case by.certificate.NotAfter.Sub(e.NotAfter) <= MinimumLife && ca.issuesNow(by):
			e.Renewal, e.Due = ByPeople, e.NotAfter.Add(-announceAuthority)
			e.Remedy = "hold a ceremony for a new issuing authority"
		case by.certificate.NotAfter.Sub(e.NotAfter) <= MinimumLife:
			e = endsByItself(e) // with the earlier authority that it answers for
		}
		return e, true
	}
	return e, false
}

// expiryOfLists tells of the published lists.
func (ca *CA) expiryOfLists() (found []Expiry) {
	for _, s := range ca.signers() {
		if ca.cfg.Now().After(s.certificate.NotAfter) {
			continue // nobody asks for the lists of an authority that has ended
		}
		e := Expiry{Kind: "crl", Subject: s.certificate.Subject.CommonName, Renewal: ByAuthority, Failure: ca.failing.of(listOf(s.id))}
		_, list := s.publication.Current()
		if list != nil {
			e.NotAfter, e.Due = list.NextUpdate, list.NextUpdate.Add(-s.validity/2)
		}
		if s.key == nil {
			e.Renewal, e.Due = ByPeople, e.NotAfter.Add(-announceCertificate)
			e.Remedy = bringList
		}
		if list != nil && !list.NextUpdate.Before(s.certificate.NotAfter) {
			e = endsByItself(e) // the last one
		}
		found = append(found, e)
	}
	return found
}

// Finding is something that people should know though the services serve.
type Finding struct {
	Red    bool // a service can't serve now; otherwise somebody should look soon
	What   string
	Remedy string
}

const (
	bringKey  = "bring the authority's key back: its HSM"
	bringList = "bring a new list of the root, whose key is not here: trustctl ceremony list, on its machine"
)

// Findings tells of the clock, of lists that have ended or are not renewed, and of units that are not renewed. It asks no database.
func (ca *CA) Findings() (found []Finding) {
	if ca.stamps != nil {
		stopped, doubt := ca.clock.State()
		switch {
		case stopped != nil:
			found = append(found, Finding{true, "no time-stamps are given: " + stopped.Error(),
				"set the clock right and let a time daemon such as chrony keep it; if it is right, an officer accepts it"})
		case doubt != nil:
			found = append(found, Finding{false, "time-stamps come without an accuracy: " + doubt.Error(),
				"let a time daemon such as chrony (with rtcsync) keep the clock"})
		}
	}
	now := ca.cfg.Now()
	for _, e := range ca.expiryOfLists() {
		remedy := bringKey
		if e.Remedy != "" {
			remedy = e.Remedy
		}
		switch {
		case !e.NotAfter.After(now):
			found = append(found, Finding{true, fmt.Sprintf("the list of %q has ended: %s", e.Subject, e.Failure), remedy})
		case e.Failure != "":
			found = append(found, Finding{false, fmt.Sprintf("the list of %q is not renewed: %s", e.Subject, e.Failure), bringKey})
		}
	}
	found = append(found, ca.missingIssuers()...)
	for _, u := range ca.units {
		end := endOf(u.kind, u.inForce.Load().certificate)
		if failure := ca.failing.of(u.role); failure != "" || now.After(end) {
			found = append(found, Finding{now.After(end), fmt.Sprintf("key and certificate of %q, which end %s, are not renewed: %s",
				u.inForce.Load().certificate.Subject.CommonName, end.UTC().Format(time.DateOnly), failure),
				"look at the HSM; it is tried again every half a minute"})
		}
	}
	return found
}

// Serves says why a service can't serve now, by its last use: "ocsp", "crl" or "tsa"; nil when it can.
func (ca *CA) Serves(service string) error {
	now := ca.cfg.Now()
	switch service {
	case "ocsp":
		return ca.eachCurrent(func(i *issuer) error { return i.responder.Failure() })
	case "crl":
		return ca.eachCurrent(func(i *issuer) error {
			if _, list := i.list.Current(); list == nil || !now.Before(list.NextUpdate) {
				return fmt.Errorf("there is no list of %s that holds: %s", i.name, ca.failing.of(listOf(i.id)))
			}
			return nil
		})
	case "tsa":
		if ca.stamps == nil {
			return nil
		}
		if stopped, _ := ca.clock.State(); stopped != nil {
			return stopped
		}
		return ca.stamps.Failure()
	}
	return fmt.Errorf("there is no service %q", service)
}

// eachCurrent asks all authorities that issue now; where none does, all that there are.
func (ca *CA) eachCurrent(ask func(*issuer) error) (failed error) {
	asked := ca.current()
	if len(asked) == 0 {
		asked = ca.issuers
	}
	for _, i := range asked {
		failed = errors.Join(failed, ask(i))
	}
	return failed
}

// missingIssuers tells of purposes for which nothing can be issued here.
func (ca *CA) missingIssuers() (found []Finding) {
	for _, p := range profile.Purposes() {
		s, there := ca.known().issuing(p, "")
		switch {
		case !there:
			found = append(found, Finding{false, fmt.Sprintf("no authority issues certificates for %s", p),
				"have two officers activate one: trustctl ca change"})
		case ca.issuerOf(s.id) == nil:
			found = append(found, Finding{true, fmt.Sprintf("authority %s issues certificates for %s, and this node does not have it", s.name, p),
				"bring the files of its ceremony (trustd/pki) and start trustd again"})
		}
	}
	return found
}
