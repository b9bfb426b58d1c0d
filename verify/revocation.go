package verify

import (
	"trustcore/internal/budget"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
)

// book is the parsed evidence for one signature: its own and what was gathered beside it.
type book struct {
	pool      *path.Pool
	crls      []*revocation.CRL
	responses []*revocation.Response
	// The first ones of each are those that the document carries.
	ownCRLs, ownResponses int
}

// own is the evidence that the document carries.
func (b *book) own() *book {
	return &book{pool: b.pool, crls: b.crls[:b.ownCRLs], responses: b.responses[:b.ownResponses]}
}

// maxEmbedded bounds the certificates, CRLs and OCSP responses, of each kind, that one signature may
// bring; archives with many time-stamps have some dozens.
const maxEmbedded = 2000

func (j *judge) book(s *signature.Signature) *book {
	b := &book{}
	own, further := j.shelf.certificatesOf(s.Certificates), j.shelf.certificatesOf(j.ev.Certificates)
	_ = j.budget.Work(poolCost * int64(len(own)+len(further))) // the budget stays spent, and whoever leans on the pool says so
	b.pool = path.NewPool(append(own, further...)...)
	j.shelf.read(b, s.CRLs, s.OCSPs)
	b.ownCRLs, b.ownResponses = len(b.crls), len(b.responses)
	j.shelf.read(b, j.ev.CRLs, j.ev.OCSPs)
	return b
}

// What it costs to read evidence, in units of the budget: measured on real ones.
const (
	poolCost        = 400    // to put a certificate into a pool
	certificateCost = 15_000 // to parse one
)

// shelf keeps what one call of Judge has parsed: signatures and time-stamps of a file share their evidence,
// and a list may be large. What is parsed for the first time is spent of the budget; when that is over nothing is.
type shelf struct {
	budget       *budget.Budget
	cache        *path.Cache
	certificates map[place]*certificate.Certificate // nil where it can't be parsed
	crls         map[place]*revocation.CRL          // the same
	responses    map[place]*revocation.Response     // the same
}

// place tells pieces of evidence apart by where their bytes lie.
type place struct {
	first *byte
	size  int
}

func newShelf(b *budget.Budget, cache *path.Cache) *shelf {
	return &shelf{b, cache, map[place]*certificate.Certificate{}, map[place]*revocation.CRL{}, map[place]*revocation.Response{}}
}

func (s *shelf) certificatesOf(list [][]byte) []*certificate.Certificate {
	var certificates []*certificate.Certificate
	for _, der := range limited(list) {
		if c := remember(s.budget, certificateCost, s.certificates, der, s.cache.Parse); c != nil {
			certificates = append(certificates, c)
		}
	}
	return certificates
}

// read adds to the book what can be parsed.
func (s *shelf) read(b *book, crls, responses [][]byte) {
	for _, der := range limited(crls) {
		if l := remember(s.budget, revocation.OctetCost*int64(len(der)), s.crls, der, revocation.ParseCRL); l != nil {
			b.crls = append(b.crls, l)
		}
	}
	for _, der := range limited(responses) {
		if r := remember(s.budget, revocation.OctetCost*int64(len(der)), s.responses, der, revocation.ParseOCSP); r != nil {
			b.responses = append(b.responses, r)
		}
	}
}

func remember[T any](b *budget.Budget, cost int64, known map[place]*T, der []byte, parse func([]byte) (*T, error)) *T {
	if len(der) == 0 {
		return nil
	}
	at := place{&der[0], len(der)}
	if v, ok := known[at]; ok {
		return v
	}
	if b.Work(cost) != nil {
		return nil
	}
	v, err := parse(der)
	if err != nil {
		v = nil
	}
	known[at] = v
	return v
}

func limited(list [][]byte) [][]byte { return list[:min(len(list), maxEmbedded)] }

// revocation judges by the newest evidence known at the validation time, read for the time at which the
// signature is proven to have existed (EN 319 102-1, 5.6.2.4).
func (j *judge) revocation(b *book) *path.RevocationRule {
	return &path.RevocationRule{
		Evidence:       func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return b.responses, b.crls },
		Required:       true,
		ShortTerm:      true,
		AfterIssuance:  true,
		KnownUntil:     j.at,
		LocalResponder: j.ev.Lists.Responder,
		Responders:     j.ev.Lists.Responders(),
		Acceptable:     j.acceptable,
	}
}

// acceptable judges an algorithm that evidence rests on at the time at which the evidence is proven to have existed.
func (j *judge) acceptable(u revocation.Use) (bool, string) {
	return j.policy.Acceptable(u.Algorithm, u.Bits, j.poe.of(u.Object))
}

// listed reports whether the certificate itself is that of a trust service, of whatever type.
func (j *judge) listed(c *certificate.Certificate) bool { return len(j.ev.Lists.Holding(c)) > 0 }
