package xmldsig

import (
	"bytes"
	"slices"

	"trustcore/internal/budget"
)

// NodeSet is a set of nodes of one document, as references and transforms see it. The zero value is empty.
type NodeSet struct {
	doc      *Document
	from, to int32 // the nodes [from, to) of the arena
	comments bool
	without  []span // subtrees taken out, in document order, not overlapping
	fine     *fineSet
}

type span struct{ from, to int32 }

// fineSet is a set that an XPath expression picked node by node.
type fineSet struct {
	nodes bitset
	attrs bitset
	decls map[axisKey]struct{} // nil: the namespace nodes of each element in the set, all of them
	// follow: attributes and namespace nodes belong to the set where their element does.
	follow bool
}

// axisKey names the namespace node of an element: the declaration may stand on an ancestor.
type axisKey struct{ element, decl int32 }

// declXML stands for the declaration of the prefix xml, which every element has.
const declXML = -1

type bitset []uint64

func newBitset(n int) bitset      { return make(bitset, (n+63)/64) }
func (b bitset) has(i int32) bool { return b[i>>6]&(1<<(i&63)) != 0 }
func (b bitset) set(i int32)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) setRange(from, to int32) {
	for i := from; i < to; i++ {
		b.set(i)
	}
}

// WholeDocument is the node-set of the document, comments included.
func (d *Document) WholeDocument() NodeSet {
	return NodeSet{doc: d, from: 0, to: int32(len(d.nodes)), comments: true}
}

// Subtree is the node-set of the node and everything below it, comments included.
func Subtree(n Node) NodeSet {
	if n.d == nil {
		return NodeSet{}
	}
	return NodeSet{doc: n.d, from: n.i, to: n.d.nodes[n.i].end, comments: true}
}

// WithoutComments leaves the comments out.
func (s NodeSet) WithoutComments() NodeSet {
	s.comments = false
	return s
}

// Without takes the subtree of n out.
func (s NodeSet) Without(n Node) NodeSet {
	if s.doc == nil || n.d != s.doc || s.doc.budget.Work(int64(costDeclaration*(1+len(s.without)))) != nil {
		return s
	}
	cut := span{n.i, n.d.nodes[n.i].end}
	kept := make([]span, 0, len(s.without)+1)
	for _, w := range s.without {
		switch {
		case w.from <= cut.from && cut.to <= w.to:
			return s
		case !(cut.from <= w.from && w.to <= cut.to):
			kept = append(kept, w)
		}
	}
	kept = append(kept, cut)
	slices.SortFunc(kept, func(a, b span) int { return int(a.from) - int(b.from) })
	s.without = kept
	return s
}

// Document returns the document of the set, nil for the empty set.
func (s NodeSet) Document() *Document { return s.doc }

// Has tells whether a node belongs to the set.
func (s NodeSet) Has(n Node) bool { return s.doc != nil && n.d == s.doc && s.has(n.i) }

// Covers tells whether the node and its whole subtree (comments apart) belong to the set, attributes included.
func (s NodeSet) Covers(n Node) bool {
	if s.doc == nil || n.d != s.doc {
		return false
	}
	return s.coversRange(n.i, s.doc.nodes[n.i].end)
}

// coversRange tells whether the nodes [from, to), comments apart, belong to the set with all that hangs on them.
// Whatever the budget does not pay for is not covered.
func (s NodeSet) coversRange(from, to int32) bool {
	for from < to && s.doc.nodes[from].kind == CommentNode {
		from++
	}
	for from < to && s.doc.nodes[to-1].kind == CommentNode {
		to--
	}
	if from == to {
		return true
	}
	if from < s.from || to > s.to || s.doc.budget.Work(int64(costGlance*len(s.without))) != nil {
		return false
	}
	for _, w := range s.without {
		if w.from < to && from < w.to {
			return false
		}
	}
	if s.fine == nil {
		return true
	}
	v := newEvaluator(s.doc, Node{})
	for i := from; i < to; i++ {
		if s.doc.nodes[i].kind != CommentNode && (!s.has(i) || !s.hasAxes(v, i)) || v.glance(1) != nil {
			return false
		}
	}
	return v.settle() == nil
}

// Apex returns the node whose subtree the set was made of: the document node or an element.
func (s NodeSet) Apex() Node {
	if s.doc == nil {
		return Node{}
	}
	return Node{s.doc, s.from}
}

// Whole tells whether the set is the whole document but for comments and the given subtrees: the document element
// with all below it, and the processing instructions beside it.
func (s NodeSet) Whole(but ...Node) bool {
	if s.doc == nil {
		return false
	}
	end := s.doc.nodes[0].end
	from := int32(1)
	for _, n := range inOrder(but) {
		if n.d != s.doc || n.i < from { // within the one before
			continue
		}
		if !s.coversRange(from, n.i) {
			return false
		}
		from = s.doc.nodes[n.i].end
	}
	return s.coversRange(from, end)
}

func inOrder(nodes []Node) []Node {
	return slices.SortedFunc(slices.Values(nodes), func(a, b Node) int { return int(a.i) - int(b.i) })
}

// Holds tells whether the set holds something that a reader takes for content in the subtree of within, but for the
// subtrees of but: an element other than ds:Object, or a text that is not blank.
func (s NodeSet) Holds(within Node, but ...Node) bool {
	if s.doc == nil || within.d != s.doc {
		return false
	}
	but = inOrder(but)
	for i := within.i; i < s.doc.nodes[within.i].end; i++ {
		for len(but) > 0 && but[0].i < i {
			but = but[1:]
		}
		x := &s.doc.nodes[i]
		if len(but) > 0 && but[0].i == i {
			i = x.end - 1
			continue
		}
		if s.doc.budget.Work(budget.Node) != nil {
			return false
		}
		if s.has(i) && (x.kind == ElementNode && !(Node{s.doc, i}).Is(NamespaceDSig, "Object") || x.kind == TextNode && !blank(s.doc.content(x))) {
			return true
		}
	}
	return false
}

// blank tells whether b is white space and nothing else.
func blank(b []byte) bool { return len(bytes.Trim(b, " \t\r\n")) == 0 }

func (s *NodeSet) has(i int32) bool {
	if i < s.from || i >= s.to || !s.comments && s.doc.nodes[i].kind == CommentNode {
		return false
	}
	if len(s.without) > 0 {
		k, found := slices.BinarySearchFunc(s.without, i, func(w span, i int32) int { return int(w.from) - int(i) })
		if found || k > 0 && i < s.without[k-1].to {
			return false
		}
	}
	return s.fine == nil || s.fine.nodes.has(i)
}

// hasAxes tells whether all attributes and namespace nodes of node i belong to the set. It spends of v's
// budget, and says no when that is used up.
func (s *NodeSet) hasAxes(v *evaluator, i int32) bool {
	x := &s.doc.nodes[i]
	if s.fine == nil || s.fine.follow || x.kind != ElementNode {
		return true
	}
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		if !s.fine.attrs.has(a) {
			return false
		}
	}
	scope := v.inScope(i)
	for _, k := range scope {
		if k != declXML && !s.hasDecl(i, k) {
			return false
		}
	}
	return v.spend(len(scope)) == nil
}

// hasAttr tells whether attribute a of element i belongs to the set.
func (s *NodeSet) hasAttr(i, a int32) bool {
	if s.fine == nil || s.fine.follow {
		return s.has(i)
	}
	return s.inRange(i) && s.fine.attrs.has(a)
}

// hasDecl tells whether the namespace node of element i for declaration k belongs to the set.
func (s *NodeSet) hasDecl(i, k int32) bool {
	if s.fine == nil || s.fine.follow {
		return s.has(i)
	}
	if !s.inRange(i) {
		return false
	}
	_, ok := s.fine.decls[axisKey{i, k}]
	return ok
}

// inRange tells whether element i lies where attributes can belong to the set, whether it does itself or not.
func (s *NodeSet) inRange(i int32) bool {
	if i < s.from || i >= s.to {
		return false
	}
	for _, w := range s.without {
		if i >= w.from && i < w.to {
			return false
		}
	}
	return true
}
