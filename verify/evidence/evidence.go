// Package evidence gathers what a document does not carry itself: revocation information about its
// signers. The cache answers first; what must be fetched is fetched once for all who wait, and only for
// chains that reach a trust anchor, so that a stranger's document can't send us anywhere.
package evidence

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"trustcore/verify/certificate"
	"trustcore/verify/internal/fetch"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
)

// Config is what New needs.
type Config struct {
	Offline bool             // nothing is fetched, so nothing is gathered
	Allow   []netip.AddrPort // private addresses that may be asked all the same: the own authority's
	Cache   *path.Cache      // of parsed certificates and signature verdicts; may be nil
	Now     func() time.Time
	// MaxBytes bounds the memory for answers that are kept; 0 means 256 MiB.
	MaxBytes uint64
}

// The life of answers in the cache.
const (
	defaultMaxBytes = 256 << 20
	maxAge          = time.Hour        // an answer without nextUpdate, or with a far one, is asked for again after this
	failureAge      = 30 * time.Second // a source that failed is left alone for so long
	maxSources      = 4                // of one kind that are tried for one certificate
)

// Gatherer is safe for concurrent use.
type Gatherer struct {
	cfg     Config
	client  *fetch.Client // nil offline
	answers *otter.Cache[[32]byte, answer]
	flights singleflight.Group
}

// answer is what a source said, or that it failed.
type answer struct {
	der   []byte
	until time.Time
	err   error
}

// New returns a Gatherer.
func New(cfg Config) (*Gatherer, error) {
	if cfg.Now == nil {
		return nil, errors.New("evidence: Now is missing")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	const overhead = 200 // bytes of an entry beside its answer
	answers, err := otter.New(&otter.Options[[32]byte, answer]{
		MaximumWeight: cfg.MaxBytes,
		Weigher:       func(_ [32]byte, a answer) uint32 { return uint32(min(len(a.der)+overhead, 1<<31)) },
	})
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	g := &Gatherer{cfg: cfg, answers: answers}
	if !cfg.Offline {
		g.client = fetch.New(fetch.Config{Allow: cfg.Allow})
	}
	return g, nil
}

// Found is what was gathered, DER.
type Found struct {
	CRLs, OCSPs [][]byte
	// Problems say which sources did not answer; the verdict will be INDETERMINATE where nothing else served.
	Problems []string
}

// Gather looks for revocation information about every certificate of the document's chains that the
// document does not carry any for.
func (g *Gatherer) Gather(ctx context.Context, doc *signature.Document, anchors *path.Anchors, at time.Time) Found {
	var found Found
	if g.client == nil {
		return found
	}
	seen := map[[32]byte]bool{}
	for _, s := range doc.Signatures {
		g.about(ctx, s.Signer, s, anchors, at, seen, &found)
		for _, t := range s.Timestamps {
			own := &signature.Signature{Certificates: append(t.Certificates[:len(t.Certificates):len(t.Certificates)], s.Certificates...),
				CRLs: append(t.CRLs[:len(t.CRLs):len(t.CRLs)], s.CRLs...), OCSPs: append(t.OCSPs[:len(t.OCSPs):len(t.OCSPs)], s.OCSPs...)}
			g.about(ctx, t.Signer, own, anchors, at, seen, &found)
		}
	}
	for _, t := range doc.Timestamps {
		own := &signature.Signature{Certificates: t.Certificates, CRLs: t.CRLs, OCSPs: t.OCSPs}
		g.about(ctx, t.Signer, own, anchors, at, seen, &found)
	}
	return found
}

// about gathers for one signer and the issuers above.
func (g *Gatherer) about(ctx context.Context, signer []byte, s *signature.Signature, anchors *path.Anchors, at time.Time, seen map[[32]byte]bool, found *Found) {
	chain, anchor := g.chain(ctx, signer, s.Certificates, anchors, at)
	if anchor == nil {
		return
	}
	carried := g.carried(s)
	for i, c := range chain {
		if seen[c.Fingerprint] || c.OCSPNoCheck || c.ValidityAssured || anchor.Certificate != nil && anchor.Certificate.Fingerprint == c.Fingerprint {
			continue
		}
		seen[c.Fingerprint] = true
		q := revocation.Question{Certificate: c, Time: at, IssuerName: anchor.Name, IssuerKey: anchor.Key, Issuer: anchor.Certificate}
		if i+1 < len(chain) {
			key, err := chain[i+1].Key()
			if err != nil {
				continue
			}
			q.IssuerName, q.IssuerKey, q.Issuer = chain[i+1].Subject, key, chain[i+1]
		}
		if !carried.answers(q) {
			g.fetch(ctx, q, found)
		}
	}
}

// chain returns the path to an anchor, valid or not: an expired certificate is asked about too.
func (g *Gatherer) chain(ctx context.Context, signer []byte, pool [][]byte, anchors *path.Anchors, at time.Time) ([]*certificate.Certificate, *path.Anchor) {
	if signer == nil {
		return nil, nil
	}
	target, err := g.cfg.Cache.Parse(signer)
	if err != nil {
		return nil, nil
	}
	var certificates []*certificate.Certificate
	for _, der := range pool {
		if c, err := g.cfg.Cache.Parse(der); err == nil {
			certificates = append(certificates, c)
		}
	}
	result := path.Validate(ctx, path.Request{Target: target, Pool: path.NewPool(certificates...), Anchors: anchors, Time: at, DirectTrust: true, Cache: g.cfg.Cache})
	return result.Chain, result.Anchor
}

// carried is the evidence in the document.
type carried struct {
	responses []*revocation.Response
	crls      []*revocation.CRL
}

func (g *Gatherer) carried(s *signature.Signature) carried {
	var c carried
	for _, der := range s.OCSPs {
		if r, err := revocation.ParseOCSP(der); err == nil {
			c.responses = append(c.responses, r)
		}
	}
	for _, der := range s.CRLs {
		if l, err := revocation.ParseCRL(der); err == nil {
			c.crls = append(c.crls, l)
		}
	}
	return c
}

// answers reports whether the document's own evidence says something about the certificate, of whatever age.
func (c carried) answers(q revocation.Question) bool {
	anyAge := revocation.AnyAge
	q.Freshness, q.WithoutNextUpdate = &anyAge, revocation.AnyAge
	q.Trusted = func(*certificate.Certificate) error { return nil } // whether it may be relied on is the judge's question
	status := revocation.Check(q, c.responses, c.crls).Status
	return status == revocation.Good || status == revocation.Revoked
}

// fetch asks the certificate's OCSP responders, then its CRL distribution points, until one answers.
func (g *Gatherer) fetch(ctx context.Context, q revocation.Question, found *Found) {
	responders, lists := sources(q.Certificate)
	for _, u := range responders {
		der, err := g.ask(ctx, u, ocspRequest(q))
		if err == nil {
			found.OCSPs = append(found.OCSPs, der)
			return
		}
		found.Problems = append(found.Problems, fmt.Sprintf("OCSP %s: %v", u, err))
	}
	for _, u := range lists {
		der, err := g.ask(ctx, u, nil)
		if err == nil {
			found.CRLs = append(found.CRLs, der)
			return
		}
		found.Problems = append(found.Problems, fmt.Sprintf("CRL %s: %v", u, err))
	}
}

// ask returns the cached answer, or fetches it once for all who ask at the same time.
func (g *Gatherer) ask(ctx context.Context, url string, ocsp []byte) ([]byte, error) {
	key := sha256.Sum256(append([]byte(url+"\x00"), ocsp...))
	now := g.cfg.Now()
	if a, ok := g.answers.GetIfPresent(key); ok && now.Before(a.until) {
		return a.der, a.err
	}
	v, _, _ := g.flights.Do(string(key[:]), func() (any, error) {
		// Not the caller's context: others may wait for the same answer. The client's time-out bounds it.
		a := g.fetchOne(context.WithoutCancel(ctx), url, ocsp, now)
		g.answers.Set(key, a)
		return a, nil
	})
	a := v.(answer)
	return a.der, a.err
}

func (g *Gatherer) fetchOne(ctx context.Context, url string, ocsp []byte, now time.Time) answer {
	if ocsp == nil {
		der, err := g.client.Get(ctx, url)
		if err != nil {
			return answer{err: err, until: now.Add(failureAge)}
		}
		list, err := revocation.ParseCRL(der)
		if err != nil {
			return answer{err: err, until: now.Add(failureAge)}
		}
		return answer{der: der, until: life(now, list.NextUpdate)}
	}
	der, err := g.client.Post(ctx, url, "application/ocsp-request", ocsp)
	if err != nil {
		return answer{err: err, until: now.Add(failureAge)}
	}
	if _, err := revocation.ParseOCSP(der); err != nil {
		return answer{err: err, until: now.Add(failureAge)}
	}
	const ocspAge = 30 * time.Second // a revocation must be seen soon, and its answer is small
	return answer{der: der, until: now.Add(ocspAge)}
}

// life is until when a CRL is kept: half of what is left, so that it is renewed before it runs out.
func life(now, nextUpdate time.Time) time.Time {
	left := min(nextUpdate.Sub(now)/2, maxAge)
	return now.Add(max(left, failureAge))
}
