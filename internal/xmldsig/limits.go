package xmldsig

// Limits bound what a hostile document can cost. A zero field takes the value of DefaultLimits.
type Limits struct {
	Size       int // bytes of the document
	Nodes      int // elements, texts, comments and processing instructions
	Depth      int // nested elements
	Attributes int // attributes and namespace declarations of one element
	Name       int // bytes of one name
	Namespaces int // namespace declarations in scope at once
	Steps      int // XPath evaluation steps of all transforms over the life of the document
	Transforms int // transforms of one reference
	References int // references of one SignedInfo or Manifest
}

// DefaultLimits let a document of 128 MB pass; maxFootprint bounds the arena besides: a node takes 40
// bytes, an attribute 20.
var DefaultLimits = Limits{
	Size:       128 << 20,
	Nodes:      2_500_000,
	Depth:      512,
	Attributes: 1024,
	Name:       1024,
	Namespaces: 1024,
	Steps:      20_000_000,
	Transforms: 16,
	References: 4096,
}

// maxFootprint bounds the bytes of a document and of its arena together: a document of 100 MB may hold a
// million nodes, one of 20 MB more than limits.Nodes. A declaration counts several times, since the
// lists of them are copied while they grow.
const (
	maxFootprint     = 140 << 20
	nodeBytes        = 40
	attributeBytes   = 20
	declarationBytes = 5 * 12
)

// largeDocument is from how many bytes on the attributes are counted before: a list that grows step by
// step leaves copies behind.
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
	set(&l.Steps, DefaultLimits.Steps)
	set(&l.Transforms, DefaultLimits.Transforms)
	set(&l.References, DefaultLimits.References)
	l.Depth, l.Attributes = min(l.Depth, 1<<15), min(l.Attributes, 1<<15) // they are counted in 16 bits
	return l
}
