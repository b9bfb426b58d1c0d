package xmldsig

import "trustcore/internal/budget"

// Limits bound what a hostile document can hold. A zero field takes the value of DefaultLimits.
type Limits struct {
	// Budget is what reading the document and all later work on it spends of; nil is a fresh one for its size.
	Budget     *budget.Budget
	Size       int // bytes of the document
	Nodes      int // elements, texts, comments and processing instructions
	Depth      int // nested elements
	Attributes int // attributes and namespace declarations of one element
	Name       int // bytes of one name, and of a namespace name
	Namespaces int // namespace declarations in scope at once
	Transforms int // transforms of one reference
	References int // references of one SignedInfo or Manifest
}

// DefaultLimits let a document of 128 MB pass; the budget bounds the sum of what it makes us hold.
var DefaultLimits = Limits{
	Size:       128 << 20,
	Nodes:      2_500_000,
	Depth:      512,
	Attributes: 1024,
	Name:       1024,
	Namespaces: 1024,
	Transforms: 16,
	References: 4096,
}

// largeDocument is from how many bytes on room is made at once: a list that grows step by step leaves copies
// behind.
const largeDocument = 4 << 20

// maxAllAttributes bounds the attributes and declarations of a whole document (20 bytes each).
const maxAllAttributes = 2_500_000

func (l Limits) orDefault() Limits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.Size, DefaultLimits.Size)
	set(&l.Nodes, DefaultLimits.Nodes)
	set(&l.Depth, DefaultLimits.Depth)
	set(&l.Attributes, DefaultLimits.Attributes)
	set(&l.Name, DefaultLimits.Name)
	set(&l.Namespaces, DefaultLimits.Namespaces)
	set(&l.Transforms, DefaultLimits.Transforms)
	set(&l.References, DefaultLimits.References)
	l.Depth, l.Attributes = min(l.Depth, 1<<15), min(l.Attributes, 1<<15) // they are counted in 16 bits
	return l
}
