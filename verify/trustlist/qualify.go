package trustlist

import (
	"slices"
	"strings"
	"time"

	"trustcore/verify/certificate"
)

// regulation is when Regulation (EU) No 910/2014 began to apply; the words of lists and certificates
// have another meaning before (TS 119 615, 4.4).
var regulation = time.Date(2016, 6, 30, 22, 0, 0, 0, time.UTC)

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

const typeQC = "/Svctype/CA/QC"

// Qualify answers for a certificate whose path leads through the given issuers (its CA first, the anchor
// last) at the time. A path to a service of a list that was not granted then, or not for such
// certificates, is Found without being qualified.
func (s *Snapshot) Qualify(cert *certificate.Certificate, issuers []*certificate.Certificate, at time.Time) Qualified {
	var results []Qualified
	found := false
	for _, issuer := range issuers {
		for _, a := range s.sameService(issuer) {
			if a.Service == nil {
				continue
			}
			found = true
			p := a.Service.At(at)
			if p == nil || !p.Granted() || !strings.HasSuffix(p.Type, typeQC) {
				continue
			}
			q, applies := qualify(cert, p, at)
			if applies {
				q.Provider = a.Service.Provider
				results = append(results, q)
			}
		}
	}
	if found && len(results) == 0 {
		return unqualified(cert)
	}
	return agree(results)
}

// unqualified is the answer where no service vouches for the certificate: its type is what it says itself.
func unqualified(cert *certificate.Certificate) Qualified {
	q := fromCertificate(cert)
	return Qualified{Found: true, Type: q.Type, Because: []string{"no service that was granted then issued it as qualified"}}
}

// sameService returns the anchors with the issuer's name and key: a CA's certificates may be several.
func (s *Snapshot) sameService(issuer *certificate.Certificate) []Anchor {
	return slices.DeleteFunc(s.Named(issuer.Subject), func(a Anchor) bool {
		return string(a.Certificate.RawSPKI) != string(issuer.RawSPKI)
	})
}

func agree(results []Qualified) Qualified {
	if len(results) == 0 {
		return Qualified{}
	}
	first := results[0]
	for _, r := range results[1:] {
		if r.Certificate != first.Certificate || r.Type != first.Type || r.Device != first.Device {
			first.Conflict = true
		}
	}
	first.Found = true
	return first
}

// qualify applies what the certificate says and what the list says over it. The service does not apply
// when it is for another type of certificate.
func qualify(cert *certificate.Certificate, p *Period, at time.Time) (Qualified, bool) {
	q := fromCertificate(cert)
	stated := q.Certificate
	qualifiers := p.qualifiers(cert)
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(qualifiers, n) })
	}
	switch {
	case has("NotQualified"):
		q.set(false, "the list says that it is not qualified")
	case has("QCStatement"):
		q.set(true, "the list says that it is qualified")
	}
	switch {
	case !stated: // the list names the use of what says itself that it is qualified
	case has("QCForESig"):
		q.Type = ForSignatures
	case has("QCForESeal"):
		q.Type = ForSeals
	case has("QCForWSA"):
		q.Type = ForWebsites
	}
	switch {
	case has("QCNoQSCD", "QCNoSSCD"):
		q.Device = false
	case has("QCWithQSCD", "QCWithSSCD", "QCQSCDManagedOnBehalf"):
		q.Device = true
	}
	q.Device = q.Device && q.Certificate
	return q, !at.After(regulation) || p.isFor(q.Type)
}

func (q *Qualified) set(qualified bool, why string) {
	q.Certificate = qualified
	q.Because = append(q.Because, why)
}

// fromCertificate reads the QCStatements (EN 319 412-5) and, for certificates that were issued before the regulation,
// whenever they are used, the policies QCP and QCP+ (TS 101 456; TS 119 615 4.4.4).
func fromCertificate(cert *certificate.Certificate) Qualified {
	var q Qualified
	const qcp, qcpPlus = "0.4.0.1456.1.2", "0.4.0.1456.1.1"
	policy := func(id string) bool {
		return slices.ContainsFunc(cert.Policies, func(p certificate.PolicyInformation) bool { return p.Policy.String() == id })
	}
	if qc := cert.QC; qc != nil {
		if qc.Compliance {
			q.set(true, "the certificate says that it is qualified")
		}
		q.Device = qc.SSCD
		q.Type = typeOf(qc.Types)
	}
	if !cert.NotBefore.After(regulation) && (policy(qcp) || policy(qcpPlus)) {
		q.set(true, "the certificate has a policy for qualified certificates")
		q.Device = q.Device || policy(qcpPlus)
	}
	if q.Type == UnknownType && q.Certificate {
		q.Type = ForSignatures // EN 319 412-5, 4.2.3: without the statement it is for signatures
	}
	return q
}

func typeOf(types []certificate.OID) Type {
	const esign, eseal, web = "0.4.0.1862.1.6.1", "0.4.0.1862.1.6.2", "0.4.0.1862.1.6.3"
	for _, t := range types {
		switch t.String() {
		case esign:
			return ForSignatures
		case eseal:
			return ForSeals
		case web:
			return ForWebsites
		}
	}
	return UnknownType
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

// isFor reports whether the service issues certificates of the type (additionalServiceInformation).
func (p *Period) isFor(t Type) bool {
	want := map[Type]string{ForSignatures: "ForeSignatures", ForSeals: "ForeSeals", ForWebsites: "ForWebSiteAuthentication"}[t]
	for _, a := range p.Additional {
		if strings.HasSuffix(a, "/"+want) && want != "" {
			return true
		}
	}
	return t == UnknownType
}
