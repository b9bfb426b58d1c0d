package path

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// A builder searches depth first from the target towards the anchors and judges each complete path.
type builder struct {
	ctx     context.Context
	request *Request
	at      time.Time // the validation time in whole seconds: that is how certificates count
	limits  Limits
	spent   *Limits // shared with the validations of CRL issuers and responders below this one

	chain    []*certificate.Certificate // target first
	verdicts map[link]verdict
	signers  *signers

	mayRespond []*certificate.Certificate // once they were asked for

	valid *outcome
	best  failure
	stop  bool
}

// A link is a certificate and the digest of a key that may have signed it.
type link struct {
	child  *certificate.Certificate
	issuer [32]byte
}

// A verdict is what came of verifying one link.
type verdict struct {
	err   error
	notes []string
}

// deferred reports that the key needs the parameters of its own issuer, which is known once the path is complete.
func (v verdict) deferred() bool { return errors.Is(v.err, algorithm.ErrNeedsParameters) }

// A failure is why a path is not valid, kept for the best one.
type failure struct {
	chain   []*certificate.Certificate
	anchor  *Anchor
	reasons []Reason
	outcome *outcome
}

// errBudget stops the search.
var errBudget = errors.New("budget spent")

func newBuilder(ctx context.Context, r *Request) *builder {
	return &builder{
		ctx: ctx, request: r, at: r.Time.Truncate(time.Second), limits: r.Limits.withDefaults(), spent: &Limits{},
		chain: make([]*certificate.Certificate, 0, 8),
	}
}

func (b *builder) push(c *certificate.Certificate) { b.chain = append(b.chain, c) }

func (b *builder) pop() { b.chain = b.chain[:len(b.chain)-1] }

// direct returns the anchor that the target is itself, one of its time or any; nil when there is none.
func (b *builder) direct(inTime bool) *Anchor {
	for _, a := range b.request.Anchors.named(b.request.Target.Subject) {
		if a.Certificate != nil && a.Certificate.Fingerprint == b.request.Target.Fingerprint && (!inTime || a.inTime(b.at)) {
			return a
		}
	}
	return nil
}

// trusted judges a target that is itself an anchor: what its list or administrator says of it stands, but neither after its
// time nor for a purpose that is not its own.
func (b *builder) trusted(a *Anchor) Result {
	target := b.request.Target
	s := state{b: b, o: &outcome{chain: []*certificate.Certificate{target}, anchor: a}}
	s.purposes(0, target)
	if !a.inTime(b.at) {
		s.fail(AnchorOutOfTime, 0, "")
	}
	return Result{Valid: len(s.o.reasons) == 0, Anchor: a, Chain: s.o.chain, Reasons: s.o.reasons, Spent: *b.spent}
}

// What is spent of the document's budget beside signatures: for a candidate, for a certificate of a complete path with an octet
// of it, and for a comparison of names.
const (
	candidateCost   = 200
	certificateCost = 2_000
	octetCost       = 10
	comparisonCost  = 200
)

// A candidate is a possible issuer of the certificate at the top of the chain.
type candidate struct {
	anchor      *Anchor
	certificate *certificate.Certificate // of an intermediate
	rank        int
}

// extend tries every issuer of the top of the chain, the likeliest first; true when the search is over.
func (b *builder) extend() bool {
	top := b.chain[len(b.chain)-1]
	candidates := b.candidates(top)
	if b.stop {
		return true
	}
	if len(candidates) == 0 {
		b.fail(failure{reasons: []Reason{reason(NoPath, top, len(b.chain)-1, "issued by "+top.Issuer.String())}})
		return false
	}
	signed := false
	var last error
	for _, c := range candidates {
		v, ok := b.verify(top, c)
		if !ok {
			return true
		}
		if v.err != nil && !v.deferred() {
			if last == nil || errors.Is(last, algorithm.ErrKeyMismatch) {
				last = v.err
			}
			continue
		}
		signed = true
		if b.take(c) {
			return true
		}
	}
	if !signed {
		b.fail(failure{reasons: []Reason{b.unsigned(top, last)}})
	}
	return false
}

// take follows a candidate whose key signed the top of the chain; true when the search is over.
func (b *builder) take(c candidate) bool {
	if c.anchor != nil {
		return b.complete(c.anchor)
	}
	if len(b.chain) >= b.limits.Depth {
		b.fail(failure{reasons: []Reason{reason(PathTooLong, c.certificate, len(b.chain), fmt.Sprintf("more than %d certificates", b.limits.Depth))}})
		return false
	}
	b.push(c.certificate)
	done := b.extend()
	b.pop()
	return done
}

func (b *builder) unsigned(top *certificate.Certificate, err error) Reason {
	code := BadSignature
	if errors.Is(err, algorithm.ErrUnsupported) || errors.Is(err, algorithm.ErrMalformed) {
		code = UnsupportedAlgorithm
	}
	detail := ""
	if err != nil {
		detail = err.Error()
	}
	return reason(code, top, len(b.chain)-1, detail)
}

// candidates returns the anchors and certificates with the issuer's name, best first. A certificate whose name and key
// are on the chain already is left out: the path without the loop is shorter and as good.
func (b *builder) candidates(top *certificate.Certificate) []candidate {
	anchors := b.request.Anchors.named(top.Issuer)
	pool := b.request.Pool.Named(top.Issuer)
	if b.spent.Candidates += len(anchors) + len(pool); b.spent.Candidates > b.limits.Candidates {
		b.giveUp(fmt.Sprintf("more than %d candidates", b.limits.Candidates))
		return nil
	}
	if b.ctx.Err() != nil {
		b.giveUp("time")
		return nil
	}
	if !b.work(candidateCost * int64(len(anchors)+len(pool))) {
		return nil
	}
	list := make([]candidate, 0, len(anchors)+len(pool))
	for _, a := range anchors {
		if !a.Alone {
			list = append(list, candidate{anchor: a, rank: rankAnchor(top, a, b.at)})
		}
	}
	for _, c := range pool {
		if !b.loops(c) {
			list = append(list, candidate{certificate: c, rank: rankCertificate(top, c, b.at)})
		}
	}
	if len(list) > 1 {
		slices.SortStableFunc(list, func(x, y candidate) int { return y.rank - x.rank })
	}
	return list
}

func (b *builder) loops(c *certificate.Certificate) bool {
	for _, on := range b.chain {
		if on == c || on.KeyFingerprint == c.KeyFingerprint && on.Subject.Equal(c.Subject) && bytes.Equal(on.RawSPKI, c.RawSPKI) {
			return true
		}
	}
	return false
}

// Weights of the order in which issuers are tried (RFC 4158 3.5). Nothing here admits or refuses.
const (
	rankKeyIDMatches  = 16
	rankKeyIDDiffers  = -16
	rankSerialMatches = 4
	rankSerialDiffers = -4
	rankAnchorFirst   = 6
	rankUsable        = 8
	rankSelfIssued    = -2
)

func rankAnchor(child *certificate.Certificate, a *Anchor, at time.Time) int {
	rank := rankAnchorFirst
	if a.inTime(at) {
		rank += rankUsable
	}
	if a.Certificate != nil {
		rank += rankKeyID(child, a.Certificate)
	}
	return rank
}

func rankCertificate(child, c *certificate.Certificate, at time.Time) int {
	rank := rankKeyID(child, c)
	if !at.Before(c.NotBefore) && !at.After(c.NotAfter) && (c.BasicConstraints == nil || c.BasicConstraints.CA) {
		rank += rankUsable
	}
	if bytes.Equal(c.RawSubject, c.RawIssuer) {
		rank += rankSelfIssued
	}
	return rank
}

func rankKeyID(child, issuer *certificate.Certificate) int {
	aki, rank := child.AKI, 0
	if aki == nil {
		return 0
	}
	if aki.KeyID != nil && issuer.SKI != nil {
		if bytes.Equal(aki.KeyID, issuer.SKI) {
			rank += rankKeyIDMatches
		} else {
			rank += rankKeyIDDiffers
		}
	}
	if aki.Serial != nil {
		if bytes.Equal(aki.Serial, issuer.Serial) {
			rank += rankSerialMatches
		} else {
			rank += rankSerialDiffers
		}
	}
	return rank
}

// verify answers whether the candidate's key signed the certificate; false in the second place when a budget is spent.
func (b *builder) verify(child *certificate.Certificate, c candidate) (verdict, bool) {
	var key *algorithm.PublicKey
	var digest [32]byte
	if c.anchor != nil {
		key, digest = c.anchor.Key, c.anchor.digest
	} else {
		var err error
		if key, err = c.certificate.Key(); err != nil {
			return verdict{err: err}, true
		}
		digest = c.certificate.KeyFingerprint
	}
	at := link{child, digest}
	if v, ok := b.verdicts[at]; ok {
		return v, true
	}
	notes, err := b.request.Cache.VerifyIssued(child, key, digest, func() error { return b.allow(key) })
	v := verdict{err, notes}
	if errors.Is(err, errBudget) {
		return v, false
	}
	if b.verdicts == nil {
		b.verdicts = make(map[link]verdict, 8)
	}
	b.verdicts[at] = v
	return v, true
}

// pay spends for one more signature of the key, and gives the search up where that is beyond a budget.
func (b *builder) pay(key *algorithm.PublicKey) bool {
	cost := key.Cost()
	if b.spent.Signatures == b.limits.Signatures || b.spent.Work+int(cost) > b.limits.Work {
		b.giveUp(fmt.Sprintf("more than %d signatures, or dearer ones than %d ms", b.limits.Signatures, b.limits.Work/1_000_000))
		return false
	}
	b.spent.Signatures++
	b.spent.Work += int(cost)
	return b.work(cost)
}

// allow is pay for who asks before a signature is verified.
func (b *builder) allow(key *algorithm.PublicKey) error {
	if !b.pay(key) {
		return errBudget
	}
	return nil
}

// work spends of the document's budget, and gives the search up where nothing is left.
func (b *builder) work(units int64) bool {
	if b.request.Budget == nil {
		return true
	}
	err := b.request.Budget.Work(units)
	if err != nil {
		b.giveUp(err.Error())
	}
	return err == nil
}

// giveUp ends the search for want of budget; a failure of substance that was found before still counts less than it, as
// the search might have found a valid path.
func (b *builder) giveUp(what string) {
	b.stop = true
	b.best = failure{reasons: []Reason{reason(Budget, nil, len(b.chain)-1, what)}, chain: slices.Clone(b.chain)}
}

// complete judges the path that ends at the anchor; true when the search is over.
func (b *builder) complete(a *Anchor) bool {
	if b.spent.Paths++; b.spent.Paths > b.limits.Paths {
		b.giveUp(fmt.Sprintf("more than %d paths", b.limits.Paths))
		return true
	}
	o := b.judge(a)
	if b.stop {
		return true // a budget was spent: whatever was found so far is no verdict
	}
	if len(o.reasons) == 0 {
		b.valid = o
		return true
	}
	b.fail(failure{anchor: a, reasons: o.reasons, outcome: o})
	return false
}

// fail remembers the failure if it is better than the best so far: lighter reasons, then fewer, then a longer chain.
func (b *builder) fail(f failure) {
	slices.SortStableFunc(f.reasons, func(x, y Reason) int { return int(y.Code) - int(x.Code) })
	if old := b.best.reasons; old != nil {
		x, y := f.reasons[0].Code, old[0].Code
		if x > y || x == y && (len(f.reasons) > len(old) || len(f.reasons) == len(old) && len(b.chain) <= len(b.best.chain)) {
			return
		}
	}
	f.chain = slices.Clone(b.chain)
	b.best = f
}

func (b *builder) result() Result {
	r := Result{Spent: *b.spent}
	o := b.valid
	if o != nil {
		r.Valid, r.Chain, r.Anchor = true, o.chain, o.anchor
	} else {
		r.Chain, r.Anchor, r.Reasons, o = b.best.chain, b.best.anchor, b.best.reasons, b.best.outcome
	}
	if o != nil {
		r.Notes, r.Revocation = o.notes, o.revocation
		r.AuthorityPolicies, r.UserPolicies = o.authority, o.user
	}
	return r
}
