package chain

import (
	"fmt"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// The building blocks of EN 319 102-1 for validation in the past, as pure functions.

// Fresh is the revocation freshness check (5.2.5.4): information is fresh at a time when it was issued after that time less
// the longest age. Without an age (0) the stretch from thisUpdate to nextUpdate is the age; without nextUpdate nothing is.
func Fresh(thisUpdate, nextUpdate, at time.Time, longest time.Duration) bool {
	if longest == 0 {
		if nextUpdate.IsZero() {
			return false
		}
		longest = nextUpdate.Sub(thisUpdate)
	}
	return thisUpdate.After(at.Add(-longest))
}

// Model says when the certificates of a chain must have been valid.
type Model int

// The models.
const (
	Shell      Model = iota // all of them at the time of validation
	ChainModel              // the target then, and each issuer when it issued: at the notBefore of the one below
)

// InTime returns the position of the first certificate, from the target upwards, that was not valid when the model asks
// for it, and -1 when all were. The anchor is not part of the chain.
func InTime(chain []*certificate.Certificate, model Model, at time.Time) int {
	for i, c := range chain {
		if at.Before(c.NotBefore) || at.After(c.NotAfter) {
			return i
		}
		if model == ChainModel {
			at = c.NotBefore
		}
	}
	return -1
}

// Information is one piece of revocation information about a certificate, whose signature and signer were checked.
type Information struct {
	ThisUpdate, NextUpdate time.Time
	RevokedAt              time.Time // zero: not revoked
	Reason                 revocation.Reason
	Proven                 time.Time // the earliest proof of existence; zero: none
	Reliable               time.Time // until when its algorithms count as reliable; zero: without end
}

// Past is one certificate of a chain with what is known of it.
type Past struct {
	Proven      time.Time // the earliest proof of existence of the certificate; zero: none
	Reliable    time.Time // until when the algorithms of its signature count as reliable; zero: without end
	Information []Information
}

// NoProof is the error of Slide: nothing usable about one certificate is proven to have existed in time (NO_POE).
type NoProof struct {
	Position    int       // in the chain
	ControlTime time.Time // that was reached
}

// Error says so.
func (n *NoProof) Error() string {
	return fmt.Sprintf("no revocation information about certificate %d is proven to have existed at %s", n.Position, n.ControlTime.Format(time.RFC3339))
}

// Slide is validation-time sliding (5.6.2.2.4): it returns the latest time at which the whole chain can be known to have
// been good. The chain is the target first, without the anchor; sunset, where not zero, is when the anchor ceased to be
// trusted; longest is as of Fresh.
//
// From the anchor downwards, each certificate's newest information that existed at the control-time moves it: to the
// revocation where there is one, to thisUpdate where the information is not fresh, and to the end of the algorithms where
// those are not reliable any more. Under the chain model only a compromised key, or an unknown reason, counts as a
// revocation of an issuer: what it signed before another one stays good.
func Slide(chain []Past, model Model, now, sunset time.Time, longest time.Duration) (time.Time, error) {
	control := now
	if !sunset.IsZero() {
		control = earlier(control, sunset)
	}
	for i := len(chain) - 1; i >= 0; i-- {
		c := &chain[i]
		newest := c.newest(control)
		if newest == nil {
			return control, &NoProof{i, control}
		}
		switch {
		case !newest.RevokedAt.IsZero() && (model == Shell || i == 0 || compromising(newest.Reason)):
			control = earlier(control, newest.RevokedAt)
		case newest.RevokedAt.IsZero() && !Fresh(newest.ThisUpdate, newest.NextUpdate, control, longest):
			control = earlier(control, newest.ThisUpdate)
		}
		for _, reliable := range []time.Time{c.Reliable, newest.Reliable} {
			if !reliable.IsZero() {
				control = earlier(control, reliable)
			}
		}
	}
	return control, nil
}

// newest returns the latest information that was issued, and is proven to have existed, by the time; nil where there is
// none, or where the certificate itself is not proven.
func (p *Past) newest(at time.Time) (newest *Information) {
	if !existed(p.Proven, at) {
		return nil
	}
	for i := range p.Information {
		r := &p.Information[i]
		if existed(r.Proven, at) && r.ThisUpdate.Before(at) && (newest == nil || r.ThisUpdate.After(newest.ThisUpdate)) {
			newest = r
		}
	}
	return newest
}

// existed reports whether the proof is not later than the time.
func existed(proven, at time.Time) bool { return !proven.IsZero() && !proven.After(at) }

func compromising(r revocation.Reason) bool {
	switch r {
	case revocation.NoReason, revocation.Unspecified, revocation.KeyCompromise, revocation.CACompromise, revocation.AACompromise:
		return true
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
