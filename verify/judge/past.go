package judge

import (
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/prose"
	"trustcore/verify/revocation"
	"trustcore/verify/trace"
)

// sliding is beforeRevocations, as a building block where it is asked for a time that is past (5.6.2.2): the time
// slides to the earliest revocation above, from that of the validation.
func (x *x509) sliding() Conclusion {
	if !x.request.Time.Before(x.at.Truncate(time.Second)) {
		return x.beforeRevocations()
	}
	return x.block(trace.ValidationTimeSliding, x.at, func() Conclusion {
		return x.beforeRevocations().then(func() Conclusion { return x.check(x.context, trace.ControlTime, passed()) })
	})
}

// beforeRevocations checks that what authorities of a valid path signed, which were revoked after the time that counts, is
// proven to be older: from then on others may hold their keys. The control time slides from the anchor down (5.6.2.2.4).
func (x *x509) beforeRevocations() Conclusion {
	var control time.Time // zero where nothing above was revoked
	sub := RevokedCANoPOE
	for i := len(x.result.Revocation) - 1; i >= 0; i-- {
		c, status := x.result.Chain[i], x.result.Revocation[i]
		if !control.IsZero() && !x.older(control, status.Evidence) {
			status = x.asked(i, control)
		}
		if !control.IsZero() && (status.Status != revocation.Good || !x.older(control, [][32]byte{c.Fingerprint})) {
			x.decided = i
			return x.slid(c, control, indeterminate(sub, "an authority above %s was revoked on %s, and nothing proves that the "+
				"certificate and the revocation information about it are older",
				prose.Name(c.Subject.String()), control.UTC().Format(time.RFC3339)))
		}
		if status.Status == revocation.Good {
			x.slid(c, control, passed())
		}
		if t := status.RevocationTime; !t.IsZero() && (control.IsZero() || t.Before(control)) {
			control = t
			if sub, x.suspended = RevokedCANoPOE, status.Reason == revocation.CertificateHold; x.suspended {
				sub = TryLater
			}
		}
	}
	return passed()
}

// slid enters what is known of a revocation of a certificate of the path, and the time to which its validation slid.
func (x *x509) slid(c *certificate.Certificate, control time.Time, outcome Conclusion) Conclusion {
	if s := x.steps; s != nil && !s.silent && len(s.open) > 0 && s.open[len(s.open)-1].Kind == trace.ValidationTimeSliding {
		if !control.IsZero() && control.Before(*s.open[len(s.open)-1].Time) {
			s.open[len(s.open)-1].Time = &control
		}
		s.link(c)
		defer s.link(nil)
		return x.check(x.context.CA(), trace.SatisfyingRevocation, outcome)
	}
	return outcome
}

// older reports whether all objects are proven to have existed at the control time.
func (x *x509) older(control time.Time, objects [][32]byte) bool {
	return !slices.ContainsFunc(objects, func(object [32]byte) bool {
		x.basis.proven(object, x.existence.proven[object])
		return x.existence.earliest(object).After(control)
	})
}

// asked is what the evidence from before the control time says of the i-th certificate.
func (x *x509) asked(i int, control time.Time) revocation.Result {
	if x.budget.Work(evidenceCost*int64(1+len(x.data.responses)+len(x.data.crls))) != nil {
		return revocation.Result{}
	}
	var crls []*revocation.CRL
	for _, l := range x.data.crls {
		if x.older(control, [][32]byte{l.Digest()}) {
			crls = append(crls, l)
		}
	}
	var responses []*revocation.Response
	for _, r := range x.data.responses {
		if x.older(control, [][32]byte{r.Digest()}) {
			responses = append(responses, r)
		}
	}
	q := x.request.Question(x.budget.Context(), x.result.Chain, x.result.Anchor, i)
	return x.request.Revocation.Check(q, responses, crls)
}

// certified is when a certificate counts as existing for the algorithm of its issuer's signature. Before it is asked for
// another time than now, nothing but the value and the signed attributes are of that time (5.5.4); with material for long
// term availability, what proofs of existence cover is (5.6.2.4).
func (v *validator) certified(s subject, at time.Time) func(*certificate.Certificate) time.Time {
	return func(c *certificate.Certificate) time.Time {
		switch {
		case !at.Before(v.at.Truncate(time.Second)):
			return at
		case !s.longTerm:
			return v.at
		}
		v.basis.proven(c.Fingerprint, v.existence.proven[c.Fingerprint])
		return v.existence.earliest(c.Fingerprint)
	}
}
