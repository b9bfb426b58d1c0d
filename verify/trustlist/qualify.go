package trustlist

import (
	"slices"
	"time"

	"trustcore/verify/certificate"
)

// regulation is when Regulation (EU) No 910/2014 began to apply; the words of lists and certificates
// have another meaning before (TS 119 615, 4.4).
var regulation = time.Date(2016, 6, 30, 22, 0, 0, 0, time.UTC)

// since tells whether what began then has the meaning that the regulation gives it.
func since(begin time.Time) bool { return !begin.Before(regulation) }

// Type is what a qualified certificate is for.
type Type string

// The types.
const (
	ForSignatures Type = "ESIG"
	ForSeals      Type = "ESEAL"
	ForWebsites   Type = "WSA"
	UnknownType   Type = ""
)

// Qualified says whether a certificate was qualified at a time, for what, and whether its key lies in a
// qualified device (TS 119 615, 4.4 and 4.5).
type Qualified struct {
	Certificate bool
	Type        Type
	Device      bool // QSCD, or SSCD under the directive
	// Conflict is set when services contradict each other: the result is then indeterminate.
	Conflict bool
	// Found is false when no service of a list, granted or not, stands above the certificate.
	Found    bool
	Provider string   // of the service that decided
	Because  []string // the steps, for the report
}

// Qualify answers for a certificate whose path leads through the given issuers (its CA first, the anchor
// last) at the time, in the order of TS 119 615 4.4.4. A path to a service of a list that was not granted then, or not for
// such certificates, is Found without being qualified.
func (s *Snapshot) Qualify(cert *certificate.Certificate, issuers []*certificate.Certificate, at time.Time) Qualified {
	said := statedBy(cert)
	list, found := s.entriesAbove(cert, issuers, at)
	if !found {
		return Qualified{}
	}
	if qc := only(list, (*entry).issuesQualified); len(qc) > 0 {
		list = qc
	}
	list = only(list, func(c *entry) bool { return c.issues(said) })
	if contradict(list, said) {
		return Qualified{Found: true, Conflict: true, Type: said.kind,
			Because: []string{"services of the trusted lists contradict each other"}}
	}
	list = only(list, func(c *entry) bool { return c.issuesQualified() && c.period.entitles() })
	if len(list) == 0 {
		return Qualified{Found: true, Type: said.kind, Because: []string{"no service that was granted then issued it as qualified"}}
	}
	q := said.under(list[0].ifAgreed())
	q.Found, q.Provider = true, list[0].service.Provider
	return q
}

// entriesAbove are the services above the certificate, each in its state at the time, and whether there is one at any time.
func (s *Snapshot) entriesAbove(cert *certificate.Certificate, issuers []*certificate.Certificate, at time.Time) (list []*entry, found bool) {
	var seen []*Service
	for _, issuer := range issuers {
		for _, a := range s.sameService(issuer) {
			if a.Service == nil || slices.Contains(seen, a.Service) {
				continue
			}
			found, seen = true, append(seen, a.Service)
			if p := a.Service.At(at); p != nil {
				list = append(list, &entry{a.Service, p, p.qualifiers(cert)})
			}
		}
	}
	return list, found
}

func only(list []*entry, keep func(*entry) bool) []*entry {
	return slices.DeleteFunc(slices.Clone(list), func(c *entry) bool { return !keep(c) })
}

// contradict tells whether services make different things of the certificate, granted or not (TS 119 615 4.4.4).
func contradict(list []*entry, said statement) bool {
	var first Qualified
	for i, c := range list {
		q := said.under(c, c, c)
		if i == 0 {
			first = q
		}
		if q.Certificate != first.Certificate || q.Type != first.Type || q.Device != first.Device {
			return true
		}
	}
	return false
}

// sameService returns the anchors with the issuer's name and key: a CA's certificates may be several.
func (s *Snapshot) sameService(issuer *certificate.Certificate) []Anchor {
	return slices.DeleteFunc(s.Named(issuer.Subject), func(a Anchor) bool {
		return string(a.Certificate.RawSPKI) != string(issuer.RawSPKI)
	})
}

// restrict are the qualifiers that only take away.
var restrict = []string{"NotQualified", "QCNoQSCD", "QCNoSSCD"}

// qualifiers are what the list says over the certificate. Where nobody can tell whether it speaks of this one, what
// takes away counts, and what gives does not.
func (p *Period) qualifiers(cert *certificate.Certificate) []string {
	var all []string
	for i := range p.Qualifications {
		q := &p.Qualifications[i]
		switch q.Criteria.Match(cert) {
		case Yes:
			all = append(all, q.Qualifiers...)
		case Untold:
			for _, name := range q.Qualifiers {
				if slices.Contains(restrict, name) {
					all = append(all, name)
				}
			}
		}
	}
	return all
}
