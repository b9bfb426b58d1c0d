package chain

import "trustcore/verify/poland"

// hideNumbers hides the personal numbers of those that the chain names wherever they stand: in every text that a certificate, a list
// or an answer may have a say in. Digests, serial numbers and words of our own stay as they are.
func (r *Report) hideNumbers() {
	r.people = new(poland.Numbers)
	for i := range r.Chain {
		if c := r.Chain[i].Certificate; c != nil {
			r.people.Add(c.Subject)
			r.people.Add(c.Issuer)
		}
	}
	for i := range r.Reasons {
		r.hide(&r.Reasons[i].Detail)
	}
	r.hideAll(r.Notes)
	r.hideAll(r.Problems)
	for i := range r.Chain {
		r.hideIn(&r.Chain[i])
	}
	for _, q := range []*Qualification{&r.AtIssuance, &r.AtValidation} {
		r.hide(&q.Provider)
		r.hideAll(q.Because)
	}
}

func (r *Report) hideIn(l *Link) {
	r.hide(&l.Subject)
	r.hide(&l.Issuer)
	r.hide(&l.Service)
	for i := range l.Checks {
		r.hide(&l.Checks[i].Reason)
	}
	if l.Status != nil {
		r.hide(&l.Status.Detail)
	}
}

func (r *Report) hide(text *string) { *text = r.people.Hide(*text) }

func (r *Report) hideAll(texts []string) {
	for i := range texts {
		r.hide(&texts[i])
	}
}

// Show is a text from a certificate of the chain as the report shows it: with personal numbers hidden but for their last
// digits, unless the question asked for them.
func (r *Report) Show(text string) string {
	if r.people == nil {
		return text
	}
	return r.people.Hide(text)
}
