package verify

import "trustcore/verify/prose"

// printable makes all texts so that people read and that come from the document, whichever way.
func (r *SignatureReport) printable() {
	for _, t := range []*string{&r.Signer.CommonName, &r.Signer.GivenName, &r.Signer.Surname, &r.Signer.Organization, &r.Signer.Country, &r.Signer.Issuer} {
		*t = prose.Short(*t)
	}
	texts := []*string{&r.Filename}
	for i := range r.Scopes {
		texts = append(texts, &r.Scopes[i].Name, &r.Scopes[i].Scope)
	}
	for i := range r.Changes {
		texts = append(texts, &r.Changes[i].What)
	}
	for i := range r.Chain {
		texts = append(texts, &r.Chain[i].Subject)
	}
	for _, list := range [][]string{r.Reasons, r.Notes, r.Unsigned} {
		for i := range list {
			texts = append(texts, &list[i])
		}
	}
	for _, t := range texts {
		*t = prose.Text(*t)
	}
}

func (t *TimestampReport) printable() {
	t.SignedBy = prose.Short(t.SignedBy)
	for _, list := range [][]string{t.Reasons, t.Notes} {
		for i := range list {
			list[i] = prose.Text(list[i])
		}
	}
}

func (e *EvidenceRecordReport) printable() {
	for i := range e.Reasons {
		e.Reasons[i] = prose.Text(e.Reasons[i])
	}
	for i := range e.Scopes {
		e.Scopes[i].Name, e.Scopes[i].Scope = prose.Text(e.Scopes[i].Name), prose.Text(e.Scopes[i].Scope)
	}
}
