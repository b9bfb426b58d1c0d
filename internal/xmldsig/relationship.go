package xmldsig

import (
	"fmt"
	"slices"
	"strings"
)

const (
	namespaceRelationships = "http://schemas.openxmlformats.org/package/2006/relationships"
	namespaceOPCSignature  = "http://schemas.openxmlformats.org/package/2006/digital-signature"
	namespaceCompatibility = "http://schemas.openxmlformats.org/markup-compatibility/2006"
	maxRelationships       = 10_000
)

// relationship is an element of a relationships part; a mode that is absent is "Internal".
type relationship struct{ id, kind, mode, target string }

// relationships is the relationship transform of Open Packaging Conventions (ECMA-376 part 2, 13.2.4.24): the
// chosen relationships, sorted by Id, with a default TargetMode, in canonical form.
func (t *transformer) relationships(s NodeSet, e Node) (Data, error) {
	if s.doc == nil || !s.doc.Root().Is(namespaceRelationships, "Relationships") {
		return Data{}, fmt.Errorf("relationship transform: the part holds no relationships")
	}
	if err := t.limits.Budget.Nodes(s.doc.Root().Size() + e.Size()); err != nil {
		return Data{}, err
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
	part, err := readRelationships(s.doc.Root())
	if err != nil {
		return Data{}, fmt.Errorf("relationship transform: %w", err)
	}
	part = slices.DeleteFunc(part, func(r relationship) bool { return !ids[r.id] && !types[r.kind] })
	slices.SortStableFunc(part, func(a, b relationship) int { return strings.Compare(a.id, b.id) })
	w := &heldWriter{transformer: t}
	out := newSink(w, t.limits.Budget)
	writeRelationships(&out, part)
	err = out.flush()
	return OctetData(w.octets), err
}

// readRelationships reads a relationships part. Elements and attributes of other namespaces are left out where the part
// says by mc:Ignorable that they may be; others a reader has to understand, and nobody knows what it makes of them
// (ECMA-376 part 3, 9).
func readRelationships(root Node) ([]relationship, error) {
	ignorable := map[string]bool{}
	list, _ := root.Attr(namespaceCompatibility, "Ignorable")
	for _, prefix := range fields(list) {
		uri, _ := root.Resolve(prefix)
		ignorable[uri] = true
	}
	if name := root.foreignAttribute(ignorable); name != "" {
		return nil, fmt.Errorf("the attribute %s of Relationships: %w", name, ErrUnsupported)
	}
	var all []relationship
	for r := range root.Elements() {
		if ignorable[r.Space()] && r.Space() != namespaceRelationships {
			continue
		}
		if !r.Is(namespaceRelationships, "Relationship") {
			return nil, fmt.Errorf("the foreign element %s: %w", r.Name(), ErrUnsupported)
		}
		if name := r.foreignAttribute(ignorable, "Id", "Target", "TargetMode", "Type"); name != "" {
			return nil, fmt.Errorf("the attribute %s of a Relationship: %w", name, ErrUnsupported)
		}
		one := relationship{mode: "Internal"}
		one.id, _ = r.Attr("", "Id")
		one.kind, _ = r.Attr("", "Type")
		one.target, _ = r.Attr("", "Target")
		if mode, ok := r.Attr("", "TargetMode"); ok {
			one.mode = mode
		}
		if all = append(all, one); len(all) > maxRelationships {
			return nil, fmt.Errorf("%w of %d", ErrTooLarge, maxRelationships)
		}
	}
	return all, nil
}

// foreignAttribute returns the name of an attribute that is neither known, nor ignorable, or "".
func (n Node) foreignAttribute(ignorable map[string]bool, known ...string) string {
	x := &n.d.nodes[n.i]
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		at := &n.d.attrs[a]
		name, space := &n.d.names[at.name], n.d.atoms[at.uri]
		local := n.d.atoms[name.local]
		switch {
		case space == "" && slices.Contains(known, local), space != "" && ignorable[space]:
		case space == namespaceCompatibility && local == "Ignorable":
		default:
			return n.d.atoms[name.qname]
		}
	}
	return ""
}

func writeRelationships(out *sink, all []relationship) {
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
}
