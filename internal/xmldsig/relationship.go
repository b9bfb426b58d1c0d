package xmldsig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// NamespaceOPCSignature is that of what Open Packaging Conventions add to XML signatures (ECMA-376 part 2, 13.2.4).
const NamespaceOPCSignature = "http://schemas.openxmlformats.org/package/2006/digital-signature"

const (
	namespaceRelationships = "http://schemas.openxmlformats.org/package/2006/relationships"
	namespaceCompatibility = "http://schemas.openxmlformats.org/markup-compatibility/2006"
	maxRelationships       = 10_000
)

// Relationship is an element of a relationships part; a TargetMode that is absent is "Internal".
type Relationship struct{ ID, Type, TargetMode, Target string }

// relationships is the relationship transform of Open Packaging Conventions (ECMA-376 part 2, 13.2.4.24): the
// chosen relationships, sorted by Id, with a default TargetMode, in canonical form.
func (t *transformer) relationships(s NodeSet, e Node) (Data, error) {
	if s.doc == nil {
		return Data{}, errors.New("relationship transform of no document")
	}
	if err := t.limits.Budget.Nodes(s.doc.Root().Size() + e.Size()); err != nil {
		return Data{}, err
	}
	chosen := Transform{Element: e}.Relationships()
	part, err := ReadRelationships(s.doc.Root())
	if err != nil {
		return Data{}, fmt.Errorf("relationship transform: %w", err)
	}
	part = slices.DeleteFunc(part, func(r Relationship) bool { return !chosen(r) })
	slices.SortStableFunc(part, func(a, b Relationship) int { return strings.Compare(a.ID, b.ID) })
	w := &heldWriter{transformer: t}
	out := newSink(w, t.limits.Budget)
	writeRelationships(&out, part)
	err = out.flush()
	return OctetData(w.octets), err
}

// Relationships gives which relationships a relationship transform chooses.
func (t Transform) Relationships() func(Relationship) bool {
	ids, types := map[string]bool{}, map[string]bool{}
	for _, r := range t.Element.All(NamespaceOPCSignature, "RelationshipReference") {
		id, _ := r.Attr("", "SourceId")
		ids[id] = true
	}
	for _, r := range t.Element.All(NamespaceOPCSignature, "RelationshipsGroupReference") {
		kind, _ := r.Attr("", "SourceType")
		types[kind] = true
	}
	return func(r Relationship) bool { return ids[r.ID] || types[r.Type] }
}

// ReadRelationships reads a relationships part by its document element. Elements and attributes of other namespaces are
// left out where the part says by mc:Ignorable that they may be; others a reader has to understand, and nobody knows
// what it makes of them (ECMA-376 part 3, 9). A relationship that stands deeper than the schema has it is not passed
// over: readers that take all elements of that name would follow it, and no signature is about it.
func ReadRelationships(root Node) ([]Relationship, error) {
	if !root.Is(namespaceRelationships, "Relationships") {
		return nil, errors.New("the part holds no relationships")
	}
	ignorable, err := root.ignorable()
	if err != nil {
		return nil, err
	}
	if name := root.foreignAttribute(ignorable); name != "" {
		return nil, fmt.Errorf("the attribute %s of Relationships: %w", name, ErrUnsupported)
	}
	var all []Relationship
	for r := range root.Elements() {
		for deeper := range r.Elements() {
			if deeper.Local() == "Relationship" || r.Space() == namespaceRelationships || deeper.Children() > 0 {
				return nil, fmt.Errorf("the element %s in %s: %w", deeper.Name(), r.Name(), ErrUnsupported)
			}
		}
		if ignorable[r.Space()] {
			continue
		}
		one, err := r.relationship(ignorable)
		if err != nil {
			return nil, err
		}
		if all = append(all, one); len(all) > maxRelationships {
			return nil, fmt.Errorf("%w of %d", ErrTooLarge, maxRelationships)
		}
	}
	return all, nil
}

// relationship reads an element of a relationships part.
func (n Node) relationship(ignorable map[string]bool) (Relationship, error) {
	one := Relationship{TargetMode: "Internal"}
	if !n.Is(namespaceRelationships, "Relationship") {
		return one, fmt.Errorf("the foreign element %s: %w", n.Name(), ErrUnsupported)
	}
	if name := n.foreignAttribute(ignorable, "Id", "Target", "TargetMode", "Type"); name != "" {
		return one, fmt.Errorf("the attribute %s of a Relationship: %w", name, ErrUnsupported)
	}
	one.ID, _ = n.Attr("", "Id")
	one.Type, _ = n.Attr("", "Type")
	one.Target, _ = n.Attr("", "Target")
	if mode, ok := n.Attr("", "TargetMode"); ok {
		one.TargetMode = mode
	}
	return one, nil
}

// ignorable reads mc:Ignorable of a document element. What a reader must know to read the part at all can't be left
// out, whatever the part says: the vocabularies of relationships and of markup compatibility.
func (n Node) ignorable() (map[string]bool, error) {
	spaces := map[string]bool{}
	list, _ := n.Attr(namespaceCompatibility, "Ignorable")
	for _, prefix := range fields(list) {
		uri, ok := n.Resolve(prefix)
		if !ok || uri == namespaceRelationships || uri == namespaceCompatibility {
			return nil, fmt.Errorf("the prefix %q in mc:Ignorable: %w", prefix, ErrUnsupported)
		}
		spaces[uri] = true
	}
	return spaces, nil
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

func writeRelationships(out *sink, all []Relationship) {
	out.str(`<Relationships xmlns="` + namespaceRelationships + `">`)
	for _, r := range all {
		for _, part := range [...][2]string{
			{`<Relationship Id="`, r.ID}, {`" Target="`, r.Target}, {`" TargetMode="`, r.TargetMode}, {`" Type="`, r.Type},
		} {
			out.str(part[0])
			out.value([]byte(part[1]), true)
		}
		out.str(`"></Relationship>`)
	}
	out.str(`</Relationships>`)
}
