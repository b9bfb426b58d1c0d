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

// asOf reads the newest evidence for an earlier time.
func asOf(r revocation.Result, at time.Time) revocation.Result {
	switch {
	case r.Status == revocation.Revoked && r.RevocationTime.After(at):
		r.Status, r.Code, r.Detail = revocation.Good, "", "revoked on "+r.RevocationTime.Format(time.RFC3339)+", after the time that counts"
	case r.Status == revocation.Good && r.ThisUpdate.Before(at) && r.NextUpdate.Before(at):
		r.Status, r.Code, r.Detail = revocation.Invalid, revocation.Stale, "it is of "+r.ThisUpdate.Format(time.RFC3339)
	}
	return r
}
