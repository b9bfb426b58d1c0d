package path

import (
	"slices"

	"trustcore/verify/certificate"
)

// A linter collects what a certificate of the path does against a profile.
type linter struct {
	b        *builder
	o        *outcome
	position int
	c        *certificate.Certificate
	anchor   bool
	server   bool
}

func (l *linter) fail(clause, detail string) {
	r := reason(ProfileViolation, l.c, l.position, detail)
	r.Clause = clause
	l.o.reasons = append(l.o.reasons, r)
}

// demand fails unless met.
func (l *linter) demand(met bool, clause, detail string) {
	if !met {
		l.fail(clause, detail)
	}
}

// profile checks the demands of the profiles strict and server on the path, and on the anchor when its extensions count.
func (b *builder) profile(o *outcome) {
	if b.request.Profile == ProfilePath {
		return
	}
	server := b.request.Profile == ProfileServer
	for i, c := range o.chain {
		l := linter{b: b, o: o, position: i, c: c, server: server}
		l.strict()
		if server {
			l.serverChain()
		}
	}
	if server {
		l := linter{b: b, o: o, c: o.chain[0], server: true}
		l.serverTarget(b.request)
	}
	if a := o.anchor; a.Constraints {
		l := linter{b: b, o: o, position: len(o.chain), c: a.Certificate, anchor: true, server: server}
		l.strict()
		if server {
			l.serverChain()
			l.serverRoot()
		}
	}
}

// strict checks the demands of RFC 5280 section 4 on one certificate.
func (l *linter) strict() {
	l.findings()
	l.criticality()
	l.keyIdentifiers()
	l.authority()
	l.policies()
	l.names()
	l.constraintShape()
}

// intolerable are the findings that break a MUST of RFC 5280 section 4, with the clause.
var intolerable = map[certificate.Laxness]string{
	certificate.BadTime: "RFC 5280 4.1.2.5", certificate.FractionalTime: "RFC 5280 4.1.2.5.2",
	certificate.TimeOffset: "RFC 5280 4.1.2.5", certificate.UTCTimeNeeded: "RFC 5280 4.1.2.5",
	certificate.EmptyIssuer: "RFC 5280 4.1.2.4", certificate.EmptyKeyUsage: "RFC 5280 4.2.1.3",
	certificate.EmptyExtension: "RFC 5280 4.2", certificate.MalformedExtension: "RFC 5280 4.2",
	certificate.OrphanReasons: "RFC 5280 4.2.1.13", certificate.BadGeneralName: "RFC 5280 4.2.1.6",
	certificate.SubtreeBounds: "RFC 5280 4.2.1.10", certificate.PathLenWithoutCA: "RFC 5280 4.2.1.9",
	certificate.BadBoolean: "X.690 11.1", certificate.NonMinimalInteger: "X.690 8.3.2",
	certificate.AlgorithmMismatch: "RFC 5280 4.1.1.2", certificate.EmptySequenceOfExt: "RFC 5280 4.1.2.9",
	certificate.NegativeModulus: "RFC 8017 A.1.1", certificate.AnyPolicyMapped: "RFC 5280 4.2.1.5",
}

// serialLaxness is borne in anchors: roots with the serial number 0 are in use.
var serialLaxness = []certificate.Laxness{certificate.NegativeSerial, certificate.ZeroSerial, certificate.LongSerial}

func (l *linter) findings() {
	for i := range l.c.Findings {
		f := &l.c.Findings[i]
		detail := string(f.What)
		if f.Where != "" {
			detail += " (" + f.Where.String() + ")"
		}
		if clause := intolerable[f.What]; clause != "" {
			l.fail(clause, detail)
		}
		if slices.Contains(serialLaxness, f.What) && !l.anchor {
			l.fail("RFC 5280 4.1.2.2", detail)
		}
	}
	l.demand(l.c.IssuerUniqueID == nil && l.c.SubjectUniqueID == nil, "RFC 5280 4.1.2.8", "unique identifier")
}

// mustNotBeCritical and mustBeCritical hold the clause of each demand on criticality.
var mustNotBeCritical = map[certificate.OID]string{
	certificate.ExtAuthorityKeyID: "RFC 5280 4.2.1.1", certificate.ExtSubjectKeyID: "RFC 5280 4.2.1.2",
	certificate.ExtSubjectDirectoryAttributes: "RFC 5280 4.2.1.8", certificate.ExtFreshestCRL: "RFC 5280 4.2.1.15",
	certificate.ExtAuthorityInfoAccess: "RFC 5280 4.2.2.1", certificate.ExtSubjectInfoAccess: "RFC 5280 4.2.2.2",
}

var mustBeCritical = map[certificate.OID]string{
	certificate.ExtNameConstraints: "RFC 5280 4.2.1.10", certificate.ExtPolicyConstraints: "RFC 5280 4.2.1.11",
	certificate.ExtInhibitAnyPolicy: "RFC 5280 4.2.1.14",
}

func (l *linter) criticality() {
	for i := range l.c.Extensions {
		e := &l.c.Extensions[i]
		if clause := mustNotBeCritical[e.OID]; clause != "" && e.Critical {
			l.fail(clause, e.OID.String()+" is critical")
		}
		if l.server && e.OID == certificate.ExtNameConstraints {
			continue // the CA/Browser rules except it (7.1.2.5.2)
		}
		if clause := mustBeCritical[e.OID]; clause != "" && !e.Critical {
			l.fail(clause, e.OID.String()+" is not critical")
		}
	}
	if san := l.c.Extension(certificate.ExtSubjectAltName); l.c.Subject.Empty() && san != nil {
		l.demand(san.Critical, "RFC 5280 4.2.1.6", "subjectAltName is not critical, and the subject is empty")
	}
	if bc := l.c.Extension(certificate.ExtBasicConstraints); bc != nil && l.isCA() {
		l.demand(bc.Critical, "RFC 5280 4.2.1.9", "basicConstraints of a CA is not critical")
	}
}

func (l *linter) isCA() bool { return l.c.BasicConstraints != nil && l.c.BasicConstraints.CA }

// selfSigned tells a certificate that may do without an authority key identifier (RFC 5280 4.2.1.1): its own key signed it.
func (l *linter) selfSigned() bool {
	key, err := l.c.Key()
	if err != nil {
		return false
	}
	_, err = l.b.request.Cache.VerifyIssued(l.c, key, l.c.KeyFingerprint, func() error { return l.b.allow(key) })
	return err == nil
}

func (l *linter) keyIdentifiers() {
	if aki := l.c.AKI; aki == nil && !l.selfSigned() {
		l.fail("RFC 5280 4.2.1.1", "no authority key identifier")
	} else if aki != nil && aki.KeyID == nil && !l.selfSigned() {
		l.fail("RFC 5280 4.2.1.1", "authority key identifier without keyIdentifier")
	} else if aki != nil && (aki.Issuer == nil) != (aki.Serial == nil) {
		l.fail("RFC 5280 4.2.1.1", "authorityCertIssuer and authorityCertSerialNumber must come together")
	}
	l.demand(!l.isCA() || l.c.SKI != nil, "RFC 5280 4.2.1.2", "CA without a subject key identifier")
}

// authority checks that what may sign certificates says so in one voice.
func (l *linter) authority() {
	c := l.c
	if c.HasKeyUsage && c.KeyUsage&certificate.CertSign != 0 {
		l.demand(l.isCA(), "RFC 5280 4.2.1.9", "keyCertSign without cA")
	}
	if l.isCA() && c.HasKeyUsage && c.BasicConstraints.MaxPathLen >= 0 {
		l.demand(c.KeyUsage&certificate.CertSign != 0, "RFC 5280 4.2.1.9", "path length without keyCertSign")
	}
	l.demand(!l.isCA() || l.anchor || c.HasKeyUsage, "RFC 5280 4.2.1.3", "CA without key usage")
	l.demand(!l.isCA() || !c.Subject.Empty(), "RFC 5280 4.1.2.6", "CA with an empty subject")
	if !l.isCA() {
		l.demand(c.NameConstraints == nil, "RFC 5280 4.2.1.10", "name constraints in a certificate that is no CA's")
	}
}

func (l *linter) policies() {
	for i := range l.c.Policies {
		p := &l.c.Policies[i]
		for k := range p.Qualifiers {
			l.demand(p.Policy != certificate.AnyPolicy || p.Qualifiers[k].Known(), "RFC 5280 4.2.1.4", "qualifier of anyPolicy of an unknown kind")
		}
	}
}

func (l *linter) names() {
	if l.c.Subject.Empty() {
		l.demand(len(l.c.SAN) > 0, "RFC 5280 4.1.2.6", "neither subject nor subjectAltName")
	}
	for i := range l.c.SAN {
		g := &l.c.SAN[i]
		switch g.Kind {
		case certificate.DNSName:
			l.demand(validHost(string(g.Value), true), "RFC 5280 4.2.1.6", "malformed "+g.String())
		case certificate.EmailName:
			_, _, ok := splitMailbox(string(g.Value))
			l.demand(ok, "RFC 5280 4.2.1.6", "malformed "+g.String())
		case certificate.URIName:
			l.demand(absoluteURI(string(g.Value)), "RFC 5280 4.2.1.6", "malformed "+g.String())
		}
	}
}

// absoluteURI reports whether the text has a scheme and something after it.
func absoluteURI(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		switch {
		case s[i] == ':':
			return i > 0 && i+1 < len(s)
		case c >= 'a' && c <= 'z', i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'):
		default:
			return false
		}
	}
	return false
}

func (l *linter) constraintShape() {
	nc := l.c.NameConstraints
	if nc == nil {
		return
	}
	for _, trees := range [][]certificate.Subtree{nc.Permitted, nc.Excluded} {
		for i := range trees {
			base := &trees[i].Base
			ok := !base.Malformed
			switch base.Kind {
			case certificate.DNSName:
				ok = ok && (len(base.Value) == 0 || validHost(string(base.Value), false))
			case certificate.IPName:
				half := len(base.Value) / 2
				ok = ok && (half == 4 || half == 16) && len(base.Value) == 2*half && isPrefixMask(base.Value[half:])
			}
			l.demand(ok, "RFC 5280 4.2.1.10", "malformed constraint "+base.String())
		}
	}
}
