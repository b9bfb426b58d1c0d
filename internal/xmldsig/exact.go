package xmldsig

import (
	"cmp"
	"math"
	"strings"
)

// Programs that sign write most of a document in canonical form already, but for the namespaces that a part takes over
// from above it. While an element is read it is noted whether what its tags enclose stands in the source octet for
// octet as canonical XML has it; its canonical form is then taken from there. What is seldom is not noted, such as
// comments, processing instructions, CDATA sections and xmlns="".

// frame is an element that is being read.
type frame struct {
	node  int32
	exact uint8 // flagInclusive and flagExclusive, while what was read between its tags is canonical
	tags  uint8 // the same of the tags, where they stand within what is canonical

	// Declarations in scope, a bit each by their place: what Exclusive XML Canonicalization is about.
	declared uint64 // by the element
	used     uint64 // visibly, by the element
	needed   uint64 // visibly, by what it encloses, which relies on elements above
}

// shadow is what a declaration hides, and its place among those in scope.
type shadow struct{ before, place int32 }

const (
	exactForms = flagInclusive | flagExclusive
	maxPlaces  = 64 // declarations in scope that have a bit; where there are more, nothing is exclusively canonical
)

// begin opens the element x, whose start tag was read to its end; p.exact tells what that looks like.
func (p *parser) begin(x *node, f frame, empty bool) {
	length := p.pos - int(x.off)
	if length <= math.MaxUint16 {
		x.tag, f.exact = uint16(length), exactForms
	}
	for place := p.scope - int(x.nns); place < p.scope; place++ {
		f.declared |= 1 << place
	}
	if p.exact && !empty && p.ordered(p.doc.attrs[x.attr:]) {
		f.tags = flagInclusive
		if p.scope <= maxPlaces && f.declared&^f.used == 0 {
			f.tags |= flagExclusive
		}
		if x.nns == 0 && f.exact != 0 {
			x.flags |= flagTag
		}
	}
	p.open = append(p.open, f)
}

// use notes that the element visibly makes use of the declaration at a place.
func (f *frame) use(place int32) { f.used |= 1 << place }

// ordered tells whether attributes stand in the order of canonical XML: by namespace name, then by local name.
func (p *parser) ordered(own []attribute) bool {
	for i := 1; i < len(own); i++ {
		a, b := &own[i-1], &own[i]
		if cmp.Or(
			strings.Compare(p.atoms.strings[a.uri], p.atoms.strings[b.uri]),
			strings.Compare(p.atoms.strings[p.doc.names[a.name].local], p.atoms.strings[p.doc.names[b.name].local]),
		) > 0 {
			return false
		}
	}
	return true
}

// inexact notes that the innermost open element holds something that is not canonical.
func (p *parser) inexact() {
	if n := len(p.open); n > 0 {
		p.open[n-1].exact = 0
	}
}

// content is the flags of an element that ends: what it encloses is exclusively canonical by itself where nothing of it
// relies on a declaration that the element's own tag would not bring along.
func (f *frame) content() uint8 {
	if f.needed != 0 {
		return f.exact &^ flagExclusive
	}
	return f.exact
}

// enclose takes up an element that ends into the one around it.
func (f *frame) enclose(child *frame) {
	f.exact &= child.exact & child.tags
	f.needed |= (child.used | child.needed) &^ child.declared &^ f.used
}

// The references by which canonical XML writes characters, "" for one that it writes as it is.
func textReference(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '\r':
		return "&#xD;"
	}
	return ""
}

func valueReference(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '"':
		return "&quot;"
	case '\t':
		return "&#x9;"
	case '\n':
		return "&#xA;"
	case '\r':
		return "&#xD;"
	}
	return ""
}
