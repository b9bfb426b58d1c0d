package xmldsig

import (
	"errors"
	"fmt"
	"sync"
)

// ErrNoElement tells that no element carries the Id that a reference names.
var ErrNoElement = errors.New("no element has this Id")

const namespaceWSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

// idIndex maps Ids to elements. Without a schema an Id is what is called one: the attributes Id, ID and
// id without a namespace, xml:id, and wsu:Id.
type idIndex struct {
	once sync.Once
	at   map[string]int32 // negative: more than one element
}

// ByID returns the element that carries the Id. An Id that two elements carry is refused, since choosing
// one is how signature wrapping begins.
func (d *Document) ByID(id string) (Node, error) {
	d.ids.once.Do(d.indexIDs)
	i, ok := d.ids.at[id]
	switch {
	case !ok || id == "":
		return Node{}, fmt.Errorf("%q: %w", id, ErrNoElement)
	case i < 0:
		return Node{}, fmt.Errorf("more than one element has the Id %q", id)
	}
	return Node{d, i}, nil
}

func (d *Document) indexIDs() {
	d.ids.at = make(map[string]int32)
	for i := range d.nodes {
		x := &d.nodes[i]
		if x.kind != ElementNode {
			continue
		}
		for a := x.attr; a < x.attr+int32(x.nattr); a++ {
			if !d.isID(&d.attrs[a]) {
				continue
			}
			id := string(d.attrValue(&d.attrs[a]))
			if first, ok := d.ids.at[id]; ok && first != int32(i) {
				d.ids.at[id] = -1
			} else {
				d.ids.at[id] = int32(i)
			}
		}
	}
}

func (d *Document) isID(a *attribute) bool {
	local := d.atoms[d.names[a.name].local]
	switch d.atoms[a.uri] {
	case "":
		return local == "Id" || local == "ID" || local == "id"
	case NamespaceXML:
		return local == "id"
	case namespaceWSU:
		return local == "Id"
	}
	return false
}
