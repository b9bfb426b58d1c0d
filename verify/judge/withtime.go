package judge

import (
	"time"

	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// withTime concludes on the signer's certificate by the time at which the signature is proven to have existed (5.5.4,
// 5.6.2.4): what was valid and unrevoked then passes, and nothing else does. Where it does not pass, what is said is what
// the certificate is worth now (5.3), unless that is good, an authority was revoked or suspended, or long term material was there and did
// not help (5.6.3.4).
func (v *validator) withTime(who subject, s *signature.Signature, r *Signature) Conclusion {
	return v.block(trace.WithTime, r.BestSignatureTime, func() Conclusion {
		c := v.proven(who, r.Chain, r.BestSignatureTime, longTerm(s))
		c = afterContent(c, r.Chain, v.content(s))
		return v.check(policy.Timestamp, timeConstraint(c.SubIndication), c)
	})
}

// timeConstraint names what the proven time is held against.
func timeConstraint(sub SubIndication) policy.Name {
	switch sub {
	case RevokedNoPOE, RevokedCANoPOE, Revoked:
		return policy.RevocationTimeAgainstBestSignatureTime
	case NotYetValid:
		return trace.WithinCertificate
	case OutOfBoundsNoPOE, OutOfBoundsNotRevoked, Expired, "":
		return policy.BestSignatureTimeBeforeExpirationDateOfSigningCertificate
	}
	return trace.CertificateValid
}

// proven is withTime for whatever is signed: chain is that of who at the proven time.
func (v *validator) proven(who subject, chain *Chain, at time.Time, longTerm bool) Conclusion {
	if !at.Before(v.at) {
		return chain.Conclusion
	}
	return v.pastSignature(at, func() Conclusion { return v.byPast(who, chain, at, longTerm) })
}

// byPast concludes by what the certificate was worth at the proven time, and where that is not enough, is worth now.
func (v *validator) byPast(who subject, chain *Chain, at time.Time, longTerm bool) Conclusion {
	if chain.passed() {
		return chain.Conclusion
	}
	now := v.certificateValidation(who, v.at)
	switch {
	case chain.Path.Anchor != nil && at.Before(who.certificate.NotBefore) && (now.passed() || timely[now.SubIndication]):
		return failed(NotYetValid, "it existed on %s already, before its certificate, which begins on %s",
			at.UTC().Format(time.RFC3339), who.certificate.NotBefore.Format(time.RFC3339))
	case now.passed() || chain.SubIndication == RevokedCANoPOE || chain.suspended || longTerm && chain.SubIndication == RevocationOutOfBounds:
		return chain.Conclusion
	}
	chain.revokedAt = now.revokedAt
	return now.Conclusion
}

// timely are what the certificate may be worth now for its worth at the proven time to be asked (5.5.4, 5.6.3.4).
var timely = map[SubIndication]bool{
	CryptoConstraintsNoPOE: true, OutOfBoundsNoPOE: true, OutOfBoundsNotRevoked: true, RevokedNoPOE: true, RevokedCANoPOE: true,
	TryLater: true, RevocationOutOfBounds: true, NoCertificateChainNoPOE: true,
}

// longTerm reports whether there is material for long term availability: archive time-stamps, those of a PDF over its
// evidence too, or evidence records.
func longTerm(s *signature.Signature) bool {
	for _, t := range s.Timestamps {
		if t.Type == signature.ArchiveTimestamp || t.Type == signature.DocumentTimestamp && s.Level == "B-LTA" {
			return true
		}
	}
	return len(s.EvidenceRecords) > 0
}

// afterContent makes sure of what was only likely: what was signed after a content time-stamp, was signed after the
// certificate's end or revocation, if that was earlier (5.3.4).
func afterContent(c Conclusion, chain *Chain, content time.Time) Conclusion {
	switch c.SubIndication {
	case RevokedNoPOE:
		if !content.IsZero() && !chain.revokedAt.IsZero() && content.After(chain.revokedAt) {
			c.Indication, c.SubIndication = TotalFailed, Revoked
		}
	case OutOfBoundsNoPOE, OutOfBoundsNotRevoked:
		if len(chain.Path.Chain) > 0 && content.After(chain.Path.Chain[0].NotAfter) {
			c.Indication, c.SubIndication = TotalFailed, Expired
		}
	}
	return c
}

// content is the time of the latest content time-stamp that passed: the signature was made after it. Zero for none.
func (v *validator) content(s *signature.Signature) time.Time {
	var latest time.Time
	for _, t := range s.Timestamps {
		if isContent(t) && v.out.Timestamps[t].passed() && t.Time.After(latest) {
			latest = t.Time
		}
	}
	return latest
}

func isContent(t *signature.Timestamp) bool {
	return t.Type == signature.ContentTimestamp || t.Type == signature.AllDataTimestamp || t.Type == signature.IndividualData
}

// order checks that content time-stamps are not later than the signature's (5.5.4), as the policy says.
func (v *validator) order(s *signature.Signature, r *Signature) Conclusion {
	return v.block(trace.WithTime, time.Time{}, func() Conclusion {
		c := v.ordered(s)
		if v.tells(policy.Timestamp, policy.Coherence) {
			r.Notes = append(r.Notes, c.Reasons...)
		}
		return v.demand(policy.Timestamp, policy.Coherence, c.passed(), func() Conclusion { return c })
	})
}

func (v *validator) ordered(s *signature.Signature) Conclusion {
	var earliest time.Time
	for _, t := range s.Timestamps {
		if t.Type == signature.SignatureTimestamp && v.out.Timestamps[t].passed() && (earliest.IsZero() || t.Time.Before(earliest)) {
			earliest = t.Time
		}
	}
	if !earliest.IsZero() && v.content(s).After(earliest) {
		return indeterminate(TimestampOrderFailure, "a content time-stamp is later than the signature's")
	}
	return passed()
}
