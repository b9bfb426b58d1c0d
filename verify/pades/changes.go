package pades

import (
	"fmt"

	"trustcore/internal/pdf"
)

// maxNoted bounds the changes that are listed for one signature.
const maxNoted = 16

// changes lists what later revisions changed. A document that got more or fewer pages is not the one
// that was signed; the rest is for the reader of the report to weigh.
func (r *reader) changes(d *dictionary) {
	s := d.signed
	if d.Revision < 0 || d.Revision == len(r.file.Revisions())-1 {
		return
	}
	list, err := r.file.ChangesSince(d.Revision)
	if err != nil {
		s.Notes = append(s.Notes, fmt.Sprintf("what changed after the signature cannot be told: %v", err))
		return
	}
	if view, err := r.file.At(d.Revision); err == nil && view.PageCount() != r.file.PageCount() {
		s.Structure = append(s.Structure, "the number of pages is not the signed one")
	}
	allowed := r.allowed(d)
	for i, c := range list {
		if i == maxNoted {
			s.Notes = append(s.Notes, fmt.Sprintf("%d more changes", len(list)-i))
			break
		}
		note := "changed after the signature: " + c.What
		if c.Kind > allowed {
			note += " (the certification does not allow it)"
		}
		s.Notes = append(s.Notes, note)
	}
}

// allowed is the farthest change that a certification of the document lets pass; without one nothing
// is forbidden (ISO 32000-2 12.8.2.2).
func (r *reader) allowed(d *dictionary) pdf.ChangeKind {
	for _, e := range r.dictionaries {
		if e.end() > d.end() {
			continue
		}
		for _, ref := range e.References {
			if ref.Method != "DocMDP" {
				continue
			}
			switch ref.Permission {
			case 1:
				return 0
			case 3:
				return pdf.ChangeAnnotation
			}
			return pdf.ChangeForm
		}
	}
	return pdf.ChangeContent
}
