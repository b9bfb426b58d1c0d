package judge

import (
	"time"

	"trustcore/verify/trace"
)

// existence is the store of proofs of existence (EN 319 102-1 5.6.2.3): for objects by SHA-256 the earliest time at which
// they are proven to have existed. Everything existed at the validation time. Time-stamps, archive time-stamps and
// evidence records that passed feed it; each object that they name costs one look.
type existence struct {
	now    time.Time
	proven map[[32]byte]time.Time

	// prover is the id of the time-stamp whose proofs are entered; proofs are told beside, nil where nobody asks.
	prover string
	proofs map[[32]byte]trace.Proof
}

func newExistence(now time.Time) *existence {
	return &existence{now: now, proven: map[[32]byte]time.Time{}}
}

// earliest returns the earliest proven time of the object.
func (e *existence) earliest(object [32]byte) time.Time {
	if t, ok := e.proven[object]; ok {
		return t
	}
	return e.now
}

// prove enters that the objects existed at the time.
func (e *existence) prove(at time.Time, objects [][32]byte) {
	for _, o := range objects {
		if at.Before(e.earliest(o)) {
			e.proven[o] = at
			if e.proofs != nil {
				e.proofs[o] = trace.Proof{Time: at.UTC(), By: e.prover}
			}
		}
	}
}
