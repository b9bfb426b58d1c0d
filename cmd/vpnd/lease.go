package main

import (
	"fmt"
	"time"

	"trustcore/vpn"
)

// lease is how long the gateway may let partners in without another answer of trustd.
type lease struct {
	length time.Duration
	until  time.Duration // on the clock since the machine started; 0 before the first
}

// renew takes the lease of an answer to what was asked then. Answers overtake each other: the later end counts, and
// trustd reckons with it.
func (l *lease) renew(asked time.Duration, a vpn.Answer) error {
	length := time.Duration(max(0, min(a.LeaseSeconds, 2*int64(vpn.MaxLease/time.Second)))) * time.Second // far ones would wrap
	if err := vpn.CheckLease(length); err != nil {
		return fmt.Errorf("trustd offers no lease that can be taken: %w", err)
	}
	l.length, l.until = length, max(l.until, asked+length)
	return nil
}

// left is what remains of it.
func (l lease) left(now time.Duration) time.Duration { return max(0, l.until-now) }

// seconds is the longer of its length and what remains, for trustd to reckon with.
func (l lease) seconds(now time.Duration) int64 {
	return int64((max(l.length, l.left(now)) + time.Second - 1) / time.Second)
}
