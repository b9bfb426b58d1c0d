package verify

import (
	"crypto/sha256"
	"time"

	"trustcore/verify/signature"
)

// existence holds, for objects by SHA-256, the earliest time at which they are proven to have existed
// (EN 319 102-1, 5.6.2.3). Everything existed at the validation time.
type existence struct {
	now    time.Time
	proven map[[32]byte]time.Time
}

func newExistence(now time.Time) *existence {
	return &existence{now: now, proven: map[[32]byte]time.Time{}}
}

// of returns the earliest proven time of the object.
func (e *existence) of(digest [32]byte) time.Time {
	if t, ok := e.proven[digest]; ok {
		return t
	}
	return e.now
}

// add enters what a valid time-stamp proves.
func (e *existence) add(t *signature.Timestamp) {
	for _, digest := range t.Covers {
		if t.Time.Before(e.of(digest)) {
			e.proven[digest] = t.Time
		}
	}
}

// token returns the digest by which a time-stamp itself is known to later ones.
func token(t *signature.Timestamp) [32]byte { return sha256.Sum256(t.Token) }
