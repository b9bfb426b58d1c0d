package xmldsig

import "slices"

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
	if s.doc == nil || n.d != s.doc {
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
	end := s.doc.nodes[n.i].end
	if n.i < s.from || end > s.to {
		return false
	}
	if s.fine == nil {
		for _, w := range s.without {
			if w.from < end && n.i < w.to {
				return false
			}
		}
		return true
	}
	v := newInspector(s.doc)
	for i := n.i; i < end; i++ {
		if s.doc.nodes[i].kind != CommentNode && (!s.has(i) || !s.hasAxes(v, i)) {
			return false
		}
	}
	return true
}

// Apex returns the node whose subtree the set was made of: the document node or an element.
func (s NodeSet) Apex() Node {
	if s.doc == nil {
		return Node{}
	}
	return Node{s.doc, s.from}
}

// Whole tells whether the set is the whole document element but for comments and the given subtrees.
func (s NodeSet) Whole(but ...Node) bool {
	if s.doc == nil {
		return false
	}
	v := newInspector(s.doc)
	skipped := make(map[int32]bool, len(but))
	for _, n := range but {
		skipped[n.i] = n.d == s.doc
	}
	root := s.doc.Root()
	for i := root.i; i < s.doc.nodes[root.i].end; i++ {
		if s.doc.nodes[i].kind == ElementNode && skipped[i] {
			i = s.doc.nodes[i].end - 1
			continue
		}
		if s.doc.nodes[i].kind != CommentNode && (!s.has(i) || !s.hasAxes(v, i)) {
			return false
		}
	}
	return true
}

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
