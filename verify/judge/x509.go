package judge

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/revocation"
	"trustcore/verify/trustlist"
)

// Chain is the outcome of X.509 certificate validation of a signer or a time-stamping unit.
type Chain struct {
	Conclusion
	Path  path.Result
	Notes []string
	// Covered is true where the document itself carries revocation information about every certificate below the anchor,
	// as the levels from LT on ask for.
	Covered bool

	// Statuses are what evidence says of the certificates of the path, by position, where it was asked.
	Statuses map[int]revocation.Result

	// TryAgain is when evidence that is missing may be had at the earliest; zero where waiting does not help.
	TryAgain time.Time

	revokedAt time.Time   // when the target was revoked, where that is why it did not pass
	suspended bool        // a certificate was on hold, and that is why it did not pass
	at        time.Time   // at which it was asked
	certified []time.Time // when the certificates of the path count as existing, for a trace alone
	decided   int         // the position of the certificate that did not pass, -1 for none
}

// subject is whose chain is asked for, and what is at hand for it.
type subject struct {
	certificate *certificate.Certificate
	carried     carried
	beside      carried        // what else the document holds
	context     policy.Context // of what is signed
	longTerm    bool           // whether proofs of existence of certificates count (5.6.2), see longTerm
}

// x509 validates the certificate's path at a time (EN 319 102-1 5.2.6): every certificate must have been valid then, and
// not revoked before it as far as the newest evidence tells. Evidence and certificates count in whole seconds, so the
// fraction of a time-stamp's is dropped: what was issued in the same second serves.
func (v *validator) x509(s subject, at time.Time) *Chain {
	data := v.validationData(s)
	request := path.Request{
		Target: s.certificate, Pool: data.pool, Anchors: v.ev.Lists.Anchors(), Time: at.Truncate(time.Second),
		Algorithm: v.basis.judged(v.ofPath(s.context)), DirectTrust: true, Budget: v.budget, Cache: v.ev.Cache,
	}
	request.Existence = v.certified(s, request.Time)
	v.basis.begin(data, s.certificate, request.Anchors, request.Time, v.at)
	if s.context == policy.Timestamp {
		request.Purposes, request.PurposeRule = []certificate.OID{certificate.PurposeTimeStamping}, path.PurposeAlone
		if !v.refuses(policy.Product, policy.TimestampUnitPurposeAlone) {
			request.PurposeRule = path.PurposeStated
		}
	}
	request.Revocation = v.revocationRule(data, request.Time, v.freshness(s.context))
	x := &x509{validator: v, data: data, context: s.context, request: request, decided: -1,
		result: path.Validate(v.budget.Context(), request)}
	x.withoutEvidence()
	c := &Chain{Path: x.result, Notes: x.notes(), Covered: x.covered(), at: at}
	if x.result.Valid {
		asked, told := x.constraints()
		c.Conclusion = x.signersOfEvidence().then(x.sliding).then(func() Conclusion { return asked })
		c.Notes = append(c.Notes, told...)
	} else {
		c.Conclusion = x.conclude()
	}
	c.revokedAt, c.decided, c.Statuses = x.revokedAt, x.decided, x.statuses
	c.suspended = x.suspended && c.SubIndication == TryLater
	for _, of := range x.result.Chain {
		if t := x.ev.Later[of.Fingerprint]; t.After(c.TryAgain) {
			c.TryAgain = t
		}
	}
	if v.steps != nil {
		c.gathered()
		for _, of := range x.result.Chain {
			c.certified = append(c.certified, request.Existence(of))
		}
	}
	return c
}

// x509 is one path, the question that it answers and the evidence for it.
type x509 struct {
	*validator
	data    *validationData
	context policy.Context // of what is signed
	request path.Request
	result  path.Result

	revokedAt time.Time // when the target was revoked, once that is known
	suspended bool      // a certificate was on hold, see Chain
	decided   int       // see Chain
	statuses  map[int]revocation.Result
}

// gathered adds what the path asked to the statuses.
func (c *Chain) gathered() {
	for i, r := range c.Path.Revocation {
		if _, weighed := c.Statuses[i]; !weighed {
			c.Statuses = with(c.Statuses, i, r)
		}
	}
}

// with adds to a map that may be nil.
func with(m map[int]revocation.Result, i int, r revocation.Result) map[int]revocation.Result {
	if m == nil {
		m = map[int]revocation.Result{}
	}
	m[i] = r
	return m
}

// notes are those of the path and of the evidence that was relied on, and tell where there is none.
func (x *x509) notes() []string {
	list := slices.Clone(x.result.Notes)
	for i, r := range x.result.Revocation {
		if level := x.available(i); !r.Named && r.Code == revocation.NoEvidence && level > policy.Ignore && level < policy.Fail {
			list = append(list, fmt.Sprintf("nothing is known of a revocation of %s: %s",
				prose.Name(x.result.Chain[i].Subject.String()), r.Code))
		}
		for _, n := range r.Notes {
			if !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	return list
}

// signersOfEvidence checks the signers of all evidence that a valid path rests on.
func (x *x509) signersOfEvidence() Conclusion {
	c := passed()
	for i, r := range x.result.Revocation {
		if c.passed() {
			if c = x.signerOfEvidence(i, r); !c.passed() {
				x.decided = i
			}
		}
	}
	return c
}

// signerOfEvidence checks that whoever signed the evidence about the i-th certificate had a valid certificate when the
// evidence is proven to have existed: a key that has run out may have signed it afterwards, the issuing key too
// (5.2.6.4). Anchors and trusted responders count as long as their list says so: what nothing proves to be from before the
// end of an anchor rests on nobody's word, whoever below that anchor signed it (5.6.2.2.4).
func (x *x509) signerOfEvidence(i int, r revocation.Result) Conclusion {
	signers, proven := slices.Clone(r.Signers), time.Time{}
	if r.ByIssuer && i+1 < len(x.result.Chain) {
		signers = append(signers, x.result.Chain[i+1])
	}
	for _, piece := range r.Evidence {
		x.basis.proven(piece, x.existence.proven[piece])
		if t := x.existence.earliest(piece); t.After(proven) {
			proven = t
		}
	}
	if a := x.result.Anchor; a != nil && a.Certificate != nil && len(r.Evidence) > 0 && !x.trusted(a.Certificate, proven) {
		return indeterminate(NoCertificateChainNoPOE, "the trusted list vouches for %s no longer, and nothing proves that the "+
			"revocation information is older", prose.Name(a.Certificate.Subject.CommonName()))
	}
	for _, signer := range signers {
		if signer.NotAfter.Before(r.ThisUpdate) && !x.ev.Lists.Responder(signer) {
			return indeterminate(ChainGeneralFailure, "the revocation information is of %s, and the certificate of %s, which signed it, "+
				"ended on %s", r.ThisUpdate.UTC().Format(time.RFC3339), prose.Name(signer.Subject.CommonName()), signer.NotAfter.Format(time.RFC3339))
		}
		if signer.NotAfter.Before(proven) && !x.ev.Lists.Responder(signer) {
			return indeterminate(RevocationOutOfBounds, "the certificate of %s, which signed the revocation information, "+
				"ended on %s, and nothing proves that the information is older",
				prose.Name(signer.Subject.CommonName()), signer.NotAfter.Format(time.RFC3339))
		}
	}
	return passed()
}

// trusted tells whether the certificate of an anchor, as any of the services that it stands for, may end a path at the time.
func (x *x509) trusted(c *certificate.Certificate, at time.Time) bool {
	return slices.ContainsFunc(x.ev.Lists.Holding(c), func(a trustlist.Anchor) bool { return a.TrustedAt(at) })
}

// conclude turns the reasons of a path that is not valid into an indication. What leads to no anchor, or to one that is
// not trusted at the time, comes first; then the certificates in turn, the signer's first.
func (x *x509) conclude() Conclusion {
	c := Conclusion{Indication: Indeterminate}
	for _, r := range x.result.Reasons {
		c.Reasons = append(c.Reasons, r.String())
	}
	first := x.result.Reason()
	switch {
	case x.result.Anchor == nil || first.Code >= path.BadKey:
		c.SubIndication = OfPath(first)
	case slices.ContainsFunc(x.result.Reasons, func(r path.Reason) bool { return r.Code == path.AnchorOutOfTime }):
		c.SubIndication = NoCertificateChainNoPOE
	default:
		for i := range x.result.Chain {
			if sub, why := x.weigh(i); sub != "" {
				c.SubIndication, x.decided = sub, i
				if why != "" {
					c.Reasons = append([]string{why}, c.Reasons...)
				}
				break
			}
		}
	}
	if c.SubIndication == "" {
		c.SubIndication = ChainGeneralFailure
	}
	return c
}

// weigh says what is wrong with the i-th certificate of the path, in the order in which the checks are made: revocation,
// constraints and algorithms, validity, the signer of the evidence, the strength of the target's own key, which is the
// signature's (EN 319 102-1 5.2.6.4, 5.2.8). why is set where the path has no reason of its own.
func (x *x509) weigh(i int) (sub SubIndication, why string) {
	status := x.status(x.data, i)
	if x.steps != nil {
		x.statuses = with(x.statuses, i, status)
	}
	if sub, why := x.revoked(i, status); sub != "" {
		return sub, why
	}
	signers := x.signerOfEvidence(i, status)
	if signers.SubIndication == ChainGeneralFailure {
		return ChainGeneralFailure, signers.Reasons[0]
	}
	expired, late, weak := false, false, false
	for _, r := range x.result.Reasons {
		switch {
		case r.Position != i:
		case r.Code == path.RevocationUnknown:
			late = true
		case r.Code == path.Expired || r.Code == path.NotYetValid:
			expired = true
		case r.Code == path.WeakKey:
			weak = true
		default:
			return OfPath(r), ""
		}
	}
	switch {
	case expired && i == 0 && status.Status == revocation.Good && signers.passed():
		return OutOfBoundsNotRevoked, ""
	case expired:
		return OutOfBoundsNoPOE, ""
	case !signers.passed():
		return signers.SubIndication, signers.Reasons[0]
	case weak:
		return CryptoConstraintsNoPOE, ""
	case late:
		return TryLater, ""
	}
	return "", ""
}

// revoked judges what the newest evidence says about the i-th certificate.
func (x *x509) revoked(i int, status revocation.Result) (sub SubIndication, why string) {
	name := func() string { return prose.Name(x.result.Chain[i].Subject.String()) }
	switch {
	case status.Status == revocation.Revoked && !status.RevocationTime.After(x.request.Time) && status.Reason == revocation.CertificateHold:
		x.suspended = true
		return TryLater, fmt.Sprintf("%s has been on hold since %s", name(), status.RevocationTime.UTC().Format(time.RFC3339))
	case status.Status == revocation.Revoked && !status.RevocationTime.After(x.request.Time):
		if sub = RevokedCANoPOE; i == 0 {
			sub, x.revokedAt = RevokedNoPOE, status.RevocationTime
		}
		return sub, fmt.Sprintf("%s was revoked on %s", name(), status.RevocationTime.UTC().Format(time.RFC3339))
	case status.Status == revocation.Good || status.Status == revocation.Revoked:
		return "", ""
	case !status.Named && x.available(i) < policy.Fail:
		return "", ""
	case status.Code == revocation.WeakAlgorithm:
		return CryptoConstraintsNoPOE, fmt.Sprintf("the revocation information for %s may not be relied on: %s", name(), status.Detail)
	case status.Code.Outdated():
		return "", ""
	}
	if sub = ChainGeneralFailure; !x.ev.Later[x.result.Chain[i].Fingerprint].IsZero() {
		sub = TryLater // its sources may tell it yet (5.1.3)
	}
	return sub, fmt.Sprintf("no revocation information that serves is at hand for %s: %s", name(), status.Code)
}

// covered reports whether the document's own evidence says something about every certificate of the path below the
// anchor, and about whoever signed that evidence.
func (x *x509) covered() bool {
	own := x.data.ofDocument()
	for i, c := range x.result.Chain {
		if x.listed(c) || x.result.Anchor == nil && c.SelfIssued() {
			break
		}
		st := x.status(own, i)
		switch {
		case st.Status == revocation.Good:
		case st.Named && x.delegateUnknown(own, i), !st.Named && !x.heardOf(own, i):
			return false
		}
	}
	return true
}

// delegateUnknown reports whether the evidence about the i-th certificate is of a responder whose own certificate needs
// evidence (RFC 6960 4.2.2.2.1), and there is none about that.
func (x *x509) delegateUnknown(d *validationData, i int) (unknown bool) {
	q, rule := x.question(d, i)
	about := q
	q.DelegateRevoked = func(delegate *certificate.Certificate) error {
		about.Certificate = delegate
		unknown = unknown || !rule.Check(about, d.responses, d.crls).Named
		return nil
	}
	rule.Check(q, d.responses, d.crls)
	return unknown
}

// heardOf reports whether there is evidence about a last certificate whose issuer is not at hand, so that nobody can say
// what it is worth.
func (x *x509) heardOf(d *validationData, i int) bool {
	c := x.result.Chain[i]
	if i == 0 || i+1 < len(x.result.Chain) || x.result.Anchor != nil {
		return false
	}
	return slices.ContainsFunc(d.crls, func(l *revocation.CRL) bool { return l.Issuer.Equal(c.Issuer) }) ||
		slices.ContainsFunc(d.responses, func(r *revocation.Response) bool {
			return slices.ContainsFunc(r.Singles, func(s revocation.Single) bool { return bytes.Equal(s.Serial, c.Serial) })
		})
}

// listed reports whether the certificate itself is that of a trust service, of whatever type.
func (v *validator) listed(c *certificate.Certificate) bool { return len(v.ev.Lists.Holding(c)) > 0 }

// evidenceCost is what it costs to ask one piece of evidence about one certificate, its signature aside.
const evidenceCost = 2_000

// status is what the newest of the evidence says about the i-th certificate of the path, of whatever age: the path asks
// only where everything else holds. Certificates for which none is published are good.
func (x *x509) status(d *validationData, i int) revocation.Result {
	r := &x.result
	if x.budget.Work(evidenceCost*int64(1+len(d.responses)+len(d.crls))) != nil {
		return revocation.Result{}
	}
	if r.Chain[i].ShortTerm() {
		return revocation.Result{Status: revocation.Good}
	}
	all := len(d.crls) == len(x.data.crls) && len(d.responses) == len(x.data.responses)
	if i < len(r.Revocation) && r.Revocation[i].Named && all {
		return r.Revocation[i]
	}
	if i+1 == len(r.Chain) && r.Anchor == nil {
		return revocation.Result{} // who issued it is not known
	}
	q, rule := x.question(d, i)
	if q.IssuerKey == nil {
		return revocation.Result{}
	}
	return rule.Check(q, d.responses, d.crls)
}

// question asks about the i-th certificate of the path, with evidence of whatever age.
func (x *x509) question(d *validationData, i int) (revocation.Question, *path.RevocationRule) {
	request := x.request
	request.Revocation = x.revocationRule(d, x.at, policy.Ignore)
	return request.Question(x.budget.Context(), x.result.Chain, x.result.Anchor, i), request.Revocation
}

// Certificates is the path with its anchor, the target first.
func (c *Chain) Certificates() []*certificate.Certificate {
	list := slices.Clone(c.Path.Chain)
	if a := c.Path.Anchor; a != nil && a.Certificate != nil {
		list = append(list, a.Certificate)
	}
	return list
}
