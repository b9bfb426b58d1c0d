package xmldsig

import (
	"slices"

	"trustcore/internal/budget"
)

// render declares a namespace in the output unless output ancestors have.
func (c *canonicalizer) render(d declaration) {
	if c.rendered[d.prefix] == d.uri {
		return
	}
	c.undo = append(c.undo, declaration{d.prefix, c.rendered[d.prefix]})
	c.rendered[d.prefix] = d.uri
	c.decls = append(c.decls, d)
}

// scoped returns what a prefix stands for at the element in hand.
func (c *canonicalizer) scoped(prefix int32) declaration {
	if k := c.inScope[prefix]; k > 0 {
		return c.doc.decls[k-1]
	}
	return declaration{prefix, atomEmpty}
}

// allNamespaces renders the namespaces of an element whose namespace nodes are all in the set.
func (c *canonicalizer) allNamespaces(x *node, orphan bool) {
	if c.m.Form == Exclusive {
		c.utilized(x)
		if c.listed == nil {
			return
		}
	}
	if orphan {
		c.meter.owed += int64(costGlance * len(c.active))
		for _, k := range c.active {
			if d := c.doc.decls[k]; c.inScope[d.prefix] == k+1 && (c.listed == nil || c.listed[d.prefix]) && d.prefix != atomXML {
				c.render(d)
			}
		}
		return
	}
	for k := x.ns; k < x.ns+int32(x.nns); k++ {
		if d := c.doc.decls[k]; (c.listed == nil || c.listed[d.prefix]) && d.prefix != atomXML {
			c.render(d)
		}
	}
}

// utilized renders the namespaces that the element and the attributes written with it make use of
// (Exclusive XML Canonicalization 1.0, 3).
func (c *canonicalizer) utilized(x *node) {
	if p := c.doc.names[x.name].prefix; p != atomXML {
		c.render(c.scoped(p))
	}
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		if p := c.doc.names[c.doc.attrs[a].name].prefix; p != atomEmpty && p != atomXML {
			c.render(c.scoped(p))
		}
	}
}

// allAttributes collects the attributes of an element whose attributes are all in the set.
func (c *canonicalizer) allAttributes(i int32, x *node, orphan bool) {
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		c.attr(&c.doc.attrs[a])
	}
	if orphan && c.m.Form != Exclusive && x.parent > 0 {
		c.inherit(i)
	}
}

func (c *canonicalizer) attr(a *attribute) {
	n := &c.doc.names[a.name]
	c.attrs = append(c.attrs, outAttribute{
		uri: c.doc.atoms[a.uri], local: c.doc.atoms[n.local], qname: c.doc.atoms[n.qname],
		value: c.doc.attrValue(a), escape: a.flags&flagEscape != 0,
	})
}

// pickAttributes collects the attributes that an expression picked one by one.
func (c *canonicalizer) pickAttributes(i int32, x *node, orphan bool) {
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		if c.set.hasAttr(i, a) {
			c.attr(&c.doc.attrs[a])
		}
	}
	if orphan && c.m.Form != Exclusive && x.parent > 0 {
		c.inherit(i)
	}
}

// pickNamespaces collects the namespace nodes that an expression picked one by one.
func (c *canonicalizer) pickNamespaces(i int32, x *node, visible bool) {
	if c.m.Form == Exclusive {
		if visible {
			c.pickUtilized(i, x)
		}
		if c.listed == nil {
			return
		}
	}
	var mine []declaration
	hasDefault := false
	c.meter.owed += int64(len(c.active) * (budget.Node + len(c.last)))
	for _, k := range c.active {
		d := c.doc.decls[k]
		if c.inScope[d.prefix] != k+1 || d.uri == atomEmpty || d.prefix == atomXML || !c.inclusive(d.prefix) || !c.set.hasDecl(i, k) {
			continue
		}
		mine = append(mine, d)
		hasDefault = hasDefault || d.prefix == atomEmpty
		if !slices.Contains(c.last, d) {
			c.decls = append(c.decls, d)
		}
	}
	if visible {
		if !hasDefault && slices.ContainsFunc(c.last, func(d declaration) bool { return d.prefix == atomEmpty }) {
			c.decls = append(c.decls, declaration{atomEmpty, atomEmpty})
		}
		c.last = mine
	}
}

// inclusive tells whether a prefix is treated as Canonical XML 1.0 does.
func (c *canonicalizer) inclusive(prefix int32) bool {
	return c.m.Form != Exclusive || c.listed != nil && c.listed[prefix]
}

// pickUtilized is utilized where namespace nodes may be missing: a prefix that is used without its
// namespace node has no declaration for the elements below either.
func (c *canonicalizer) pickUtilized(i int32, x *node) {
	wanted := func(prefix int32) {
		if prefix == atomXML || c.inclusive(prefix) {
			return
		}
		d := c.scoped(prefix)
		switch {
		case d.uri == atomEmpty || c.set.hasDecl(i, c.inScope[prefix]-1):
			c.render(d)
		case c.rendered[prefix] != atomEmpty:
			c.undo = append(c.undo, declaration{prefix, c.rendered[prefix]})
			c.rendered[prefix] = atomEmpty
		}
	}
	wanted(c.doc.names[x.name].prefix)
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		if p := c.doc.names[c.doc.attrs[a].name].prefix; p != atomEmpty && c.set.hasAttr(i, a) {
			wanted(p)
		}
	}
}

// inherit adds the attributes of the xml namespace that an element takes over from ancestors when its
// parent is not in the set (Canonical XML 1.0, 2.4; Canonical XML 1.1, 2.4).
func (c *canonicalizer) inherit(i int32) {
	own := map[string]bool{}
	c.meter.owed += costKeyedEntry
	x := &c.doc.nodes[i]
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		if c.doc.attrs[a].uri == atomSpaceXML {
			own[c.doc.atoms[c.doc.names[c.doc.attrs[a].name].local]] = true
		}
	}
	for p := x.parent; p > 0; p = c.doc.nodes[p].parent {
		y := &c.doc.nodes[p]
		if c.m.Form == Inclusive11 && c.set.has(p) || c.meter.spend(budget.Node+2*costGlance*int(y.nattr)) != nil {
			break
		}
		for a := y.attr; a < y.attr+int32(y.nattr); a++ {
			local := c.doc.atoms[c.doc.names[c.doc.attrs[a].name].local]
			if c.doc.attrs[a].uri != atomSpaceXML || own[local] {
				continue
			}
			if c.m.Form == Inclusive11 && local != "lang" && local != "space" {
				continue
			}
			own[local] = true
			c.attr(&c.doc.attrs[a])
		}
	}
	if c.m.Form == Inclusive11 {
		c.fixBase(i)
	}
}

// fixBase joins the xml:base values of the element and of the ancestors above it that are not in the set
// (Canonical XML 1.1, 2.4).
func (c *canonicalizer) fixBase(i int32) {
	base, found := "", false
	for p := i; p > 0 && (p == i || !c.set.has(p)); p = c.doc.nodes[p].parent {
		v, ok := Node{c.doc, p}.Attr(NamespaceXML, "base")
		switch {
		case !ok:
		case !found:
			base, found = v, true
		default:
			base = joinBase(v, base)
		}
		if c.meter.spend(budget.Node+costGlance*int(c.doc.nodes[p].nattr)+costJoin*(len(v)+len(base))) != nil {
			return
		}
	}
	if !found {
		return
	}
	c.attrs = slices.DeleteFunc(c.attrs, func(a outAttribute) bool { return a.uri == NamespaceXML && a.local == "base" })
	if base != "" {
		c.attrs = append(c.attrs, outAttribute{uri: NamespaceXML, local: "base", qname: "xml:base", value: []byte(base), escape: true})
	}
}
