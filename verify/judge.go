package verify

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// Evidence is what is known beside the document. It is shared by many judgements and not changed by them.
type Evidence struct {
	Lists        *trustlist.Snapshot // anchors and what they are entitled to
	Certificates [][]byte            // DER, to build paths from
	CRLs         [][]byte            // DER
	OCSPs        [][]byte            // DER OCSPResponse
	Cache        *path.Cache         // of pure functions of bytes; nil remembers nothing
}

// Judge gives the verdict on everything that the document holds, at the time. The budget bounds the
// effort; the verdict depends on the other arguments alone.
func Judge(b *budget.Budget, doc *signature.Document, ev *Evidence, policy *Policy, at time.Time) (*Report, error) {
	if b == nil || doc == nil || ev == nil || ev.Lists == nil || policy == nil || at.IsZero() {
		return nil, errors.New("judge: budget, document, evidence, its lists, policy or time is missing")
	}
	j := &judge{budget: b, ev: ev, policy: policy, at: at.UTC(), poe: newExistence(at.UTC()), shelf: newShelf()}
	r := &Report{Policy: policy.Name, ValidationTime: j.at, Signatures: []SignatureReport{}, Timestamps: []TimestampReport{}, EvidenceRecords: []struct{}{}}
	verdicts := j.timestamps(doc)
	for _, t := range doc.Timestamps {
		r.Timestamps = append(r.Timestamps, verdicts[t])
	}
	for _, s := range doc.Signatures {
		r.Signatures = append(r.Signatures, j.signature(s, verdicts))
	}
	if err := b.Context().Err(); err != nil {
		return nil, fmt.Errorf("judging was given up: %w", err)
	}
	return r, nil
}

// judge is the state of one call of Judge.
type judge struct {
	budget *budget.Budget
	ev     *Evidence
	policy *Policy
	at     time.Time
	poe    *existence
	shelf  shelf
}

// verdict is an indication on its way.
type verdict struct {
	indication Indication
	sub        SubIndication
	reasons    []string
}

func (v verdict) passed() bool { return v.indication == TotalPassed }

func fail(sub SubIndication, format string, args ...any) verdict {
	return verdict{TotalFailed, sub, []string{fmt.Sprintf(format, args...)}}
}

func unclear(sub SubIndication, format string, args ...any) verdict {
	return verdict{Indeterminate, sub, []string{fmt.Sprintf(format, args...)}}
}

// signature judges one signature. The time-stamps were judged before.
func (j *judge) signature(s *signature.Signature, verdicts map[*signature.Timestamp]TimestampReport) SignatureReport {
	best := j.poe.of(s.Value)
	r := SignatureReport{
		ID: s.ID, Format: string(s.Format), Container: Container(s.Container), Filename: s.Filename, Level: s.Level,
		SignatureIntact: s.Intact, ReferencesIntact: s.ReferencesIntact(), BestSignatureTime: best,
		Notes: slices.Clone(s.Notes), Timestamps: []TimestampReport{}, Scopes: []Scope{}, Qualification: "N/A", Kind: KindOther,
	}
	if !s.SigningTime.IsZero() {
		t := s.SigningTime.UTC()
		r.SigningTime = &t
	}
	if s.CounterSignatureOf != "" {
		r.CounterSignatureOf = &s.CounterSignatureOf
	}
	for _, t := range s.Timestamps {
		r.Timestamps = append(r.Timestamps, verdicts[t])
	}
	for _, ref := range s.References {
		if ref.Scope != "" {
			r.Scopes = append(r.Scopes, Scope{Name: ref.Name, Scope: ref.Scope, Full: ref.Full})
		}
	}
	signer, v := j.integrity(s)
	var chain *chainVerdict
	if signer != nil {
		chain = j.chain(signer, s, best, false)
		if v.passed() {
			v = chain.verdict
		}
		r.Notes = append(r.Notes, chain.notes...)
		if !chain.covered || slices.ContainsFunc(r.Timestamps, func(t TimestampReport) bool { return t.uncovered }) {
			r.Level = withoutEvidence(r.Level)
		}
		r.Chain = chain.describe()
		r.Signer = describeSigner(signer)
	}
	if v.passed() {
		v = j.algorithms(s.Algorithms, best)
	}
	if v.passed() {
		v = j.order(s, verdicts)
	}
	r.Indication, r.SubIndication, r.Reasons = v.indication, v.sub, v.reasons
	r.classify(j, s, signer, chain)
	r.Sentence = explain(&r)
	return r
}

// withoutEvidence is the level that is left where the evidence does not reach up to the anchor.
func withoutEvidence(level string) string {
	switch level {
	case "B-LT", "B-LTA":
		return "B-T"
	case "LT", "LTA":
		return "T"
	case "XL":
		return "X"
	}
	return level
}

// integrity checks format, signing certificate and cryptography (EN 319 102-1, 5.2.2, 5.2.3, 5.2.7).
func (j *judge) integrity(s *signature.Signature) (*certificate.Certificate, verdict) {
	var signer *certificate.Certificate
	if s.Signer != nil {
		c, err := j.ev.Cache.Parse(s.Signer)
		if err != nil {
			return nil, unclear(NoSigningCertificateFound, "the signing certificate can't be read: %v", err)
		}
		signer = c
	}
	if len(s.Structure) > 0 {
		return signer, verdict{TotalFailed, FormatFailure, slices.Clone(s.Structure)}
	}
	if signer == nil {
		return nil, unclear(NoSigningCertificateFound, "the document holds no certificate of the signer")
	}
	if s.Binding == signature.BindingMismatch {
		return signer, unclear(NoSigningCertificateFound, "the signed attribute names another certificate than the one whose key made the signature")
	}
	if s.Binding == signature.BindingAbsent && j.policy.SigningCertificate {
		return signer, unclear(SigConstraintsFailure, "the signature does not bind the signing certificate")
	}
	if v := references(s); !v.passed() {
		return signer, v
	}
	if !s.Intact {
		return signer, fail(SigCryptoFailure, "the signature value does not verify with the signer's key")
	}
	return signer, verdict{indication: TotalPassed}
}

func references(s *signature.Signature) verdict {
	if len(s.References) == 0 {
		return unclear(SignedDataNotFound, "the signature covers nothing")
	}
	for _, ref := range s.References {
		if ref.Found && !ref.Intact {
			return fail(HashFailure, "%s %q was changed after signing", ref.Type, ref.Name)
		}
	}
	for _, ref := range s.References {
		if !ref.Found {
			return unclear(SignedDataNotFound, "%s %q was not given", ref.Type, ref.Name)
		}
	}
	return verdict{indication: TotalPassed}
}

// algorithms judges every use of an algorithm at the proven time (EN 319 102-1, 5.2.8).
func (j *judge) algorithms(uses []signature.AlgorithmUse, at time.Time) verdict {
	for _, u := range uses {
		if u.Purpose == "signing-certificate" {
			continue // a digest inside the signed attributes: who could use its weakness would have to be the signer
		}
		if ok, why := j.policy.Acceptable(u.Algorithm, u.KeyBits, at); !ok {
			return unclear(CryptoConstraintsNoPOE, "%s (%s): %s", u.Algorithm, u.Purpose, why)
		}
	}
	return verdict{indication: TotalPassed}
}

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
		verdicts[t] = r
	}
	return verdicts
}

// timestamp judges one token at the time at which it is proven to have existed itself.
func (j *judge) timestamp(t *signature.Timestamp, owner *signature.Signature) (TimestampReport, verdict) {
	r := TimestampReport{ID: t.ID, Type: string(t.Type), Time: t.Time.UTC(), Intact: t.Intact && t.Imprint}
	if len(t.Structure) > 0 {
		return r, verdict{TotalFailed, FormatFailure, slices.Clone(t.Structure)}
	}
	var tsu *certificate.Certificate
	if t.Signer != nil {
		var err error
		if tsu, err = j.ev.Cache.Parse(t.Signer); err != nil {
			return r, unclear(NoSigningCertificateFound, "the time-stamping unit's certificate can't be read: %v", err)
		}
		r.SignedBy = tsu.Subject.CommonName()
	}
	switch {
	case tsu == nil:
		return r, unclear(NoSigningCertificateFound, "the certificate of the time-stamping unit is missing")
	case t.Binding == signature.BindingMismatch:
		return r, unclear(NoSigningCertificateFound, "the time-stamp names another certificate than the one whose key made it")
	case !t.Found:
		return r, unclear(SignedDataNotFound, "what the time-stamp covers was not found")
	case !t.Imprint:
		return r, fail(HashFailure, "the time-stamp is about other data")
	case !t.Intact:
		return r, fail(SigCryptoFailure, "the time-stamp's signature does not verify")
	case t.Time.After(j.at):
		return r, unclear(TimestampOrderFailure, "the time-stamp is later than the time of validation")
	}
	proven := j.poe.of(token(t))
	carrier := &signature.Signature{Certificates: t.Certificates, CRLs: t.CRLs, OCSPs: t.OCSPs}
	if owner != nil {
		carrier.Certificates = slices.Concat(t.Certificates, owner.Certificates)
		carrier.CRLs = slices.Concat(t.CRLs, owner.CRLs)
		carrier.OCSPs = slices.Concat(t.OCSPs, owner.OCSPs)
	}
	chain := j.chain(tsu, carrier, proven, true)
	r.uncovered = t.Type == signature.SignatureTimestamp && !chain.covered
	if !chain.passed() {
		return r, chain.verdict
	}
	return r, j.algorithms(t.Algorithms, proven)
}
