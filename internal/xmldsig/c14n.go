package xmldsig

import (
	"cmp"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"trustcore/internal/budget"
)

// Form is a family of canonical forms.
type Form uint8

// The canonical forms: Canonical XML 1.0, Canonical XML 1.1, Exclusive XML Canonicalization 1.0.
const (
	Inclusive10 Form = iota
	Inclusive11
	Exclusive
)

// Canonicalization is a canonicalisation method with its parameters.
type Canonicalization struct {
	Form     Form
	Comments bool
	Prefixes []string // Exclusive: InclusiveNamespaces PrefixList; "" or "#default" is the default namespace
}

var canonicalizations = map[string]Canonicalization{
	"http://www.w3.org/TR/2001/REC-xml-c14n-20010315":              {},
	"http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": {Comments: true},
	"http://www.w3.org/2006/12/xml-c14n11":                         {Form: Inclusive11},
	"http://www.w3.org/2006/12/xml-c14n11#WithComments":            {Form: Inclusive11, Comments: true},
	"http://www.w3.org/2001/10/xml-exc-c14n#":                      {Form: Exclusive},
	"http://www.w3.org/2001/10/xml-exc-c14n#WithComments":          {Form: Exclusive, Comments: true},
}

// CanonicalizationByURI returns the method of an algorithm identifier, without parameters.
func CanonicalizationByURI(uri string) (Canonicalization, bool) {
	m, ok := canonicalizations[uri]
	return m, ok
}

// Canonical writes the canonical form of the node-set.
func (s NodeSet) Canonical(w io.Writer, m Canonicalization) error {
	if s.doc == nil || s.from >= s.to {
		return nil
	}
	tables := s.doc.prefixes * tablesBytes
	if err := s.doc.budget.Hold(tables); err != nil {
		return err
	}
	defer s.doc.budget.Release(tables)
	if err := s.doc.budget.Work(int64(costCanonical + budget.Octet*tables)); err != nil {
		return err
	}
	c := newCanonicalizer(s, m, w)
	defer c.release()
	if err := c.run(); err != nil {
		return err
	}
	if err := c.meter.settle(); err != nil {
		return err
	}
	return c.out.flush()
}

// tablesBytes are the octets of the tables of a canonicalizer for each prefix.
const tablesBytes = 4 + 4 + 1

// Canonical returns the canonical form of the node and everything below it.
func (n Node) Canonical(m Canonicalization) ([]byte, error) {
	var b sliceWriter
	err := Subtree(n).Canonical(&b, m)
	return b, err
}

type sliceWriter []byte

func (b *sliceWriter) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

type canonicalizer struct {
	set  NodeSet
	doc  *Document
	root int32 // the document element
	m    Canonicalization
	out  sink
	open []open

	passed int // what is before that in the source was let go

	active   []int32 // declarations in scope, outermost first, shadowed ones included
	inScope  []int32 // by atom of a prefix: declaration + 1, or 0
	shadow   []int32 // by active: what inScope held before
	rendered []int32 // by atom of a prefix: atom of the namespace that output ancestors declared
	undo     []declaration
	listed   []bool // by atom of a prefix: in the PrefixList
	meter    meter
	exact    uint8 // the flag of elements whose content may be taken from the source, 0 for none

	decls []declaration // of the element in hand
	attrs []outAttribute
	last  []declaration // slow path: namespace nodes of the nearest output ancestor
}

// open is an element that is being written, or passed over, whose end is not reached.
type open struct {
	node    int32
	visible bool
	stale   bool // a prefix stands for something else in the output than in the source
	active  int  // lengths to go back to
	undo    int
	last    []declaration
}

type outAttribute struct {
	uri, local, qname string
	value             []byte
	escape            bool
}

// canonicalizers are those whose work is done; their lists have room for the next.
var canonicalizers = sync.Pool{New: func() any { return &canonicalizer{} }}

// release makes c ready for another document. What an unusual one took is not kept.
func (c *canonicalizer) release() {
	if c.doc.prefixes > usualPrefixes || cap(c.active) > usualPrefixes || cap(c.attrs) > usualPrefixes {
		return
	}
	c.set, c.doc, c.out, c.meter, c.listed, c.last = NodeSet{}, nil, sink{}, meter{}, nil, nil
	clear(c.open[:cap(c.open)])
	clear(c.attrs[:cap(c.attrs)])
	canonicalizers.Put(c)
}

const usualPrefixes = 256

// cleared returns n zeros, in the old list where it is long enough.
func cleared(old []int32, n int) []int32 {
	if n > cap(old) {
		return make([]int32, n, 2*n)
	}
	old = old[:n]
	clear(old)
	return old
}

func newCanonicalizer(s NodeSet, m Canonicalization, w io.Writer) *canonicalizer {
	c := canonicalizers.Get().(*canonicalizer)
	*c = canonicalizer{
		set: s, doc: s.doc, root: s.doc.Root().i, m: m, out: newSink(w, s.doc.budget), meter: meter{budget: s.doc.budget},
		open: c.open[:0], active: c.active[:0], shadow: c.shadow[:0], undo: c.undo[:0],
		decls: c.decls[:0], attrs: c.attrs[:0],
		inScope: cleared(c.inScope, s.doc.prefixes), rendered: cleared(c.rendered, s.doc.prefixes),
	}
	switch {
	case s.fine != nil: // of its elements not all is in the set
	case m.Form == Exclusive:
		c.exact = flagExclusive
	default:
		c.exact = flagInclusive
	}
	if m.Form == Exclusive && len(m.Prefixes) > 0 {
		c.listed = make([]bool, s.doc.prefixes)
		wanted := make(map[string]bool, len(m.Prefixes))
		for _, p := range m.Prefixes {
			wanted[strings.TrimPrefix(p, "#default")] = true
		}
		_ = c.meter.spend(costKeyedEntry * (len(c.listed) + len(m.Prefixes))) // its end is told in run
		for a := range c.listed {
			c.listed[a] = wanted[s.doc.atoms[a]]
		}
	}
	c.enterAncestors(s.doc.nodes[s.from].parent)
	return c
}

// enterAncestors brings the declarations of element i and those above it into scope.
func (c *canonicalizer) enterAncestors(i int32) {
	if i <= 0 {
		return
	}
	c.enterAncestors(c.doc.nodes[i].parent)
	c.enter(&c.doc.nodes[i])
}

func (c *canonicalizer) enter(x *node) {
	c.meter.owed += int64(costDeclaration * int(x.nns))
	for k := x.ns; k < x.ns+int32(x.nns); k++ {
		p := c.doc.decls[k].prefix
		c.shadow = append(c.shadow, c.inScope[p])
		c.active = append(c.active, k)
		c.inScope[p] = k + 1
	}
}

func (c *canonicalizer) run() error {
	cut := c.set.without
	for i := c.set.from; i < c.set.to; {
		for len(c.open) > 0 && c.doc.nodes[c.open[len(c.open)-1].node].end <= i {
			c.leave()
		}
		for len(cut) > 0 && cut[0].from < i {
			cut = cut[1:]
		}
		if len(cut) > 0 && cut[0].from == i {
			i = cut[0].to
			continue
		}
		x := &c.doc.nodes[i]
		if err := c.meter.spend(budget.Node); err != nil {
			return err
		}
		if x.flags&flagSide == 0 && int(x.off)-c.passed >= windowSize {
			c.doc.budget.Passed(c.doc.src[c.passed:x.off])
			c.passed = int(x.off)
		}
		visible := x.kind != DocumentNode && (c.set.fine == nil || c.set.fine.nodes.has(i))
		switch x.kind {
		case ElementNode:
			if err := c.element(i, x, visible); err != nil {
				return err
			}
			whole := len(cut) == 0 || cut[0].from >= x.end
			if whole && x.flags&c.exact != 0 && !c.open[len(c.open)-1].stale {
				if err := c.copy(i, x); err != nil {
					return err
				}
				i = x.end
				continue
			}
		case TextNode:
			if visible {
				c.out.text(c.doc.content(x), x.flags&flagEscape != 0)
			}
		case CommentNode:
			if visible && c.m.Comments && c.set.comments {
				c.aside(i, x, "<!--", "", "-->")
			}
		case InstructionNode:
			if visible {
				c.aside(i, x, "<?", c.doc.atoms[x.name], "?>")
			}
		}
		i++
	}
	for len(c.open) > 0 {
		c.leave()
	}
	return c.out.err
}

// copy writes what the tags of element i enclose from the source, where that is its canonical form.
func (c *canonicalizer) copy(i int32, x *node) error {
	if err := c.meter.spend(budget.Node * int(x.end-i-1)); err != nil || x.end == i+1 {
		return err
	}
	end := int(x.off+x.len) - len("</>") - len(c.doc.atoms[c.doc.names[x.name].qname])
	c.out.write(c.doc.src[int(x.off)+int(x.tag) : end])
	return c.out.err
}

// aside writes a comment or an instruction, with the line break that stands between it and the document
// element when it lies outside.
func (c *canonicalizer) aside(i int32, x *node, opening, target, closing string) {
	outside := x.parent == 0
	after := outside && i > c.root
	if after {
		c.out.str("\n")
	}
	c.out.str(opening)
	c.out.str(target)
	body := c.doc.content(x)
	if target != "" && len(body) > 0 {
		c.out.str(" ")
	}
	c.out.write(body) // a comment or instruction cannot hold a carriage return
	c.out.str(closing)
	if outside && !after {
		c.out.str("\n")
	}
}

func (c *canonicalizer) leave() {
	f := &c.open[len(c.open)-1]
	if f.visible {
		c.out.str("</")
		c.out.str(c.doc.atoms[c.doc.names[c.doc.nodes[f.node].name].qname])
		c.out.str(">")
	}
	for k := len(c.undo) - 1; k >= f.undo; k-- {
		c.rendered[c.undo[k].prefix] = c.undo[k].uri
	}
	for k := len(c.active) - 1; k >= f.active; k-- {
		c.inScope[c.doc.decls[c.active[k]].prefix] = c.shadow[k]
	}
	c.undo, c.active, c.shadow, c.last = c.undo[:f.undo], c.active[:f.active], c.shadow[:f.active], f.last
	c.open = c.open[:len(c.open)-1]
}

func (c *canonicalizer) element(i int32, x *node, visible bool) error {
	orphan := len(c.open) == 0 || !c.open[len(c.open)-1].visible
	stale := len(c.open) > 0 && c.open[len(c.open)-1].stale
	c.open = append(c.open, open{i, visible, stale, len(c.active), len(c.undo), c.last})
	c.decls, c.attrs = c.decls[:0], c.attrs[:0]
	if c.exact != 0 && x.flags&flagTag != 0 && !orphan {
		if c.m.Form == Exclusive {
			c.utilized(x)
		}
		if len(c.decls) == 0 {
			c.out.write(c.doc.src[x.off : x.off+int32(x.tag)])
			return nil
		}
		c.allAttributes(i, x, false)
		return c.tag(x, true)
	}
	c.enter(x)
	if c.set.fine != nil && !c.set.fine.follow {
		c.pickAttributes(i, x, visible && orphan)
		c.pickNamespaces(i, x, visible)
	} else if visible {
		c.allAttributes(i, x, orphan)
		c.allNamespaces(x, orphan)
	}
	if err := c.meter.spend(toSort(len(c.attrs)) + toSort(len(c.decls))); err != nil {
		return err
	}
	c.compareScope(x)
	return c.tag(x, visible)
}

// compareScope notes where an element declares a prefix anew without writing that, while an element above has written
// another declaration of it.
func (c *canonicalizer) compareScope(x *node) {
	for k := x.ns; k < x.ns+int32(x.nns); k++ {
		d := c.doc.decls[k]
		if written := c.rendered[d.prefix]; written != atomEmpty && written != d.uri {
			c.open[len(c.open)-1].stale = true
		}
	}
}

// toSort is what it costs to bring n attributes or declarations into their order.
func toSort(n int) int { return costAttribute * n * (1 + bits.Len(uint(n))) }

// tag writes the start tag: all of it, or only what is in the set of an element that is not.
func (c *canonicalizer) tag(x *node, visible bool) error {
	if visible {
		c.out.str("<")
		c.out.str(c.doc.atoms[c.doc.names[x.name].qname])
	}
	if len(c.decls) > 1 {
		slices.SortFunc(c.decls, func(a, b declaration) int {
			return strings.Compare(c.doc.atoms[a.prefix], c.doc.atoms[b.prefix])
		})
	}
	for _, d := range c.decls {
		if err := c.namespace(d); err != nil {
			return err
		}
	}
	if len(c.attrs) > 1 {
		slices.SortFunc(c.attrs, func(a, b outAttribute) int {
			return cmp.Or(strings.Compare(a.uri, b.uri), strings.Compare(a.local, b.local))
		})
	}
	for k := range c.attrs {
		a := &c.attrs[k]
		c.out.str(" ")
		c.out.str(a.qname)
		c.out.str(`="`)
		c.out.value(a.value, a.escape)
		c.out.str(`"`)
	}
	if visible {
		c.out.str(">")
	}
	return nil
}

func (c *canonicalizer) namespace(d declaration) error {
	uri := c.doc.atoms[d.uri]
	if uri != "" && !hasScheme(uri) {
		return fmt.Errorf("canonicalisation: the namespace name %q is relative", uri)
	}
	c.out.str(" xmlns")
	if d.prefix != atomEmpty {
		c.out.str(":")
		c.out.str(c.doc.atoms[d.prefix])
	}
	c.out.str(`="`)
	c.out.name(uri)
	c.out.str(`"`)
	return nil
}

// hasScheme tells whether a URI reference is absolute (RFC 3986, 3.1).
func hasScheme(uri string) bool {
	for i := range len(uri) {
		c := uri[i] | 0x20
		switch {
		case uri[i] == ':':
			return i > 0
		case c >= 'a' && c <= 'z':
		case i > 0 && (uri[i] >= '0' && uri[i] <= '9' || uri[i] == '+' || uri[i] == '-' || uri[i] == '.'):
		default:
			return false
		}
	}
	return false
}
