// Package path builds certification paths and validates them by RFC 5280 section 6 with the policy graph of RFC 9618.
//
// Validate is pure: certificates, anchors, revocation evidence and the time come in, a Result comes out. It neither
// fetches nor reads a clock (the context's deadline is the one budget of time), so a verdict can be repeated years later.
package path

import (
	"context"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// A Profile says which demands beside RFC 5280 section 6 a path must meet.
type Profile uint8

// The profiles. The product judges by ProfilePath; the others serve tests and our own CA's lint.
const (
	ProfilePath   Profile = iota // section 6 alone
	ProfileStrict                // also section 4: key identifiers, criticality, serial numbers, names
	ProfileServer                // also the CA/Browser rules for TLS servers
)

// Policies are the policy inputs of RFC 5280 6.1.1 (c), (e) to (g).
type Policies struct {
	Initial         []certificate.OID // nil is anyPolicy
	RequireExplicit bool
	InhibitMapping  bool
	InhibitAny      bool
}

// Limits are the budgets of one validation. What is over a budget is not valid, with the reason Budget.
type Limits struct {
	Signatures  int // signature verifications that are not in a cache
	Work        int // their cost, in units of internal/budget: nanoseconds
	Candidates  int // issuer candidates looked at
	Comparisons int // name constraint comparisons; long names count as several
	Depth       int // certificates of a path, the anchor not counted
	Paths       int // complete paths judged
}

// DefaultLimits suit chains of the real world with much room: those have a few candidates, and at most some hundred
// comparisons. The work is 0.16 s of one processor.
var DefaultLimits = Limits{Signatures: 256, Work: 160_000_000, Candidates: 20_000, Comparisons: 250_000, Depth: 64, Paths: 1_000}

// A Request is one question to Validate. Target and Anchors are needed; the zero value of the rest asks for nothing more.
type Request struct {
	Target  *certificate.Certificate
	Pool    *Pool // further certificates; nil is empty
	Anchors *Anchors
	Time    time.Time // the validation time

	Policies Policies
	Purposes []certificate.OID // extended key usages that target and CA certificates must allow
	Name     *ReferenceName    // nil: any
	MaxDepth *int              // largest number of intermediates that are not self-issued; nil: no limit
	Profile  Profile

	// PurposeRule is what Purposes demand of the target beyond not forbidding them.
	PurposeRule PurposeRule

	// Algorithm judges every signature and key on the path, as algorithm.Acceptable does; nil accepts what verifies.
	Algorithm func(name string, bits int, at time.Time) (ok bool, reason string)
	// Existence is when a certificate is proven to have existed, at which the algorithm of the signature on it is judged; nil
	// takes Time.
	Existence func(*certificate.Certificate) time.Time
	// Revocation says how every certificate below the anchor is judged; nil does not ask.
	Revocation *RevocationRule
	// DirectTrust takes a target that is itself an anchor's certificate without a path below it: only the anchor's time and the
	// purposes are asked.
	DirectTrust bool

	Limits Limits         // zero fields take the default
	Budget *budget.Budget // of the document, shared with what else is done for it; nil: the limits alone bound the work
	Cache  *cache.Cache   // nil: nothing is remembered
}

// A Result is the outcome of one validation.
type Result struct {
	Valid bool
	// Chain is the valid path, or the best one that was found: the target first, the anchor not included.
	Chain  []*certificate.Certificate
	Anchor *Anchor // nil when no anchor was reached

	// Reasons say why the path is not valid, the weightiest first; empty when it is.
	Reasons []Reason
	// Notes are tolerated oddities of the signatures on the path.
	Notes []string
	// Revocation holds the outcome for each certificate of Chain, when it was asked for.
	Revocation []revocation.Result

	// AuthorityPolicies and UserPolicies are the policy outputs of RFC 9618 6.1.6; the latter also hold for a path that is
	// not valid for another reason than its policies.
	AuthorityPolicies []certificate.OID
	UserPolicies      []certificate.OID

	Spent Limits // what was used up of the budgets
}

// Reason returns the weightiest reason; its code is OK for a valid path.
func (r *Result) Reason() Reason {
	if len(r.Reasons) == 0 {
		return Reason{}
	}
	return r.Reasons[0]
}

// Validate looks for a valid path from the target to one of the anchors. One valid path is enough. A path that is not
// valid is a Result, never an error.
func Validate(ctx context.Context, r Request) Result {
	b := newBuilder(ctx, &r)
	if r.Anchors.Empty() {
		b.best = failure{reasons: []Reason{reason(NoAnchor, nil, 0, "")}}
		return b.result()
	}
	if r.DirectTrust {
		if a := b.direct(true); a != nil {
			return b.trusted(a)
		}
	}
	b.push(r.Target)
	b.extend()
	if r.DirectTrust && !b.stop && b.valid == nil && b.best.anchor == nil {
		if a := b.direct(false); a != nil {
			return b.trusted(a) // no path leads elsewhere: that the anchor's time is over says more than that there is none
		}
	}
	return b.result()
}

func (l Limits) withDefaults() Limits {
	pick := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	pick(&l.Signatures, DefaultLimits.Signatures)
	pick(&l.Work, DefaultLimits.Work)
	pick(&l.Candidates, DefaultLimits.Candidates)
	pick(&l.Comparisons, DefaultLimits.Comparisons)
	pick(&l.Depth, DefaultLimits.Depth)
	pick(&l.Paths, DefaultLimits.Paths)
	return l
}

func reason(code Code, c *certificate.Certificate, position int, detail string) Reason {
	return Reason{Code: code, Certificate: c, Position: position, Clause: codes[code].clause, Detail: detail}
}
