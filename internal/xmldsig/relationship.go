package xmldsig

import (
	"fmt"
	"slices"
	"strings"
)

const (
	namespaceRelationships = "http://schemas.openxmlformats.org/package/2006/relationships"
	namespaceOPCSignature  = "http://schemas.openxmlformats.org/package/2006/digital-signature"
	maxRelationships       = 10_000
)

// relationships is the relationship transform of Open Packaging Conventions (ECMA-376 part 2, 13.2.4.24): the
// chosen relationships, sorted by Id, with a default TargetMode, in canonical form.
func (t *transformer) relationships(s NodeSet, e Node) (Data, error) {
	if s.doc == nil || !s.doc.Root().Is(namespaceRelationships, "Relationships") {
		return Data{}, fmt.Errorf("relationship transform: the part holds no relationships")
	}
	ids, types := map[string]bool{}, map[string]bool{}
	for _, r := range e.All(namespaceOPCSignature, "RelationshipReference") {
		id, _ := r.Attr("", "SourceId")
		ids[id] = true
	}
	for _, r := range e.All(namespaceOPCSignature, "RelationshipsGroupReference") {
		kind, _ := r.Attr("", "SourceType")
		types[kind] = true
	}
	if err := t.limits.Budget.Nodes(s.doc.Root().Size() + e.Size()); err != nil {
		return Data{}, err
	}
	type relationship struct{ id, kind, mode, target string }
	var all []relationship
	for r := range s.doc.Root().Elements() {
		if !r.Is(namespaceRelationships, "Relationship") {
			continue
		}
		var one relationship
		one.id, _ = r.Attr("", "Id")
		one.kind, _ = r.Attr("", "Type")
		one.target, _ = r.Attr("", "Target")
		one.mode, _ = r.Attr("", "TargetMode")
		if one.mode == "" {
			one.mode = "Internal"
		}
		if ids[one.id] || types[one.kind] {
			all = append(all, one)
		}
		if len(all) > maxRelationships {
			return Data{}, fmt.Errorf("relationship transform: %w of %d", ErrTooLarge, maxRelationships)
		}
	}
	slices.SortStableFunc(all, func(a, b relationship) int { return strings.Compare(a.id, b.id) })
	w := &heldWriter{transformer: t}
	out := newSink(w, sinkSize, t.limits.Budget)
	out.str(`<Relationships xmlns="` + namespaceRelationships + `">`)
	for _, r := range all {
		for _, part := range [...][2]string{
			{`<Relationship Id="`, r.id}, {`" Target="`, r.target}, {`" TargetMode="`, r.mode}, {`" Type="`, r.kind},
		} {
			out.str(part[0])
			out.value([]byte(part[1]), true)
		}
		out.str(`"></Relationship>`)
	}
	out.str(`</Relationships>`)
	err := out.flush()
	return OctetData(w.octets), err
}
