package xmldsig

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Algorithm identifiers of the transforms.
const (
	TransformEnveloped    = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	TransformBase64       = "http://www.w3.org/2000/09/xmldsig#base64"
	TransformXPath        = "http://www.w3.org/TR/1999/REC-xpath-19991116"
	TransformXPathFilter  = "http://www.w3.org/2002/06/xmldsig-filter2"
	TransformXSLT         = "http://www.w3.org/TR/1999/REC-xslt-19991116"
	TransformRelationship = "http://schemas.openxmlformats.org/package/2006/RelationshipTransform"
)

const namespaceFilter2 = "http://www.w3.org/2002/06/xmldsig-filter2"

// Data is what a reference yields between two transforms: a node-set or octets.
type Data struct {
	Nodes  NodeSet
	Octets []byte
	IsSet  bool
}

// SetData is a node-set as Data.
func SetData(s NodeSet) Data { return Data{Nodes: s, IsSet: true} }

// OctetData are octets as Data.
func OctetData(b []byte) Data { return Data{Octets: b} }

// write gives the octets to w; a node-set is canonicalised with m. Its zero value is the default of XML
// Signature 1.1, 4.4.3.2: Canonical XML 1.0.
func (x Data) write(w io.Writer, m Canonicalization) error {
	if x.IsSet {
		return x.Nodes.Canonical(w, m)
	}
	_, err := w.Write(x.Octets)
	return err
}

// Transform is one transform of a reference.
type Transform struct {
	Algorithm string
	Element   Node // ds:Transform, or any element that holds the parameters
}

// Plain tells whether the transform has no parameters: its name says all that it does.
func (t Transform) Plain() bool {
	for range t.Element.Elements() {
		return false
	}
	return true
}

// transformer applies the transforms of one reference.
type transformer struct {
	signature Node             // the ds:Signature that the reference stands in, for the enveloped-signature transform
	limits    Limits           // with the budget of the document that the reference stands in
	last      Canonicalization // of a node-set that the last transform leaves
	held      int              // octets held for what stands between two transforms
	parsed    []*Document
}

// hold spends memory that is given back when the transforms are through.
func (t *transformer) hold(octets int) error {
	t.held += octets
	return t.limits.Budget.Hold(octets)
}

func (t *transformer) release() {
	t.limits.Budget.Release(t.held)
	for _, d := range t.parsed {
		d.release()
	}
}

// heldWriter keeps what a transform gives to the next one.
type heldWriter struct {
	*transformer
	octets []byte
}

func (w *heldWriter) Write(p []byte) (int, error) {
	if err := w.hold(len(p)); err != nil {
		return 0, err
	}
	w.octets = append(w.octets, p...)
	return len(p), nil
}

// set turns octets into a node-set by parsing them (XML Signature 1.1, 4.4.3.2).
func (t *transformer) set(in Data) (NodeSet, error) {
	if in.IsSet {
		return in.Nodes, nil
	}
	d, err := Parse(in.Octets, t.limits)
	if err != nil {
		return NodeSet{}, fmt.Errorf("parse the octets for a transform: %w", err)
	}
	t.parsed = append(t.parsed, d)
	return d.WholeDocument(), nil
}

// stream applies the transforms and writes the octets to w. It returns the node-set that was canonicalised
// when nothing but canonicalisation came after it: those nodes, and no others, are what was digested.
func (t *transformer) stream(w io.Writer, in Data, transforms []Transform) (NodeSet, error) {
	covered, origin := NodeSet{}, in.Nodes.doc
	for i, tr := range transforms {
		m, canonical := CanonicalizationByURI(tr.Algorithm)
		if canonical && in.IsSet {
			if covered = in.Nodes; covered.doc != origin {
				covered = NodeSet{}
			}
			if i == len(transforms)-1 { // straight into the hash, without a copy
				m.Prefixes = prefixList(m, tr.Element)
				return covered, in.Nodes.Canonical(w, m)
			}
		} else if !canonical {
			covered = NodeSet{}
		}
		var err error
		if in, err = t.apply(in, tr); err != nil {
			return NodeSet{}, err
		}
	}
	if in.IsSet {
		covered = in.Nodes
	}
	if covered.doc != origin { // octets that were parsed anew
		covered = NodeSet{}
	}
	return covered, in.write(w, t.last)
}

func (t *transformer) apply(in Data, tr Transform) (Data, error) {
	if m, ok := CanonicalizationByURI(tr.Algorithm); ok {
		return t.canonicalize(in, m, tr.Element)
	}
	switch tr.Algorithm {
	case TransformBase64:
		return t.decode(in)
	case TransformXSLT:
		return Data{}, fmt.Errorf("transform XSLT: %w: a program in a document is not run", ErrUnsupported)
	case TransformEnveloped, TransformXPath, TransformXPathFilter, TransformRelationship:
	default:
		return Data{}, fmt.Errorf("transform %q: %w", tr.Algorithm, ErrUnsupported)
	}
	s, err := t.set(in)
	if err != nil {
		return Data{}, err
	}
	switch tr.Algorithm {
	case TransformEnveloped:
		if t.signature.d != s.doc {
			return Data{}, fmt.Errorf("transform enveloped-signature: the signature is not in the document")
		}
		s = s.Without(t.signature)
	case TransformXPath:
		s, err = t.xpath(s, tr.Element.Child(NamespaceDSig, "XPath"))
	case TransformXPathFilter:
		s, err = t.filter(s, tr.Element)
	case TransformRelationship:
		return t.relationships(s, tr.Element)
	}
	return SetData(s), err
}

func (t *transformer) canonicalize(in Data, m Canonicalization, e Node) (Data, error) {
	s, err := t.set(in)
	if err != nil {
		return Data{}, err
	}
	m.Prefixes = prefixList(m, e)
	w := &heldWriter{transformer: t}
	err = s.Canonical(w, m)
	return OctetData(w.octets), err
}

// prefixList reads ec:InclusiveNamespaces of a transform or canonicalisation method.
func prefixList(m Canonicalization, e Node) []string {
	if m.Form != Exclusive {
		return nil
	}
	list, _ := e.Child(NamespaceExcC14N, "InclusiveNamespaces").Attr("", "PrefixList")
	return fields(list)
}

// decode is the base64 transform: of a node-set the text alone counts.
func (t *transformer) decode(in Data) (Data, error) {
	text := in.Octets
	if in.IsSet {
		w := &heldWriter{transformer: t}
		s := in.Nodes
		for i := s.from; s.doc != nil && i < s.to; i++ {
			if x := &s.doc.nodes[i]; x.kind == TextNode && s.has(i) {
				if _, err := w.Write(s.doc.content(x)); err != nil {
					return Data{}, err
				}
			}
		}
		if err := t.limits.Budget.Nodes(int(s.to - s.from)); err != nil {
			return Data{}, err
		}
		text = w.octets
	}
	if err := t.hold(len(text)); err != nil {
		return Data{}, err
	}
	if err := t.limits.Budget.Work(int64(costBase64 * len(text))); err != nil {
		return Data{}, err
	}
	out, err := DecodeBase64(text)
	return OctetData(out), err
}

// xpath keeps the nodes for which the expression holds (XML Signature 1.1, 6.6.3).
func (t *transformer) xpath(s NodeSet, x Node) (NodeSet, error) {
	e, err := parseXPath(x.Text(), x.Resolve)
	if err != nil || s.doc == nil {
		return s, err
	}
	if name, ok := excludesElement(e); ok {
		return withoutElements(s, name)
	}
	v := newEvaluator(s.doc, x)
	defer v.release()
	if err := t.room(s.doc, 2); err != nil {
		return s, err
	}
	fine := &fineSet{nodes: newBitset(len(s.doc.nodes)), attrs: newBitset(len(s.doc.attrs)), decls: map[axisKey]struct{}{}}
	defer func() { t.held += keyedEntryBytes * len(fine.decls) }()
	for i := s.from; i < s.to; i++ {
		if err := v.pick(&s, fine, e, i); err != nil {
			return s, err
		}
	}
	s.fine = fine
	return s, v.settle()
}

// room spends for bitsets over a document's nodes and attributes.
func (t *transformer) room(d *Document, sets int) error {
	octets := sets * (len(d.nodes) + len(d.attrs)) / 8
	if err := t.hold(octets); err != nil {
		return err
	}
	return t.limits.Budget.Octets(octets)
}

// pick evaluates the expression for node i, its attributes and its namespace nodes.
func (v *evaluator) pick(s *NodeSet, fine *fineSet, e *expr, i int32) error {
	holds := func(n xnode) (bool, error) {
		x, err := v.eval(e, xcontext{n, 1, 1})
		v.forget()
		return truth(x), err
	}
	if s.has(i) {
		yes, err := holds(xnode{i: i})
		if err != nil {
			return err
		}
		if yes {
			fine.nodes.set(i)
		}
	}
	x := &s.doc.nodes[i]
	if x.kind != ElementNode {
		return nil
	}
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		if !s.hasAttr(i, a) {
			continue
		}
		yes, err := holds(attrNode(i, a))
		if err != nil {
			return err
		}
		if yes {
			fine.attrs.set(a)
		}
	}
	for _, k := range v.inScope(i) {
		if !s.hasDecl(i, k) {
			continue
		}
		yes, err := holds(declNode(i, k))
		if err != nil {
			return err
		}
		if yes {
			if err := v.d.budget.Hold(keyedEntryBytes); err != nil {
				return err
			}
			fine.decls[axisKey{i, k}] = struct{}{}
			v.meter.owed += costKeyedEntry
		}
	}
	return v.spend(1)
}

// excludesElement recognises not(ancestor-or-self::p:name), by far the most frequent expression.
func excludesElement(e *expr) (step, bool) {
	if e.op != "call" || e.text != "not" || e.args[0].op != "path" || e.args[0].root || len(e.args[0].steps) != 1 {
		return step{}, false
	}
	s := e.args[0].steps[0]
	return s, s.axis == "ancestor-or-self" && s.kind == "name" && len(s.preds) == 0
}

// withoutElements takes every subtree whose root passes the node test out of the set.
func withoutElements(s NodeSet, name step) (NodeSet, error) {
	v := newEvaluator(s.doc, Node{})
	for p := s.doc.nodes[s.from].parent; p > 0; p = s.doc.nodes[p].parent {
		if v.test(&name, xnode{i: p}) {
			return NodeSet{}, nil
		}
	}
	cuts := slices.Clone(s.without)
	for i := s.from; i < s.to; i++ {
		if err := v.glance(costTest / costGlance); err != nil {
			return s, err
		}
		if v.test(&name, xnode{i: i}) {
			v.meter.owed += costDeclaration
			cuts = append(cuts, span{i, s.doc.nodes[i].end})
			i = s.doc.nodes[i].end - 1
		}
	}
	slices.SortFunc(cuts, func(a, b span) int {
		if a.from != b.from {
			return int(a.from) - int(b.from)
		}
		return int(b.to) - int(a.to)
	})
	s.without = cuts[:0:0]
	for _, c := range cuts {
		if n := len(s.without); n == 0 || c.from >= s.without[n-1].to {
			s.without = append(s.without, c)
		}
	}
	return s, v.settle()
}

// filter is the XPath Filter 2.0 transform: expressions pick subtrees to intersect with, subtract from or add to
// the document.
func (t *transformer) filter(s NodeSet, e Node) (NodeSet, error) {
	if s.doc == nil {
		return s, nil
	}
	v := newEvaluator(s.doc, e)
	defer v.release()
	if err := t.room(s.doc, 3); err != nil {
		return s, err
	}
	keep := newBitset(len(s.doc.nodes))
	keep.setRange(0, int32(len(s.doc.nodes)))
	for x := range e.Elements() {
		if !x.Is(namespaceFilter2, "XPath") {
			continue
		}
		picked, err := v.subtrees(x)
		v.forget()
		if err != nil {
			return s, err
		}
		if err := v.glance(4 * len(keep)); err != nil {
			return s, err
		}
		filter, _ := x.Attr("", "Filter")
		for w := range keep {
			switch filter {
			case "intersect":
				keep[w] &= picked[w]
			case "subtract":
				keep[w] &^= picked[w]
			case "union":
				keep[w] |= picked[w]
			default:
				return s, fmt.Errorf("XPath filter %q: %w", filter, ErrUnsupported)
			}
		}
	}
	if err := v.glance(costTest / costGlance * int(s.to-s.from)); err != nil {
		return s, err
	}
	return s.masked(keep), v.settle()
}

// subtrees evaluates the expression of x once and returns the subtrees of what it picks.
func (v *evaluator) subtrees(x Node) (bitset, error) {
	if v.hasHere {
		v.here = xnode{i: x.i}
	}
	e, err := parseXPath(strings.TrimSpace(x.Text()), x.Resolve)
	if err != nil {
		return nil, err
	}
	value, err := v.eval(e, xcontext{xnode{}, 1, 1})
	if err != nil {
		return nil, err
	}
	nodes, ok := value.([]xnode)
	if !ok {
		return nil, fmt.Errorf("XPath filter: the expression does not give a node-set")
	}
	picked := newBitset(len(v.d.nodes))
	done := int32(0)
	for _, n := range nodes {
		if n.sub != 0 {
			return nil, fmt.Errorf("XPath filter: single attributes: %w", ErrUnsupported)
		}
		end := v.d.nodes[n.i].end
		if end > done {
			picked.setRange(max(n.i, done), end)
			done = end
		}
	}
	return picked, nil
}

// masked keeps of the set what lies at the nodes of keep; attributes and namespace nodes go with their element.
func (s NodeSet) masked(keep bitset) NodeSet {
	fine := &fineSet{nodes: newBitset(len(s.doc.nodes)), follow: s.fine == nil || s.fine.follow}
	for i := s.from; i < s.to; i++ {
		if keep.has(i) && s.has(i) {
			fine.nodes.set(i)
		}
	}
	if !fine.follow {
		fine.attrs, fine.decls = newBitset(len(s.doc.attrs)), map[axisKey]struct{}{}
		for k := range s.fine.decls {
			if keep.has(k.element) {
				fine.decls[k] = struct{}{}
			}
		}
		for i := s.from; i < s.to; i++ {
			x := &s.doc.nodes[i]
			for a := x.attr; keep.has(i) && a < x.attr+int32(x.nattr); a++ {
				if s.fine.attrs.has(a) {
					fine.attrs.set(a)
				}
			}
		}
	}
	s.fine = fine
	return s
}
