package judge

import (
	"crypto/sha256"
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
	"trustcore/verify/trustlist"
)

// Timestamp is what was concluded of one time-stamp.
type Timestamp struct {
	Facts *signature.Timestamp
	Conclusion
	Unit    *certificate.Certificate // nil where it is not known whose it is
	Service trustlist.Stamping       // what the lists say of the unit
	Notes   []string

	// covered is false where the document has no evidence for the unit's chain.
	covered bool
}

func (t *Timestamp) passed() bool { return t != nil && t.Conclusion.passed() }

// proof is one time-stamp and where it stands.
type proof struct {
	stamp  *signature.Timestamp
	owner  *signature.Signature      // nil for one of the document
	record *signature.EvidenceRecord // nil for one that stands for itself
}

// proofs judges all time-stamps and evidence records, the latest first, so that a later one can prove the existence of
// what an earlier one leans on (5.6.3.4).
func (v *validator) proofs(doc *signature.Document, all []proof) {
	for _, p := range all {
		v.steps.of(p.stamp)
		v.proving(p.stamp)
		r := v.timestamp(p)
		v.out.Timestamps[p.stamp] = r
		if p.record != nil {
			v.renewal(p, r)
		} else if r.passed() {
			v.existence.prove(p.stamp.Time, p.stamp.Covers)
		}
	}
	for _, e := range recordsOf(doc) {
		if v.out.Records[e] == nil {
			v.out.Records[e] = v.record(e)
		}
	}
}

// proofsOf are the time-stamps of a document, each once, in the order in which they are judged.
func proofsOf(doc *signature.Document) []proof {
	var all []proof
	seen := map[*signature.Timestamp]bool{}
	add := func(stamps []*signature.Timestamp, owner *signature.Signature, e *signature.EvidenceRecord) {
		for _, t := range stamps {
			if !seen[t] {
				seen[t] = true
				all = append(all, proof{t, owner, e})
			}
		}
	}
	records := func(list []*signature.EvidenceRecord, owner *signature.Signature) {
		for _, e := range list {
			add(e.Timestamps, owner, e)
		}
	}
	for _, s := range doc.Signatures {
		add(s.Timestamps, s, nil)
		records(s.EvidenceRecords, s)
	}
	add(doc.Timestamps, nil, nil)
	records(doc.EvidenceRecords, nil)
	return latestFirst(all)
}

// carried is a time-stamp's own evidence, and that of the signature that it hangs on with its other time-stamps.
func (p proof) carried() carried {
	c := carried{p.stamp.Certificates, p.stamp.CRLs, p.stamp.OCSPs}
	if p.owner == nil {
		return c
	}
	c = c.with(carriedBy(p.owner))
	for _, t := range p.owner.Timestamps {
		if t != p.stamp {
			c = c.with(carried{t.Certificates, t.CRLs, t.OCSPs})
		}
	}
	return c
}

// timestamp validates one token at the time at which it is proven to have existed itself (5.4).
func (v *validator) timestamp(p proof) *Timestamp {
	t := p.stamp
	r := &Timestamp{Facts: t, Service: trustlist.NoStamping}
	r.Unit, r.Conclusion = v.unit(t)
	if !r.passed() {
		r.covered = v.knownUnit(p)
		return r
	}
	sum, _ := v.budget.Digest(t.Token) // beyond the budget nothing counts
	proven := v.existence.earliest(sum)
	who := v.about(r.Unit, p.carried(), policy.Timestamp)
	who.longTerm = true
	chain := v.certificateValidation(who, proven)
	r.covered, r.Notes = chain.Covered, append(v.toldOfStamp(t, proven), chain.Notes...)
	r.Conclusion = v.proven(who, chain, proven, true).then(func() Conclusion { return v.stampService(chain, t.Time) })
	if r.passed() {
		r.Service = v.ev.Lists.StampLevel(chain.Certificates(), t.Time, proven)
	}
	r.Conclusion = r.then(func() Conclusion {
		return v.block(trace.SignatureAcceptance, proven, func() Conclusion { return v.algorithms(policy.Timestamp, t.Algorithms, proven) })
	})
	return r
}

// knownUnit is whether the document covers the chain of the unit of a time-stamp that did not pass by itself: it proves
// nothing, and counts for the form of a level all the same.
func (v *validator) knownUnit(p proof) bool {
	c, read := v.signer(p.stamp.Signer, "")
	return read.passed() && v.chain(v.about(c, p.carried(), policy.Timestamp), v.at).Covered
}

// token returns the digest by which a time-stamp itself is known to later ones.
func token(t *signature.Timestamp) [32]byte { return sha256.Sum256(t.Token) }

// unit checks what a token says by itself, and returns the certificate of its time-stamping unit. What a check
// needs must be there: a token that names no certificate could be anybody's (RFC 3161, 2.4.2; RFC 5816).
func (v *validator) unit(t *signature.Timestamp) (*certificate.Certificate, Conclusion) {
	format := v.block(trace.FormatChecking, time.Time{}, func() Conclusion {
		if len(t.Structure) > 0 {
			return v.check(policy.Timestamp, trace.WellFormed, Conclusion{TotalFailed, FormatFailure, slices.Clone(t.Structure)})
		}
		return v.check(policy.Timestamp, trace.WellFormed, passed())
	})
	if !format.passed() {
		return nil, format
	}
	var unit *certificate.Certificate
	c := v.block(trace.SigningCertificate, time.Time{}, func() (c Conclusion) {
		unit, c = v.boundUnit(t)
		return c
	})
	return unit, c.then(func() Conclusion {
		return v.block(trace.CryptographicVerification, time.Time{}, func() Conclusion { return v.imprint(t) })
	}).then(func() Conclusion {
		return v.block(trace.SignatureAcceptance, v.at, func() Conclusion { return v.dated(t, unit) })
	})
}

// boundUnit identifies the certificate of the unit, and holds the token's own claims against it.
func (v *validator) boundUnit(t *signature.Timestamp) (*certificate.Certificate, Conclusion) {
	unit, c := v.signer(t.Signer, "the certificate of the time-stamping unit is missing")
	if v.check(policy.TimestampSigner, policy.Recognition, c); !c.passed() {
		return nil, c
	}
	if t.Binding == signature.BindingMismatch {
		return nil, v.check(policy.Timestamp, policy.CertDigestMatch,
			indeterminate(NoSigningCertificateFound, "the time-stamp names another certificate than the one whose key made it"))
	}
	c = v.demand(policy.Timestamp, policy.SigningCertificatePresent, t.Binding != signature.BindingAbsent, func() Conclusion {
		return indeterminate(SigConstraintsFailure, "the time-stamp does not bind the certificate of its unit by a signed attribute (RFC 3161, 2.4.2)")
	})
	return unit, c.then(func() Conclusion {
		return v.demand(policy.Timestamp, policy.TSAGeneralNameContentMatch, len(t.Demands) == 0, func() Conclusion {
			return Conclusion{Indeterminate, SigConstraintsFailure, slices.Clone(t.Demands)}
		})
	})
}

// imprint verifies what the token covers, then its value (5.2.7).
func (v *validator) imprint(t *signature.Timestamp) Conclusion {
	const c = policy.Timestamp
	switch {
	case !t.Found:
		return v.check(c, policy.ReferenceDataExistence, indeterminate(SignedDataNotFound, "what the time-stamp covers was not found"))
	case !t.Imprint:
		return v.check(c, policy.ReferenceDataIntact, failed(HashFailure, "the time-stamp is about other data"))
	}
	v.check(c, policy.ReferenceDataExistence, passed())
	v.check(c, policy.ReferenceDataIntact, passed())
	return v.check(c, policy.SignatureIntact, verifiedToken(t))
}

// verifiedToken judges the token's signature value.
func verifiedToken(t *signature.Timestamp) Conclusion {
	switch {
	case !t.Intact && t.Unsupported != "":
		return indeterminate(CryptoConstraintsNoPOE, "the time-stamp's signature can't be checked: %s", t.Unsupported)
	case !t.Intact:
		return failed(SigCryptoFailure, "the time-stamp's signature does not verify")
	}
	return passed()
}

// dated holds the time-stamp's own time against its unit's certificate and the time of validation.
func (v *validator) dated(t *signature.Timestamp, unit *certificate.Certificate) Conclusion {
	const c = policy.Timestamp
	switch {
	case t.Time.Before(unit.NotBefore):
		return v.check(c, trace.WithinCertificate, failed(NotYetValid,
			"the time-stamp is from before the certificate of its unit, which begins on %s", unit.NotBefore.Format(time.RFC3339)))
	case t.Time.After(unit.NotAfter.Add(time.Second)): // the certificate's last second is in it
		return v.check(c, trace.WithinCertificate, indeterminate(OutOfBoundsNoPOE,
			"the time-stamp is from after the certificate of its unit, which ended on %s", unit.NotAfter.Format(time.RFC3339)))
	}
	v.check(c, trace.WithinCertificate, passed())
	if t.Time.After(v.at) {
		return v.check(c, trace.NotAfterValidation,
			indeterminate(TimestampOrderFailure, "the time-stamp is later than the time of validation"))
	}
	return v.check(c, trace.NotAfterValidation, passed())
}

// stampService asks for a time-stamping service of the lists behind the unit at the time. A list vouches for a service
// as what it is: where the chain rests on a list, one that issues certificates proves no age.
func (v *validator) stampService(chain *Chain, at time.Time) Conclusion {
	listed, service := v.ev.Lists.TimeStamping(chain.Certificates(), at)
	return v.block(trace.SignatureAcceptance, v.at, func() Conclusion {
		return v.demand(policy.Product, policy.TimestampServiceListed, !listed || service != trustlist.NoStamping, func() Conclusion {
			return indeterminate(ChainConstraintsFailure, "no time-stamping service of the trusted lists stands behind the unit on %s", at.UTC().Format(time.RFC3339))
		})
	})
}
