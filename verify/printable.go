package verify

import "trustcore/verify/prose"

// printable makes all texts so that people read and that come from the document, whichever way; show hides personal
// numbers in them.
func (r *SignatureReport) printable(show func(string) string) {
	for _, t := range []*string{&r.Signer.CommonName, &r.Signer.GivenName, &r.Signer.Surname, &r.Signer.Organization,
		&r.Signer.Country, &r.Signer.Issuer, &r.Signer.Name, &r.SealedBy} {
		*t = prose.Short(show(*t))
	}
	text := func(t *string) { *t = prose.Text(show(*t)) }
	text(&r.Filename)
	for i := range r.Scopes {
		text(&r.Scopes[i].Name)
		text(&r.Scopes[i].Scope)
	}
	for i := range r.Changes {
		text(&r.Changes[i].What)
	}
	for i := range r.Chain {
		text(&r.Chain[i].Subject)
	}
	for _, list := range [][]string{r.Reasons, r.Notes, r.Unsigned} {
		for i := range list {
			text(&list[i])
		}
	}
}

func (t *TimestampReport) printable(show func(string) string) {
	t.SignedBy = prose.Short(show(t.SignedBy))
	for _, list := range [][]string{t.Reasons, t.Notes} {
		for i := range list {
			list[i] = prose.Text(show(list[i]))
		}
	}
}

func (e *EvidenceRecordReport) printable(show func(string) string) {
	for i := range e.Reasons {
		e.Reasons[i] = prose.Text(show(e.Reasons[i]))
	}
	for i := range e.Scopes {
		e.Scopes[i].Name, e.Scopes[i].Scope = prose.Text(show(e.Scopes[i].Name)), prose.Text(show(e.Scopes[i].Scope))
	}
}
