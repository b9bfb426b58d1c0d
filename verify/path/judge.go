package path

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// An outcome is what came of judging one complete path.
type outcome struct {
	chain      []*certificate.Certificate
	anchor     *Anchor
	reasons    []Reason
	notes      []string
	revocation []revocation.Result
	authority  []certificate.OID
	user       []certificate.OID
}

// A state holds the variables of RFC 5280 6.1.2 while a path is walked from the anchor to the target.
type state struct {
	b *builder
	o *outcome

	policies       policyGraph
	explicitPolicy int
	policyMapping  int
	inhibitAny     int
	maxPathLength  int
	constraints    constraintSet
	key            *algorithm.PublicKey // working_public_key with inherited parameters
	inherited      bool                 // the key is not the one in the issuer's certificate alone
	comparisons    int                  // left of the budget
}

// judge walks the path in b.chain below the anchor (RFC 5280 6.1.3 to 6.1.5). Every check is made even after one failed,
// so that the report is whole; revocation is asked last, and only of a path that is right.
func (b *builder) judge(a *Anchor) *outcome {
	o := &outcome{chain: slices.Clone(b.chain), anchor: a}
	s := state{b: b, o: o, policies: newPolicyGraph(), key: a.Key, comparisons: b.limits.Comparisons - b.spent.Comparisons}
	s.start(len(o.chain))
	s.admitAnchor(a)
	for i := len(o.chain) - 1; i >= 0 && !b.stop; i-- {
		s.process(i, o.chain[i])
	}
	b.spent.Comparisons = b.limits.Comparisons - s.comparisons
	if b.stop {
		return o
	}
	s.wrapUp()
	b.profile(o)
	if len(o.reasons) == 0 {
		b.revocation(o)
	}
	return o
}

// start sets the counters by the inputs (6.1.2 (d) to (f), (k)).
func (s *state) start(n int) {
	in := &s.b.request.Policies
	pick := func(zero bool) int {
		if zero {
			return 0
		}
		return n + 1
	}
	s.explicitPolicy, s.inhibitAny, s.policyMapping = pick(in.RequireExplicit), pick(in.InhibitAny), pick(in.InhibitMapping)
	s.maxPathLength = n
}

func (s *state) fail(code Code, i int, detail string) {
	c := (*certificate.Certificate)(nil)
	if i < len(s.o.chain) {
		c = s.o.chain[i]
	} else {
		c = s.o.anchor.Certificate
	}
	s.o.reasons = append(s.o.reasons, reason(code, c, i, detail))
}

// process takes one certificate of the path; 0 is the target.
func (s *state) process(i int, c *certificate.Certificate) {
	if !s.b.work(certificateCost + octetCost*int64(len(c.Raw))) {
		return
	}
	s.basics(i, c)
	selfIssued := i > 0 && c.SelfIssued()
	if !selfIssued {
		left := s.comparisons
		code, detail := s.constraints.check(c, &s.comparisons)
		if !s.b.work(comparisonCost * int64(left-s.comparisons)) {
			return
		}
		if code == Budget {
			s.b.giveUp(fmt.Sprintf("more than %d name comparisons", s.b.limits.Comparisons))
			return
		}
		if code != OK {
			s.fail(code, i, detail)
		}
	}
	s.policies.match(c.Policies, s.inhibitAny > 0 || selfIssued)
	if s.explicitPolicy == 0 && s.policies.null() {
		s.fail(PolicyMismatch, i, "a policy is required and none is left")
	}
	if i > 0 {
		s.prepare(i, c, selfIssued)
	}
	s.purposes(i, c)
}

// basics are the checks of 6.1.3 (a) but revocation, and of the certificate's own shape.
func (s *state) basics(i int, c *certificate.Certificate) {
	at := s.b.at
	if at.After(c.NotAfter) {
		s.fail(Expired, i, "on "+c.NotAfter.Format(time.RFC3339))
	}
	if at.Before(c.NotBefore) {
		s.fail(NotYetValid, i, "before "+c.NotBefore.Format(time.RFC3339))
	}
	scheme, _ := algorithm.FromCertificate(c.SignatureAlgorithm)
	if c.Has(certificate.AlgorithmMismatch) && !algorithm.SameIdentifiers(c.SignatureAlgorithm, c.TBSSignatureAlgorithm) {
		s.fail(AlgorithmMismatch, i, "")
	}
	if c.Has(certificate.BadVersion) {
		s.fail(BadVersion, i, "")
	}
	s.signature(i, c, scheme)
	s.extensions(i, c)
}

// signature judges the strength of the signature, and verifies it where building had to leave it open.
func (s *state) signature(i int, c *certificate.Certificate, scheme algorithm.Scheme) {
	if accept := s.b.request.Algorithm; accept != nil {
		at := s.b.at
		if exists := s.b.request.Existence; exists != nil {
			at = exists(c)
		}
		if ok, why := accept(scheme.Name(), s.key.Bits(), at); !ok {
			s.fail(WeakAlgorithm, i, why)
		}
	}
	var v verdict
	if s.inherited {
		if !s.b.pay(s.key) {
			return
		}
		v.notes, v.err = scheme.Verify(s.key, c.RawTBS, c.Signature)
	} else if s.b.verdicts != nil {
		v = s.b.verdicts[link{c, s.issuerDigest(i)}]
	}
	s.o.notes = append(s.o.notes, v.notes...)
	if v.err != nil {
		s.fail(BadSignature, i, v.err.Error())
	}
	s.follow(i, c)
}

func (s *state) issuerDigest(i int) [32]byte {
	if i+1 < len(s.o.chain) {
		return s.o.chain[i+1].KeyFingerprint
	}
	return s.o.anchor.digest
}

// follow makes the certificate's key the working key (6.1.4 (d) to (f)).
func (s *state) follow(i int, c *certificate.Certificate) {
	key, err := c.Key()
	switch {
	case errors.Is(err, algorithm.ErrMalformed):
		s.fail(BadKey, i, err.Error())
		return
	case err != nil && i > 0:
		s.fail(UnsupportedAlgorithm, i, err.Error())
		return
	case err != nil:
		return // what cannot be computed here may still be what the target's key is for
	}
	full := key.InheritParameters(s.key)
	s.inherited = full != key
	s.key = full
	if accept := s.b.request.Algorithm; accept != nil && i == 0 {
		if ok, why := accept(key.Name(), full.Bits(), s.b.at); !ok {
			s.fail(WeakKey, i, why)
		}
	}
}

// mustRead are the extensions that section 6 itself processes.
var mustRead = []certificate.OID{
	certificate.ExtBasicConstraints, certificate.ExtKeyUsage, certificate.ExtExtendedKeyUsage, certificate.ExtSubjectAltName,
	certificate.ExtNameConstraints, certificate.ExtCertificatePolicies, certificate.ExtPolicyMappings,
	certificate.ExtPolicyConstraints, certificate.ExtInhibitAnyPolicy,
}

// extensions refuses unknown critical ones, and malformed or repeated ones that must be processed.
func (s *state) extensions(i int, c *certificate.Certificate) {
	for k := range c.Extensions {
		e := &c.Extensions[k]
		switch {
		case e.Critical && !e.Known && c.Extension(e.OID) == e:
			s.fail(UnknownCritical, i, e.OID.String())
		case e.Malformed && (e.Critical || slices.Contains(mustRead, e.OID)):
			s.fail(BadExtension, i, e.OID.String())
		case e.Critical && e.OID == certificate.ExtCertificatePolicies && unknownQualifier(c):
			s.fail(UnknownCritical, i, "policy qualifier of an unknown kind")
		}
	}
	for k := range c.Findings {
		if f := &c.Findings[k]; f.What == certificate.DuplicateExtension {
			s.fail(BadExtension, i, f.Where.String()+" occurs twice")
		} else if f.What == certificate.EmptyExtension && (f.Where == certificate.ExtNameConstraints || f.Where == certificate.ExtSubjectAltName) {
			s.fail(BadExtension, i, f.Where.String()+" is empty")
		}
	}
	s.subtrees(i, c)
}

// subtrees refuses name constraints that nothing can be compared with, and critical ones that constrain nobody.
func (s *state) subtrees(i int, c *certificate.Certificate) {
	nc := c.NameConstraints
	if nc == nil {
		return
	}
	if why := unusable(nc); why != "" {
		s.fail(BadExtension, i, "name constraints with "+why)
	}
	ca := c.BasicConstraints != nil && c.BasicConstraints.CA
	if i == 0 && !ca && c.Extension(certificate.ExtNameConstraints).Critical {
		s.fail(BadExtension, i, "critical name constraints in a certificate that is no CA's")
	}
}

// unknownQualifier reports whether a policy has a qualifier that RFC 5280 4.2.1.4 does not define: where the extension is
// critical, that must be understood too.
func unknownQualifier(c *certificate.Certificate) bool {
	for i := range c.Policies {
		for k := range c.Policies[i].Qualifiers {
			if !c.Policies[i].Qualifiers[k].Known() {
				return true
			}
		}
	}
	return false
}

func unusable(nc *certificate.NameConstraints) string {
	for _, t := range slices.Concat(nc.Permitted, nc.Excluded) {
		if t.Bounds {
			return "minimum or maximum"
		}
		if t.Base.Malformed {
			return "a malformed " + t.Base.Kind.String()
		}
	}
	return ""
}

// prepare readies the state for the next certificate (6.1.4).
func (s *state) prepare(i int, c *certificate.Certificate, selfIssued bool) {
	s.mapPolicies(i, c)
	if c.NameConstraints != nil {
		s.constraints.list = append(s.constraints.list, c.NameConstraints)
	}
	if !selfIssued {
		decrement(&s.explicitPolicy)
		decrement(&s.policyMapping)
		decrement(&s.inhibitAny)
	}
	s.constrainPolicies(c)
	if c.BasicConstraints == nil || !c.BasicConstraints.CA {
		s.fail(NotACA, i, "")
	}
	if !selfIssued {
		if s.maxPathLength <= 0 {
			s.fail(PathTooLong, i, "path length constraint")
		}
		decrement(&s.maxPathLength)
	}
	if bc := c.BasicConstraints; bc != nil && bc.MaxPathLen >= 0 && bc.MaxPathLen < s.maxPathLength {
		s.maxPathLength = bc.MaxPathLen
	}
	if c.HasKeyUsage && c.KeyUsage&certificate.CertSign == 0 {
		s.fail(NotForCertSigning, i, "")
	}
}

func (s *state) mapPolicies(i int, c *certificate.Certificate) {
	if !s.policies.next(c.PolicyMappings, s.policyMapping == 0) {
		s.fail(BadPolicyMapping, i, "")
		s.policies.clear()
	}
}

func (s *state) constrainPolicies(c *certificate.Certificate) {
	if pc := c.PolicyConstraints; pc != nil {
		lowerTo(&s.explicitPolicy, pc.RequireExplicit)
		lowerTo(&s.policyMapping, pc.InhibitMapping)
	}
	if c.InhibitAnyPolicy != nil {
		lowerTo(&s.inhibitAny, *c.InhibitAnyPolicy)
	}
}

func decrement(n *int) {
	if *n > 0 {
		*n--
	}
}

func lowerTo(n *int, to int) {
	if to >= 0 && to < *n {
		*n = to
	}
}

// admitAnchor checks the anchor and takes its constraints as those of an issuing CA (RFC 5937).
func (s *state) admitAnchor(a *Anchor) {
	n := len(s.o.chain)
	if !a.inTime(s.b.at) {
		s.fail(AnchorOutOfTime, n, "")
	}
	if !a.Constraints {
		return
	}
	c := a.Certificate
	s.extensions(n, c)
	s.purposes(n, c)
	if len(c.Policies) > 0 {
		s.policies.match(c.Policies, s.inhibitAny > 0)
	}
	s.mapPolicies(n, c)
	s.constrainPolicies(c)
	if c.NameConstraints != nil {
		s.constraints.list = append(s.constraints.list, c.NameConstraints)
	}
	switch bc := c.BasicConstraints; {
	case bc == nil && a.BasicConstraints, bc != nil && !bc.CA:
		s.fail(NotACA, n, "")
	case bc != nil && bc.MaxPathLen >= 0 && bc.MaxPathLen < s.maxPathLength:
		s.maxPathLength = bc.MaxPathLen
	}
	if c.HasKeyUsage && c.KeyUsage&certificate.CertSign == 0 {
		s.fail(NotForCertSigning, n, "")
	}
}

// wrapUp finishes with the target (6.1.5) and with what the caller asked for.
func (s *state) wrapUp() {
	target := s.o.chain[0]
	decrement(&s.explicitPolicy)
	if pc := target.PolicyConstraints; pc != nil && pc.RequireExplicit == 0 {
		s.explicitPolicy = 0
	}
	s.o.authority = s.policies.authority()
	s.o.user = userConstrained(s.o.authority, s.b.request.Policies.Initial)
	if s.explicitPolicy == 0 && len(s.o.user) == 0 && !s.failed(PolicyMismatch) {
		s.fail(PolicyMismatch, 0, "no policy of the path is among those that are asked for")
	}
	if name := s.b.request.Name; name != nil && !name.heldBy(target) {
		s.fail(NameMismatch, 0, name.String())
	}
	if limit := s.b.request.MaxDepth; limit != nil {
		depth := 0
		for _, c := range s.o.chain[1:] {
			if !c.SelfIssued() {
				depth++
			}
		}
		if depth > *limit {
			s.fail(PathTooLong, len(s.o.chain)-1, fmt.Sprintf("%d intermediates, %d asked for", depth, *limit))
		}
	}
}

func (s *state) failed(code Code) bool {
	return slices.ContainsFunc(s.o.reasons, func(r Reason) bool { return r.Code == code })
}
