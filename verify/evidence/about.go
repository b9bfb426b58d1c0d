package evidence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// patience is how long a source is waited for before the next one is asked beside it.
const patience = time.Second

// withoutNextUpdate is how long evidence that does not say so serves (judge.Hindsight).
const withoutNextUpdate = 24 * time.Hour

// errServed ends the waiting for sources when another one settled the matter. What they bring is kept for others.
var errServed = errors.New("another source answered")

// answer looks for what is known about the certificate, and about a delegate who said it: the judge asks for both.
func (g *Gatherer) answer(ctx context.Context, q revocation.Question, at time.Time) Found {
	q.Budget = nil // what sources answer is bounded by its size, and judged with the document's budget
	q.Verify = func(scheme algorithm.Scheme, key *algorithm.PublicKey, signed revocation.Signed) ([]string, error) {
		return g.cfg.Cache.Verify(scheme, key, signed, nil)
	}
	found, signers := g.about(ctx, q, at)
	for _, delegate := range signers {
		if delegate.OCSPNoCheck || delegate.ShortTerm() || !delegate.Issuer.Equal(q.IssuerName) {
			continue
		}
		of := q
		of.Certificate = delegate
		more, _ := g.about(ctx, of, at)
		found.join(more)
		for _, t := range more.Later {
			found.postpone(q.Certificate, t) // nobody relies on whom nothing is known of
		}
	}
	return found
}

// about asks the certificate's OCSP responders first, which know most and of this certificate alone, then its CRL
// distribution points, until one settles the matter.
func (g *Gatherer) about(ctx context.Context, q revocation.Question, at time.Time) (Found, []*certificate.Certificate) {
	list := sources(q)
	if at.Before(g.cfg.Now().Add(-presence)) {
		if a, signers := g.past(list, q, at); a != nil {
			var found Found
			found.add(a)
			return found, signers
		}
	}
	in := &inquiry{g: g, q: q, at: at}
	for a := range g.listen(ctx, list, q.Certificate.NotBefore) {
		if in.hears(a) {
			return in.found, in.signers
		}
	}
	for _, a := range in.heard {
		in.found.add(a) // it settles nothing, but the report can say why
	}
	if !in.later.IsZero() && g.rooms != nil {
		in.found.postpone(q.Certificate, later(in.later, q.Certificate.NotBefore))
	}
	return in.found, nil
}

// listen asks the sources in their order and yields what they say as it comes. The next one is asked when what was
// heard did not do, or was not heard for a while, so that a slow source does not cost the others their time.
func (g *Gatherer) listen(ctx context.Context, list []source, began time.Time) iter.Seq[*answer] {
	return func(yield func(*answer) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(errServed)
		came, open := make(chan *answer, len(list)), 0
		for _, s := range list {
			if a := g.cached(s, began); a != nil {
				if !yield(a) {
					return
				}
				continue
			}
			open++
			go func() { came <- g.ask(ctx, s, began) }()
			select {
			case a := <-came:
				if open--; !yield(a) {
					return
				}
			case <-time.After(patience):
			}
		}
		for ; open > 0; open-- {
			if !yield(<-came) {
				return
			}
		}
	}
}

// inquiry is the search for what is known of one certificate.
type inquiry struct {
	g     *Gatherer
	q     revocation.Question
	at    time.Time // of validation
	heard []*answer // evidence that came
	later time.Time // when asking again may help; zero for never

	found   Found
	signers []*certificate.Certificate // of what settled it
}

// hears weighs an answer, and says whether it settles the matter.
func (in *inquiry) hears(a *answer) bool {
	if a.err != nil {
		in.complain(a, a.err.Error())
		in.postpone(a.ends())
		return false
	}
	a, r := in.newest(a)
	in.heard = append(in.heard, a)
	if !settles(r) {
		in.complain(a, fmt.Sprintf("%s %s", r.Code, r.Detail))
		in.postpone(in.again(a, r))
		return false
	}
	current := in.current(r)
	for _, h := range in.heard {
		if !slices.Contains(r.Evidence, h.digest()) {
			continue
		}
		h.prove(in.signerOf(r))
		if current {
			in.found.add(h)
			in.found.complain(in.g.save(h))
		}
	}
	if !current {
		in.complain(a, string(revocation.Stale))
		in.postpone(a.ends())
		return false
	}
	if in.signers = r.Signers; r.Reason == revocation.CertificateHold && in.g.rooms != nil {
		in.found.postpone(in.q.Certificate, in.next(a, r)) // it may be lifted
	}
	return true
}

// newest is what the source said last among what settles the matter: an answer that nobody has proven yet, and one that
// was older already when it came, do not put away the proven one before it.
func (in *inquiry) newest(a *answer) (*answer, revocation.Result) {
	r, before := in.check(a), a.before.Load()
	if before == nil {
		return a, r
	}
	if b := in.check(before); settles(b) && (!settles(r) || before.of().After(a.of())) {
		return before, b
	}
	return a, r
}

// check says what an answer knows about the certificate; lists of some reasons only count together with those that were
// heard before.
func (in *inquiry) check(a *answer) revocation.Result {
	in.q.Time = later(in.g.cfg.Now(), in.at) // not before the answer came
	if a.response != nil {
		return revocation.CheckOCSP(in.q, a.response)
	}
	lists := []*revocation.CRL{a.list}
	for _, h := range in.heard {
		if h.list != nil {
			lists = append(lists, h.list)
		}
	}
	return revocation.CheckCRL(in.q, lists)
}

// signerOf is the key that signed the evidence, nil where several did.
func (in *inquiry) signerOf(r revocation.Result) *algorithm.PublicKey {
	switch {
	case r.ByIssuer && len(r.Signers) == 0:
		return in.q.IssuerKey
	case !r.ByIssuer && len(r.Signers) == 1:
		if key, err := r.Signers[0].Key(); err == nil {
			return key
		}
	}
	return nil
}

func settles(r revocation.Result) bool {
	return r.Status == revocation.Good || r.Status == revocation.Revoked
}

// current reports whether nothing newer is needed: evidence has not run out at the time of validation, or it tells a
// revocation, which stays.
func (in *inquiry) current(r revocation.Result) bool {
	next := r.NextUpdate
	if next.IsZero() {
		next = r.ThisUpdate.Add(withoutNextUpdate)
	}
	return !next.Before(in.at) || r.Status == revocation.Revoked && r.Reason != revocation.CertificateHold
}

// again is when another answer of the source may settle what this one does not; zero is never.
func (in *inquiry) again(a *answer, r revocation.Result) time.Time {
	switch r.Code {
	case revocation.ExpiredNotCovered:
		return time.Time{} // the authority has forgotten the certificate
	case revocation.NotYetValid:
		return later(r.ThisUpdate, r.ProducedAt)
	case revocation.BeforeIssuance:
		return in.next(a, r)
	}
	return a.ends()
}

// next is when the source has something new: at nextUpdate, if not earlier.
func (in *inquiry) next(a *answer, r revocation.Result) time.Time {
	now := in.g.cfg.Now()
	soon := now.Add(listAge)
	if r.NextUpdate.After(now) && r.NextUpdate.Before(soon) {
		return r.NextUpdate
	}
	return later(soon, a.ends())
}

// postpone notes when asking again may help.
func (in *inquiry) postpone(t time.Time) {
	if !t.IsZero() && (in.later.IsZero() || t.Before(in.later)) {
		in.later = t
	}
}

func (in *inquiry) complain(a *answer, why string) {
	if a.again != nil {
		why += fmt.Sprintf("; asked again: %v", a.again)
	}
	in.found.Problems = append(in.found.Problems, fmt.Sprintf("%s %s: %s", a.source.kind, a.source.url, why))
}

// past returns the newest kept evidence that served at a time in the past, and who signed it; what is published today
// is too late for it.
func (g *Gatherer) past(list []source, q revocation.Question, at time.Time) (best *answer,
	signers []*certificate.Certificate) {
	q.Freshness, q.Time = nil, at
	for _, s := range list {
		a := g.fromKeep(s, at)
		if a == nil {
			continue
		}
		if r := a.check(q); settles(r) && (best == nil || a.of().After(best.of())) {
			best, signers = a, r.Signers
		}
	}
	return best, signers
}
