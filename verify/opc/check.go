package opc

import (
	"fmt"
	"strings"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// check holds a signature to what ECMA-376 part 2, 13.2.4 makes of XML Signature, and tells what of the package it
// covers. Only the document element of a signature part is a signature of the package.
func (p *pack) check(s *signature.Signature, root xmldsig.Node, first bool) {
	if !first || !root.Is(xmldsig.NamespaceDSig, "Signature") {
		s.Structure = append(s.Structure, "the signature is not the document element of its part (ECMA-376 part 2, 13.2.2)")
		return
	}
	x, err := xmldsig.ReadSignature(root)
	if err != nil || p.budget.Nodes(root.Size()) != nil {
		return // xades told
	}
	c := &checker{pack: p, facts: s, xml: x, named: map[*part]bool{}, signed: map[*part]func(xmldsig.Relationship) bool{}}
	c.objects()
	c.manifest()
	c.coverage()
}

// checker is the work on one signature.
type checker struct {
	*pack
	facts *signature.Signature
	xml   *xmldsig.Signature
	named map[*part]bool // by the manifest
	// signed are the parts that the signature covers, and of relationships parts which relationships.
	signed  map[*part]func(xmldsig.Relationship) bool
	showing *shown // what something signed may show, once it was asked
}

func (c *checker) structure(format string, args ...any) {
	c.facts.Structure = append(c.facts.Structure, fmt.Sprintf(format, args...))
}

// objects demands that SignedInfo names nothing but what stands in the signature, and every object in it but that of
// the qualifying properties: what a program shows of a signature comes from there. It is no content of the document.
func (c *checker) objects() {
	signed := map[string]bool{}
	next := 0
	for i := range c.facts.References {
		fact := &c.facts.References[i]
		if fact.Type == manifestEntry || next == len(c.xml.References) {
			continue
		}
		r := c.xml.References[next]
		next++
		fact.Empty, fact.Scope = true, ""
		if !r.SameDocument() {
			c.structure("the signature itself names %q, which is not within it (ECMA-376 part 2, 13.2.4)", r.URI)
		}
		if _, ok := choice(&part{}, r); !ok {
			c.structure("the signature changes %q before it is signed (ECMA-376 part 2, 13.2.4.8)", r.URI)
		}
		signed[r.URI] = true // if it is not what was signed, the digest tells
	}
	for _, object := range c.xml.Objects {
		if !signed["#"+object.ID()] && !onlyProperties(object) {
			c.structure("the signature does not sign its object %s", object.Place())
		}
	}
}

// onlyProperties tells whether an object holds qualifying properties and nothing else: xades looks after those.
func onlyProperties(object xmldsig.Node) bool {
	for n := range object.Elements() {
		if n.Local() != "QualifyingProperties" {
			return false
		}
	}
	return true
}

const manifestEntry = "manifest-entry"

// manifest looks at the parts that the one manifest names. Each of them must be there: it is the application that says
// so (XML Signature 1.1, 5.1), and this is one.
func (c *checker) manifest() {
	var manifests []xmldsig.Node
	for _, object := range c.xml.Objects {
		manifests = append(manifests, object.All(xmldsig.NamespaceDSig, "Manifest")...)
	}
	if len(manifests) != 1 {
		c.structure("the signature has %d manifests, not one (ECMA-376 part 2, 13.2.4.16)", len(manifests))
		return
	}
	entries, err := xmldsig.ReadManifest(manifests[0], c.xml.Element)
	if err != nil {
		return // xades told
	}
	next := 0
	for i := range c.facts.References {
		if fact := &c.facts.References[i]; fact.Type == manifestEntry && next < len(entries) {
			c.entry(fact, entries[next])
			next++
		}
	}
	if next == 0 || next != len(entries) {
		c.structure("the signature signs no manifest that names parts of the package")
	}
}

// entry looks at the reference of a manifest to a part.
func (c *checker) entry(fact *signature.Reference, r *xmldsig.Reference) {
	fact.Optional = false
	name, contentType := splitURI(r.URI)
	one := c.find(name)
	if one == nil {
		fact.Found, fact.Intact, fact.Full = false, false, false
		fact.Scope = fmt.Sprintf("the part %q, which is not there", name)
		return
	}
	if c.named[one] {
		c.structure("the manifest names the part %q twice", one.name)
	}
	c.named[one] = true
	chosen, transformed := choice(one, r)
	if !transformed {
		c.structure("the manifest changes the part %q before it is signed (ECMA-376 part 2, 13.2.4.8)", one.name)
	}
	if has := c.types.of(one); has == "" || !strings.EqualFold(has, contentType) {
		fact.Intact = false
		c.facts.Notes = append(c.facts.Notes,
			fmt.Sprintf("the part %q is of the type %q, and was signed as %q", one.name, has, contentType))
	}
	if fact.Name = one.name; fact.Unchecked != "" {
		return
	}
	fact.Scope, fact.Full, fact.Empty = "the whole part "+one.name, true, false
	c.signed[one] = chosen // if it is not what was signed, the digest tells
	if chosen != nil {
		fact.Scope, fact.Empty = "relationships in "+one.name, true
	}
}

// choice tells which relationships of a part are signed, nil for all of whatever it holds, and whether the transforms
// are those that may be: a canonical form, and before it the choice of relationships. Of a whole part the exclusive
// form is none (ECMA-376 part 2, 13.2.4.8): it leaves out the declaration of a prefix that only stands in values,
// such as those of mc:Choice, and who changes where that leads changes what is shown. An object of the signature,
// which is no entry, may have either form.
func choice(one *part, r *xmldsig.Reference) (chosen func(xmldsig.Relationship) bool, ok bool) {
	transforms := r.Transforms
	if len(transforms) == 2 && transforms[0].Algorithm == xmldsig.TransformRelationship {
		chosen, transforms = transforms[0].Relationships(), transforms[1:]
	}
	if len(transforms) > 1 || chosen != nil && one.source == "" {
		return chosen, false
	}
	if len(transforms) == 1 {
		form, ok := xmldsig.CanonicalizationByURI(transforms[0].Algorithm)
		return chosen, ok && (form.Form != xmldsig.Exclusive || chosen != nil || one.entry == nil)
	}
	return chosen, true
}

// heldAName is a name in a list of unsigned parts.
const heldAName = 16

// coverage tells what of the package is not signed. What describes the document is named, and so is stored data that
// nothing shows; any other part or relationship may be what a program shows.
func (c *checker) coverage() {
	parts, relationships := 0, 0
	first, firstOf := "", ""
	for _, one := range c.list {
		chosen, signed := c.signed[one]
		if c.budget.Nodes(1+len(one.relationships)+len(one.inward)) != nil || c.budget.Hold(heldAName) != nil {
			return
		}
		switch standing := c.standing(one); {
		case one.source != "":
			for _, r := range one.relationships {
				if signed && (chosen == nil || chosen(r)) || c.standingOf(one, r) != content || c.propertiesOf(one, r) {
					continue
				}
				if relationships++; relationships == 1 {
					firstOf = fmt.Sprintf("%q of %q", r.ID, one.name)
				}
			}
		case signed, standing == own:
		default:
			c.facts.Unsigned = append(c.facts.Unsigned, one.entry.Name)
			if standing == content && !c.aside(one) {
				if parts++; parts == 1 {
					first = one.name
				}
			}
		}
	}
	if parts > 0 {
		c.constraint("%d parts of the package are not signed, such as %q, and programs may show them", parts, first)
	}
	if relationships > 0 {
		c.constraint("%d relationships of the package are not signed, such as %s, and programs may follow them",
			relationships, firstOf)
	}
}

func (c *checker) constraint(format string, args ...any) {
	c.facts.Constraints = append(c.facts.Constraints, fmt.Sprintf(format, args...))
}
