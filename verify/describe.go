package verify

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/certificate"
	"trustcore/verify/judge"
	"trustcore/verify/poland"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

// Evidence is what is known beside the document. It is shared by many validations and not changed by them.
type Evidence = judge.Evidence

// Judge validates everything that the document holds, at the time, and reports it. The budget bounds the effort; the
// report depends on the other arguments alone. Judging itself is package judge's.
func Judge(b *budget.Budget, doc *signature.Document, ev *Evidence, policy *Policy, at time.Time) (*Report, error) {
	return conclude(b, doc, ev, policy, at, form{})
}

// JudgeTraced is Judge with Report.Trace.
func JudgeTraced(b *budget.Budget, doc *signature.Document, ev *Evidence, policy *Policy, at time.Time) (*Report, error) {
	return conclude(b, doc, ev, policy, at, form{trace: true})
}

// form is what a report holds beside what every report holds.
type form struct {
	trace   bool
	numbers bool // personal numbers as they are
}

func conclude(b *budget.Budget, doc *signature.Document, ev *Evidence, policy *Policy, at time.Time, f form) (*Report, error) {
	validate := judge.Judge
	if f.trace {
		validate = judge.Traced
	}
	found, err := validate(b, doc, ev, policy, at)
	if err != nil {
		return nil, err
	}
	r := describe(doc, found, ev, policy, at, f)
	if f.trace {
		r.Trace = traced(doc, found, ev, policy, r, f)
	}
	return r, nil
}

func describe(doc *signature.Document, found *judge.Document, ev *Evidence, policy *Policy, at time.Time, f form) *Report {
	r := newReport(policy, ev.Pins, at)
	r.listed = ev.Lists.Services() > 0
	d := describer{Document: found, pins: ev.Pins.OrShipped(), numbers: f.numbers}
	if !f.numbers {
		d.meet()
	}
	for _, t := range doc.Timestamps {
		r.Timestamps = append(r.Timestamps, d.timestamp(t))
	}
	for _, e := range doc.EvidenceRecords {
		r.EvidenceRecords = append(r.EvidenceRecords, d.record(e))
	}
	for _, s := range found.Signatures {
		r.Signatures = append(r.Signatures, d.signature(s))
	}
	for _, n := range doc.Notes {
		n = d.show(n)
		r.Notes = append(r.Notes, prose.Text(n))
	}
	d.receipt(r, doc, ev.Lists)
	r.summarize()
	if doc.Unchecked != "" {
		r.unread(doc.Unchecked)
	}
	return r
}

func newReport(policy *Policy, pins *poland.Pins, at time.Time) *Report {
	pins = pins.OrShipped()
	return &Report{Policy: policy.Name(), PolicyVersion: policy.Version(), PolicyDigest: policy.Digest(),
		Pins:           PinsReport{SHA256: pins.Digest, Date: pins.Date, Shipped: pins.Shipped},
		ValidationTime: at.UTC(), Signatures: []SignatureReport{},
		Timestamps: []TimestampReport{}, EvidenceRecords: []EvidenceRecordReport{}}
}

// describer turns facts and conclusions into reports.
type describer struct {
	*judge.Document
	pins    *poland.Pins
	numbers bool           // personal numbers are shown as they are
	people  poland.Numbers // of the signers
}

// meet learns the numbers of those whom signatures' certificates name.
func (d *describer) meet() {
	for _, s := range d.Signatures {
		if s.Signer == nil {
			continue
		}
		d.people.Add(s.Signer.Subject)
		d.people.Add(s.Signer.Issuer)
		for _, c := range s.Chain.Path.Chain {
			d.people.Add(c.Subject)
		}
	}
}

// show hides the personal numbers in a text.
func (d describer) show(text string) string {
	if d.numbers {
		return text
	}
	return d.people.Hide(text)
}

// told is what a sentence must know beside the report.
type told struct {
	constrained bool // it is not about what the document shows, whatever else the verdict says
	strays      bool // something unsigned stands in it, which a reader may take for content
	unknown     bool // the algorithm or transform of something that it covers
	unsupported bool // the algorithm of the signature value, or its key
	unsigned    int  // files, also those that the report has no room for
}

func (d describer) signature(j *judge.Signature) SignatureReport {
	s := j.Facts
	r := SignatureReport{
		ID: s.ID, Format: string(s.Format), Container: Container(s.Container), Filename: s.Filename, Level: j.Level,
		Indication: j.Indication, SubIndication: j.SubIndication, Reasons: j.Reasons,
		SignatureIntact: s.Intact, ReferencesIntact: s.ReferencesIntact(), BestSignatureTime: j.BestSignatureTime,
		Notes: notesOf(s), Timestamps: []TimestampReport{}, Scopes: []Scope{}, Qualification: "N/A", Kind: KindOther,
	}
	if !s.SigningTime.IsZero() {
		t := s.SigningTime.UTC()
		r.SigningTime = &t
	}
	if s.CounterSignatureOf != "" {
		r.CounterSignatureOf = &s.CounterSignatureOf
	}
	for _, t := range s.Timestamps {
		r.Timestamps = append(r.Timestamps, d.timestamp(t))
	}
	for _, e := range s.EvidenceRecords {
		r.EvidenceRecords = append(r.EvidenceRecords, d.record(e))
	}
	f := r.covers(s)
	r.Notes = append(r.Notes, j.Notes...)
	if j.Signer != nil {
		r.Chain, r.Signer = describeChain(j.Chain), describeSigner(j.Signer)
		r.TryAgain = tryAgain(j)
		d.classify(&r, j)
	}
	r.printable(d.show)
	r.explain(f)
	return r
}

// notesOf are what the reader noted. What a PDF says of its signature is told of one that verifies alone: anybody may
// have written it into another.
func notesOf(s *signature.Signature) []string {
	notes := slices.Clone(s.Notes)
	if s.Intact && s.ReferencesIntact() {
		return notes
	}
	return slices.DeleteFunc(notes, func(n string) bool {
		return strings.HasPrefix(n, "reason: ") || strings.HasPrefix(n, "location: ")
	})
}

// covers fills in what is signed, what was changed since, and what lies beside unsigned.
func (r *SignatureReport) covers(s *signature.Signature) told {
	f := told{constrained: len(s.Constraints) > 0, strays: len(s.Strays) > 0, unsupported: !s.Intact && s.Unsupported != "", unsigned: len(s.Unsigned)}
	for _, ref := range s.References {
		f.unknown = f.unknown || ref.Unchecked != ""
	}
	// What follows a whole revision of a PDF is told as changes; to call the revision a part would say it twice.
	r.Scopes = scopes(s.References, func(ref signature.Reference) bool { return ref.Type == "byte-range" && len(s.Changes) > 0 }, len(s.Unsigned) == 0)
	for _, c := range gravest(s.Changes) {
		r.Changes = append(r.Changes, changeOf(c))
	}
	if more := len(s.Changes) - len(r.Changes); more > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d more changes after the signature", more))
	}
	r.Notes = append(r.Notes, judge.Strays(s)...)
	if absent := judge.Absent(s); len(absent) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("not at hand, and not checked: %d entries of a manifest, such as %q (XMLDSig 5.1)", len(absent), absent[0]))
	}
	r.Unsigned = slices.Clone(s.Unsigned[:min(len(s.Unsigned), judge.MaxTold)])
	return f
}

// scopes tells what references to content cover, each once; alone is whether nothing unsigned lies beside it.
func scopes(references []signature.Reference, revision func(signature.Reference) bool, alone bool) []Scope {
	list, seen := []Scope{}, map[Scope]bool{}
	for _, ref := range references {
		if ref.Scope == "" || !judge.IsContent(ref.Type) {
			continue
		}
		scope := Scope{Name: ref.Name, Scope: ref.Scope, Full: ref.Full && alone, Partial: !ref.Full && !revision(ref)}
		if !seen[scope] {
			seen[scope] = true
			list = append(list, scope)
		}
	}
	return list
}

// gravest returns all changes, or the most that are told: forbidden ones first, then those that a person may see, so
// that no number of harmless ones hides another.
func gravest(changes []signature.Change) []signature.Change {
	if len(changes) <= judge.MaxTold {
		return changes
	}
	rank := func(c signature.Change) int {
		switch {
		case c.Rule != signature.RuleNone:
			return 0
		case !additions[string(c.Kind)]:
			return 1
		}
		return 2
	}
	sorted := slices.Clone(changes)
	slices.SortStableFunc(sorted, func(a, b signature.Change) int { return rank(a) - rank(b) })
	return sorted[:judge.MaxTold]
}

func changeOf(c signature.Change) Change {
	return Change{Kind: string(c.Kind), Revision: c.Revision, Object: c.Object, Page: c.Page, What: c.What, Forbidden: string(c.Rule)}
}

// String tells the change in words, for experts.
func (c Change) String() string {
	return judge.Tell(signature.Change{Revision: c.Revision, Object: c.Object, Page: c.Page, What: c.What, Rule: signature.Rule(c.Forbidden)})
}

// Warnings tell what the verdict does not speak for: parts that are not signed, and what was done since.
func (r *SignatureReport) Warnings() []string {
	var list []string
	for _, s := range r.Scopes {
		if s.Partial {
			list = append(list, fmt.Sprintf("only a part is signed: %s (%s)", prose.Name(s.Scope), prose.Name(s.Name)))
		}
	}
	for _, c := range r.Changes {
		list = append(list, c.String())
	}
	for _, name := range r.Unsigned {
		list = append(list, fmt.Sprintf("the file %s of the container is not signed", prose.Name(name)))
	}
	return list
}

func (d describer) timestamp(t *signature.Timestamp) TimestampReport {
	j := d.Timestamps[t]
	r := TimestampReport{ID: t.ID, Type: string(t.Type), Intact: t.Intact && t.Imprint, Qualification: string(j.Service),
		Reasons: slices.Clone(j.Reasons), Notes: slices.Clone(j.Notes)}
	r.Indication, r.SubIndication = j.Block(), j.SubIndication
	if !t.Time.IsZero() {
		at := t.Time.UTC()
		r.Time = &at
	}
	if j.Unit != nil {
		r.SignedBy = j.Unit.Subject.CommonName()
	}
	r.printable(d.show)
	return r
}

func (d describer) record(e *signature.EvidenceRecord) EvidenceRecordReport {
	j := d.Records[e]
	r := EvidenceRecordReport{ID: e.ID, Type: string(e.Type), Indication: j.Block(), SubIndication: j.SubIndication,
		Reasons: slices.Clone(j.Reasons), Timestamps: []TimestampReport{}}
	if !j.Time.IsZero() {
		at := j.Time.UTC()
		r.Time = &at
	}
	for _, t := range e.Timestamps {
		r.Timestamps = append(r.Timestamps, d.timestamp(t))
	}
	r.Scopes = scopes(e.References, func(signature.Reference) bool { return false }, true)
	r.printable(d.show)
	return r
}

func tryAgain(j *judge.Signature) *time.Time {
	waits := j.SubIndication == judge.TryLater || j.SubIndication == judge.NoCertificateChainFound
	if !waits || j.Chain.TryAgain.IsZero() {
		return nil
	}
	return &j.Chain.TryAgain
}

func describeChain(chain *judge.Chain) []Certificate {
	var list []Certificate
	for i, c := range chain.Path.Chain {
		d := describeCertificate(c)
		if i < len(chain.Path.Revocation) {
			st := chain.Path.Revocation[i]
			d.Status = st.Status.String()
			if st.Source != "" {
				d.Status += " (" + st.Source + ")"
			}
			if !st.RevocationTime.IsZero() {
				at := st.RevocationTime.UTC()
				d.RevokedAt = &at
			}
		}
		list = append(list, d)
	}
	if a := chain.Path.Anchor; a != nil && a.Certificate != nil {
		if n := len(list); n == 0 || list[n-1].SHA256 != hex.EncodeToString(a.Certificate.Fingerprint[:]) {
			list = append(list, describeCertificate(a.Certificate))
		}
		list[len(list)-1].Anchor = true
	}
	return list
}

func describeCertificate(c *certificate.Certificate) Certificate {
	return Certificate{
		SHA256: hex.EncodeToString(c.Fingerprint[:]), Subject: c.SubjectText(), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}
}

func describeSigner(c *certificate.Certificate) Signer {
	return Signer{
		CertificateSHA256: hex.EncodeToString(c.Fingerprint[:]),
		CommonName:        c.Subject.CommonName(), GivenName: c.Subject.GivenName(), Surname: c.Subject.Surname(),
		Organization: c.Subject.Organization(), Country: c.Subject.Country(), Issuer: c.Issuer.CommonName(),
	}
}
