package verify

import (
	"bytes"
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
	"trustcore/verify/trace"
)

// maxBeside bounds the questions that are asked for a trace alone: real documents give rise to some tens.
const maxBeside = 1000

// farFuture makes evidence of any time serve.
var farFuture = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// beside enters the revocation data at hand that speak of the i-th certificate of a path though nothing rests on them:
// what came too early or too late, or was not asked. What they say is told, not whether it may be relied on.
func (t *tracer) beside(certificates []*certificate.Certificate, items []trace.ChainItem, i int) {
	c := certificates[i]
	if t.besides[c.Fingerprint] || i+1 >= len(certificates) {
		return
	}
	t.besides[c.Fingerprint] = true
	key, err := certificates[i+1].Key()
	if err != nil {
		return
	}
	anyAge := revocation.AnyAge
	q := revocation.Question{Certificate: c, Issuer: certificates[i+1], IssuerName: certificates[i+1].Subject,
		IssuerKey: key,
		Time:      farFuture, Freshness: &anyAge, WithoutNextUpdate: revocation.AnyAge,
		Trusted: func(*certificate.Certificate) error { return nil }}
	for _, piece := range t.pieces() {
		if _, known := t.revocations[identifier(trace.RevocationID, piece)]; known {
			continue
		}
		if t.questions == 0 {
			return
		}
		t.questions--
		r := t.says(q, piece)
		if !slices.Contains(r.Evidence, piece) {
			continue
		}
		r.Evidence = [][32]byte{piece}
		t.statuses(certificates, items, i, r, false)
	}
}

// says is what a piece of evidence says of a certificate.
func (t *tracer) says(q revocation.Question, piece [32]byte) revocation.Result {
	if l := t.Steps.CRLs[piece]; l != nil {
		return revocation.CheckCRL(q, []*revocation.CRL{l})
	}
	return revocation.CheckOCSP(q, t.Steps.Responses[piece])
}

// pieces are the digests of all evidence that was read, in their order.
func (t *tracer) pieces() [][32]byte {
	if t.read == nil {
		t.read = make([][32]byte, 0, len(t.Steps.CRLs)+len(t.Steps.Responses))
		for piece := range t.Steps.CRLs {
			t.read = append(t.read, piece)
		}
		for piece := range t.Steps.Responses {
			t.read = append(t.read, piece)
		}
		slices.SortFunc(t.read, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	}
	return t.read
}

// besidePaths asks about all paths, once what conclusions rest on is entered.
func (t *tracer) besidePaths() {
	for _, p := range t.paths {
		for i := range p.certificates {
			t.beside(p.certificates, p.items, i)
		}
	}
}

// tracedPath is a path whose certificates are entered.
type tracedPath struct {
	certificates []*certificate.Certificate
	items        []trace.ChainItem
}
