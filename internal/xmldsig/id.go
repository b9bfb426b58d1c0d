package xmldsig

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"trustcore/internal/budget"
)

// ErrNoElement tells that no element carries the Id that a reference names, ErrAmbiguous that several do.
var (
	ErrNoElement = errors.New("no element has this Id")
	ErrAmbiguous = errors.New("more than one element has this Id")
)

const namespaceWSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

// idIndex finds the attributes that carry an Id. Without a schema an Id is what is called one: the attributes
// Id, ID and id without a namespace, xml:id, and wsu:Id. It holds hashes, so that a document full of Ids costs
// no copy of them.
type idIndex struct {
	once    sync.Once
	seed    maphash.Seed
	entries []idEntry // sorted by hash
}

type idEntry struct {
	hash          uint64
	element, attr int32
}

// ByID returns the element that carries the Id. An Id that two elements carry is refused, since choosing
// one is how signature wrapping begins.
func (d *Document) ByID(id string) (Node, error) {
	d.ids.once.Do(d.indexIDs)
	if err := d.budget.Work(costFind + budget.Octet*int64(len(id))); err != nil {
		return Node{}, err
	}
	hash := maphash.String(d.ids.seed, id)
	at, _ := slices.BinarySearchFunc(d.ids.entries, hash, func(e idEntry, h uint64) int { return cmp.Compare(e.hash, h) })
	found := Node{}
	for _, e := range d.ids.entries[at:] {
		switch {
		case e.hash != hash:
			return orMissing(found, id)
		case string(d.attrValue(&d.attrs[e.attr])) != id:
		case found.d != nil && found.i != e.element:
			return Node{}, fmt.Errorf("%q: %w", id, ErrAmbiguous)
		default:
			found = Node{d, e.element}
		}
	}
	return orMissing(found, id)
}

func orMissing(n Node, id string) (Node, error) {
	if n.d == nil || id == "" {
		return Node{}, fmt.Errorf("%q: %w", id, ErrNoElement)
	}
	return n, nil
}

func (d *Document) indexIDs() {
	d.ids.seed = maphash.MakeSeed()
	if d.budget.Work(int64(costGlance*(len(d.nodes)+len(d.attrs)))) != nil {
		return // nor will anything else be done
	}
	for i := range d.nodes {
		x := &d.nodes[i]
		if x.kind != ElementNode {
			continue
		}
		for a := x.attr; a < x.attr+int32(x.nattr); a++ {
			if d.isID(&d.attrs[a]) {
				d.ids.entries = append(d.ids.entries, idEntry{maphash.Bytes(d.ids.seed, d.attrValue(&d.attrs[a])), int32(i), a})
			}
		}
	}
	n := len(d.ids.entries)
	if d.budget.Work(int64(n*costKeyedEntry)) != nil || d.budget.Hold(n*idBytes) != nil {
		d.ids.entries = nil
		return
	}
	d.held += n * idBytes
	slices.SortFunc(d.ids.entries, func(a, b idEntry) int { return cmp.Compare(a.hash, b.hash) })
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
