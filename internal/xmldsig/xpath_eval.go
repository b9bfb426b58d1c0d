package xmldsig

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// xnode is a node of the XPath data model: a node of the arena, an attribute or a namespace node.
// Character data and CDATA sections that stand side by side are separate text nodes here.
type xnode struct {
	i   int32
	sub int32 // 0: the node itself; > 0: attribute sub-1; < 0: namespace declaration -sub-2
}

func attrNode(i, a int32) xnode { return xnode{i, a + 1} }
func declNode(i, k int32) xnode { return xnode{i, -k - 2} }
func (n xnode) decl() int32     { return -n.sub - 2 }

// compare is document order: an element, its namespace nodes, its attributes, its children.
func (n xnode) compare(m xnode) int {
	if n.i != m.i {
		return int(n.i) - int(m.i)
	}
	class := func(sub int32) int {
		switch {
		case sub == 0:
			return 0
		case sub < 0:
			return 1
		}
		return 2
	}
	if a, b := class(n.sub), class(m.sub); a != b {
		return a - b
	}
	if n.sub < 0 {
		return int(m.sub) - int(n.sub)
	}
	return int(n.sub) - int(m.sub)
}

// xvalue is bool, float64, string or []xnode (in document order, each once).
type xvalue any

type evaluator struct {
	d       *Document
	here    xnode // the element that holds the expression, if it is in the same document
	hasHere bool
	meter   meter
	made    int               // octets held for the strings and lists of the evaluation at hand
	kept    int               // octets held for scopes
	scopes  map[int32][]int32 // by element with declarations: those in scope there
}

func newEvaluator(d *Document, here Node) *evaluator {
	return &evaluator{
		d: d, here: xnode{i: here.i}, hasHere: here.d == d, meter: meter{budget: d.budget}, scopes: map[int32][]int32{},
	}
}

// hold spends memory for a string or list of the evaluation at hand.
func (v *evaluator) hold(octets int) error {
	if octets < longCopy {
		return nil // far fewer than the steps that lead to it may be made at once
	}
	v.made += octets
	return v.d.budget.Hold(octets)
}

// forget gives back what an evaluation held that is over.
func (v *evaluator) forget() {
	v.d.budget.Release(v.made)
	v.made = 0
}

// release gives back everything.
func (v *evaluator) release() {
	v.forget()
	v.d.budget.Release(v.kept)
	v.kept = 0
}

type xcontext struct {
	n         xnode
	pos, size int
}

// spend pays for steps: an operator, or a node that a path comes by.
func (v *evaluator) spend(n int) error { return v.meter.spend(costStep * n) }

// glance pays for entries of lists that are passed over.
func (v *evaluator) glance(n int) error { return v.meter.spend(costGlance * n) }

// octets pays for octets that are read or written at a price each.
func (v *evaluator) octets(price, n int) error { return v.meter.spend(price * n) }

func (v *evaluator) settle() error { return v.meter.settle() }

func (v *evaluator) eval(e *expr, c xcontext) (xvalue, error) {
	if err := v.spend(1); err != nil {
		return nil, err
	}
	switch e.op {
	case "literal":
		return e.text, nil
	case "number":
		return e.value, nil
	case "path":
		start := c.n
		if e.root {
			start = xnode{}
		}
		return v.walk(e.steps, []xnode{start})
	case "filter":
		return v.filter(e, c)
	case "call":
		return v.call(e, c)
	case "or", "and":
		return v.logic(e, c)
	}
	args := make([]xvalue, len(e.args))
	for i, a := range e.args {
		var err error
		if args[i], err = v.eval(a, c); err != nil {
			return nil, err
		}
	}
	return v.operate(e.op, args)
}

func (v *evaluator) logic(e *expr, c xcontext) (xvalue, error) {
	for _, a := range e.args {
		x, err := v.eval(a, c)
		if err != nil {
			return nil, err
		}
		if truth(x) == (e.op == "or") {
			return e.op == "or", nil
		}
	}
	return e.op == "and", nil
}

func (v *evaluator) operate(op string, args []xvalue) (xvalue, error) {
	switch op {
	case "neg":
		x, err := v.number(args[0])
		return -x, err
	case "|":
		a, ok1 := args[0].([]xnode)
		b, ok2 := args[1].([]xnode)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("XPath: '|' of what is not a node-set")
		}
		if err := v.spend(len(a) + len(b)); err != nil {
			return nil, err
		}
		if err := v.hold(nodeListBytes * (len(a) + len(b))); err != nil {
			return nil, err
		}
		return v.ordered(append(slices.Clone(a), b...))
	case "=", "!=", "<", "<=", ">", ">=":
		return v.compare(op, args[0], args[1])
	}
	a, err := v.number(args[0])
	if err != nil {
		return nil, err
	}
	b, err := v.number(args[1])
	switch op {
	case "+":
		return a + b, err
	case "-":
		return a - b, err
	case "*":
		return a * b, err
	case "div":
		return a / b, err
	}
	if e := v.octets(costModulo, max(0, math.Ilogb(a)-math.Ilogb(b))&0xFFFF); e != nil {
		return nil, e
	}
	return math.Mod(a, b), err
}

func (v *evaluator) filter(e *expr, c xcontext) (xvalue, error) {
	x, err := v.eval(e.args[0], c)
	if err != nil {
		return nil, err
	}
	nodes, ok := x.([]xnode)
	if !ok {
		return nil, fmt.Errorf("XPath: a predicate or step on what is not a node-set")
	}
	for _, p := range e.preds {
		if nodes, err = v.predicate(p, nodes); err != nil {
			return nil, err
		}
	}
	return v.walk(e.steps, nodes)
}

// walk follows the steps of a location path from each of the nodes.
func (v *evaluator) walk(steps []step, nodes []xnode) ([]xnode, error) {
	var err error
	for k := range steps {
		var next []xnode
		for _, n := range nodes {
			found, err := v.axis(&steps[k], n)
			if err != nil {
				return nil, err
			}
			for _, p := range steps[k].preds {
				if found, err = v.predicate(p, found); err != nil {
					return nil, err
				}
			}
			if len(nodes) == 1 {
				next = found
			} else {
				next = append(next, found...)
			}
		}
		if err := v.hold(nodeListBytes * len(next)); err != nil {
			return nil, err
		}
		if nodes, err = v.ordered(next); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// ordered brings nodes into document order, each once.
func (v *evaluator) ordered(nodes []xnode) ([]xnode, error) {
	price := costGlance
	if !slices.IsSortedFunc(nodes, xnode.compare) {
		price += costGlance * bits.Len(uint(len(nodes)))
		slices.SortFunc(nodes, xnode.compare)
	}
	return slices.Compact(nodes), v.octets(price, len(nodes))
}

// predicate keeps the nodes for which p holds; they are in the order of their axis.
func (v *evaluator) predicate(p *expr, nodes []xnode) ([]xnode, error) {
	kept := nodes[:0:0]
	for i, n := range nodes {
		x, err := v.eval(p, xcontext{n, i + 1, len(nodes)})
		if err != nil {
			return nil, err
		}
		if num, ok := x.(float64); ok && num == float64(i+1) || !ok && truth(x) {
			kept = append(kept, n)
		}
	}
	return kept, nil
}

// parent returns the parent of a node of the data model; ok is false for the document node.
func (v *evaluator) parent(n xnode) (xnode, bool) {
	if n.sub != 0 {
		return xnode{i: n.i}, true
	}
	p := v.d.nodes[n.i].parent
	return xnode{i: max(p, 0)}, p >= 0
}

// axis returns the nodes of an axis that pass the node test, nearest first.
func (v *evaluator) axis(s *step, n xnode) ([]xnode, error) {
	var out []xnode
	var err error
	add := func(m xnode) bool {
		if err = v.spend(1); err != nil {
			return false
		}
		if v.test(s, m) {
			out = append(out, m)
		}
		return true
	}
	switch s.axis {
	case "self":
		add(n)
	case "parent":
		if p, ok := v.parent(n); ok {
			add(p)
		}
	case "ancestor", "ancestor-or-self":
		v.ancestors(n, s.axis == "ancestor-or-self", add)
	case "attribute":
		v.attributes(n, add)
	case "namespace":
		v.namespaces(n, add)
	default:
		v.along(s.axis, n, add)
	}
	return out, err
}

func (v *evaluator) ancestors(n xnode, self bool, add func(xnode) bool) {
	if self && !add(n) {
		return
	}
	for p, ok := v.parent(n); ok && add(p); p, ok = v.parent(p) {
	}
}

func (v *evaluator) attributes(n xnode, add func(xnode) bool) {
	if x := &v.d.nodes[n.i]; n.sub == 0 && x.kind == ElementNode {
		for a := x.attr; a < x.attr+int32(x.nattr) && add(attrNode(n.i, a)); a++ {
		}
	}
}

func (v *evaluator) namespaces(n xnode, add func(xnode) bool) {
	if n.sub != 0 || v.d.nodes[n.i].kind != ElementNode {
		return
	}
	for _, k := range v.inScope(n.i) {
		if !add(declNode(n.i, k)) {
			return
		}
	}
}

// inScope returns the declarations in scope at element i, that of the prefix xml among them, in the order
// of the document. What is found is kept for the element's descendants.
func (v *evaluator) inScope(i int32) []int32 {
	d := v.d
	for i > 0 && d.nodes[i].nns == 0 {
		i = d.nodes[i].parent
	}
	if i <= 0 {
		return []int32{declXML}
	}
	if known, ok := v.scopes[i]; ok {
		return known
	}
	x := &d.nodes[i]
	own := d.decls[x.ns : x.ns+int32(x.nns)]
	above := v.inScope(x.parent)
	out := make([]int32, 0, len(above)+len(own))
	for _, k := range above {
		if k == declXML || !slices.ContainsFunc(own, func(o declaration) bool { return o.prefix == d.decls[k].prefix }) {
			out = append(out, k)
		}
	}
	for k, o := range own {
		if o.uri != atomEmpty && o.prefix != atomXML {
			out = append(out, x.ns+int32(k))
		}
	}
	v.kept += 4 * len(out)
	if v.d.budget.Hold(4*len(out)) != nil || v.glance(len(above)*(2+len(own))) != nil {
		return nil // the next step reports it
	}
	v.scopes[i] = out
	return out
}

// along walks the axes that go through the tree.
func (v *evaluator) along(axis string, n xnode, add func(xnode) bool) {
	nodes := v.d.nodes
	switch x := &nodes[n.i]; axis {
	case "child":
		for i := n.i + 1; n.sub == 0 && i < x.end && add(xnode{i: i}); i = nodes[i].end {
		}
	case "descendant", "descendant-or-self":
		if n.sub != 0 {
			if axis == "descendant-or-self" {
				add(n)
			}
			return
		}
		i := n.i
		if axis == "descendant" {
			i++
		}
		for ; i < x.end && add(xnode{i: i}); i++ {
		}
	case "following":
		i := x.end
		if n.sub != 0 {
			i = n.i + 1
		}
		for ; i < int32(len(nodes)) && add(xnode{i: i}); i++ {
		}
	case "following-sibling":
		if n.sub != 0 || x.parent < 0 {
			return
		}
		for i := x.end; i < nodes[x.parent].end && add(xnode{i: i}); i = nodes[i].end {
		}
	case "preceding":
		for i := n.i - 1; i > 0; i-- {
			if nodes[i].end <= n.i && !add(xnode{i: i}) {
				return
			}
		}
	case "preceding-sibling":
		v.before(n, add)
	}
}

func (v *evaluator) before(n xnode, add func(xnode) bool) {
	x := &v.d.nodes[n.i]
	if n.sub != 0 || x.parent < 0 {
		return
	}
	var siblings []int32
	for i := x.parent + 1; i < n.i; i = v.d.nodes[i].end {
		siblings = append(siblings, i)
	}
	if v.glance(4*len(siblings)) != nil {
		add(n) // reports that the budget is spent
		return
	}
	for _, i := range slices.Backward(siblings) {
		if !add(xnode{i: i}) {
			return
		}
	}
}

// test is the node test; the principal node type follows from the axis.
func (v *evaluator) test(s *step, n xnode) bool {
	x := &v.d.nodes[n.i]
	switch s.kind {
	case "node":
		return true
	case "text":
		return n.sub == 0 && x.kind == TextNode
	case "comment":
		return n.sub == 0 && x.kind == CommentNode
	case "processing-instruction":
		return n.sub == 0 && x.kind == InstructionNode && (s.local == "" || v.d.atoms[x.name] == s.local)
	}
	switch s.axis {
	case "attribute":
		if n.sub <= 0 {
			return false
		}
	case "namespace":
		if n.sub >= 0 {
			return false
		}
	default:
		if n.sub != 0 || x.kind != ElementNode {
			return false
		}
	}
	if s.any {
		return true
	}
	space, local := v.names(n)
	return space == s.space && (s.local == "*" || local == s.local)
}
