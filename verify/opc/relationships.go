package opc

import (
	"fmt"
	"path"
	"strings"

	"trustcore/internal/xmldsig"
)

// The relationships of signatures (ECMA-376 part 2, annex E).
const (
	digitalSignature = "http://schemas.openxmlformats.org/package/2006/relationships/digital-signature/"

	kindOrigin      = digitalSignature + "origin"
	kindSignature   = digitalSignature + "signature"
	kindCertificate = digitalSignature + "certificate"

	typeSignature = "application/vnd.openxmlformats-package.digital-signature-xmlsignature+xml"
)

// typesOwn are the content types of what the relationships of signatures lead to.
var typesOwn = map[string]bool{
	typeSignature: true,
	"application/vnd.openxmlformats-package.digital-signature-origin":      true,
	"application/vnd.openxmlformats-package.digital-signature-certificate": true,
}

// metadata and properties are the relationships of a package to what describes the document: writers change it after
// signing, and leave it out. The first is never shown as content, the second where the document says so.
var metadata = map[string]bool{
	"http://schemas.openxmlformats.org/package/2006/relationships/metadata/thumbnail": true,
	officeTransitional + "metadata/thumbnail":                                         true,
	"http://schemas.microsoft.com/office/2020/02/relationships/classificationlabels":  true,
}

var properties = map[string]bool{
	"http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties": true,
	officeTransitional + "metadata/core-properties":                                         true,
	officeTransitional + "extended-properties":                                              true,
	officeTransitional + "custom-properties":                                                true,
	officeStrict + "extendedProperties":                                                     true,
	officeStrict + "customProperties":                                                       true,
}

// maxRelationships bounds those of a package.
const maxRelationships = 100_000

// heldARelationship is one in memory, with the link that it makes.
const heldARelationship = 256

// readRelationships reads all relationships parts, and tells each part which relationships lead to it.
func (p *pack) readRelationships() error {
	n := 0
	for _, one := range p.list {
		folder, file := path.Split(normal(one.name))
		if !strings.HasSuffix(folder, "/_rels/") || !strings.HasSuffix(file, ".rels") {
			continue
		}
		one.source = strings.TrimSuffix(folder, "_rels/") + strings.TrimSuffix(file, ".rels")
		root, err := p.parse(one)
		if err == nil {
			one.relationships, err = xmldsig.ReadRelationships(root)
		}
		if p.budget.Err() != nil {
			return err
		}
		if err != nil {
			p.fault("the relationships %q cannot be read: %v", one.name, err)
		}
		if n += len(one.relationships); n > maxRelationships {
			return fmt.Errorf("more than %d relationships", maxRelationships)
		}
		if err := p.budget.Hold(heldARelationship * len(one.relationships)); err != nil {
			return err
		}
		for _, r := range one.relationships {
			if target := p.target(one, r); target != nil {
				target.inward = append(target.inward, link{one, r.Type})
			}
		}
	}
	return nil
}

// target is the part that a relationship leads to, or nil (9.3.2.2).
func (p *pack) target(from *part, r xmldsig.Relationship) *part {
	if r.TargetMode != "Internal" || p.budget.Work(int64(nameWork*len(r.Target))) != nil {
		return nil
	}
	name := strings.ReplaceAll(r.Target, `\`, "/")
	if at := strings.IndexAny(name, "?#"); at >= 0 {
		name = name[:at]
	}
	if !strings.HasPrefix(name, "/") {
		name = path.Join(path.Dir(from.source), name)
	}
	return p.find(path.Clean(name))
}

// signatureParts are those that the package's relationships lead to by way of the signature origin, and those that the
// content types alone call signatures: a reader may look for them so.
func (p *pack) signatureParts() []*part {
	var list []*part
	origins := 0
	for _, one := range p.list {
		for _, l := range one.inward {
			if l.kind == kindOrigin && l.from.source == "/" {
				origins++
			}
			one.reached = one.reached || l.kind == kindSignature && p.isOrigin(l.from.source)
		}
		if one.reached || p.types.of(one) == typeSignature {
			list = append(list, one)
		}
	}
	if origins > 1 {
		p.fault("%d signature origins", origins)
	}
	return list
}

// isOrigin tells whether a part is the signature origin.
func (p *pack) isOrigin(name string) bool {
	one := p.find(name)
	return one != nil && one.leads(func(l link) bool { return l.kind == kindOrigin && l.from.source == "/" })
}

// leads tells whether relationships lead to the part, and each of them is of some kind.
func (one *part) leads(kind func(link) bool) bool {
	for _, l := range one.inward {
		if !kind(l) {
			return false
		}
	}
	return len(one.inward) > 0
}

// standing is what a part or relationship that is not signed is.
type standing int

const (
	content  standing = iota // a program may show it
	describe                 // it describes the document
	own                      // it is a signature's, or leads to one
)

// standingOf tells what a relationship is. One that leads out of the package is content, whatever it is called.
func (c *checker) standingOf(from *part, r xmldsig.Relationship) standing {
	if r.TargetMode != "Internal" {
		return content
	}
	return c.standingOfLink(link{from, r.Type})
}

func (c *checker) standingOfLink(l link) standing {
	switch {
	case l.from.source == "/" && properties[l.kind]:
		if c.shown().properties {
			return content
		}
		return describe
	case l.from.source == "/" && metadata[l.kind]:
		return describe
	case l.from.source == "/" && l.kind == kindOrigin,
		l.kind == kindSignature && c.isOrigin(l.from.source),
		l.kind == kindCertificate && c.isSignature(l.from.source):
		return own
	}
	return content
}

func (p *pack) isSignature(name string) bool {
	one := p.find(name)
	return one != nil && one.reached
}

// standing tells what a part is by all the relationships that lead to it: one that none leads to is content, and so is
// one that lies where some readers look for the document by its name.
func (c *checker) standing(one *part) standing {
	least := own
	for _, l := range one.inward {
		least = min(least, c.standingOfLink(l))
	}
	folder, _, _ := strings.Cut(normal(one.name)[1:], "/")
	if len(one.inward) == 0 || least == own && !typesOwn[c.types.of(one)] || least == describe && known[folder] {
		return content
	}
	return least
}

// known are the folders in which Office writes documents. Readers that know no relationships find them there.
var known = map[string]bool{"word": true, "xl": true, "ppt": true, "visio": true}
