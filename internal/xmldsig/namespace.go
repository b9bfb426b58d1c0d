package xmldsig

import (
	"fmt"
	"slices"
)

// declare records a namespace declaration of the start tag that is being read (Namespaces in XML 1.0).
func (p *parser) declare(prefix int32, uri []byte) error {
	if len(uri) > p.limits.Name {
		return fmt.Errorf("XML namespace name of %d bytes: %w of %d", len(uri), ErrTooLarge, p.limits.Name)
	}
	u, fresh := p.atoms.get(uri)
	if fresh {
		if err := p.take(atomBytes+len(uri), costAtom); err != nil {
			return err
		}
	}
	switch {
	case prefix == atomXMLNS:
		return p.fail("the prefix xmlns is declared")
	case (prefix == atomXML) != (u == atomSpaceXML):
		return p.fail("the prefix xml and its namespace belong to each other")
	case u == atomSpaceXMLNS:
		return p.fail("the namespace of xmlns is declared")
	case u == atomEmpty && prefix != atomEmpty:
		return p.fail("the prefix %s is declared without a namespace", p.atoms.strings[prefix])
	}
	x := &p.doc.nodes[len(p.doc.nodes)-1]
	p.exact = p.exact && p.declaresInOrder(x, prefix, u)
	for int(prefix) >= len(p.bound) {
		p.bound = append(p.bound, make([]int32, int(prefix)+1-len(p.bound))...)
	}
	before := p.bound[prefix]
	if before > x.ns {
		return p.fail("the prefix %q is declared twice in one element", p.atoms.strings[prefix])
	}
	p.scope++
	if p.scope > p.limits.Namespaces {
		return fmt.Errorf("more than %d XML namespaces in scope: %w", p.limits.Namespaces, ErrTooLarge)
	}
	p.doc.decls = append(p.doc.decls, declaration{prefix, u})
	p.shade = append(p.shade, shadow{before, int32(p.scope - 1)})
	p.bound[prefix] = int32(len(p.doc.decls))
	return p.take(declarationBytes, costDeclaration)
}

// declaresInOrder tells whether a declaration stands where canonical XML has it, and says something new there.
func (p *parser) declaresInOrder(x *node, prefix, uri int32) bool {
	if prefix == atomXML || uri == atomEmpty || len(p.doc.attrs) > int(x.attr) || !hasScheme(p.atoms.strings[uri]) {
		return false
	}
	if int(prefix) < len(p.bound) && p.bound[prefix] > 0 && p.doc.decls[p.bound[prefix]-1].uri == uri {
		return false
	}
	n := len(p.doc.decls)
	return n == int(x.ns) || p.atoms.strings[p.doc.decls[n-1].prefix] < p.atoms.strings[prefix]
}

// lookup returns the namespace that a prefix stands for now, and notes that f makes use of its declaration.
func (p *parser) lookup(prefix int32, f *frame) (int32, bool) {
	if prefix == atomXML {
		return atomSpaceXML, true
	}
	if int(prefix) < len(p.bound) {
		if k := p.bound[prefix]; k > 0 {
			f.use(p.shade[k-1].place)
			return p.doc.decls[k-1].uri, true
		}
	}
	return atomEmpty, prefix == atomEmpty
}

// resolve finds the namespaces of an element and its attributes and refuses repeated attributes.
func (p *parser) resolve(x *node, f *frame) error {
	x.nns = uint16(len(p.doc.decls) - int(x.ns))
	x.nattr = uint16(len(p.doc.attrs) - int(x.attr))
	n := p.doc.names[x.name]
	uri, ok := p.lookup(n.prefix, f)
	if !ok || n.prefix == atomXMLNS {
		return p.fail("the prefix of <%s> is not declared", p.nameString(x.name))
	}
	x.uri = uri
	own := p.doc.attrs[x.attr:]
	for i := range own {
		prefix := p.doc.names[own[i].name].prefix
		if prefix == atomEmpty {
			continue
		}
		if own[i].uri, ok = p.lookup(prefix, f); !ok {
			return p.fail("the prefix of attribute %s is not declared", p.nameString(own[i].name))
		}
	}
	return p.unique(own)
}

// unique refuses two attributes of one expanded name.
func (p *parser) unique(own []attribute) error {
	if len(own) <= 12 {
		for i := range own {
			for k := range own[:i] {
				if own[i].uri == own[k].uri && p.doc.names[own[i].name].local == p.doc.names[own[k].name].local {
					return p.fail("the attribute %s is given twice", p.nameString(own[i].name))
				}
			}
		}
		return nil
	}
	keys := make([][2]int32, len(own))
	for i := range own {
		keys[i] = [2]int32{own[i].uri, p.doc.names[own[i].name].local}
	}
	slices.SortFunc(keys, func(a, b [2]int32) int {
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		return int(a[1]) - int(b[1])
	})
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			return p.fail("the attribute %s is given twice", p.atoms.strings[keys[i][1]])
		}
	}
	return nil
}
