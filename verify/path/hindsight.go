package path

import (
	"time"

	"trustcore/verify/revocation"
)

// hindsight widens the question to evidence of any age until the rule's time.
func (r *RevocationRule) hindsight(q *revocation.Question) {
	if r.KnownUntil.IsZero() {
		return
	}
	anyAge := revocation.AnyAge
	q.Time, q.Freshness, q.MaxAge, q.WithoutNextUpdate = r.KnownUntil, &anyAge, 0, revocation.AnyAge
}

// withoutNextUpdate is how long evidence that does not say so serves in hindsight, where the rule does not tell: it means
// that newer information was to be had all the time (RFC 6960 4.2.2.1), so an answer given with a signature is of its day.
const withoutNextUpdate = 24 * time.Hour

// asOf reads the newest evidence for an earlier time.
func (r *RevocationRule) asOf(found revocation.Result, at time.Time) revocation.Result {
	if r.KnownUntil.IsZero() {
		return found
	}
	good := found.Status == revocation.Good || found.Code == revocation.WeakAlgorithm
	switch {
	case found.Status == revocation.Revoked && found.RevocationTime.After(at):
		found.Status, found.Code = revocation.Good, ""
		found.Detail = "revoked on " + found.RevocationTime.Format(time.RFC3339) + ", after the time that counts"
	case good && found.ThisUpdate.Before(at):
		if code := r.ranOut(found, at); code != "" {
			found.Status, found.Code, found.Detail = revocation.Invalid, code, "it is of "+found.ThisUpdate.Format(time.RFC3339)
		}
	}
	return found
}

// ranOut says why evidence from before a time does not serve for it.
func (r *RevocationRule) ranOut(found revocation.Result, at time.Time) revocation.Code {
	age, serves := at.Sub(found.ThisUpdate), r.WithoutNextUpdate
	if serves == 0 {
		serves = withoutNextUpdate
	}
	switch {
	case r.Freshness != nil:
		if age >= *r.Freshness {
			return revocation.NotFresh
		}
	case found.NextUpdate.IsZero():
		if age > serves {
			return revocation.NoNextUpdate
		}
	case found.NextUpdate.Before(at):
		return revocation.Stale
	}
	return ""
}
