// Package evidence gathers what a document does not carry itself: revocation information about its
// signers, and issuers that are missing on the way to an anchor. The cache answers first; what must be
// fetched is fetched once for all who wait, and only for chains that reach a trust anchor, so that a
// stranger's document can't send us anywhere. Whatever a verdict leaned on is kept for good.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/errgroup"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
)

// Config is what New needs.
type Config struct {
	Offline bool             // nothing is fetched: only the cache and the keep answer
	Allow   []netip.AddrPort // private addresses that may be asked all the same: the own authority's
	Proxy   *url.URL         // http or https, through which all else is asked; nil asks straight
	Cache   *cache.Cache     // of parsed certificates and signature verdicts; may be nil
	Keep    *Keep            // of all evidence that was used; nil keeps nothing
	Now     func() time.Time
	Logger  *slog.Logger

	MaxBytes uint64        // bounds the memory for answers; 0 means 256 MiB
	Wait     time.Duration // for all sources of one document together; 0 means 4 s
}

// Budgets. Who sends a document can make us do at most this.
const (
	defaultMaxBytes = 256 << 20
	defaultWait     = 4 * time.Second // so that a verdict is there within 5
	maxSources      = 4               // of one kind that are tried for one certificate
	maxQuestions    = 100             // certificates of one document that are asked about
	maxPool         = 2000
	asksAtOnce      = 8 // for one document

	// certificateCost is what it costs to find a certificate in the cache or to read it, and to put it into a pool, in
	// units of the budget: mostly the first.
	certificateCost = 3_000
)

// Gatherer is safe for concurrent use.
type Gatherer struct {
	cfg     Config
	rooms   map[kind]*room // nil offline
	overall chan struct{}  // one for each request that is under way
	answers *otter.Cache[[32]byte, *answer]
	flights flights
	stats   counters
}

type counters struct{ cached, kept, fetched, failed atomic.Uint64 }

// Stats counts since the start.
type Stats struct {
	Cached  uint64 // answers from the cache
	Kept    uint64 // answers from the keep
	Fetched uint64 // answers from the network
	Failed  uint64 // sources that did not answer, or not with what they should
}

// New returns a Gatherer.
func New(cfg Config) (*Gatherer, error) {
	if cfg.Now == nil || cfg.Logger == nil {
		return nil, errors.New("evidence: Now or Logger is missing")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.Wait == 0 {
		cfg.Wait = defaultWait
	}
	answers, err := otter.New(&otter.Options[[32]byte, *answer]{
		MaximumWeight: cfg.MaxBytes,
		Weigher:       func(_ [32]byte, a *answer) uint32 { return a.weight() },
	})
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	g := &Gatherer{cfg: cfg, answers: answers}
	if !cfg.Offline {
		g.openRooms()
	}
	return g, nil
}

// Stats returns the counters.
func (g *Gatherer) Stats() Stats {
	return Stats{g.stats.cached.Load(), g.stats.kept.Load(), g.stats.fetched.Load(), g.stats.failed.Load()}
}

// Trust says where chains may end and who may be asked for issuers that are missing on the way.
type Trust struct {
	Anchors *path.Anchors
	// Hosts may be asked for issuers (RFC 5280 4.2.2.1): those that the anchors themselves name. A chain that does not
	// reach an anchor yet proves nothing about its maker, so his choice of host counts for nothing.
	Hosts map[string]bool
}

// Found is what was gathered, DER, without repeats.
type Found struct {
	CRLs, OCSPs, Certificates [][]byte
	Parsed                    []*revocation.CRL // of the same octets as CRLs, which are large
	// Problems say which sources did not answer; the verdict will be INDETERMINATE where nothing else served.
	Problems []string
	// Later says of certificates, by the SHA-256 of their DER, whose status or issuer no source told now, when asking
	// again may help at the earliest: when a source that failed is asked anew, when a list ends, or when evidence begins.
	// It holds none where waiting does not help, and none offline.
	Later map[[32]byte]time.Time
	// Origins say of each piece, by its SHA-256, whether it was asked for now or was at hand: EXTERNAL or CACHED.
	Origins map[[32]byte]Origin

	handed []handed // what the pieces are from
}

// Origin is where evidence beside a document is from, named as DSS names it.
type Origin string

// The origins.
const (
	External Origin = "EXTERNAL" // asked for on behalf of this document
	Cached   Origin = "CACHED"   // of the cache or the keep
)

// handed is a piece of evidence and the answer that it stood in.
type handed struct {
	piece [32]byte
	in    *answer
}

// tellOrigins fills in Origins, of a document whose evidence was gathered since a time.
func (f *Found) tellOrigins(since time.Time) {
	for _, h := range f.handed {
		if f.Origins == nil {
			f.Origins = map[[32]byte]Origin{}
		}
		if f.Origins[h.piece] = Cached; h.in.again == nil && !h.in.came.Before(since) {
			f.Origins[h.piece] = External
		}
	}
	f.handed = nil
}

func (f *Found) complain(err error) {
	if err != nil {
		f.Problems = append(f.Problems, err.Error())
	}
}

func (f *Found) add(a *answer) {
	f.handed = append(f.handed, handed{a.digest(), a})
	if a.list != nil {
		f.CRLs, f.Parsed = append(f.CRLs, a.raw()), append(f.Parsed, a.list)
	} else {
		f.OCSPs = append(f.OCSPs, a.raw())
	}
}

// postpone notes that asking again about a certificate does not help before the time.
func (f *Found) postpone(c *certificate.Certificate, t time.Time) {
	if f.Later == nil {
		f.Later = map[[32]byte]time.Time{}
	}
	f.Later[c.Fingerprint] = later(f.Later[c.Fingerprint], t.UTC())
}

// join adds what was found besides.
func (f *Found) join(o Found) {
	f.CRLs, f.OCSPs = append(f.CRLs, o.CRLs...), append(f.OCSPs, o.OCSPs...)
	f.Parsed, f.handed = append(f.Parsed, o.Parsed...), append(f.handed, o.handed...)
	f.Certificates, f.Problems = append(f.Certificates, o.Certificates...), append(f.Problems, o.Problems...)
	if f.Later == nil {
		f.Later = o.Later
		return
	}
	for c, t := range o.Later {
		f.Later[c] = later(f.Later[c], t)
	}
}

// bundle is what came with one signer.
type bundle struct{ certificates, crls, ocsps [][]byte }

func (b bundle) with(o bundle) bundle {
	join := func(x, y [][]byte) [][]byte { return append(x[:len(x):len(x)], y...) }
	return bundle{join(b.certificates, o.certificates), join(b.crls, o.crls), join(b.ocsps, o.ocsps)}
}

// Gather looks for revocation information about every certificate of the document's chains that the document does not
// carry enough of. It returns when all is there, when the budget or its context ends, or when the time for one document
// is over. What is spent is the search for chains, whose signers a stranger chose.
func (g *Gatherer) Gather(b *budget.Budget, doc *signature.Document, trust Trust, at time.Time) Found {
	ctx, cancel := context.WithTimeout(b.Context(), g.cfg.Wait)
	defer cancel()
	r := g.round(b, trust, at)
	for _, s := range doc.Signatures {
		own := bundle{s.Certificates, s.CRLs, s.OCSPs}
		proofs := append(s.Timestamps[:len(s.Timestamps):len(s.Timestamps)], doc.Timestamps...)
		r.about(ctx, s.Signer, own, proven(proofs, time.Time{}, at))
		for _, t := range s.Timestamps {
			r.about(ctx, t.Signer, bundle{t.Certificates, t.CRLs, t.OCSPs}.with(own), proven(proofs, t.Time, at))
		}
	}
	for _, t := range doc.Timestamps {
		r.about(ctx, t.Signer, bundle{t.Certificates, t.CRLs, t.OCSPs}, proven(doc.Timestamps, t.Time, at))
	}
	return r.answer(ctx)
}

// proven guesses when something existed that came at a time: at the first time-stamp after it, else at the time of
// validation. Whether the time-stamp is good, and covers it, is for the judge to say.
func proven(stamps []*signature.Timestamp, after, at time.Time) time.Time {
	for _, t := range stamps {
		if t.Time.After(after) && t.Time.Before(at) {
			at = t.Time
		}
	}
	return at
}

// GatherFor does the same for a single certificate and further ones that came with it.
func (g *Gatherer) GatherFor(ctx context.Context, target []byte, further [][]byte, trust Trust, at time.Time) Found {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Wait)
	defer cancel()
	r := g.round(budget.New(ctx, 0), trust, at)
	r.about(ctx, target, bundle{certificates: further}, at)
	return r.answer(ctx)
}

// round is the work for one document.
type round struct {
	g         *Gatherer
	budget    *budget.Budget
	trust     Trust
	at        time.Time
	began     time.Time
	search    time.Time // until when missing issuers are looked for: revocation needs its time too
	requests  int       // for issuers
	seen      map[[32]byte]bool
	questions []revocation.Question
	found     Found
}

func (g *Gatherer) round(b *budget.Budget, trust Trust, at time.Time) *round {
	return &round{g: g, budget: b, trust: trust, at: at, began: g.cfg.Now(), search: time.Now().Add(g.cfg.Wait / 2),
		seen: map[[32]byte]bool{}}
}

// about notes the questions about one signer and the issuers above; from is since when what was signed is proven.
func (r *round) about(ctx context.Context, signer []byte, came bundle, from time.Time) {
	chain, anchor, pool := r.chain(ctx, signer, came.certificates)
	if anchor == nil {
		return
	}
	carried := r.read(came)
	for i, c := range chain {
		if r.seen[c.Fingerprint] || c.ShortTerm() || anchor.Certificate != nil &&
			anchor.Certificate.Fingerprint == c.Fingerprint {
			continue
		}
		q := r.question(ctx, chain, i, anchor, pool)
		if q.IssuerKey == nil || carried.answers(q, from) || len(r.questions) == maxQuestions {
			continue
		}
		r.seen[c.Fingerprint] = true
		r.questions = append(r.questions, q)
	}
}

// question asks about the i-th certificate. It is for choosing among evidence: whether a signer's own certificate may
// be relied on, and what age serves, is for the judge to say.
func (r *round) question(ctx context.Context, chain []*certificate.Certificate, i int, anchor *path.Anchor,
	pool *path.Pool) revocation.Question {
	request := path.Request{Pool: pool, Budget: r.budget, Cache: r.g.cfg.Cache, Revocation: &path.RevocationRule{}}
	q := request.Question(ctx, chain, anchor, i)
	anyAge := revocation.AnyAge
	q.Freshness, q.WithoutNextUpdate, q.DelegateRevoked = &anyAge, revocation.AnyAge, nil
	q.AfterIssuance = true // as it is judged
	q.Trusted = func(*certificate.Certificate) error { return nil }
	return q
}

// chain returns the path to an anchor, valid or not: an expired certificate is asked about too.
func (r *round) chain(ctx context.Context, signer []byte, came [][]byte) ([]*certificate.Certificate, *path.Anchor,
	*path.Pool) {
	came = came[:min(len(came), maxPool)]
	if signer == nil || r.budget.Work(certificateCost*int64(1+len(came))) != nil {
		return nil, nil, nil
	}
	target, err := r.g.cfg.Cache.Parse(signer)
	if err != nil {
		return nil, nil, nil
	}
	var certificates []*certificate.Certificate
	for _, der := range came {
		if c, err := r.g.cfg.Cache.Parse(der); err == nil {
			certificates = append(certificates, c)
		}
	}
	var lent []*answer
	for missing := 0; ; missing++ {
		pool := path.NewPool(certificates...)
		result := path.Validate(ctx, path.Request{Target: target, Pool: pool, Anchors: r.trust.Anchors, Time: r.at,
			DirectTrust: true,
			Budget:      r.budget, Cache: r.g.cfg.Cache})
		if result.Anchor != nil {
			r.relyOn(lent)
			return result.Chain, result.Anchor, pool
		}
		if missing == maxMissing {
			return result.Chain, nil, pool
		}
		a, issuers := r.issuers(ctx, result.Chain)
		if len(issuers) == 0 {
			return result.Chain, nil, pool
		}
		lent, certificates = append(lent, a), append(certificates, issuers...)
	}
}

// answer asks all questions, some at once, and collects what was found in their order.
func (r *round) answer(ctx context.Context) Found {
	parts := make([]Found, len(r.questions))
	var group errgroup.Group
	group.SetLimit(asksAtOnce)
	for i, q := range r.questions {
		group.Go(func() error {
			parts[i] = r.g.answer(ctx, q, r.at)
			return nil
		})
	}
	_ = group.Wait() // the parts hold what went wrong
	for _, p := range parts {
		r.found.join(p)
	}
	r.found.CRLs, r.found.OCSPs = distinct(r.found.CRLs), distinct(r.found.OCSPs)
	r.found.tellOrigins(r.began)
	return r.found
}

// carried is the evidence in the document.
type carried struct {
	responses []*revocation.Response
	crls      []*revocation.CRL
}

// read parses what came with a signer, as far as the budget goes.
func (r *round) read(b bundle) carried {
	return carried{readable(r.budget, b.ocsps, revocation.ParseOCSP), readable(r.budget, b.crls, revocation.ParseCRL)}
}

// readable returns what of a list can be parsed within the budget.
func readable[T any](b *budget.Budget, list [][]byte, parse func([]byte) (*T, error)) []*T {
	var parsed []*T
	for _, der := range list {
		if b.Work(revocation.OctetCost*int64(len(der))) != nil {
			break
		}
		if v, err := parse(der); err == nil {
			parsed = append(parsed, v)
		}
	}
	return parsed
}

// answers reports whether the document's own evidence settles the matter: the certificate was revoked, or it was good
// when what it signed was proven to exist already. Evidence that had run out before says nothing of that moment, and
// neither does that of a delegate of whom nothing is known.
func (c carried) answers(q revocation.Question, from time.Time) bool {
	q.Time = farFuture
	about := q
	q.DelegateRevoked = func(delegate *certificate.Certificate) error {
		about.Certificate = delegate
		if r := revocation.Check(about, c.responses, c.crls); r.Status != revocation.Good {
			return errors.New(string(r.Code))
		}
		return nil
	}
	r := revocation.Check(q, c.responses, c.crls)
	switch r.Status {
	case revocation.Revoked:
		return true
	case revocation.Good:
		return !r.ThisUpdate.Before(from) || !r.NextUpdate.Before(from)
	}
	return false
}

// farFuture makes evidence of any time serve. Not further: ages are durations, which end after 292 years.
var farFuture = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
