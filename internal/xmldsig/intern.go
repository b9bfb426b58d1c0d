package xmldsig

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
)

// Atoms that every document has.
const (
	atomEmpty int32 = iota
	atomXML         // "xml"
	atomXMLNS       // "xmlns"
	atomSpaceXML
	atomSpaceXMLNS
)

var commonAtoms = [...]string{"", "xml", "xmlns", NamespaceXML, NamespaceXMLNS}

// internTable gives equal byte strings equal numbers. The hash is seeded, so that no document can be made
// to collide.
type internTable struct {
	seed    maphash.Seed
	slots   []int32 // number + 1
	hashes  []uint64
	strings []string
	text    strings.Builder // what the latest strings are cut from
	recent  [recentNames]int32
}

const (
	fewSlots    = 256
	textRoom    = 2 << 10 // octets of strings that are allocated together
	recentNames = 256
)

// tables are intern tables of documents that were read: the strings went with the document.
var tables = sync.Pool{New: func() any {
	return &internTable{seed: maphash.MakeSeed(), slots: make([]int32, fewSlots)}
}}

// newInternTable returns a table with the common atoms. Its strings are the caller's, the rest goes back by release.
func newInternTable() *internTable {
	t := tables.Get().(*internTable)
	t.strings = make([]string, 0, fewSlots/2)
	for _, s := range commonAtoms {
		h := maphash.String(t.seed, s)
		_, slot, _ := t.find([]byte(s), h)
		t.add(s, h, slot)
	}
	return t
}

func (t *internTable) release() {
	if len(t.slots) > fewSlots { // what a large document took is not kept
		return
	}
	clear(t.slots)
	clear(t.recent[:])
	t.hashes, t.strings, t.text = t.hashes[:0], nil, strings.Builder{}
	tables.Put(t)
}

// get returns the number of s and whether it is new.
func (t *internTable) get(s []byte) (number int32, fresh bool) {
	h := maphash.Bytes(t.seed, s)
	n, slot, known := t.find(s, h)
	if known {
		return n, false
	}
	if t.text.Cap()-t.text.Len() < len(s) {
		t.text = strings.Builder{}
		t.text.Grow(max(textRoom, len(s)))
	}
	start := t.text.Len()
	t.text.Write(s)
	return t.add(t.text.String()[start:], h, slot), true
}

// find looks for s: its number, or the slot that it belongs into.
func (t *internTable) find(s []byte, h uint64) (number int32, slot uint64, known bool) {
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			return 0, i, false
		}
		if t.hashes[n-1] == h && t.strings[n-1] == string(s) {
			return n - 1, i, true
		}
	}
}

func (t *internTable) add(s string, h, slot uint64) int32 {
	t.strings = append(t.strings, s)
	t.hashes = append(t.hashes, h)
	n := int32(len(t.strings))
	t.slots[slot] = n
	if len(t.strings)*2 > len(t.slots) {
		t.grow()
	}
	return n - 1
}

func (t *internTable) grow() {
	t.slots = make([]int32, 2*len(t.slots))
	mask := uint64(len(t.slots) - 1)
	for n, h := range t.hashes {
		i := h & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = int32(n) + 1
	}
}

// name interns a qualified name and returns its index, or false when it is not a QName.
func (p *parser) name(q []byte) (int32, bool) {
	if len(q) == 0 {
		return 0, false
	}
	// Most names are those of a tag not far away. Whoever makes others collide here takes the longer way.
	mixed := uint32(q[0]) | uint32(q[len(q)/2])<<8 | uint32(q[len(q)-1])<<16 | uint32(len(q))<<24
	recent := &p.atoms.recent[mixed*0x9E3779B1>>24%recentNames]
	if n := *recent - 1; n >= 0 && p.nameString(n) == string(q) {
		return n, true
	}
	n, ok := p.newName(q)
	if ok {
		*recent = n + 1
	}
	return n, ok
}

func (p *parser) newName(q []byte) (int32, bool) {
	a, _ := p.atoms.get(q)
	for int(a) >= len(p.nameOf) {
		p.nameOf = append(p.nameOf, -1)
	}
	if n := p.nameOf[a]; n >= 0 {
		return n, true
	}
	prefix, local, ok := bytes.Cut(q, []byte{':'})
	if !ok {
		prefix, local = nil, q
	} else if !isNCName(prefix) {
		return 0, false
	}
	if !isNCName(local) {
		return 0, false
	}
	pa, _ := p.atoms.get(prefix)
	la, _ := p.atoms.get(local)
	n := int32(len(p.doc.names))
	p.doc.names = append(p.doc.names, name{prefix: pa, local: la, qname: a})
	p.nameOf[a] = n
	return n, true
}
