package verify

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/prose"
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
	j := &judge{budget: b, ev: ev, policy: policy, at: at.UTC(), poe: newExistence(at.UTC()), shelf: newShelf(b, ev.Cache)}
	r := newReport(policy, at)
	verdicts := j.timestamps(doc)
	for _, t := range doc.Timestamps {
		r.Timestamps = append(r.Timestamps, verdicts[t])
	}
	for _, s := range doc.Signatures {
		r.Signatures = append(r.Signatures, j.signature(s, verdicts))
	}
	for _, n := range doc.Notes {
		r.Notes = append(r.Notes, prose.Text(n))
	}
	if doc.Unchecked != "" {
		r.unread(doc.Unchecked)
	}
	if err := b.Context().Err(); err != nil {
		return nil, fmt.Errorf("judging was given up: %w", err)
	}
	return r, nil
}

func newReport(policy *Policy, at time.Time) *Report {
	return &Report{Policy: policy.Name, ValidationTime: at.UTC(), Signatures: []SignatureReport{},
		Timestamps: []TimestampReport{}, EvidenceRecords: []struct{}{}}
}

// judge is the state of one call of Judge.
type judge struct {
	budget *budget.Budget
	ev     *Evidence
	policy *Policy
	at     time.Time
	poe    *existence
	shelf  *shelf
}

// verdict is an indication on its way.
type verdict struct {
	indication Indication
	sub        SubIndication
	reasons    []string
}

func (v verdict) passed() bool { return v.indication == TotalPassed }

// then asks the next check where all before it passed.
func (v verdict) then(next func() verdict) verdict {
	if v.passed() {
		return next()
	}
	return v
}

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
	r.describe(s)
	signer, v := j.integrity(s)
	v = v.then(func() verdict { return j.changes(s) })
	var chain *chainVerdict
	if signer != nil {
		chain = j.chain(signer, s, best, false)
		v = v.then(func() verdict { return chain.verdict })
		r.Notes = append(r.Notes, chain.notes...)
		if why := notForDocuments(signer); why != "" && j.policy.SignerUse {
			v = v.then(func() verdict { return unclear(SigConstraintsFailure, "%s", why) })
		} else if why != "" {
			r.Notes = append(r.Notes, why)
		}
		if !chain.covered || slices.ContainsFunc(r.Timestamps, func(t TimestampReport) bool { return t.uncovered }) {
			r.Level = withoutEvidence(r.Level)
		}
		r.Chain = chain.describe()
		r.Signer = describeSigner(signer)
	}
	v = v.then(func() verdict { return j.algorithms(s.Algorithms, best) }).then(func() verdict { return j.constraints(s) })
	v = v.then(func() verdict { return j.order(s, verdicts) })
	if err := j.budget.Err(); err != nil && v.indication != TotalFailed {
		v = unclear(Generic, "%v", err)
	}
	r.Indication, r.SubIndication, r.Reasons = v.indication, v.sub, v.reasons
	r.classify(j, s, signer, chain)
	r.printable()
	r.Sentence = explain(&r)
	return r
}

// notForDocuments says why a certificate is for no signatures of documents, "" where it may be. A signature that its key
// made over a certificate, a list or an answer could be passed off as one over a document.
func notForDocuments(c *certificate.Certificate) string {
	if c.HasKeyUsage && c.KeyUsage&(certificate.DigitalSignature|certificate.ContentCommitment) == 0 {
		return "the keyUsage of the signer's certificate allows no signatures of documents (RFC 5280 4.2.1.3)"
	}
	for _, p := range c.EKU {
		if p != certificate.PurposeOCSPSigning && p != certificate.PurposeTimeStamping {
			return ""
		}
	}
	if c.HasEKU {
		return "the extended key usage of the signer's certificate is for OCSP answers or time-stamps alone (RFC 5280 4.2.1.12)"
	}
	return ""
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

// integrity checks format, signing certificate and cryptography (EN 319 102-1, 5.2.2, 5.2.3, 5.2.7). The signer
// is nil where it is not known whose signature it is.
func (j *judge) integrity(s *signature.Signature) (*certificate.Certificate, verdict) {
	if s.Unchecked != "" {
		return nil, unclear(Generic, "the signature was not checked to its end: %s", s.Unchecked)
	}
	var signer *certificate.Certificate
	if s.Signer != nil {
		c, err := j.ev.Cache.Parse(s.Signer)
		if err != nil {
			return nil, unclear(NoSigningCertificateFound, "the signing certificate can't be read: %v", err)
		}
		signer = c
	}
	switch {
	case len(s.Structure) > 0:
		return signer, verdict{TotalFailed, FormatFailure, slices.Clone(s.Structure)}
	case s.NoManifest && j.policy.Manifest:
		return signer, fail(FormatFailure, "the container has no manifest that says which files belong to it (EN 319 162-1, 4.4)")
	case signer == nil:
		return nil, unclear(NoSigningCertificateFound, "the document holds no certificate of the signer")
	case s.Binding == signature.BindingMismatch:
		return nil, unclear(NoSigningCertificateFound, "the signed attribute names another certificate than the one whose key made the signature")
	case s.Binding == signature.BindingAbsent && j.policy.SigningCertificate:
		return signer, unclear(SigConstraintsFailure, "the signature does not bind the signing certificate")
	}
	if v := references(s); !v.passed() {
		return signer, v
	}
	switch {
	case !s.Intact && s.Unsupported != "":
		return signer, unclear(CryptoConstraintsNoPOE, "the signature value can't be checked: %s", s.Unsupported)
	case !s.Intact:
		return signer, fail(SigCryptoFailure, "the signature value does not verify with the signer's key")
	}
	return signer, verdict{indication: TotalPassed}
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
