package opc

import (
	"strings"

	"trustcore/internal/xmldsig"
)

// Programs that sign as Office does sign the relationship of a text document to its custom XML, but not the part, unless
// that is of the type text/xml (Apache POI and the eID applet, after MS-OFFCRYPTO): anybody can change it afterwards. It is
// data that a program stores beside the document, and shows nothing of but where the document says so: in a content
// control that is bound to it (w:dataBinding, ISO/IEC 29500-1 17.5.2.6), in a field that is brought up to date as the
// document is opened, or by a macro or control. Where nothing that is signed does, a change of it changes nothing that is
// shown; elsewhere it refuses, as any other part that is not signed.

const (
	officeTransitional = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	officeStrict       = "http://purl.oclc.org/ooxml/officeDocument/relationships/"

	typeStored      = "application/xml"
	typeStoredProps = "application/vnd.openxmlformats-officedocument.customxmlproperties+xml"
	typesText       = "application/vnd.openxmlformats-officedocument.wordprocessingml."
)

// customXML and customXMLProps are the relationships to stored data, and from there to their properties.
var (
	customXML      = map[string]bool{officeTransitional + "customXml": true, officeStrict + "customXml": true}
	customXMLProps = map[string]bool{officeTransitional + "customXmlProps": true, officeStrict + "customXmlProps": true}
)

// aside tells whether a part is stored data, or the properties of such, that nothing signed shows.
func (c *checker) aside(one *part) bool {
	switch strings.ToLower(c.types.of(one)) {
	case typeStored:
		return c.stored(one) && !c.shown().data
	case typeStoredProps:
		return one.leads(func(l link) bool { return customXMLProps[l.kind] && c.isStored(l.from.source) }) && !c.shown().data
	}
	return false
}

// stored tells whether a part is custom XML of the signed text document. A relationship to it that is not signed refuses
// by itself.
func (c *checker) stored(one *part) bool {
	return one.leads(func(l link) bool { return customXML[l.kind] && c.isText(l.from.source) })
}

func (c *checker) isStored(name string) bool {
	one := c.find(name)
	return one != nil && c.stored(one)
}

// propertiesOf tells whether a relationship leads from stored data that nothing shows to its properties.
func (c *checker) propertiesOf(from *part, r xmldsig.Relationship) bool {
	item, properties := c.find(from.source), c.target(from, r)
	return customXMLProps[r.Type] && item != nil && c.aside(item) && properties != nil && c.aside(properties)
}

// isText tells whether a part is the main part of a text document, and is signed.
func (c *checker) isText(name string) bool {
	one := c.find(name)
	if one == nil {
		return false
	}
	chosen, signed := c.signed[one]
	kind := strings.ToLower(c.types.of(one))
	return signed && chosen == nil && (kind == typesText+"document.main+xml" || kind == typesText+"template.main+xml")
}
