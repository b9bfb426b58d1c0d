package judge

import (
	"time"

	"trustcore/verify/path"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
)

// Hindsight reads the newest evidence that is known at one time for an earlier one: what is good now was good then, a
// revocation after it does not count, and evidence that had run out before it says nothing (EN 319 102-1 5.2.5, 5.5.4).
type Hindsight struct {
	At    time.Time // for which evidence is read
	Known time.Time // until which evidence counts
	// Freshness is what follows for evidence that had run out before At: by its nextUpdate, else after WithoutNextUpdate,
	// whose 0 is a day.
	Freshness         policy.Level
	WithoutNextUpdate time.Duration
}

// withoutNextUpdate is how long evidence that does not say so serves, where nobody tells: it means that newer
// information was to be had all the time (RFC 6960 4.2.2.1), so an answer given with a signature is of its day.
const withoutNextUpdate = 24 * time.Hour

// Check answers a question; it is made for path.RevocationRule.
func (h Hindsight) Check(q revocation.Question, responses []*revocation.Response, crls []*revocation.CRL) revocation.Result {
	anyAge := revocation.AnyAge
	q.Time, q.Freshness, q.MaxAge, q.WithoutNextUpdate = h.Known, &anyAge, 0, revocation.AnyAge
	found := revocation.Check(q, responses, crls)
	good := found.Status == revocation.Good || found.Code == revocation.WeakAlgorithm
	switch {
	case found.Status == revocation.Revoked && found.RevocationTime.After(h.At):
		found.Status, found.Code = revocation.Good, ""
		found.Detail = "revoked on " + found.RevocationTime.Format(time.RFC3339) + ", after the time that counts"
		if why := q.Refuses(found.Uses); why != "" { // what revokes counts however it is signed, what clears does not
			found.Status, found.Code, found.Detail = revocation.Invalid, revocation.WeakAlgorithm, why
		}
	case good && h.Freshness > policy.Ignore && found.ThisUpdate.Before(h.At):
		h.age(&found)
	}
	return found
}

// age judges how old evidence from before the time is.
func (h Hindsight) age(found *revocation.Result) {
	code, age, serves := revocation.Code(""), h.At.Sub(found.ThisUpdate), h.WithoutNextUpdate
	if serves == 0 {
		serves = withoutNextUpdate
	}
	switch {
	case found.NextUpdate.IsZero() && age > serves:
		code = revocation.NoNextUpdate
	case !found.NextUpdate.IsZero() && found.NextUpdate.Before(h.At):
		code = revocation.Stale
	default:
		return
	}
	detail := "it is of " + found.ThisUpdate.Format(time.RFC3339)
	if h.Freshness < policy.Fail {
		found.Notes = append(found.Notes, "revocation information: "+string(code)+": "+detail)
		return
	}
	found.Status, found.Code, found.Detail = revocation.Invalid, code, detail
}

// revocationRule judges by the newest evidence known at the validation time, read for a time: of proof of existence, or
// of validation.
func (v *validator) revocationRule(d *validationData, at time.Time, freshness policy.Level) *path.RevocationRule {
	return &path.RevocationRule{
		Evidence:       func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return d.responses, d.crls },
		Check:          v.basis.noting(Hindsight{At: at, Known: v.at, Freshness: freshness}.Check),
		Required:       true,
		ShortTerm:      true,
		AfterIssuance:  true,
		LocalResponder: v.ev.Lists.Responder,
		Responders:     v.ev.Lists.Responders(),
		Acceptable: func(u revocation.Use) (bool, string) {
			ok, why := v.acceptable(u)
			v.basis.used(u, ok, why)
			return ok, why
		},
	}
}

// acceptable judges an algorithm that evidence rests on at the time at which the evidence is proven to have existed
// (EN 319 102-1 5.5.4).
func (v *validator) acceptable(u revocation.Use) (bool, string) {
	return v.policy.Acceptable(policy.Revocation, u.Algorithm, u.Bits, v.existence.earliest(u.Object))
}
