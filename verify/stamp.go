package verify

import (
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// order checks that content time-stamps are not later than the signature's (EN 319 102-1, 5.5.4).
func (j *judge) order(s *signature.Signature, verdicts map[*signature.Timestamp]TimestampReport) verdict {
	var content, proof time.Time
	for _, t := range s.Timestamps {
		if verdicts[t].Indication != Passed {
			continue
		}
		switch t.Type {
		case signature.ContentTimestamp, signature.AllDataTimestamp, signature.IndividualData:
			if t.Time.After(content) {
				content = t.Time
			}
		case signature.SignatureTimestamp:
			if proof.IsZero() || t.Time.Before(proof) {
				proof = t.Time
			}
		}
	}
	if !proof.IsZero() && content.After(proof) {
		return unclear(TimestampOrderFailure, "a content time-stamp is later than the signature's")
	}
	return verdict{indication: TotalPassed}
}

// timestamps judges all time-stamps, the latest first, so that a later one can prove the existence of
// what an earlier one leans on (EN 319 102-1, 5.6.3).
func (j *judge) timestamps(doc *signature.Document) map[*signature.Timestamp]TimestampReport {
	all := slices.Clone(doc.Timestamps)
	owner := map[*signature.Timestamp]*signature.Signature{}
	for _, s := range doc.Signatures {
		for _, t := range s.Timestamps {
			if owner[t] == nil {
				owner[t] = s
				all = append(all, t)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *signature.Timestamp) int { return b.Time.Compare(a.Time) })
	verdicts := make(map[*signature.Timestamp]TimestampReport, len(all))
	for _, t := range all {
		r, v := j.timestamp(t, owner[t])
		if v.passed() {
			j.poe.add(t)
			r.Indication = Passed
		} else {
			r.Indication, r.SubIndication, r.Reasons = v.indication, v.sub, v.reasons
			if v.indication == TotalFailed {
				r.Indication = Failed
			}
		}
		r.printable()
		verdicts[t] = r
	}
	return verdicts
}

// timestamp judges one token at the time at which it is proven to have existed itself.
func (j *judge) timestamp(t *signature.Timestamp, owner *signature.Signature) (TimestampReport, verdict) {
	r := TimestampReport{ID: t.ID, Type: string(t.Type), Intact: t.Intact && t.Imprint, Qualification: string(trustlist.NoStamping)}
	if !t.Time.IsZero() {
		at := t.Time.UTC()
		r.Time = &at
	}
	unit, v := j.unit(t)
	if unit != nil {
		r.SignedBy = unit.Subject.CommonName()
	}
	if !v.passed() {
		return r, v
	}
	proven := j.poe.of(token(t))
	chain := j.chain(unit, carrier(t, owner), proven, true)
	r.uncovered = t.Type == signature.SignatureTimestamp && !chain.covered
	if !chain.passed() {
		return r, chain.verdict
	}
	service, v := j.stampService(chain, t.Time)
	r.Qualification = string(service)
	return r, v.then(func() verdict { return j.algorithms(t.Algorithms, proven) })
}

// unit checks what a token says by itself, and returns the certificate of its time-stamping unit. What a check
// needs must be there: a token that names no certificate could be anybody's (RFC 3161, 2.4.2; RFC 5816).
func (j *judge) unit(t *signature.Timestamp) (*certificate.Certificate, verdict) {
	if len(t.Structure) > 0 {
		return nil, verdict{TotalFailed, FormatFailure, slices.Clone(t.Structure)}
	}
	if t.Signer == nil {
		return nil, unclear(NoSigningCertificateFound, "the certificate of the time-stamping unit is missing")
	}
	unit, err := j.ev.Cache.Parse(t.Signer)
	if err != nil {
		return nil, unclear(NoSigningCertificateFound, "the time-stamping unit's certificate can't be read: %v", err)
	}
	switch {
	case t.Binding == signature.BindingMismatch:
		return unit, unclear(NoSigningCertificateFound, "the time-stamp names another certificate than the one whose key made it")
	case t.Binding == signature.BindingAbsent && !j.policy.LooseStamps:
		return unit, unclear(SigConstraintsFailure, "the time-stamp does not bind the certificate of its unit by a signed attribute (RFC 3161, 2.4.2)")
	case len(t.Demands) > 0 && !j.policy.LooseStamps:
		return unit, verdict{Indeterminate, SigConstraintsFailure, slices.Clone(t.Demands)}
	case !t.Found:
		return unit, unclear(SignedDataNotFound, "what the time-stamp covers was not found")
	case !t.Imprint:
		return unit, fail(HashFailure, "the time-stamp is about other data")
	case !t.Intact && t.Unsupported != "":
		return unit, unclear(CryptoConstraintsNoPOE, "the time-stamp's signature can't be checked: %s", t.Unsupported)
	case !t.Intact:
		return unit, fail(SigCryptoFailure, "the time-stamp's signature does not verify")
	case t.Time.Before(unit.NotBefore):
		return unit, unclear(NotYetValid, "the time-stamp is from before the certificate of its unit, which begins on %s", unit.NotBefore.Format(time.RFC3339))
	case t.Time.After(unit.NotAfter.Add(time.Second)): // the certificate's last second is in it
		return unit, unclear(OutOfBoundsNoPOE, "the time-stamp is from after the certificate of its unit, which ended on %s", unit.NotAfter.Format(time.RFC3339))
	case t.Time.After(j.at):
		return unit, unclear(TimestampOrderFailure, "the time-stamp is later than the time of validation")
	}
	return unit, verdict{indication: TotalPassed}
}

// carrier is a time-stamp's own evidence and that of the signature that it hangs on.
func carrier(t *signature.Timestamp, owner *signature.Signature) *signature.Signature {
	if owner == nil {
		return &signature.Signature{Certificates: t.Certificates, CRLs: t.CRLs, OCSPs: t.OCSPs}
	}
	return &signature.Signature{
		Certificates: slices.Concat(t.Certificates, owner.Certificates),
		CRLs:         slices.Concat(t.CRLs, owner.CRLs),
		OCSPs:        slices.Concat(t.OCSPs, owner.OCSPs),
	}
}

// stampService says which time-stamping service of the lists stands behind the unit at the time. A list vouches
// for a service as what it is: where the chain rests on a list, one that issues certificates proves no age.
func (j *judge) stampService(chain *chainVerdict, at time.Time) (trustlist.Stamping, verdict) {
	listed, service := j.ev.Lists.TimeStamping(chain.certificates(), at)
	if listed && service == trustlist.NoStamping && !j.policy.LooseStamps {
		return service, unclear(ChainConstraintsFailure, "no time-stamping service of the trusted lists stands behind the unit on %s", at.UTC().Format(time.RFC3339))
	}
	return service, verdict{indication: TotalPassed}
}

// certificates is the path with its anchor, the target first.
func (v *chainVerdict) certificates() []*certificate.Certificate {
	list := slices.Clone(v.result.Chain)
	if a := v.result.Anchor; a != nil && a.Certificate != nil {
		list = append(list, a.Certificate)
	}
	return list
}
