// Package chain judges one certificate for people and programs that ask about certificates rather than documents: its path
// to an anchor with every check on the way, what is known of its revocation, and what the trusted lists say it is.
//
// Judge is pure, as path.Validate below it: it neither fetches nor reads a clock.
package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/judge"
	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
	"trustcore/verify/trustlist"
)

// Mode says how revocation is asked for.
type Mode string

// The modes.
const (
	None        Mode = "none"         // not at all
	IfAvailable Mode = "if-available" // what is known of a certificate must be good; one that nothing is known of passes
	Require     Mode = "require"      // every certificate below the anchor must be known to be good
)

// ParseMode reads a mode; "" is Require.
func ParseMode(text string) (Mode, error) {
	switch m := Mode(text); m {
	case None, IfAvailable, Require:
		return m, nil
	case "":
		return Require, nil
	}
	return "", fmt.Errorf("%q is none of none, if-available, require", text)
}

// How evidence is read.
const (
	skew              = time.Minute // by which a responder's clock may be ahead
	withoutNextUpdate = time.Hour   // how long evidence serves that does not say so itself
)

// A Question is what Judge answers. Target, Anchors, Time, Mode and Policy are needed.
type Question struct {
	Target  *certificate.Certificate
	Further []*certificate.Certificate // to build paths from, in any order
	Anchors *path.Anchors
	Lists   *trustlist.Snapshot // for qualification; nil: it is not asked
	Time    time.Time
	// Known is until when evidence counts; zero is Time. Where it is later, evidence from after Time is read for Time: what
	// is good today was good then, and a revocation after Time does not count (EN 319 102-1 5.6.2.4).
	Known time.Time

	Mode  Mode
	CRLs  []*revocation.CRL
	OCSPs []*revocation.Response

	Policies []certificate.OID // one of these must hold (RFC 5280 6.1.1 (c) and (e)); none: any
	Purposes []certificate.OID // extended key usages that the path must allow (RFC 5280 4.2.1.12)
	// Policy is the validation policy. Its algorithms and its freshness of revocation information are asked, as of a
	// signature's signer and the authorities above.
	Policy *policy.Policy
	Cache  *cache.Cache // may be nil

	Numbers bool // personal numbers are shown as they are
}

// Judge validates the certificate's path. A certificate that is not valid is a report; an error means that something is
// missing in the question, or that the context ended.
func Judge(ctx context.Context, q Question) (*Report, error) {
	if q.Target == nil || q.Anchors == nil || q.Time.IsZero() || q.Mode == "" || q.Policy == nil {
		return nil, errors.New("chain: target, anchors, time, mode or policy is missing")
	}
	request := path.Request{
		Target: q.Target, Pool: path.NewPool(q.Further...), Anchors: q.Anchors, Time: q.Time, Algorithm: q.ofPath,
		DirectTrust: true, Cache: q.Cache, Revocation: q.rule(), Purposes: q.Purposes, Budget: budget.New(ctx, q.size()),
		Policies: path.Policies{Initial: q.Policies, RequireExplicit: len(q.Policies) > 0},
	}
	result := path.Validate(ctx, request)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("judging was given up: %w", err)
	}
	r := report(&q, &result)
	r.qualify(&q, &result)
	if !q.Numbers {
		r.hideNumbers()
	}
	return r, nil
}

// size is that of all that is judged, in octets: it buys the work.
func (q *Question) size() int {
	n := len(q.Target.Raw)
	for _, c := range q.Further {
		n += len(c.Raw)
	}
	for _, l := range q.CRLs {
		n += len(l.Raw)
	}
	for _, r := range q.OCSPs {
		n += len(r.Raw)
	}
	return n
}

func (q *Question) rule() *path.RevocationRule {
	if q.Mode == None {
		return nil
	}
	rule := &path.RevocationRule{
		Evidence: func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return q.OCSPs, q.CRLs },
		Required: q.Mode == Require, ShortTerm: true, AfterIssuance: true, Skew: skew, WithoutNextUpdate: withoutNextUpdate,
		Acceptable: q.acceptable,
	}
	freshness := q.Policy.Level(policy.Signature.Signer(), policy.RevocationFreshnessNextUpdate)
	if freshness != policy.Fail || q.Known.After(q.Time.Add(skew)) {
		rule.Check = judge.Hindsight{At: q.Time, Known: q.known(), Freshness: freshness,
			WithoutNextUpdate: withoutNextUpdate}.Check
	}
	if q.Lists != nil {
		rule.LocalResponder, rule.Responders = q.Lists.Responder, q.Lists.Responders()
	}
	return rule
}

// known is until when evidence counts.
func (q *Question) known() time.Time {
	if q.Known.Before(q.Time) {
		return q.Time
	}
	return q.Known
}

// ofPath judges the algorithms of the path, which does not say whether a certificate is the target or an authority's:
// both contexts must accept.
func (q *Question) ofPath(name string, bits int, at time.Time) (bool, string) {
	if ok, why := q.Policy.Acceptable(policy.Signature.Signer(), name, bits, at); !ok {
		return false, why
	}
	return q.Policy.Acceptable(policy.Signature.CA(), name, bits, at)
}

// acceptable judges the signatures of evidence at the end of what is known: nothing proves that the evidence is older.
func (q *Question) acceptable(u revocation.Use) (bool, string) {
	return q.Policy.Acceptable(policy.Revocation, u.Algorithm, u.Bits, q.known())
}

// qualify asks the trusted lists (TS 119 615 4.4, 4.5).
func (r *Report) qualify(q *Question, result *path.Result) {
	if q.Lists == nil || result.Anchor == nil {
		return
	}
	var issuers []*certificate.Certificate
	issuers = append(issuers, result.Chain[1:]...)
	if a := result.Anchor.Certificate; a != nil {
		issuers = append(issuers, a)
	}
	r.AtIssuance = qualificationOf(q.Lists.Qualify(q.Target, issuers, q.Target.NotBefore))
	r.AtValidation = qualificationOf(q.Lists.Qualify(q.Target, issuers, q.Time))
}

func qualificationOf(q trustlist.Qualified) Qualification {
	out := Qualification{Level: "N/A", Qualified: q.Certificate, Device: q.Device, Provider: q.Provider, Because: slices.Clone(q.Because)}
	if !q.Found || q.Conflict {
		return out
	}
	use := map[trustlist.Type]string{trustlist.ForSignatures: "ESig", trustlist.ForSeals: "ESeal", trustlist.ForWebsites: "WSA"}[q.Type]
	if use == "" {
		use = "unknown"
	}
	out.Level = "Cert for " + use
	if q.Certificate {
		out.Level = "QCert for " + use
	}
	if q.Device && use != "WSA" {
		out.Level += " with QSCD"
	}
	return out
}
