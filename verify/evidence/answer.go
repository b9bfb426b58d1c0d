package evidence

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// The life of answers in the cache.
const (
	ocspAge    = time.Minute      // an OCSP answer: a revocation must be seen soon, and asking again is cheap
	listAge    = time.Hour        // a CRL, or half of what its nextUpdate leaves
	issuerAge  = 24 * time.Hour   // a CA's certificate
	failureAge = 30 * time.Second // a source that failed is left alone for so long
	presence   = time.Minute      // times of validation closer to now than this are now
)

// The refreshing of answers that are in use.
const (
	refreshEvery  = 5 * time.Second
	refreshAtOnce = 4
)

var errOffline = errors.New("nothing is fetched offline")

// answer is what a source said, or that it failed. What it holds of evidence is immutable.
type answer struct {
	source   source
	der      []byte
	response *revocation.Response       // of an OCSP responder
	list     *revocation.CRL            // of a distribution point
	issuers  []*certificate.Certificate // of a caIssuers address
	err      error

	came  time.Time    // when it was fetched, or the source failed last
	until time.Time    // it serves so long
	due   atomic.Int64 // Unix time from which it is asked for again, if it was used
	used  atomic.Bool  // since it came
	saved atomic.Bool  // in the keep
}

func (a *answer) weight() uint32 {
	const overhead = 1000 // bytes of an entry beside its answer
	factor := 1
	if a.list != nil {
		factor = 2 // its index
	}
	return uint32(min(len(a.der)*factor+overhead, 1<<31))
}

// of is the time that the answer speaks of.
func (a *answer) of() time.Time {
	if a.list != nil {
		return a.list.ThisUpdate
	}
	var newest time.Time
	for i := range a.response.Singles {
		newest = maxTime(newest, a.response.Singles[i].ThisUpdate)
	}
	return newest
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// check says what the answer knows about the certificate at the time.
func (a *answer) check(q revocation.Question, at time.Time) revocation.Result {
	q.Time = at
	switch {
	case a.response != nil:
		return revocation.CheckOCSP(q, a.response)
	case a.list != nil:
		return revocation.CheckCRL(q, []*revocation.CRL{a.list})
	}
	return revocation.Result{Code: revocation.NoEvidence}
}

// read parses what came.
func read(s source, der []byte) (*answer, error) {
	a := &answer{source: s, der: der}
	var err error
	switch s.kind {
	case sourceOCSP:
		if a.response, err = revocation.ParseOCSP(der); err == nil && a.response.Status != 0 {
			err = fmt.Errorf("it answered %s", a.response.Status)
		}
	case sourceCRL:
		a.list, err = revocation.ParseCRL(der)
	case sourceIssuers:
		a.issuers, err = readIssuers(der)
	}
	return a, err
}

// live sets how long the answer serves, counted from when it came.
func (a *answer) live(came time.Time) {
	var age time.Duration
	switch a.source.kind {
	case sourceOCSP:
		age = ocspAge
		for i := range a.response.Singles {
			if next := a.response.Singles[i].NextUpdate; !next.IsZero() {
				age = min(age, next.Sub(came))
			}
		}
	case sourceCRL:
		age = listAge
		if next := a.list.NextUpdate; !next.IsZero() {
			age = min(age, next.Sub(came)/2)
		}
	case sourceIssuers:
		age = issuerAge
	}
	age = max(age, failureAge)
	a.came, a.until = came, came.Add(age)
	a.due.Store(came.Add(age*3/4 - rand.N(age/8)).Unix()) // spread, so that all caches do not ask at once
}

// serves reports whether the answer still stands for a certificate that began at the time: a list from before it says nothing of
// it, and the source may have a newer one. One that had none when it was asked after that time is left alone for a while.
func (a *answer) serves(began, now time.Time) bool {
	if a.list == nil || !a.list.ThisUpdate.Before(began) {
		return now.Before(a.until)
	}
	asked := !a.came.Before(began.Add(time.Second)) || began.After(now) // certificates begin at whole seconds
	return asked && now.Before(a.came.Add(failureAge))
}

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
		q.Certificate = delegate
		more, _ := g.about(ctx, q, at)
		found.CRLs, found.OCSPs = append(found.CRLs, more.CRLs...), append(found.OCSPs, more.OCSPs...)
		found.Problems = append(found.Problems, more.Problems...)
	}
	return found
}

// about asks the certificate's OCSP responders first, then its CRL distribution points, until one says something about it.
func (g *Gatherer) about(ctx context.Context, q revocation.Question, at time.Time) (found Found, signers []*certificate.Certificate) {
	list := sources(q)
	if at.Before(g.cfg.Now().Add(-presence)) {
		if a, signers := g.past(list, q, at); a != nil {
			found.add(a)
			return found, signers
		}
	}
	var heard []*answer
	for _, s := range list {
		a := g.ask(ctx, s, q.Certificate.NotBefore)
		if a.err != nil {
			found.Problems = append(found.Problems, fmt.Sprintf("%s %s: %v", s.kind, s.url, a.err))
			continue
		}
		heard = append(heard, a)
		r := check(q, a, heard)
		if r.Status != revocation.Good && r.Status != revocation.Revoked {
			found.Problems = append(found.Problems, fmt.Sprintf("%s %s: %s %s", s.kind, s.url, r.Code, r.Detail))
			continue
		}
		for _, h := range heard {
			if slices.Contains(r.Evidence, sha256.Sum256(h.der)) {
				found.add(h)
				found.complain(g.save(h))
			}
		}
		return found, r.Signers
	}
	for _, h := range heard {
		found.add(h) // it settles nothing, but the report can say why
	}
	return found, nil
}

// check says what an answer knows about the certificate, of whatever time; lists of some reasons only count together with
// those that were heard before.
func check(q revocation.Question, a *answer, heard []*answer) revocation.Result {
	if a.response != nil {
		return a.check(q, farFuture)
	}
	q.Time = farFuture
	var lists []*revocation.CRL
	for _, h := range heard {
		if h.list != nil {
			lists = append(lists, h.list)
		}
	}
	return revocation.CheckCRL(q, lists)
}

func (f *Found) complain(err error) {
	if err != nil {
		f.Problems = append(f.Problems, err.Error())
	}
}

func (f *Found) add(a *answer) {
	if a.list != nil {
		f.CRLs = append(f.CRLs, a.der)
	} else {
		f.OCSPs = append(f.OCSPs, a.der)
	}
}

// past returns the newest kept evidence that served at a time in the past, and who signed it; what is published today is too
// late for it.
func (g *Gatherer) past(list []source, q revocation.Question, at time.Time) (best *answer, signers []*certificate.Certificate) {
	q.Freshness = nil
	for _, s := range list {
		a := g.fromKeep(s, at)
		if a == nil {
			continue
		}
		r := a.check(q, at)
		if r.Status != revocation.Good && r.Status != revocation.Revoked {
			continue
		}
		if best == nil || a.of().After(best.of()) {
			best, signers = a, r.Signers
		}
	}
	return best, signers
}

// fromKeep returns what the source said last until the time, nil for nothing.
func (g *Gatherer) fromKeep(s source, until time.Time) *answer {
	if g.cfg.Keep == nil {
		return nil
	}
	kept, ok := g.cfg.Keep.Newest(s.key(), until)
	if !ok {
		return nil
	}
	a, err := read(s, kept.DER)
	if err != nil {
		return nil
	}
	a.live(kept.Fetched)
	a.saved.Store(true)
	g.stats.kept.Add(1)
	return a
}

// save keeps an answer that a verdict leans on.
func (g *Gatherer) save(a *answer) error {
	if g.cfg.Keep == nil || !a.saved.CompareAndSwap(false, true) {
		return nil
	}
	if err := g.cfg.Keep.Put(a.source.key(), a.of(), a.der); err != nil {
		a.saved.Store(false)
		g.cfg.Logger.Error("evidence was used and could not be kept", "source", a.source.url, "error", err)
		return err
	}
	return nil
}

// ask returns the cached answer, or the kept one, or fetches it once for all who ask at the same time, about a certificate
// that began at the time. It does not wait longer than the context; the fetch goes on for the others.
func (g *Gatherer) ask(ctx context.Context, s source, began time.Time) *answer {
	key := s.key()
	if a, ok := g.answers.GetIfPresent(key); ok && a.serves(began, g.cfg.Now()) {
		g.stats.cached.Add(1)
		a.used.Store(true)
		return a
	}
	for again := true; ; again = false {
		flight := g.flights.DoChan(string(key[:]), func() (any, error) { return g.renew(context.WithoutCancel(ctx), s, began), nil })
		select {
		case r := <-flight:
			a := r.Val.(*answer)
			if again && r.Shared && a.err == nil && !a.serves(began, g.cfg.Now()) {
				continue // it was asked for about an older certificate
			}
			return a
		case <-ctx.Done():
			return &answer{source: s, err: fmt.Errorf("the time for this document is over: %w", ctx.Err())}
		}
	}
}

// renew fetches, and falls back on what is at hand when that fails. The result is cached either way.
func (g *Gatherer) renew(ctx context.Context, s source, began time.Time) *answer {
	now, key := g.cfg.Now(), s.key()
	old, known := g.answers.GetIfPresent(key)
	if !known || old.err != nil {
		if kept := g.fromKeep(s, now); kept != nil {
			old, known = kept, true
		}
	}
	if known && old.err == nil && old.serves(began, now) && now.Unix() < old.due.Load() {
		g.answers.Set(key, old) // from before the start
		return old
	}
	a := g.fetch(ctx, s, now)
	if a.err != nil && known && old.err == nil {
		g.cfg.Logger.Info("a source did not answer again, its last answer goes on", "source", s.url, "error", a.err)
		a = old.prolonged(now)
	}
	g.answers.Set(key, a)
	return a
}

// prolonged is the same answer when the source failed to give another.
func (a *answer) prolonged(now time.Time) *answer {
	until := now.Add(failureAge)
	p := &answer{source: a.source, der: a.der, response: a.response, list: a.list, issuers: a.issuers, came: now, until: maxTime(a.until, until)}
	p.due.Store(until.Unix())
	p.saved.Store(a.saved.Load())
	return p
}

func (g *Gatherer) fetch(ctx context.Context, s source, now time.Time) *answer {
	failed := func(err error) *answer {
		if g.client != nil {
			g.stats.failed.Add(1)
		}
		return &answer{source: s, err: err, came: now, until: now.Add(failureAge)}
	}
	if g.client == nil {
		return failed(errOffline)
	}
	var der []byte
	var err error
	if s.kind == sourceOCSP {
		der, err = g.client.Post(ctx, s.url, "application/ocsp-request", s.request)
	} else {
		der, err = g.client.Get(ctx, s.url)
	}
	if err != nil {
		return failed(err)
	}
	a, err := read(s, der)
	if err != nil {
		return failed(err)
	}
	a.live(now)
	g.stats.fetched.Add(1)
	return a
}

// Run renews what is in use before it runs out, so that nobody waits for it, until ctx ends. An answer that nobody used
// since it came is left to run out.
func (g *Gatherer) Run(ctx context.Context) error {
	if g.client == nil {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			g.refresh(ctx)
		}
	}
}

// refresh asks again for what is due.
func (g *Gatherer) refresh(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(refreshAtOnce)
	now := g.cfg.Now()
	for key, a := range g.answers.All() {
		if ctx.Err() != nil {
			break
		}
		if a.err != nil || !a.used.Load() || now.Unix() < a.due.Load() {
			continue
		}
		group.Go(func() error {
			g.flights.Do(string(key[:]), func() (any, error) { return g.renew(ctx, a.source, time.Time{}), nil })
			return nil
		})
	}
	_ = group.Wait() // what failed is logged where it failed
}
