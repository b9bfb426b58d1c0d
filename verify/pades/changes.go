package pades

import (
	"fmt"
	"slices"
	"strings"

	"trustcore/internal/budget"
	"trustcore/internal/pdf"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

// maxListed bounds the changes of one rule that are listed for one signature.
const maxListed = 256

// judgeNodes is what the judgement of a change costs, in nodes.
const judgeNodes = 20

// meaning is what a kind of change means for a signature.
type meaning struct {
	kind signature.ChangeKind
	rule signature.Rule // what forbids it where nothing is certified
	// permission is the least P of a certification that allows it (ISO 32000-2 table 257), never for none.
	permission int64
}

const never = 9

var meanings = map[pdf.ChangeKind]meaning{
	pdf.ChangeStore:       {signature.ChangeValidationData, signature.RuleNone, 1},
	pdf.ChangeTimestamp:   {signature.ChangeTimestamp, signature.RuleNone, 1},
	pdf.ChangeMetadata:    {signature.ChangeMetadata, signature.RuleNone, 1},
	pdf.ChangeDescription: {signature.ChangeMetadata, signature.RuleNone, never},
	pdf.ChangeStructure:   {signature.ChangeMetadata, signature.RuleNone, 2},
	pdf.ChangeSignature:   {signature.ChangeSignature, signature.RuleNone, 2},
	pdf.ChangeEmptyField:  {signature.ChangeAnnotation, signature.RuleNone, 2},
	pdf.ChangeField:       {signature.ChangeField, signature.RuleNone, 2},
	pdf.ChangeComment:     {signature.ChangeAnnotation, signature.RuleNone, 3},
	pdf.ChangeAnnotation:  {signature.ChangeRemoval, signature.RuleUndefined, 3},
	pdf.ChangePages:       {signature.ChangePage, signature.RulePageDifference, never},
	pdf.ChangeContent:     {signature.ChangeContent, signature.RuleVisual, never},
	pdf.ChangeLook:        {signature.ChangeRemoval, signature.RuleVisual, never},
	pdf.ChangeOther:       {signature.ChangeOther, signature.RuleUndefined, never},
}

// changes lists what later revisions did, with what forbids it.
func (r *reader) changes(d *dictionary) {
	if d.Revision < 0 {
		return // FORMAT_FAILURE already: nobody knows which revision was signed
	}
	list, known := r.later[d.Revision]
	if !known {
		var err error
		if list, err = r.file.ChangesSince(d.Revision); err != nil {
			d.signed.Unchecked = fmt.Sprintf("what changed after the signature cannot be told: %v", err)
			return
		}
		r.later[d.Revision] = list
	}
	limits := r.limits(d)
	listed := map[signature.Rule]int{}
	for _, c := range list {
		if r.budget.Nodes(judgeNodes) != nil {
			return
		}
		change := limits.judge(r.recognised(d, c))
		if listed[change.Rule]++; listed[change.Rule] <= maxListed {
			d.signed.Changes = append(d.signed.Changes, change)
		}
	}
	if rest := r.file.Size() - d.end(); len(list) == 0 && rest > 0 {
		d.signed.Changes = append(d.signed.Changes, signature.Change{Kind: signature.ChangeOther,
			Revision: d.Revision + 1, What: fmt.Sprintf("%d octets follow that change nothing", rest)})
	}
	slices.SortStableFunc(d.signed.Changes, func(a, b signature.Change) int { return a.Revision - b.Revision })
}

// recognised tells a document time-stamp that came after a signature from a field that only says that it holds one: the
// token has to be readable, and to be about the bytes that its range names.
func (r *reader) recognised(d *dictionary, c pdf.Change) pdf.Change {
	if c.Kind != pdf.ChangeTimestamp {
		return c
	}
	stamp := r.fields[c.Object]
	if stamp != nil && stamp.stamps && stamp.end() > d.end() {
		return c
	}
	c.Kind, c.What = pdf.ChangeEmptyField, "a signature field was added that says it holds a time-stamp, and holds none"
	return c
}

// limits are what the signatures of a revision allow to change afterwards.
type limits struct {
	budget     *budget.Budget
	certified  bool
	permission int64          // the least of all certifications
	by         signature.Rule // what says so: DocMDP or a field's Lock
	locks      []lock
}

// lock names fields that may not change.
type lock struct {
	rule   signature.Rule
	action pdf.Name
	fields []string
}

// limits collects what a signature and those before it demand (ISO 32000-2 12.8.2.2, 12.8.2.4, 12.7.5.5).
func (r *reader) limits(d *dictionary) *limits {
	l := &limits{budget: r.budget, permission: never}
	for _, e := range r.dictionaries {
		if e.signed == nil || !e.Consistent || e.end() > d.end() {
			continue // another's, later, or put there to look earlier than it is
		}
		for _, ref := range e.References {
			switch ref.Method {
			case "DocMDP":
				l.certify(ref.Permission, signature.RuleDocMDP)
			case "FieldMDP":
				l.locks = append(l.locks, lock{signature.RuleFieldMDP, ref.Action, ref.Fields})
			}
		}
		if e.lock != nil {
			if e.lock.Permission != 0 {
				l.certify(e.lock.Permission, signature.RuleLock)
			}
			l.locks = append(l.locks, lock{signature.RuleLock, e.lock.Action, e.lock.Fields})
		}
	}
	return l
}

// certify keeps the narrowest permission. One that does not exist allows nothing.
func (l *limits) certify(permission int64, by signature.Rule) {
	if permission < 1 || permission > 3 {
		permission = 1
	}
	if permission < l.permission {
		l.certified, l.permission, l.by = true, permission, by
	}
}

// judge names a change and what forbids it.
func (l *limits) judge(c pdf.Change) signature.Change {
	v, known := meanings[c.Kind]
	if !known {
		v = meanings[pdf.ChangeOther]
	}
	out := signature.Change{Kind: v.kind, Revision: c.Revision + 1, Page: c.Page, What: c.What, Rule: v.rule}
	if c.Named != "" {
		out.What += ": " + prose.Name(c.Named)
	}
	if c.Object.Number != 0 {
		out.Object = fmt.Sprintf("%d %d", c.Object.Number, c.Object.Generation)
	}
	if c.Harmless {
		out.Rule = signature.RuleNone
		return out
	}
	permission := v.permission
	if c.Visible && c.Kind == pdf.ChangeTimestamp {
		out.Kind = signature.ChangeAnnotation // what is seen is not told as evidence alone
	}
	if c.Visible && (c.Kind == pdf.ChangeTimestamp || c.Kind == pdf.ChangeEmptyField) {
		permission = never // what it shows is no evidence
	}
	switch {
	case l.certified && l.permission < permission:
		if out.Rule != signature.RulePageDifference {
			out.Rule = l.by
		}
		out.What += fmt.Sprintf(" (changes of level %d are allowed)", l.permission)
	case l.certified && permission != never:
		out.Rule = signature.RuleNone
	}
	if out.Rule == signature.RuleNone {
		l.field(c, &out)
	}
	return out
}

// field forbids changes of locked fields.
func (l *limits) field(c pdf.Change, out *signature.Change) {
	if c.Field == "" || c.Kind == pdf.ChangeTimestamp || c.New {
		return
	}
	for _, k := range l.locks {
		if l.budget.Nodes(len(k.fields)) != nil {
			return
		}
		if k.holds(c.Field) {
			out.Rule = k.rule
			out.What += fmt.Sprintf(" (the field is locked by %s)", k.rule)
			return
		}
	}
}

// holds tells whether a field is locked. A name stands for everything below it; an unknown action locks all.
func (k *lock) holds(field string) bool {
	named := slices.ContainsFunc(k.fields, func(name string) bool {
		return field == name || strings.HasPrefix(field, name+".")
	})
	switch k.action {
	case "Include":
		return named
	case "Exclude":
		return !named
	}
	return true
}
