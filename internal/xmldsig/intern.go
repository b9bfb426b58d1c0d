package xmldsig

import (
	"bytes"
	"hash/maphash"
)

// Atoms that every document has.
const (
	atomEmpty int32 = iota
	atomXML         // "xml"
	atomXMLNS       // "xmlns"
	atomSpaceXML
	atomSpaceXMLNS
)

// internTable gives equal byte strings equal numbers. The hash is seeded, so that no document can be made
// to collide.
type internTable struct {
	seed    maphash.Seed
	slots   []int32 // number + 1
	hashes  []uint64
	strings []string
}

func newInternTable() *internTable {
	t := &internTable{seed: maphash.MakeSeed(), slots: make([]int32, 256)}
	for _, s := range [...]string{"", "xml", "xmlns", NamespaceXML, NamespaceXMLNS} {
		t.get([]byte(s))
	}
	return t
}

// get returns the number of s and whether it is new.
func (t *internTable) get(s []byte) (number int32, fresh bool) {
	h := maphash.Bytes(t.seed, s)
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			return t.add(s, h, i), true
		}
		if t.hashes[n-1] == h && t.strings[n-1] == string(s) {
			return n - 1, false
		}
	}
}

func (t *internTable) add(s []byte, h, slot uint64) int32 {
	t.strings = append(t.strings, string(s))
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
