package xmldsig

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"trustcore/internal/budget"
)

// Kind is the kind of a node.
type Kind uint8

// The kinds of nodes. Attributes and namespace declarations are not nodes of the arena: they hang on
// their element.
const (
	DocumentNode Kind = iota
	ElementNode
	TextNode // character data or a CDATA section; neighbours are not merged
	CommentNode
	InstructionNode // processing instruction
)

// Namespaces that the package itself knows.
const (
	NamespaceXML     = "http://www.w3.org/XML/1998/namespace"
	NamespaceXMLNS   = "http://www.w3.org/2000/xmlns/"
	NamespaceDSig    = "http://www.w3.org/2000/09/xmldsig#"
	NamespaceDSig11  = "http://www.w3.org/2009/xmldsig11#"
	NamespaceDSMore  = "http://www.w3.org/2007/05/xmldsig-more#"
	NamespaceExcC14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// node is one entry of the arena. The tree is in pre-order: the subtree of node i is [i, end).
type node struct {
	parent int32
	end    int32
	name   int32 // element: index of names; instruction: atom of the target
	uri    int32 // element: atom of the namespace name
	off    int32 // text, comment, instruction: where the content starts; element: where '<' stands
	len    int32 // length of the content; element: bytes from '<' to the end of the end tag
	attr   int32 // first attribute
	ns     int32 // first namespace declaration
	nattr  uint16
	nns    uint16
	tag    uint16 // element with flagInclusive, flagExclusive or flagTag: length of the start tag
	kind   Kind
	flags  uint8
}

const (
	flagSide      = 1 << iota // the content lies in Document.side, not in the source
	flagEscape                // the content has bytes that canonical XML writes as references
	flagInclusive             // element: what its tags enclose is canonical as it stands (exact.go)
	flagExclusive             // the same of Exclusive XML Canonicalization
	flagTag                   // element without declarations: its start tag is canonical where no others are due
)

type attribute struct {
	name  int32 // index of names
	uri   int32 // atom
	off   int32
	len   int32
	flags uint8
}

type declaration struct {
	prefix int32 // atom, atomEmpty for the default namespace
	uri    int32 // atom, atomEmpty for xmlns=""
}

// name is an interned qualified name.
type name struct {
	prefix int32 // atom
	local  int32 // atom
	qname  int32 // atom of prefix:local as written
}

// Document is a parsed document. It is immutable but for its budget, its index of Ids and what was decoded of it, and
// safe for concurrent use.
type Document struct {
	src    []byte // UTF-8
	side   []byte // content that differs from the source: references resolved, line ends normalised
	nodes  []node
	attrs  []attribute
	decls  []declaration
	atoms  []string
	names  []name
	limits Limits
	// prefixes is above the atom of every prefix that names a namespace: room for tables by prefix.
	prefixes int
	ids      idIndex
	decoded  decoded
	budget   *budget.Budget // documents that transforms make of this one share it
	held     int            // octets that the budget was told of
}

// Source returns the document in UTF-8, as parsed: the input itself, or its transcoding. Offsets count in it.
func (d *Document) Source() []byte { return d.src }

// release gives back to the budget what a document holds that nobody will look at again.
func (d *Document) release() {
	d.budget.Release(d.held)
	d.held = 0
}

// Root returns the document element.
func (d *Document) Root() Node {
	for i := int32(1); i < int32(len(d.nodes)); i = d.nodes[i].end {
		if d.nodes[i].kind == ElementNode {
			return Node{d, i}
		}
	}
	return Node{}
}

// Node is a node of a document; the zero Node is none. Two Nodes are the same node when they are equal (==).
type Node struct {
	d *Document
	i int32
}

// Document returns the document that the node belongs to.
func (n Node) Document() *Document { return n.d }

// IsZero tells that there is no such node.
func (n Node) IsZero() bool { return n.d == nil }

// Kind returns the node's kind.
func (n Node) Kind() Kind {
	if n.d == nil {
		return DocumentNode
	}
	return n.d.nodes[n.i].kind
}

// Local returns the local name of an element or the target of an instruction, else "".
func (n Node) Local() string {
	if n.d == nil {
		return ""
	}
	switch x := &n.d.nodes[n.i]; x.kind {
	case ElementNode:
		return n.d.atoms[n.d.names[x.name].local]
	case InstructionNode:
		return n.d.atoms[x.name]
	}
	return ""
}

// Space returns the namespace name of an element, else "".
func (n Node) Space() string {
	if n.Kind() != ElementNode {
		return ""
	}
	return n.d.atoms[n.d.nodes[n.i].uri]
}

// Name returns the qualified name of an element as written, else "".
func (n Node) Name() string {
	if n.Kind() != ElementNode {
		return ""
	}
	return n.d.atoms[n.d.names[n.d.nodes[n.i].name].qname]
}

// Is tells whether the node is an element of that expanded name.
func (n Node) Is(space, local string) bool {
	return n.Kind() == ElementNode && n.Local() == local && n.Space() == space
}

// Parent returns the parent element, or the zero Node for the document element and what stands beside it.
func (n Node) Parent() Node {
	if n.d == nil || n.d.nodes[n.i].parent <= 0 {
		return Node{}
	}
	return Node{n.d, n.d.nodes[n.i].parent}
}

// Contains tells whether other is the node itself or in its subtree.
func (n Node) Contains(other Node) bool {
	return n.d != nil && n.d == other.d && other.i >= n.i && other.i < n.d.nodes[n.i].end
}

// Offset returns where the node starts and ends in Source (for an element: from '<' of its start tag to
// after '>' of its end tag). Only meaningful for elements.
func (n Node) Offset() (start, end int) {
	if n.Kind() != ElementNode {
		return 0, 0
	}
	x := &n.d.nodes[n.i]
	return int(x.off), int(x.off) + int(x.len)
}

// Order returns the node's place in document order.
func (n Node) Order() int { return int(n.i) }

// Elements yields the child elements.
func (n Node) Elements() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if n.d == nil {
			return
		}
		for i := n.i + 1; i < n.d.nodes[n.i].end; i = n.d.nodes[i].end {
			if n.d.nodes[i].kind == ElementNode && !yield(Node{n.d, i}) {
				return
			}
		}
	}
}

// Children counts the child elements.
func (n Node) Children() int {
	count := 0
	for range n.Elements() {
		count++
	}
	return count
}

// Descendants yields the elements of that expanded name in the subtree, the node itself included.
func (n Node) Descendants(space, local string) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if n.d == nil {
			return
		}
		for i := n.i; i < n.d.nodes[n.i].end; i++ {
			if d := (Node{n.d, i}); d.Is(space, local) && !yield(d) {
				return
			}
		}
	}
}

// All returns the child elements of that expanded name.
func (n Node) All(space, local string) []Node {
	var all []Node
	for e := range n.Elements() {
		if e.Is(space, local) {
			all = append(all, e)
		}
	}
	return all
}

// Child returns the first child element of that expanded name, or the zero Node.
func (n Node) Child(space, local string) Node {
	for e := range n.Elements() {
		if e.Is(space, local) {
			return e
		}
	}
	return Node{}
}

// Path follows child elements of one namespace by their local names, the first of each.
func (n Node) Path(space string, locals ...string) Node {
	for _, local := range locals {
		n = n.Child(space, local)
	}
	return n
}

// Attr returns the value of the attribute of that expanded name ("" for no namespace).
func (n Node) Attr(space, local string) (string, bool) {
	if n.Kind() != ElementNode {
		return "", false
	}
	x := &n.d.nodes[n.i]
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		at := &n.d.attrs[a]
		if n.d.atoms[n.d.names[at.name].local] == local && n.d.atoms[at.uri] == space {
			v := n.d.attrValue(at)
			if len(v) > longCopy && n.d.budget.Octets(len(v)) != nil {
				return "", false
			}
			return known(v), true
		}
	}
	return "", false
}

// identifiers are the names of algorithms and kinds of references that signatures are full of.
var identifiers = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	algorithms := slices.Concat(slices.Collect(maps.Keys(digests)), slices.Collect(maps.Keys(canonicalizations)))
	for _, uri := range append(algorithms,
		TransformEnveloped, TransformBase64, TransformXPath, TransformXPathFilter, TransformXSLT, TransformRelationship,
		NamespaceDSig+"Object", NamespaceDSig+"Manifest", "http://uri.etsi.org/01903#SignedProperties",
		NamespaceDSig+"rsa-sha1", namespaceDSMore2001+"rsa-sha256", namespaceDSMore2001+"rsa-sha512",
		namespaceDSMore2001+"ecdsa-sha256") {
		m[uri] = uri
	}
	return m
})

// known is v as a string, without a copy where it is one of identifiers.
func known(v []byte) string {
	if bytes.HasPrefix(v, []byte("http://")) {
		if s, ok := identifiers()[string(v)]; ok {
			return s
		}
	}
	return string(v)
}

// longCopy is from how many octets on a copy is paid for by itself; shorter ones are part of the visit.
const longCopy = 256

// ID returns the value of the attribute Id, or of ID or id, or of xml:id, or "".
func (n Node) ID() string {
	for _, local := range [...]string{"Id", "ID", "id"} {
		if v, ok := n.Attr("", local); ok {
			return v
		}
	}
	v, _ := n.Attr(NamespaceXML, "id")
	return v
}

// Text returns the string value: the character data of the whole subtree, without comments. It is "" once the
// document's budget is spent.
func (n Node) Text() string {
	if n.d == nil {
		return ""
	}
	nodes, octets := n.textSize()
	if octets > longCopy || nodes > longCopy {
		if n.d.budget.Work(int64(costGlance*nodes)+int64(budget.Octet*octets)) != nil {
			return ""
		}
	}
	return n.text(octets)
}

// textSize returns how many nodes are looked at for the string value, and at most how long it is.
func (n Node) textSize() (nodes, octets int) {
	x := &n.d.nodes[n.i]
	switch {
	case n.i == 0:
		return len(n.d.nodes), len(n.d.src)
	case x.kind == ElementNode && x.end == n.i+2:
		return 1, int(n.d.nodes[n.i+1].len)
	}
	return int(x.end - n.i), int(x.len)
}

func (n Node) text(octets int) string {
	switch x := &n.d.nodes[n.i]; {
	case x.kind > ElementNode:
		return string(n.d.content(x))
	case x.end == n.i+2 && n.d.nodes[n.i+1].kind == TextNode:
		return string(n.d.content(&n.d.nodes[n.i+1]))
	}
	var b strings.Builder
	b.Grow(min(octets, longText)) // the markup between the texts counts, and may be most of it
	for i := n.i; i < n.d.nodes[n.i].end; i++ {
		if x := &n.d.nodes[i]; x.kind == TextNode {
			b.Write(n.d.content(x))
		}
	}
	return b.String()
}

// Place names the element by the elements above it, as written: "/Envelope/Payload[2]". The number counts among
// siblings of one name, where there are some. Of a long path the middle is left out.
func (n Node) Place() string {
	var steps []string
	length := 0
	for up := n; !up.IsZero(); up = up.Parent() {
		if len(steps) == maxPlaceSteps || length > maxPlaceBytes {
			steps = append(steps, "/…")
			break
		}
		steps = append(steps, "/"+up.Name()+up.ordinal())
		length += len(steps[len(steps)-1])
	}
	slices.Reverse(steps)
	return strings.Join(steps, "")
}

const (
	maxPlaceSteps = 24
	maxPlaceBytes = 512
)

// ordinal is "[2]" for the second of several siblings of one name, else "".
func (n Node) ordinal() string {
	x := &n.d.nodes[n.i]
	nth, all := 0, 0
	for i := max(x.parent, 0) + 1; i < n.d.nodes[max(x.parent, 0)].end; i = n.d.nodes[i].end {
		if n.d.budget.Work(costGlance) != nil {
			return ""
		}
		if y := &n.d.nodes[i]; y.kind == ElementNode && y.name == x.name {
			if all++; i == n.i {
				nth = all
			}
		}
	}
	if all < 2 {
		return ""
	}
	return fmt.Sprintf("[%d]", nth)
}

// Bare tells whether an element has no text of its own but white space, and no attribute without a namespace but Ids.
func (n Node) Bare() bool {
	x := &n.d.nodes[n.i]
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		if at := &n.d.attrs[a]; at.uri == atomEmpty && !n.d.isID(at) {
			return false
		}
	}
	for i := n.i + 1; i < x.end; i = n.d.nodes[i].end {
		y := &n.d.nodes[i]
		if n.d.budget.Work(costGlance) != nil || y.kind == TextNode && !blank(n.d.content(y)) {
			return false
		}
	}
	return true
}

// Size returns how many nodes the subtree has, the node itself included.
func (n Node) Size() int {
	if n.d == nil {
		return 0
	}
	return int(n.d.nodes[n.i].end - n.i)
}

// Resolve returns the namespace name that a prefix stands for at the element ("" for the default one).
func (n Node) Resolve(prefix string) (string, bool) {
	if prefix == "xml" {
		return NamespaceXML, true
	}
	if n.d == nil {
		return "", false
	}
	for i := n.i; i > 0; i = n.d.nodes[i].parent {
		x := &n.d.nodes[i]
		for k := x.ns; k < x.ns+int32(x.nns); k++ {
			if n.d.atoms[n.d.decls[k].prefix] == prefix {
				return n.d.atoms[n.d.decls[k].uri], true
			}
		}
	}
	return "", prefix == ""
}

// String names the node for messages.
func (n Node) String() string {
	switch n.Kind() {
	case ElementNode:
		before := n.d.src[:n.d.nodes[n.i].off]
		if n.d.budget.Work(int64(len(before)/8)) != nil {
			return fmt.Sprintf("<%s>", n.Name())
		}
		return fmt.Sprintf("<%s> in line %d", n.Name(), 1+bytes.Count(before, []byte{'\n'}))
	case TextNode:
		return "text"
	case CommentNode:
		return "comment"
	case InstructionNode:
		return "processing instruction"
	}
	return "document"
}

func (d *Document) content(x *node) []byte {
	if x.flags&flagSide != 0 {
		return d.side[x.off : x.off+x.len]
	}
	return d.src[x.off : x.off+x.len]
}

func (d *Document) attrValue(a *attribute) []byte {
	if a.flags&flagSide != 0 {
		return d.side[a.off : a.off+a.len]
	}
	return d.src[a.off : a.off+a.len]
}
