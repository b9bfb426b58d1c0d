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

	noted func(time.Time) // is told of each revocation that was found; nil: nobody is
}

// withoutNextUpdate is how long evidence that does not say so serves, where nobody tells: it means that newer
// information was to be had all the time (RFC 6960 4.2.2.1), so an answer given with a signature is of its day.
const withoutNextUpdate = 24 * time.Hour

// Check answers a question; it is made for path.RevocationRule. What evidence from after the validation says against a
// certificate counts all the same, from when it says so: that it is good was not known then.
func (h Hindsight) Check(q revocation.Question, responses []*revocation.Response, crls []*revocation.CRL) revocation.Result {
	anyAge := revocation.AnyAge
	q.Time, q.Freshness, q.MaxAge, q.WithoutNextUpdate = h.Known, &anyAge, 0, revocation.AnyAge
	found := h.ask(q, responses, crls)
	if latest := newest(responses, crls); latest.After(h.Known) {
		q.Time = latest
		if later := h.ask(q, responses, crls); later.Status == revocation.Revoked && !later.RevocationTime.After(h.At) {
			return later
		}
	}
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

func (h Hindsight) ask(q revocation.Question, responses []*revocation.Response, crls []*revocation.CRL) revocation.Result {
	r := revocation.Check(q, responses, crls)
	if h.noted != nil {
		h.noted(r.RevocationTime)
	}
	return r
}

// newest is when the latest of the evidence was issued.
func newest(responses []*revocation.Response, crls []*revocation.CRL) (latest time.Time) {
	for _, l := range crls {
		if l.ThisUpdate.After(latest) {
			latest = l.ThisUpdate
		}
	}
	for _, r := range responses {
		if r.ProducedAt.After(latest) {
			latest = r.ProducedAt
		}
		for _, single := range r.Singles {
			if single.ThisUpdate.After(latest) {
				latest = single.ThisUpdate
			}
		}
	}
	return latest
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
		Check:          Hindsight{At: at, Known: v.at, Freshness: freshness, noted: v.basis.noted}.Check,
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
