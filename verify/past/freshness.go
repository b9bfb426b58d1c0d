package past

import (
	"time"

	"trustcore/verify/revocation"
)

// Fresh is the revocation freshness checker (EN 319 102-1 5.2.5): whether evidence of thisUpdate was issued less than the
// accepted freshness before a time. A nil freshness takes the evidence's own period, nextUpdate - thisUpdate; without
// nextUpdate nothing is fresh. A freshness of 0 asks, at a best-signature-time, for evidence that was issued after it.
func Fresh(thisUpdate, nextUpdate, at time.Time, freshness *time.Duration) bool {
	switch {
	case freshness != nil:
		return thisUpdate.After(at.Add(-*freshness))
	case nextUpdate.IsZero():
		return false
	}
	return thisUpdate.After(at.Add(thisUpdate.Sub(nextUpdate)))
}

// fresh is Fresh for a result. Certificates for which no revocation information is published have results without a date.
func fresh(r revocation.Result, at time.Time, freshness *time.Duration) bool {
	return unpublished(r) || Fresh(r.ThisUpdate, r.NextUpdate, at, freshness)
}

// unpublished reports a good result that stands on no evidence: that of a short-term certificate.
func unpublished(r revocation.Result) bool {
	return r.Status == revocation.Good && r.ThisUpdate.IsZero()
}
