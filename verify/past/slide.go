package past

import (
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// A Request asks until when a chain can be relied on. Chain, Anchor, Time, Existence and Evidence are needed.
type Request struct {
	Chain  []*certificate.Certificate // the target first, the anchor not included; every signature verifies
	Anchor *path.Anchor
	Time   time.Time // of validation

	Model     Model // RFC5280 slides as Shell
	Existence Existence

	// Evidence returns what is at hand about the question's certificate; more than that does no harm. What is not proven to
	// have existed, and what was issued too late, is left out here; signatures are checked by revocation.Check.
	Evidence func(q *revocation.Question) ([]*revocation.Response, []*revocation.CRL)
	// Prepare completes a question with what the caller knows: CRL issuers and whom to trust of them, local responders,
	// the revocation of delegates, KeptSince, Verify with a cache. Times are set afterwards. Nil leaves the issuing key and its
	// delegates, whose revocation is not asked for.
	Prepare func(q *revocation.Question)

	// Freshness is the greatest accepted age of evidence, see Fresh.
	Freshness *time.Duration
	// ShortTerm passes certificates about which nothing is published, see certificate.ShortTerm.
	ShortTerm bool

	// Suitable says until when an algorithm may be relied on, as algorithm.Suitable does; nil accepts what verifies.
	Suitable func(name string, bits int) algorithm.Suitability

	// Path holds the demands on the path that Certificate checks: policies, purposes, name, depth, limits and cache. Its other
	// fields are set from the request.
	Path path.Request
}

// A Step is one move of control-time.
type Step struct {
	Certificate *certificate.Certificate // nil for the anchor
	Position    int                      // index in the chain, its length is the anchor
	To          time.Time
	Why         string
}

// A Control is the outcome of sliding: the latest time at which the chain can be relied on.
type Control struct {
	Time  time.Time
	Steps []Step // what moved it, in order
	// Evidence holds what was relied on for each certificate of the chain.
	Evidence []revocation.Result
}

// Slide is validation time sliding (EN 319 102-1 5.6.2.2). Control-time starts at the time of validation or the anchor's
// sunset; from the anchor down each certificate moves it back: to its revocation, to the issue of evidence that is not
// fresh, to the last day of an algorithm. Evidence must be older than control-time, and proven together with the
// certificate to have existed by then. A reason other than OK is of the indication INDETERMINATE; the Control then shows
// how far it came.
//
// Two points that the clause leaves open are settled so: a hold counts when the newest evidence tells it and has no effect
// once it was lifted; in the chain model a CA that was revoked for a harmless reason moves control-time still when it
// issued the next certificate afterwards, and the target's own revocation always does.
func Slide(r Request) (Control, Reason) {
	if missing := r.missing(); missing != "" {
		return Control{}, reason(PathInvalid, nil, 0, r.Time, missing)
	}
	control := Control{Time: r.Time, Evidence: make([]revocation.Result, len(r.Chain))}
	if end := Sunset(r.Anchor); !end.IsZero() {
		control.move(nil, len(r.Chain), end, "the trust anchor's last day")
	}
	for i := len(r.Chain) - 1; i >= 0; i-- {
		if isAnchor(r.Anchor, r.Chain[i]) {
			continue
		}
		if why := r.slideOver(&control, i); why.Code != OK {
			return control, why
		}
	}
	return control, Reason{}
}

// missing names what a request needs and lacks.
func (r *Request) missing() string {
	switch {
	case len(r.Chain) == 0:
		return "no chain"
	case r.Anchor == nil || r.Anchor.Key == nil:
		return "no anchor"
	case r.Time.IsZero():
		return "no time of validation"
	case r.Evidence == nil:
		return "no evidence"
	}
	return ""
}

// slideOver is step 2 for one certificate.
func (r *Request) slideOver(control *Control, i int) Reason {
	c := r.Chain[i]
	if r.ShortTerm && c.ShortTerm() {
		control.Evidence[i] = revocation.Result{Status: revocation.Good, Detail: "no revocation information is published"}
		return r.slideToAlgorithm(control, i)
	}
	if !r.Existence.By(c.Fingerprint, control.Time) {
		return reason(NoProof, c, i, control.Time, "the certificate is proven since "+date(r.Existence.Earliest(c.Fingerprint)))
	}
	result := r.choose(i, control.Time)
	control.Evidence[i] = result
	switch {
	case result.Status == revocation.Revoked && r.matters(i, result):
		control.move(c, i, result.RevocationTime, since(result))
	case result.Status == revocation.Revoked:
	case result.Status != revocation.Good:
		return reason(NoProof, c, i, control.Time, unknown(result))
	case !Fresh(result.ThisUpdate, result.NextUpdate, control.Time, r.Freshness):
		control.move(c, i, result.ThisUpdate, "the evidence is not fresh")
	}
	return r.slideToAlgorithm(control, i)
}

// matters reports whether a revocation moves control-time (step 2 b).
func (r *Request) matters(i int, result revocation.Result) bool {
	if r.Model != Chain || i == 0 || compromised(result.Reason) {
		return true
	}
	return !r.Chain[i-1].NotBefore.Before(result.RevocationTime)
}

// slideToAlgorithm is step 2 d, for the signatures on the certificate, on its evidence and on the responder's certificate.
func (r *Request) slideToAlgorithm(control *Control, i int) Reason {
	if r.Suitable == nil {
		return Reason{}
	}
	c := r.Chain[i]
	for _, use := range r.uses(i, control.Evidence[i]) {
		s := r.Suitable(use.Algorithm, use.Bits)
		switch {
		case !s.Listed:
			return reason(Unreliable, c, i, control.Time, s.Reason)
		case !s.Until.IsZero():
			control.move(c, i, s.Until, s.Reason)
		}
	}
	return Reason{}
}

func (r *Request) uses(i int, evidence revocation.Result) []revocation.Use {
	c := r.Chain[i]
	_, key, _ := r.issuer(i)
	return append([]revocation.Use{signedWith(c, key)}, evidence.Uses...)
}

// signedWith names the algorithm of the signature on a certificate. An unknown one has an empty name, which no table lists.
func signedWith(c *certificate.Certificate, issuer *algorithm.PublicKey) revocation.Use {
	scheme, err := algorithm.FromCertificate(c.SignatureAlgorithm)
	if err != nil || issuer == nil {
		return revocation.Use{}
	}
	return revocation.Use{Algorithm: scheme.Name(), Bits: issuer.Bits()}
}

// move takes control-time back, never forward.
func (c *Control) move(cert *certificate.Certificate, position int, to time.Time, why string) {
	if to.Before(c.Time) {
		c.Time = to
		c.Steps = append(c.Steps, Step{cert, position, to, why})
	}
}
