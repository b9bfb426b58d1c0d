// Package judge validates what signed documents hold as ETSI EN 319 102-1 says, in its order: the building blocks of 5.2
// and 5.3 for signatures, 5.4 for time-stamps, 5.5 with the time of proofs of existence, 5.6 with archive time-stamps and
// evidence records. It is the one place that judges; clauses are those of EN 319 102-1 V1.4.1.
//
// Facts come from the readers (verify/signature), trust from the lists, demands from the policy. Judge is pure: it
// neither fetches nor reads a clock, so that a validation can be repeated years later. What comes out is data: reports
// are made of it elsewhere.
package judge

import (
	"errors"
	"fmt"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/poland"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
	"trustcore/verify/trustlist"
)

// Evidence is what is known beside the document. It is shared by many validations and not changed by them.
type Evidence struct {
	Lists        *trustlist.Snapshot // anchors and what they are entitled to
	Certificates [][]byte            // DER, to build paths from
	CRLs         [][]byte            // DER
	OCSPs        [][]byte            // DER OCSPResponse
	// Parsed are lists among CRLs that are parsed already, from the same octets: large ones take longer than all else.
	Parsed []*revocation.CRL
	// Later says of certificates, by the SHA-256 of their DER, of which the sources of evidence tell nothing that serves now, when
	// asking them again may help.
	Later map[[32]byte]time.Time
	// Origins say of pieces, by their SHA-256, where they are from, as package evidence does; a trace alone tells it.
	Origins map[[32]byte]string
	Cache   *cache.Cache // of pure functions of bytes; nil remembers nothing
	Pins    *poland.Pins // of keys that Polish law publishes; nil for those that are shipped
}

// Document holds the conclusions on everything that a document holds.
type Document struct {
	Signatures []*Signature                        // in the document's order
	Timestamps map[*signature.Timestamp]*Timestamp // all: of the document, its signatures and evidence records
	Records    map[*signature.EvidenceRecord]*EvidenceRecord
	Steps      *Steps // nil where nobody asked for them
}

// Signature is what was concluded of one signature.
type Signature struct {
	Facts *signature.Signature
	Conclusion
	// BestSignatureTime is the earliest time at which the signature is proven to have existed (5.5.4).
	BestSignatureTime time.Time
	// Signer is nil where it is not known whose signature it is; Chain is nil then, too.
	Signer *certificate.Certificate
	Chain  *Chain
	Level  string // what is left of the level that the signature has the form of
	Notes  []string
	// AtIssuance and AtSigning say whether the signer's certificate was qualified (TS 119 615 4.4).
	AtIssuance, AtSigning trustlist.Qualified
}

// Judge validates the document at the time. The budget bounds the effort; the conclusions depend on the other arguments
// alone. An error means that an argument is missing, or that the budget's context ended.
func Judge(b *budget.Budget, doc *signature.Document, ev *Evidence, p *policy.Policy, at time.Time) (*Document, error) {
	return judge(b, doc, ev, p, at, nil)
}

// Traced is Judge with the steps by which it came to the conclusions.
func Traced(b *budget.Budget, doc *signature.Document, ev *Evidence, p *policy.Policy, at time.Time) (*Document, error) {
	if doc == nil {
		return nil, errMissing
	}
	return judge(b, doc, ev, p, at, newSteps(doc))
}

var errMissing = errors.New("judge: budget, document, evidence, its lists, policy or time is missing")

func judge(b *budget.Budget, doc *signature.Document, ev *Evidence, p *policy.Policy, at time.Time, steps *Steps) (*Document, error) {
	if b == nil || doc == nil || ev == nil || ev.Lists == nil || p == nil || at.IsZero() {
		return nil, errMissing
	}
	at = at.UTC()
	v := &validator{budget: b, ev: ev, policy: p, at: at, existence: newExistence(at), parsed: newParsed(b, ev.Cache), steps: steps,
		out: &Document{Steps: steps, Timestamps: map[*signature.Timestamp]*Timestamp{}, Records: map[*signature.EvidenceRecord]*EvidenceRecord{}}}
	for _, l := range ev.Parsed {
		of := octets{&l.Raw[0], len(l.Raw)}
		v.parsed.crls[of], v.parsed.listed[of] = l, l.Digest() // which is computed once for all documents
	}
	proofs := proofsOf(doc)
	v.document = v.everything(doc, proofs)
	v.proofs(doc, proofs)
	v.among(doc.Signatures)
	for _, s := range doc.Signatures {
		v.out.Signatures = append(v.out.Signatures, v.signature(s))
	}
	steps.evidence(v.parsed)
	if err := b.Context().Err(); err != nil {
		return nil, fmt.Errorf("judging was given up: %w", err)
	}
	return v.out, nil
}

// validator is the state of one call of Judge.
type validator struct {
	budget    *budget.Budget
	ev        *Evidence
	policy    *policy.Policy
	at        time.Time
	existence *existence
	parsed    *parsed
	out       *Document
	steps     *Steps  // nil records nothing
	document  carried // all evidence of the document
	basis     *basis  // of the chain that is asked for, nil where it is not to be remembered

	copies        map[place]int   // of signatures
	countersigned map[string]bool // by ID
}

// signature validates one signature (5.3, 5.5, 5.6.3). The proofs of existence were judged before.
func (v *validator) signature(s *signature.Signature) *Signature {
	v.steps.of(s)
	r := &Signature{Facts: s, BestSignatureTime: v.existence.earliest(s.Value), Level: s.Level}
	r.Notes = v.told(s, r.BestSignatureTime)
	signer, c := v.identify(s)
	r.Signer = signer
	form, demanded := v.constraints(r)
	c = c.then(func() Conclusion { return form })
	c = c.then(func() Conclusion { return v.cryptographic(s) }).then(func() Conclusion { return v.changes(s) })
	if signer != nil {
		who := v.about(signer, carriedBy(s), contextOf(s))
		who.longTerm = longTerm(s)
		r.Chain = v.certificateValidation(who, r.BestSignatureTime)
		r.Notes = append(r.Notes, r.Chain.Notes...)
		c = c.then(func() Conclusion { return v.withTime(who, s, r) })
		why := notForDocuments(signer)
		if why != "" && v.tells(policy.Product, policy.SignerUse) {
			r.Notes = append(r.Notes, why)
		}
		c = c.then(func() Conclusion { return v.signerUse(why) })
		r.Level = v.level(s, r)
		v.qualify(r)
	}
	c = c.then(func() Conclusion { return v.acceptance(s, r.BestSignatureTime) }).then(func() Conclusion { return demanded })
	c = c.then(func() Conclusion { return v.order(s, r) })
	if err := v.budget.Err(); err != nil && c.Indication != TotalFailed {
		c = v.block(trace.WithTime, v.at, func() Conclusion {
			return v.check(contextOf(s), trace.CheckedToItsEnd, indeterminate(Generic, "%v", err))
		})
	}
	r.Conclusion = c
	return r
}

// signerUse refuses certificates that are for no signatures of documents; why is "" for those that are.
func (v *validator) signerUse(why string) Conclusion {
	return v.block(trace.SignatureAcceptance, v.at, func() Conclusion {
		return v.demand(policy.Product, policy.SignerUse, why == "", func() Conclusion {
			return indeterminate(SigConstraintsFailure, "%s", why)
		})
	})
}

func carriedBy(s *signature.Signature) carried { return carried{s.Certificates, s.CRLs, s.OCSPs} }

// qualify asks the lists (TS 119 615 4.4, 4.5).
func (v *validator) qualify(r *Signature) {
	issuers := r.Chain.Certificates()
	issuers = issuers[min(1, len(r.Chain.Path.Chain)):]
	r.AtIssuance = v.ev.Lists.Qualify(r.Signer, issuers, r.Signer.NotBefore)
	r.AtSigning = v.ev.Lists.Qualify(r.Signer, issuers, r.BestSignatureTime)
}
