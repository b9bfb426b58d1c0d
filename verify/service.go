package verify

import (
	"fmt"
	"strings"

	"trustcore/verify/judge"
	"trustcore/verify/poland"
)

// ServiceReport is what a document means for the service that it was handed in for.
type ServiceReport struct {
	Card    string         `json:"card"`
	Outcome poland.Outcome `json:"outcome"`
	// Accepted is true for the outcome accepted alone. KindAccepted tells whether the card takes the kind of a signature
	// that is at least not refuted: it is true as well while the outcome is open.
	Accepted     bool `json:"accepted"`
	KindAccepted bool `json:"kind_accepted"`
	Days         int  `json:"days,omitempty"` // to remove a formal defect
	// Sentence says the outcome, Ask is the text of the summons for a formal defect; by language.
	Sentence map[string]string `json:"sentence"`
	Ask      map[string]string `json:"ask,omitempty"`
}

// For adds what the document means for the service of a card (art. 63 § 3a, art. 64 § 2 k.p.a.).
func (r *Report) For(card *poland.Card) {
	d := card.Decide(r.filing())
	s := &ServiceReport{Card: card.ID, Outcome: d.Outcome, Accepted: d.Outcome == poland.Accepted, KindAccepted: d.KindAccepted,
		Sentence: map[string]string{}}
	r.Service = s
	for _, v := range voices() {
		why, kinds := r.why(v, d), v.kinds(card)
		s.Sentence[v.language] = v.say("service."+string(d.Outcome), "Card", v.quote(card.NameIn(v.language)), "Why", why, "Kinds", kinds)
		if d.Outcome != poland.FormalDefect {
			continue
		}
		if s.Ask == nil {
			s.Ask, s.Days = map[string]string{}, card.Days
		}
		s.Ask[v.language] = v.say("summons", "Days", fmt.Sprint(card.Days), "Why", why, "Kinds", kinds)
	}
}

// filing is what a card looks at.
func (r *Report) filing() poland.Filing {
	f := poland.Filing{Receipt: r.DocumentType != poland.NoReceipt, Cut: r.cut}
	for i := range r.Signatures {
		s := &r.Signatures[i]
		if s.CounterSignatureOf != nil {
			continue
		}
		f.Signatures = append(f.Signatures, poland.Filed{Kind: s.Kind, Qualified: strings.Contains(s.Qualification, "QES"),
			Standing: s.standing, Failed: s.Indication == TotalFailed, Lacking: r.lacks(s), Whole: s.whole()})
	}
	return f
}

// lacks tells whether more data may yet confirm the signature: evidence from the net, the signed file, trusted lists.
func (r *Report) lacks(s *SignatureReport) bool {
	switch s.SubIndication {
	case judge.TryLater, judge.RevocationOutOfBounds, judge.SignedDataNotFound, judge.Generic:
		return true
	case judge.NoCertificateChainFound:
		return !r.listed
	}
	return false
}

// whole tells whether the signature speaks for all that a reader sees.
func (s *SignatureReport) whole() bool {
	for _, scope := range s.Scopes {
		if scope.Partial {
			return false
		}
	}
	for _, c := range s.Changes {
		if !additions[c.Kind] {
			return false
		}
	}
	return len(s.Scopes) > 0 && len(s.Unsigned) == 0
}

func (r *Report) why(v voice, d poland.Decision) string {
	kind := ""
	if d.Of >= 0 {
		kind = v.say("kind." + kindKey(&r.Signatures[r.ownSignature(d.Of)]))
	}
	return v.say("why."+string(d.Why), "Kind", kind)
}

// ownSignature is the position in the report of the n-th signature that is no counter-signature.
func (r *Report) ownSignature(n int) int {
	for i := range r.Signatures {
		if r.Signatures[i].CounterSignatureOf == nil {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return 0
}

// kinds lists what a card accepts.
func (v voice) kinds(card *poland.Card) string {
	var list []string
	for _, k := range card.Accepts {
		list = append(list, v.say("accepts."+string(k)))
	}
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + v.say("or") + list[n-1]
	}
	return strings.Join(list, "")
}

// summarize says in every language what the file is.
func (r *Report) summarize() {
	r.Summary = map[string]string{}
	for _, v := range voices() {
		r.Summary[v.language] = strings.TrimSpace(r.receiptIn(v) + " " + r.signaturesIn(v))
	}
}

func (r *Report) signaturesIn(v voice) string {
	passed := 0
	for i := range r.Signatures {
		if r.Signatures[i].Indication == TotalPassed {
			passed++
		}
	}
	switch n := len(r.Signatures); {
	case n > 1:
		return v.say("summary.several", "Count", fmt.Sprint(n), "Passed", fmt.Sprint(passed))
	case n == 1:
		return r.Signatures[0].Sentence[v.language]
	case len(r.Timestamps)+len(r.EvidenceRecords) > 0:
		return v.say("summary.stamps")
	}
	return v.say("summary.unsigned")
}

// receiptIn says what a receipt is; what only has its form is not called one.
func (r *Report) receiptIn(v voice) string {
	if r.DocumentType == poland.NoReceipt {
		return ""
	}
	reference := "."
	if r.DocumentReference != poland.Absent || r.DocumentType != poland.DeliveryEvidence && r.DocumentType != poland.KSeFReceipt {
		reference = "; " + v.say("reference."+string(r.DocumentReference)) + "."
	}
	if r.EvidenceIssuer != poland.IssuerGranted && r.EvidenceIssuer != poland.IssuerPinned {
		return v.say("document.form") + reference
	}
	if id := "document." + string(r.DocumentType); v.has(id) {
		return v.say(id) + reference
	}
	return v.say("document.upo") + reference
}

func (v voice) has(id string) bool {
	_, known := v.texts[id]
	return known
}
