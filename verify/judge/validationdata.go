package judge

import (
	"slices"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
)

// carried is the evidence that travels with something signed, DER.
type carried struct{ certificates, crls, ocsps [][]byte }

// with joins the evidence of two things.
func (c carried) with(o carried) carried {
	return carried{slices.Concat(c.certificates, o.certificates), slices.Concat(c.crls, o.crls), slices.Concat(c.ocsps, o.ocsps)}
}

// everything is the evidence that a document carries anywhere, each piece once. It is signed by itself, so it does not
// matter in whose company it travels: what one signature brings about a certificate counts for the other ones.
func (v *validator) everything(doc *signature.Document, proofs []proof) carried {
	var all carried
	seen := map[[32]byte]bool{}
	for _, s := range doc.Signatures {
		v.gather(&all, carriedBy(s), seen)
	}
	for _, p := range proofs {
		v.gather(&all, carried{p.stamp.Certificates, p.stamp.CRLs, p.stamp.OCSPs}, seen)
	}
	return all
}

// gather adds what was not seen before.
func (v *validator) gather(into *carried, from carried, seen map[[32]byte]bool) {
	unseen := func(list *[][]byte, further [][]byte) {
		if v.budget.Work(gatherCost*int64(len(further))) != nil {
			return
		}
		for _, der := range further {
			if sum := v.parsed.digest(der); !seen[sum] {
				seen[sum] = true
				*list = append(*list, der)
			}
		}
	}
	unseen(&into.certificates, from.certificates)
	unseen(&into.crls, from.crls)
	unseen(&into.ocsps, from.ocsps)
}

// about is whose chain is asked for, with what travels with it and what the document holds beside that.
func (v *validator) about(c *certificate.Certificate, own carried, context policy.Context) subject {
	s := subject{certificate: c, carried: own, context: context}
	seen := map[[32]byte]bool{}
	v.gather(new(carried), own, seen)
	v.gather(&s.beside, v.document, seen)
	return s
}

// validationData is what is known for one signed thing, parsed: what travels with it and what was gathered beside it.
type validationData struct {
	pool      *path.Pool
	crls      []*revocation.CRL
	responses []*revocation.Response
	// The first ones of each are those that the document carries.
	carriedCRLs, carriedResponses int
}

// ofDocument is what the document carries.
func (d *validationData) ofDocument() *validationData {
	return &validationData{pool: d.pool, crls: d.crls[:d.carriedCRLs], responses: d.responses[:d.carriedResponses]}
}

// maxCarried bounds the certificates, CRLs and OCSP responses, of each kind, that one signature may bring; archives
// with many time-stamps have some dozens.
const maxCarried = 2000

// What it costs to read evidence, in units of the budget: measured on real ones.
const (
	poolCost        = 400    // to put a certificate into a pool
	certificateCost = 15_000 // to parse one
	gatherCost      = 100    // to tell a piece from others
)

func (v *validator) validationData(s subject) *validationData {
	d := &validationData{}
	own := v.parsed.certificatesOf(s.carried.certificates)
	further := append(v.parsed.certificatesOf(s.beside.certificates), v.parsed.certificatesOf(v.ev.Certificates)...)
	_ = v.budget.Work(poolCost * int64(len(own)+len(further))) // the budget stays spent, and whoever leans on the pool says so
	d.pool = path.NewPool(append(own, further...)...)
	v.parsed.read(d, s.carried.crls, s.carried.ocsps)
	d.carriedCRLs, d.carriedResponses = len(d.crls), len(d.responses)
	v.parsed.read(d, s.beside.crls, s.beside.ocsps)
	v.parsed.read(d, v.ev.CRLs, v.ev.OCSPs)
	return d
}

// parsed keeps what one validation has parsed: signatures and time-stamps of a file share their evidence, and a list
// may be large. What is parsed for the first time is spent of the budget; when that is over nothing is.
type parsed struct {
	budget       *budget.Budget
	cache        *cache.Cache
	certificates map[octets]*certificate.Certificate // nil where it can't be parsed
	crls         map[octets]*revocation.CRL          // the same
	responses    map[octets]*revocation.Response     // the same
	listed       map[octets][32]byte                 // SHA-256 of lists that were parsed for all documents
}

// octets tell pieces of evidence apart by where they lie.
type octets struct {
	first *byte
	size  int
}

func newParsed(b *budget.Budget, c *cache.Cache) *parsed {
	return &parsed{b, c, map[octets]*certificate.Certificate{}, map[octets]*revocation.CRL{}, map[octets]*revocation.Response{},
		map[octets][32]byte{}}
}

// digest is the SHA-256 of a piece of evidence; once the budget is over it says nothing.
func (p *parsed) digest(der []byte) (sum [32]byte) {
	if len(der) == 0 {
		return sum
	}
	if sum, known := p.listed[octets{&der[0], len(der)}]; known {
		return sum
	}
	sum, _ = p.budget.Digest(der)
	return sum
}

func (p *parsed) certificatesOf(list [][]byte) []*certificate.Certificate {
	var certificates []*certificate.Certificate
	for _, der := range limited(list) {
		if c := once(p.budget, certificateCost, p.certificates, der, parsing(p, p.cache.ParseOf)); c != nil {
			certificates = append(certificates, c)
		}
	}
	return certificates
}

// read adds what can be parsed.
func (p *parsed) read(d *validationData, crls, responses [][]byte) {
	for _, der := range limited(crls) {
		if l := once(p.budget, revocation.OctetCost*int64(len(der)), p.crls, der, parsing(p, p.cache.ParseCRLOf)); l != nil {
			d.crls = append(d.crls, l)
		}
	}
	for _, der := range limited(responses) {
		if r := once(p.budget, revocation.OctetCost*int64(len(der)), p.responses, der, parsing(p, p.cache.ParseOCSPOf)); r != nil {
			d.responses = append(d.responses, r)
		}
	}
}

// parsing gives a parser the digest that it knows octets by.
func parsing[T any](p *parsed, parse func([32]byte, []byte) (*T, error)) func([]byte) (*T, error) {
	return func(der []byte) (*T, error) {
		if p.cache == nil {
			return parse([32]byte{}, der)
		}
		return parse(p.digest(der), der)
	}
}

func once[T any](b *budget.Budget, cost int64, known map[octets]*T, der []byte, parse func([]byte) (*T, error)) *T {
	if len(der) == 0 {
		return nil
	}
	at := octets{&der[0], len(der)}
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

func limited(list [][]byte) [][]byte { return list[:min(len(list), maxCarried)] }
