package past

import (
	"crypto/sha256"
	"maps"
	"time"
)

// A Digest names an object by the SHA-256 of its bytes: of the DER of a certificate, a CRL, an OCSP response or a token, of
// a signature's value.
type Digest = [sha256.Size]byte

// Existence is a set of proofs of existence (EN 319 102-1 5.6.2.3): for each object the earliest time at which it is proven
// to have existed. It is a value: adding makes another set and leaves the first as it was. Its readers need no lock. The
// zero value proves nothing, at no time.
type Existence struct {
	now    time.Time
	proven map[Digest]time.Time
}

// NewExistence makes the set of someone who validates now: whatever is at hand exists now.
func NewExistence(now time.Time) Existence { return Existence{now: now} }

// With returns the set with a proof of one time for objects, as a valid time-stamp gives it for what it covers. A proof that
// is no earlier than the one at hand adds nothing. It takes time in proportion to the set.
func (e Existence) With(at time.Time, objects ...Digest) Existence {
	proven := make(map[Digest]time.Time, len(e.proven)+len(objects))
	maps.Copy(proven, e.proven)
	next := Existence{now: e.now, proven: proven}
	for _, o := range objects {
		if earliest := next.Earliest(o); earliest.IsZero() || at.Before(earliest) {
			proven[o] = at
		}
	}
	return next
}

// Earliest returns the earliest proven time of an object: that of validation where no proof is at hand, the zero time in a
// set without one.
func (e Existence) Earliest(object Digest) time.Time {
	if t, ok := e.proven[object]; ok {
		return t
	}
	return e.now
}

// By reports whether the object is proven to have existed at t or before.
func (e Existence) By(object Digest, t time.Time) bool {
	earliest := e.Earliest(object)
	return !earliest.IsZero() && !earliest.After(t)
}
