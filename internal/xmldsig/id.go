package xmldsig

import (
	"bytes"
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
	ErrAmbiguous = errors.New("more than one element has this Id, or one with white space around it")
)

const namespaceWSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

// idIndex finds the attributes that carry an Id. Without a schema an Id is what is called one: the attributes
// Id, ID and id without a namespace, xml:id, and wsu:Id. It holds hashes, so that a document full of Ids costs
// no copy of them. Who knows that an attribute is an Id takes white space off (xml:id 1.0, 4; XML 1.0, 3.3.3): what
// is an Id with it alone is found too, and refused.
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
// one is how signature wrapping begins; so is one that is the Id for those alone who take white space off.
func (d *Document) ByID(id string) (Node, error) {
	n, several, err := d.find(id)
	switch {
	case err != nil:
		return Node{}, err
	case several:
		return Node{}, fmt.Errorf("%.256q: %w", id, ErrAmbiguous)
	case n.d == nil:
		return Node{}, fmt.Errorf("%.256q: %w", id, ErrNoElement)
	}
	return n, nil
}

// find returns the element that carries the Id, the zero Node where there is none, and whether there are several.
func (d *Document) find(id string) (found Node, several bool, err error) {
	d.ids.once.Do(d.indexIDs)
	if err := d.budget.Work(costFind + budget.Octet*int64(len(id))); err != nil {
		return Node{}, false, err
	}
	if id == "" {
		return Node{}, false, nil
	}
	hash := maphash.String(d.ids.seed, id)
	at, _ := slices.BinarySearchFunc(d.ids.entries, hash, func(e idEntry, h uint64) int { return cmp.Compare(e.hash, h) })
	for _, e := range d.ids.entries[at:] {
		switch {
		case e.hash != hash:
			return found, false, nil
		case string(trimID(d.attrValue(&d.attrs[e.attr]))) != id:
		case len(d.attrValue(&d.attrs[e.attr])) != len(id):
			return Node{}, true, nil
		case found.d != nil && found.i != e.element:
			return Node{}, true, nil
		default:
			found = Node{d, e.element}
		}
	}
	return found, false, nil
}

func (d *Document) indexIDs() {
	d.ids.seed = maphash.MakeSeed()
	n := 0
	for a := range d.attrs {
		if d.isID(&d.attrs[a]) {
			n++
		}
	}
	work := int64(costGlance*(len(d.nodes)+2*len(d.attrs)) + costKeyedEntry*n)
	if d.budget.Work(work) != nil || d.budget.Hold(n*idBytes) != nil {
		return // nor will anything else be done
	}
	d.held += n * idBytes
	d.ids.entries = make([]idEntry, 0, n)
	for i := range d.nodes {
		x := &d.nodes[i]
		if x.kind != ElementNode {
			continue
		}
		for a := x.attr; a < x.attr+int32(x.nattr); a++ {
			if d.isID(&d.attrs[a]) {
				d.ids.entries = append(d.ids.entries, idEntry{maphash.Bytes(d.ids.seed, trimID(d.attrValue(&d.attrs[a]))), int32(i), a})
			}
		}
	}
	slices.SortFunc(d.ids.entries, func(a, b idEntry) int { return cmp.Compare(a.hash, b.hash) })
}

// trimID is what an Id is to those who know that it is one. White space inside makes it none.
func trimID(value []byte) []byte { return bytes.Trim(value, " \t\r\n") }

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
