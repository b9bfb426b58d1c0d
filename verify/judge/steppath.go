package judge

import (
	"slices"
	"strings"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// constraintOf names the constraints of policies that the reasons of RFC 5280 are about.
var constraintOf = map[path.Code]policy.Name{
	path.RevocationUnknown: policy.AcceptableRevocationDataFound, path.Revoked: policy.NotRevoked, path.OnHold: policy.NotOnHold,
	path.WeakEvidence: policy.Cryptographic, path.WeakAlgorithm: policy.Cryptographic, path.WeakKey: policy.Cryptographic,
	path.Expired: policy.NotExpired, path.NotYetValid: policy.NotExpired, path.AnchorOutOfTime: policy.SunsetDate,
	path.NameMismatch: trace.CertificateValid, path.PurposeMismatch: policy.ExtendedKeyUsage,
	path.PolicyMismatch: policy.PolicyTree, path.BadPolicyMapping: policy.PolicyTree,
	path.NameNotPermitted: policy.NameConstraints, path.NameExcluded: policy.NameConstraints,
	path.PathTooLong: policy.MaxPathLength, path.NotACA: policy.CA, path.NotForCertSigning: policy.KeyUsage,
	path.UnknownCritical: policy.SupportedCriticalExtensions, path.BadSignature: policy.CertificateSignature,
	path.NoPath: policy.ProspectiveCertificateChain, path.NoAnchor: policy.ProspectiveCertificateChain,
}

// constraintOfSub names those that a certificate failed by what the newest evidence says, for which a path has no reason.
var constraintOfSub = map[SubIndication]policy.Name{
	RevokedNoPOE: policy.NotRevoked, RevokedCANoPOE: policy.NotRevoked, CryptoConstraintsNoPOE: policy.Cryptographic,
	ChainGeneralFailure: policy.RevocationDataAvailable, RevocationOutOfBounds: policy.RevocationIssuerNotExpired,
}

// certificateChecks are what a path asks of each certificate, authorityChecks of those that issue: they hold where no
// reason says otherwise.
var (
	certificateChecks = []policy.Name{policy.CertificateSignature, policy.IssuerName, policy.NotExpired, policy.SupportedCriticalExtensions,
		policy.PolicyTree, policy.NameConstraints}
	authorityChecks = []policy.Name{policy.CA, policy.MaxPathLength, policy.KeyUsage}
)

func nameOfReason(code path.Code) policy.Name {
	if n, ok := constraintOf[code]; ok {
		return n
	}
	return trace.CertificateValid
}

// path enters what became of a path: whether there is one, then each certificate, the signer's first.
func (v *validator) path(b *trace.Block, c policy.Context, chain *Chain) {
	r, first := &chain.Path, chain.Path.Reason()
	if r.Anchor == nil || first.Code >= path.BadKey {
		v.check(c, policy.ProspectiveCertificateChain, chain.Conclusion)
		return
	}
	v.check(c, policy.ProspectiveCertificateChain, passed())
	for i := range r.Chain {
		b.Blocks = append(b.Blocks, v.certificate(b, c, chain, i))
	}
	if a := r.Anchor.Certificate; a != nil && (len(r.Chain) == 0 || r.Chain[len(r.Chain)-1].Fingerprint != a.Fingerprint) {
		b.Blocks = append(b.Blocks, v.anchor(c, chain, a))
	}
}

// certificate is the block of the i-th certificate of a path.
func (v *validator) certificate(b *trace.Block, c policy.Context, chain *Chain, i int) trace.Block {
	cert, r := chain.Path.Chain[i], &chain.Path
	s := &sub{validator: v, context: c.CA(), block: v.steps.about(trace.SubCertificateValidation, cert)}
	if i == 0 {
		s.context = c.Signer()
	}
	s.block.Time = &chain.at
	s.block.Anchor = r.Anchor.Certificate != nil && r.Anchor.Certificate.Fingerprint == cert.Fingerprint
	conclusion := passed()
	for _, reason := range r.Reasons {
		if reason.Position != i {
			continue
		}
		s.not(nameOfReason(reason.Code), reason.String())
		conclusion = conclusion.then(func() Conclusion { return Conclusion{Indeterminate, OfPath(reason), []string{reason.String()}} })
	}
	if !chain.passed() && chain.decided == i {
		conclusion = Conclusion{Indeterminate, chain.SubIndication, slices.Clone(chain.Reasons)}
		if name, ok := constraintOfSub[chain.SubIndication]; ok && !s.has(name) {
			s.not(name, chain.Reasons[0])
		}
	}
	if held := s.heldAgainst(b); conclusion.passed() && !held.passed() {
		conclusion = held
	}
	if !s.block.Anchor {
		s.holding(cert, i, chain)
		s.revocation(cert, chain, i)
	}
	s.block.Conclusion = told(conclusion)
	explained(&s.block)
	return s.block
}

// heldAgainst takes over the constraints of policies that the path held the certificate against.
func (s *sub) heldAgainst(b *trace.Block) Conclusion {
	var rest []trace.Constraint
	c := passed()
	for _, t := range b.Constraints {
		if t.Object != s.block.Object {
			rest = append(rest, t)
			continue
		}
		t.Object = ""
		s.block.Constraints = append(s.block.Constraints, t)
		general := slices.ContainsFunc(ofExtensions, func(e constraint[link]) bool { return string(e.name) == t.Name })
		switch {
		case t.Status != trace.NotOK:
		case general:
			c = Conclusion{Indeterminate, ChainGeneralFailure, []string{t.Message}}
		case c.passed():
			c = Conclusion{Indeterminate, ChainConstraintsFailure, []string{t.Message}}
		}
	}
	b.Constraints = rest
	return c
}

// anchor is the block of an anchor above a path.
func (v *validator) anchor(c policy.Context, chain *Chain, a *certificate.Certificate) trace.Block {
	s := &sub{validator: v, context: c.CA(), block: v.steps.about(trace.SubCertificateValidation, a)}
	s.block.Anchor, s.block.Time = true, &chain.at
	conclusion := passed()
	for _, reason := range chain.Path.Reasons {
		if reason.Position == len(chain.Path.Chain) {
			s.not(nameOfReason(reason.Code), reason.String())
			conclusion = Conclusion{Indeterminate, OfPath(reason), []string{reason.String()}}
		}
	}
	if conclusion.passed() {
		s.met(policy.SunsetDate)
	}
	s.block.Conclusion = told(conclusion)
	return s.block
}

// about begins a block about a certificate within the innermost one.
func (s *Steps) about(kind trace.Kind, c *certificate.Certificate) trace.Block {
	id := CertificateID(c)
	return trace.Block{ID: s.object + "-" + string(kind) + "-" + id, Kind: kind, Object: id}
}

// sub is the block of a certificate in the making.
type sub struct {
	*validator
	context policy.Context
	block   trace.Block
}

func (s *sub) has(n policy.Name) bool {
	return slices.ContainsFunc(s.block.Constraints, func(c trace.Constraint) bool { return c.Name == string(n) })
}

func (s *sub) not(n policy.Name, why string) {
	s.block.Constraints = append(s.block.Constraints, entry(s.context, n, "", trace.NotOK, why))
}

func (s *sub) met(n policy.Name) {
	if s.steps.room > 0 && !s.has(n) {
		s.steps.room--
		s.block.Constraints = append(s.block.Constraints, entry(s.context, n, "", trace.OK, ""))
	}
}

// holding enters what nothing speaks against.
func (s *sub) holding(cert *certificate.Certificate, i int, chain *Chain) {
	for _, n := range certificateChecks {
		s.met(n)
	}
	if i > 0 {
		for _, n := range authorityChecks {
			s.met(n)
		}
	}
	ok := !s.has(policy.Cryptographic)
	s.met(policy.Cryptographic)
	for k := range s.block.Constraints {
		if t := &s.block.Constraints[k]; t.Name == string(policy.Cryptographic) {
			t.Crypto = s.crypto(s.context, certificateUse(cert, issuerKey(chain, i)), chain.certified[i], ok)
		}
	}
}

// certificateUse is the algorithm of the issuer's signature on a certificate.
func certificateUse(c *certificate.Certificate, key *algorithm.PublicKey) signature.AlgorithmUse {
	u := signature.AlgorithmUse{Purpose: "certificate"}
	if scheme, err := algorithm.FromCertificate(c.SignatureAlgorithm); err == nil {
		u.Algorithm = scheme.Name()
	}
	if key != nil {
		u.KeyBits = key.Bits()
	}
	return u
}

// issuerKey is the key that signed the i-th certificate of a path, nil where it is not known.
func issuerKey(chain *Chain, i int) *algorithm.PublicKey {
	if i+1 < len(chain.Path.Chain) {
		key, _ := chain.Path.Chain[i+1].Key()
		return key
	}
	if chain.Path.Anchor != nil {
		return chain.Path.Anchor.Key
	}
	return nil
}

// revocation enters what evidence says of the certificate, and how old that is.
func (s *sub) revocation(cert *certificate.Certificate, chain *Chain, i int) {
	if cert.ShortTerm() {
		return
	}
	r, asked := chain.Statuses[i]
	if !asked {
		return
	}
	switch {
	case len(r.Evidence) > 0:
		s.met(policy.RevocationDataAvailable)
	case chain.Path.Valid:
		status := statusOf(s.policy.Level(s.context, policy.RevocationDataAvailable))
		s.block.Constraints = append(s.block.Constraints, entry(s.context, policy.RevocationDataAvailable, "", status, string(r.Code)))
		return
	}
	if r.Status == revocation.Good {
		s.met(policy.AcceptableRevocationDataFound)
		s.met(policy.NotRevoked)
		s.met(policy.RevocationIssuerNotExpired)
	}
	s.freshness(cert, r, chain.at)
}

// freshness is the block of 5.2.5.
func (s *sub) freshness(cert *certificate.Certificate, r revocation.Result, at time.Time) {
	f := s.steps.about(trace.RevocationFreshness, cert)
	f.Time = &at
	t := entry(s.context, policy.RevocationFreshnessNextUpdate, "", trace.OK, "")
	outcome := passed()
	switch i := slices.IndexFunc(r.Notes, aged); {
	case s.policy.Level(asked(s.context-s.context%3).Signer(), policy.RevocationFreshnessNextUpdate) == policy.Ignore:
		t.Status = trace.Ignored
	case i >= 0:
		t.Status, t.Message = trace.Warning, prose.Text(r.Notes[i])
	case r.Code == revocation.Stale || r.Code == revocation.NoNextUpdate:
		t.Status, t.Message = trace.NotOK, prose.Text(string(r.Code)+": "+r.Detail)
		outcome = Conclusion{Indeterminate, TryLater, []string{t.Message}}
	case r.Status != revocation.Good && r.Status != revocation.Revoked:
		return // nothing whose age could be asked for
	}
	f.Conclusion, f.Constraints = told(outcome), []trace.Constraint{t}
	s.block.Blocks = append(s.block.Blocks, f)
}

// aged reports whether a note is about the age of evidence.
func aged(note string) bool {
	return strings.Contains(note, string(revocation.Stale)) || strings.Contains(note, string(revocation.NoNextUpdate))
}
