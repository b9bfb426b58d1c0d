package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// The life of answers in the cache.
const (
	ocspAge    = time.Minute      // an OCSP answer: a revocation must be seen soon, and asking again is cheap
	listAge    = time.Hour        // a CRL, or half of what its nextUpdate leaves
	issuerAge  = 24 * time.Hour   // a CA's certificate
	failureAge = 30 * time.Second // a source that failed, or said nothing that is of use, is left alone for so long
	presence   = time.Minute      // times of validation closer to now than this are now
)

// errAnothers tells of a replay.
var errAnothers = errors.New("the answer was made for another request, some time ago: it has a nonce (RFC 9654)")

// nonceAge is how old an answer with a nonce may be: none was sent, so it was made for this request or for another one.
const nonceAge = 5 * time.Minute

// answer is what a source said, or that it failed. What it holds of evidence is immutable.
type answer struct {
	source   source
	der      []byte
	response *revocation.Response       // of an OCSP responder
	list     *revocation.CRL            // of a distribution point
	issuers  []*certificate.Certificate // of a caIssuers address
	err      error
	again    error // why the source gave no other, of an answer that goes on for it

	came  time.Time    // when it was fetched, or the source failed last
	until time.Time    // it serves so long
	due   atomic.Int64 // Unix time from which it is asked for again, if it is in use
	used  atomic.Int64 // how often since it came
	last  atomic.Int64 // Unix time of the last use, of those before it too
	saved atomic.Bool  // in the keep

	// proven is true once it has settled something: an authority's key signed it. Until then anybody may have made it, so
	// it serves shortly, and the last one that was proven is before it.
	proven atomic.Bool
	before atomic.Pointer[answer]
	signer atomic.Pointer[algorithm.PublicKey] // of a proven list
}

func (a *answer) weight() uint32 {
	const overhead = 1000 // bytes of an entry beside its answer
	n := overhead + len(a.der)
	if a.list != nil {
		n += len(a.der) // its index
	}
	if b := a.before.Load(); b != nil {
		n += int(b.weight())
	}
	return uint32(min(n, 1<<31))
}

// of is the time that the answer speaks of.
func (a *answer) of() time.Time {
	switch {
	case a.list != nil:
		return a.list.ThisUpdate
	case a.response == nil:
		return a.came
	}
	var newest time.Time
	for i := range a.response.Singles {
		newest = later(newest, a.response.Singles[i].ThisUpdate)
	}
	return newest
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// raw is the evidence in DER, and digest its SHA-256.
func (a *answer) raw() []byte {
	if a.list != nil {
		return a.list.Raw
	}
	return a.response.Raw
}

func (a *answer) digest() [32]byte {
	if a.list != nil {
		return a.list.Digest()
	}
	return a.response.Digest()
}

// check says what the answer knows about the certificate at the time of the question.
func (a *answer) check(q revocation.Question) revocation.Result {
	if a.response != nil {
		return revocation.CheckOCSP(q, a.response)
	}
	return revocation.CheckCRL(q, []*revocation.CRL{a.list})
}

// read parses what came.
func (g *Gatherer) read(s source, der []byte, now time.Time) (*answer, error) {
	a := &answer{source: s, der: der}
	var err error
	switch s.kind {
	case sourceOCSP:
		if a.response, err = revocation.ParseOCSP(der); err == nil {
			err = a.usable(now)
		}
	case sourceCRL:
		a.list, err = revocation.ParseCRL(der)
	case sourceIssuers:
		a.issuers, err = readIssuers(der, g.cfg.Cache.Parse)
	}
	return a, err
}

// usable refuses what is no answer to this request.
func (a *answer) usable(now time.Time) error {
	switch r := a.response; {
	case r.Status != 0:
		return responderError(r.Status)
	case r.HasNonce && r.ProducedAt.Before(now.Add(-nonceAge)):
		return errAnothers
	}
	return nil
}

// responderError is the status of a responder that gives no answer (RFC 6960 4.2.1).
type responderError revocation.ResponseStatus

// Error says which.
func (e responderError) Error() string {
	return fmt.Sprintf("it answered %s", revocation.ResponseStatus(e))
}

// ofHost reports whether the responder is at fault; else it does not like the request.
func (e responderError) ofHost() bool {
	const internalError, tryLater = 2, 3
	return e == internalError || e == tryLater
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

// ends is when the source is asked anew.
func (a *answer) ends() time.Time {
	if short := a.came.Add(failureAge); a.err == nil && !a.proven.Load() && short.Before(a.until) {
		return short
	}
	return a.until
}

// serves reports whether the answer still stands for a certificate that began at the time: a list from before it says
// nothing of it, and the source may have a newer one. One that had none when it was asked after that time is left alone
// for a while.
func (a *answer) serves(began, now time.Time) bool {
	if a.list == nil || !a.list.ThisUpdate.Before(began) {
		return now.Before(a.ends())
	}
	asked := !a.came.Before(began.Add(time.Second)) || began.After(now) // certificates begin at whole seconds
	return asked && now.Before(a.came.Add(failureAge))
}

// use counts a use.
func (a *answer) use(now time.Time) {
	a.used.Add(1)
	a.last.Store(now.Unix())
}

// prove notes that the answer, which the key signed, settled something: what was before it is done with. The key is nil
// where it does not matter.
func (a *answer) prove(key *algorithm.PublicKey) {
	if a.signer.Store(key); !a.proven.Swap(true) {
		a.before.Store(nil)
	}
}

// succeeds reports whether a list is the next one of the same scope under the same key, so that it needs no other
// proof.
func (g *Gatherer) succeeds(last, a *answer) bool {
	key := last.signer.Load()
	if key == nil || a.list == nil || a.list.Delta() || !a.list.Issuer.Equal(last.list.Issuer) ||
		!sameScope(a.list, last.list) ||
		a.list.ThisUpdate.Before(last.list.ThisUpdate) || a.list.ThisUpdate.After(a.came) {
		return false
	}
	scheme, err := algorithm.FromCertificate(a.list.SignatureAlgorithm)
	if err != nil {
		return false
	}
	_, err = g.cfg.Cache.Verify(scheme, key,
		revocation.Signed{Object: a.list.Digest(), Message: a.list.RawTBS, Signature: a.list.Signature}, nil)
	return err == nil
}

func sameScope(a, b *revocation.CRL) bool {
	if a.IssuingPoint == nil || b.IssuingPoint == nil {
		return a.IssuingPoint == b.IssuingPoint
	}
	return bytes.Equal(a.IssuingPoint.Raw, b.IssuingPoint.Raw)
}

// lastProven is the answer, or the one before it, whichever was proven.
func (a *answer) lastProven() *answer {
	switch {
	case a == nil:
		return nil
	case a.proven.Load():
		return a
	}
	return a.before.Load()
}

// follow is what is known of the source after it gave this answer, where old was known before: what was proven goes on
// where the source failed, and until another has proven itself.
func (g *Gatherer) follow(a, old *answer) *answer {
	last := old.lastProven()
	switch {
	case last == nil:
		return a
	case a.err != nil:
		return last.goesOn(a)
	case bytes.Equal(a.der, last.der):
		a.prove(last.signer.Load())
		a.saved.Store(last.saved.Load())
	case g.succeeds(last, a):
		a.prove(last.signer.Load())
	default:
		a.before.Store(last)
	}
	a.last.Store(last.last.Load())
	return a
}

// goesOn is the same answer when the source failed to give another.
func (a *answer) goesOn(failure *answer) *answer {
	p := &answer{source: a.source, der: a.der, response: a.response, list: a.list, issuers: a.issuers,
		again: failure.err, came: failure.came, until: later(a.until, failure.until)}
	p.due.Store(failure.until.Unix())
	p.last.Store(a.last.Load())
	p.saved.Store(a.saved.Load())
	p.prove(a.signer.Load())
	return p
}

// renewed is the same answer, given again.
func (a *answer) renewed(now time.Time) *answer {
	r := &answer{source: a.source, der: a.der, response: a.response, list: a.list, issuers: a.issuers}
	r.live(now)
	return r
}

// fromKeep returns what the source said last until the time, nil for nothing. What is kept was relied on.
func (g *Gatherer) fromKeep(s source, until time.Time) *answer {
	if g.cfg.Keep == nil {
		return nil
	}
	kept, ok := g.cfg.Keep.Newest(s.key(), until)
	if !ok {
		return nil
	}
	a, err := g.read(s, kept.DER, kept.Fetched)
	if err != nil {
		return nil
	}
	a.live(kept.Fetched)
	a.saved.Store(true)
	a.prove(nil)
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

// distinct leaves out repeats.
func distinct(list [][]byte) (once [][]byte) {
	for _, der := range list {
		if !slices.ContainsFunc(once, func(o []byte) bool { return bytes.Equal(o, der) }) {
			once = append(once, der)
		}
	}
	return once
}
