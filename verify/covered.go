package verify

import (
	"fmt"
	"slices"

	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

// maxTold bounds the later changes, unsigned files and parts that a report tells one by one.
const maxTold = 64

// references judges what the signature covers (EN 319 102-1, 5.2.7): what could not be found or computed is
// missing, and accuses nobody; what was found and differs was changed; and a signature that covers no octet of
// anything that a reader takes for content signs nothing.
func references(s *signature.Signature) verdict {
	for _, ref := range s.References {
		switch {
		case ref.Optional:
		case !ref.Found:
			return unclear(SignedDataNotFound, "%s %q was not given", ref.Type, ref.Name)
		case ref.Unchecked != "":
			return unclear(SignedDataNotFound, "%s %q can't be checked: %s", ref.Type, ref.Name, ref.Unchecked)
		}
	}
	content := false
	for _, ref := range s.References {
		if ref.Optional {
			continue
		}
		if !ref.Intact {
			return fail(HashFailure, "%s %q was changed after signing", ref.Type, ref.Name)
		}
		content = content || !ref.Empty && isContent(ref.Type)
	}
	if !content {
		return unclear(SignedDataNotFound, "the signature covers no data: nothing of the document is signed")
	}
	return verdict{indication: TotalPassed}
}

// isContent tells references to data from those to what a signature says about itself.
func isContent(kind string) bool {
	return kind != "signed-properties" && kind != "key-info" && kind != "manifest"
}

// changes refuses what later revisions must not do, each with the constraint as DSS names it.
func (j *judge) changes(s *signature.Signature) verdict {
	v := verdict{indication: TotalPassed}
	for _, c := range s.Changes {
		if c.Rule == signature.RuleNone || j.policy.Tolerated[c.Rule] || len(v.reasons) == maxTold {
			continue
		}
		v.indication, v.sub = TotalFailed, FormatFailure
		v.reasons = append(v.reasons, changeOf(c).String())
	}
	return v
}

// constraints judges what the signature's references and properties must not be (EN 319 102-1, 5.2.8), and what stands
// in the signature though nobody signed it.
func (j *judge) constraints(s *signature.Signature) verdict {
	list := slices.Clone(s.Constraints)
	if !j.policy.Strays {
		list = append(list, straysOf(s)...)
	}
	if len(list) > 0 {
		return verdict{Indeterminate, SigConstraintsFailure, list}
	}
	return verdict{indication: TotalPassed}
}

func straysOf(s *signature.Signature) []string {
	var list []string
	for _, stray := range s.Strays {
		list = append(list, "in the signature there is what nobody signed and no standard defines there: "+stray)
	}
	return list
}

// String tells the change in words, for experts.
func (c Change) String() string {
	text := "after the signature: " + c.What
	if c.Revision > 0 {
		text = fmt.Sprintf("revision %d, %s", c.Revision, text)
	}
	if c.Page > 0 {
		text += fmt.Sprintf(" (page %d)", c.Page)
	}
	if c.Object != "" {
		text += fmt.Sprintf(" (object %s)", c.Object)
	}
	if c.Forbidden != "" {
		text += fmt.Sprintf("; %s (%s)", forbidden[signature.Rule(c.Forbidden)], c.Forbidden)
	}
	return text
}

// Warnings tell what the verdict does not speak for: parts that are not signed, and what was done since.
func (r *SignatureReport) Warnings() []string {
	var list []string
	for _, s := range r.Scopes {
		if s.part {
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

// gravest returns all changes, or the most that are told: forbidden ones first, then those that a person may see, so
// that no number of harmless ones hides another.
func gravest(changes []signature.Change) []signature.Change {
	if len(changes) <= maxTold {
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
	return sorted[:maxTold]
}

func changeOf(c signature.Change) Change {
	return Change{Kind: string(c.Kind), Revision: c.Revision, Object: c.Object, Page: c.Page, What: c.What, Forbidden: string(c.Rule)}
}

// forbidden says why a rule does not allow a change.
var forbidden = map[signature.Rule]string{
	signature.RulePageDifference: "a signature does not allow other pages",
	signature.RuleVisual:         "a signature does not allow pages to show or do anything else",
	signature.RuleDocMDP:         "the certification of the document does not allow it",
	signature.RuleFieldMDP:       "a signature locked the field",
	signature.RuleLock:           "the lock of the signature's field does not allow it",
	signature.RuleUndefined:      "no signature allows it",
	signature.RuleFieldName:      "two fields have one full name",
}

// describe fills in what is signed, what was changed since, and what lies beside unsigned.
func (r *SignatureReport) describe(s *signature.Signature) {
	told := map[Scope]bool{}
	for _, ref := range s.References {
		r.unknown = r.unknown || ref.Unchecked != ""
		if ref.Scope == "" || ref.Optional || !isContent(ref.Type) {
			continue
		}
		// What follows a whole revision of a PDF is told as changes; to call the revision a part would say it twice.
		revision := ref.Type == "byte-range" && len(s.Changes) > 0
		scope := Scope{Name: ref.Name, Scope: ref.Scope, Full: ref.Full && len(s.Unsigned) == 0, part: !ref.Full && !revision}
		if !told[scope] {
			told[scope] = true
			r.Scopes = append(r.Scopes, scope)
		}
	}
	for _, c := range gravest(s.Changes) {
		r.Changes = append(r.Changes, changeOf(c))
	}
	if more := len(s.Changes) - len(r.Changes); more > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d more changes after the signature", more))
	}
	r.Notes = append(r.Notes, straysOf(s)...)
	r.unsupported = !s.Intact && s.Unsupported != ""
	r.unsigned, r.constrained, r.strays = len(s.Unsigned), len(s.Constraints) > 0, len(s.Strays) > 0
	r.Unsigned = slices.Clone(s.Unsigned[:min(len(s.Unsigned), maxTold)])
}
