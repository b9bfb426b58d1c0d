package opc

import (
	"bytes"
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
		return c.stored(one) && !c.shows()
	case typeStoredProps:
		return one.leads(func(l link) bool { return customXMLProps[l.kind] && c.isStored(l.from.source) }) && !c.shows()
	}
	return false
}

// stored tells whether a part is custom XML of the signed text document, to which the signature knows it to belong.
func (c *checker) stored(one *part) bool {
	return one.leads(func(l link) bool { return customXML[l.kind] && c.isText(l.from.source) && c.signsLink(l.from, one) })
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

// signsLink tells whether the signature signs every relationship of a relationships part that leads to a part.
func (c *checker) signsLink(from, to *part) bool {
	chosen, signed := c.signed[from]
	for _, r := range from.relationships {
		if c.target(from, r) == to && (!signed || chosen != nil && !chosen(r)) {
			return false
		}
	}
	return true
}

// shows tells whether something signed may show stored data. It is asked once.
func (c *checker) shows() bool {
	if c.showing == nil {
		shows := false
		for one, chosen := range c.signed {
			shows = shows || chosen == nil && one.source == "" && c.reads(one)
		}
		c.showing = &shows
	}
	return *c.showing
}

// active are words in the types of parts that run programs.
var active = []string{"macro", "vba", "activex", "webextension", "oleobject", "customui"}

// shown are what brings stored data into sight, in lower case: bindings of content controls, and fields that are brought
// up to date as the document is opened.
var shown = [][]byte{[]byte("databinding"), []byte("storeitemid"), []byte("updatefields"), []byte("dirty"), []byte("<!doctype")}

// reads tells whether a part runs programs, or may show stored data. Of one that can't be read as UTF-8 nobody knows.
func (c *checker) reads(one *part) bool {
	kind := strings.ToLower(c.types.of(one))
	for _, word := range active {
		if strings.Contains(kind, word) {
			return true
		}
	}
	if !strings.HasSuffix(kind, "xml") {
		return false // a picture or a font
	}
	content, err := c.container.Read(one.entry)
	if err != nil || c.budget.Octets(len(shown)*len(content)) != nil {
		return true
	}
	text := bytes.ToLower(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))
	if !bytes.HasPrefix(text, []byte("<")) || bytes.IndexByte(text, 0) >= 0 || otherEncoding(text) {
		return true
	}
	for _, word := range shown {
		if bytes.Contains(text, word) {
			return true
		}
	}
	return false
}

// otherEncoding tells whether the XML declaration names an encoding that is not UTF-8.
func otherEncoding(text []byte) bool {
	declaration, _, ok := bytes.Cut(text, []byte("?>"))
	if !ok || !bytes.HasPrefix(declaration, []byte("<?xml")) {
		return false
	}
	_, value, named := bytes.Cut(declaration, []byte("encoding"))
	value = bytes.Trim(value, "= \t\r\n")
	return named && !bytes.HasPrefix(value, []byte(`"utf-8"`)) && !bytes.HasPrefix(value, []byte(`'utf-8'`))
}
