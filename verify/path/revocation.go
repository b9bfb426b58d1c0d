package path

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// A RevocationRule says which evidence there is and how it is judged. It must be pure: the same question gets the same
// evidence.
type RevocationRule struct {
	// Evidence returns what is at hand about the question's certificate; more than that does no harm.
	Evidence func(q *revocation.Question) ([]*revocation.Response, []*revocation.CRL)

	// Required refuses a certificate without usable evidence. Without it only evidence that names the certificate counts:
	// it must be usable and good, and a certificate that none names passes.
	Required bool
	// ShortTerm passes certificates that say no revocation information is published for them, see certificate.ShortTerm.
	ShortTerm bool

	Freshness         *time.Duration // see revocation.Question
	MaxAge            time.Duration
	WithoutNextUpdate time.Duration
	IssuedAfter       time.Time
	AfterIssuance     bool
	Skew              time.Duration

	// Check answers a question from the evidence; nil is revocation.Check.
	Check func(q revocation.Question, responses []*revocation.Response, crls []*revocation.CRL) revocation.Result

	// Acceptable judges the algorithms that good evidence rests on, each at the time at which its object is proven to have
	// existed; nil takes Request.Algorithm at the validation time.
	Acceptable func(u revocation.Use) (ok bool, reason string)

	// LocalResponder says whether a responder is trusted by configuration, such as a trusted list's service; nil: none.
	LocalResponder func(responder *certificate.Certificate) bool
	// Responders are certificates to look for responders in, beside the pool: those of a trusted list's services.
	Responders []*certificate.Certificate
}

// signers remembers which CRL issuers and responders were validated below one call of Validate.
type signers struct {
	done    map[*certificate.Certificate]error
	active  []*certificate.Certificate
	assumed int // lowest index in active that a result leaned on, len(active) when none
}

// maxSignerDepth bounds CRL issuers of CRL issuers; real ones stop at the first.
const maxSignerDepth = 8

// revocation asks for every certificate of the path, the anchor's side first.
func (b *builder) revocation(o *outcome) {
	rule := b.request.Revocation
	if rule == nil {
		return
	}
	o.revocation = make([]revocation.Result, len(o.chain))
	for i := len(o.chain) - 1; i >= 0 && !b.stop; i-- {
		c := o.chain[i]
		if rule.ShortTerm && c.ShortTerm() {
			o.revocation[i] = revocation.Result{Status: revocation.Good, Detail: "no revocation information is published"}
			continue
		}
		q := b.question(o, i)
		result := b.ask(q)
		o.revocation[i] = result
		if code := codeOf(result, rule.Required); code != OK {
			o.reasons = append(o.reasons, reason(code, c, i, describe(result)))
			return // what the certificates below say has no weight any more
		}
	}
}

// codeOf reads a result under the rule.
func codeOf(r revocation.Result, required bool) Code {
	switch {
	case r.Status == revocation.Good:
		return OK
	case r.Status == revocation.Revoked && r.Reason == revocation.CertificateHold:
		return OnHold
	case r.Status == revocation.Revoked:
		return Revoked
	case !required && !r.Named:
		return OK
	case r.Code == revocation.WeakAlgorithm:
		return WeakEvidence
	}
	return RevocationUnknown
}

func describe(r revocation.Result) string {
	text := string(r.Code)
	if r.Status == revocation.Revoked && !r.RevocationTime.IsZero() {
		text += " since " + r.RevocationTime.Format(time.RFC3339)
	}
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	return text
}

// Question is what Validate asks about the i-th certificate of a chain below the anchor: for whoever looks for evidence,
// or wants to know of revocation though the path is not valid. Without an anchor the last certificate's issuer is not
// known, and its IssuerKey is nil. It lives as long as the context and the request's budget.
func (r Request) Question(ctx context.Context, chain []*certificate.Certificate, anchor *Anchor, i int) revocation.Question {
	return newBuilder(ctx, &r).question(&outcome{chain: chain, anchor: anchor}, i)
}

// question asks about the i-th certificate of the path.
func (b *builder) question(o *outcome, i int) revocation.Question {
	rule := b.request.Revocation
	q := revocation.Question{
		Certificate: o.chain[i], Time: b.request.Time, Freshness: rule.Freshness, MaxAge: rule.MaxAge,
		WithoutNextUpdate: rule.WithoutNextUpdate, IssuedAfter: rule.IssuedAfter, AfterIssuance: rule.AfterIssuance,
		Skew: rule.Skew, LocalResponder: rule.LocalResponder, Responders: b.responders(), Strict: b.request.Profile != ProfilePath,
		Acceptable: b.acceptable(), Budget: b.request.Budget, Verify: b.verifyEvidence,
	}
	if i+1 < len(o.chain) {
		q.Issuer = o.chain[i+1]
		q.IssuerName, q.IssuerKey = q.Issuer.Subject, b.workingKey(o, i+1)
	} else if o.anchor != nil {
		q.Issuer, q.IssuerName, q.IssuerKey = o.anchor.Certificate, o.anchor.Name, o.anchor.Key
	}
	q.CRLIssuers = func(name certificate.Name) []*certificate.Certificate {
		named := b.request.Pool.Named(name)
		if o.anchor != nil && o.anchor.Certificate != nil && o.anchor.Certificate.Subject.Equal(name) {
			named = append(slices.Clip(named), o.anchor.Certificate)
		}
		return named
	}
	q.Trusted = func(signer *certificate.Certificate) error { return b.authorise(o, i, signer) }
	q.DelegateRevoked = b.delegateRevoked(q, maxDelegates)
	return q
}

// responders are the certificates in which one may be found that is not in its answer.
func (b *builder) responders() []*certificate.Certificate {
	if b.mayRespond == nil {
		b.mayRespond = append(slices.Clip(b.request.Pool.All()), b.request.Revocation.Responders...)
	}
	return b.mayRespond
}

// acceptable judges the signatures of evidence.
func (b *builder) acceptable() func(revocation.Use) (bool, string) {
	rule, accept := b.request.Revocation, b.request.Algorithm
	if rule.Acceptable != nil || accept == nil {
		return rule.Acceptable
	}
	return func(u revocation.Use) (bool, string) { return accept(u.Algorithm, u.Bits, b.request.Time) }
}

// maxDelegates bounds delegates that vouch for delegates: the last one's status must come from the issuer or a list.
const maxDelegates = 2

// delegateRevoked asks about a delegate without id-pkix-ocsp-nocheck. What is known of it must be good.
func (b *builder) delegateRevoked(q revocation.Question, more int) func(*certificate.Certificate) error {
	return func(delegate *certificate.Certificate) error {
		if more == 0 {
			return errors.New("delegates vouch for each other")
		}
		about := q
		about.Certificate, about.DelegateRevoked = delegate, b.delegateRevoked(q, more-1)
		if code := codeOf(b.ask(about), b.request.Revocation.Required); code != OK {
			return errors.New("responder's certificate: " + code.String())
		}
		return nil
	}
}

// verifyEvidence verifies a signature over a CRL or an OCSP response, within the budgets and with the cache.
func (b *builder) verifyEvidence(
	scheme algorithm.Scheme, key *algorithm.PublicKey, signed revocation.Signed,
) ([]string, error) {
	if !b.work(budget.Octet * int64(len(signed.Message))) { // it is hashed to be found, too
		return nil, errBudget
	}
	return b.request.Cache.Verify(scheme, key, signed, func() error { return b.allow(key) })
}

func (b *builder) ask(q revocation.Question) revocation.Result {
	rule := b.request.Revocation
	responses, crls := rule.Evidence(&q)
	check := rule.Check
	if check == nil {
		check = revocation.Check
	}
	result := check(q, responses, crls)
	b.work(0) // it gives up where the look through the evidence spent the rest
	return result
}

// workingKey returns the key of the i-th certificate with the parameters that it may inherit.
func (b *builder) workingKey(o *outcome, i int) *algorithm.PublicKey {
	var key *algorithm.PublicKey
	if o.anchor != nil {
		key = o.anchor.Key
	}
	for k := len(o.chain) - 1; k >= i; k-- {
		own, err := o.chain[k].Key()
		if err != nil {
			return nil
		}
		key = own.InheritParameters(key)
	}
	return key
}

// authorise validates the path of a signer of evidence about the i-th certificate to the same anchor (RFC 5280 6.3.3 (f)),
// its revocation included. A signer whose path is being validated further up counts as valid, so that a CRL may cover the
// certificate of its own signer.
func (b *builder) authorise(o *outcome, i int, signer *certificate.Certificate) error {
	for _, above := range o.chain[i+1:] {
		if above.Fingerprint == signer.Fingerprint {
			return nil // its path is part of this one and was judged before
		}
	}
	if o.anchor == nil {
		return errors.New("the path leads to no anchor")
	}
	if a := o.anchor.Certificate; a != nil && a.Fingerprint == signer.Fingerprint {
		return nil
	}
	if b.signers == nil {
		b.signers = &signers{done: map[*certificate.Certificate]error{}}
	}
	s := b.signers
	if err, ok := s.done[signer]; ok {
		return err
	}
	for k, active := range s.active {
		if active.Fingerprint == signer.Fingerprint {
			s.assumed = min(s.assumed, k)
			return nil
		}
	}
	if len(s.active) >= maxSignerDepth {
		return fmt.Errorf("more than %d signers of evidence in a row", maxSignerDepth)
	}
	return b.validateSigner(o.anchor, signer)
}

func (b *builder) validateSigner(anchor *Anchor, signer *certificate.Certificate) error {
	s := b.signers
	depth, outer := len(s.active), s.assumed
	s.active, s.assumed = append(s.active, signer), depth+1
	request := Request{
		Target: signer, Pool: b.request.Pool, Time: b.request.Time, Profile: ProfilePath, Cache: b.request.Cache,
		Anchors:    &Anchors{byName: map[string][]*Anchor{anchor.Name.Canonical(): {anchor}}},
		Revocation: b.request.Revocation, Algorithm: b.request.Algorithm, Existence: b.request.Existence, Limits: b.request.Limits, Budget: b.request.Budget,
	}
	below := newBuilder(b.ctx, &request)
	below.spent, below.verdicts, below.signers = b.spent, b.verdicts, s
	below.push(signer)
	below.extend()
	s.active = s.active[:depth]
	var err error
	if below.valid == nil {
		err = fmt.Errorf("path of %s: %s", signer.Subject, below.best.reasons[0])
		if below.best.reasons[0].Code == Budget {
			b.giveUp(below.best.reasons[0].Detail)
		}
	}
	if s.assumed >= depth {
		s.done[signer] = err // it leans on nothing that is still open
	}
	s.assumed = min(s.assumed, outer)
	return err
}
