package opc

import (
	"bytes"
	"strings"
	"unicode"
)

// shown is what the signed parts of a package may bring into sight of what is not signed.
type shown struct {
	data       bool // custom XML
	properties bool // title, author and further properties of the document
}

// shown is asked once.
func (c *checker) shown() shown {
	if c.showing == nil {
		c.showing = &shown{}
		for one, chosen := range c.signed {
			if chosen == nil && one.source == "" {
				seen := c.shownBy(one)
				c.showing.data = c.showing.data || seen.data
				c.showing.properties = c.showing.properties || seen.properties
			}
		}
	}
	return *c.showing
}

// active are words in the types of parts that run programs.
var active = []string{"macro", "vba", "activex", "webextension", "oleobject", "customui"}

// bringing are what brings stored data into sight, in lower case: bindings of content controls, and fields that are
// brought up to date as the document is opened.
var bringing = [][]byte{[]byte("databinding"), []byte("storeitemid"), []byte("updatefields"), []byte("dirty")}

// shownBy tells what a part may show. Of one that can't be read as UTF-8 nobody knows. A program that is signed may
// ask for stored data; for properties it is not held responsible, as every document with macros has some that are not
// signed.
func (c *checker) shownBy(one *part) shown {
	kind := strings.ToLower(c.types.of(one))
	runs := false
	for _, word := range active {
		runs = runs || strings.Contains(kind, word)
	}
	if !strings.HasSuffix(kind, "xml") {
		return shown{data: runs} // a picture or a font
	}
	content, err := c.container.Read(one.entry)
	if err != nil || c.budget.Octets((len(bringing)+4)*len(content)) != nil {
		return shown{true, true}
	}
	text := bytes.ToLower(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))
	if !bytes.HasPrefix(text, []byte("<")) || bytes.IndexByte(text, 0) >= 0 || otherEncoding(text) ||
		bytes.Contains(text, []byte("<!doctype")) {
		return shown{true, true}
	}
	seen := shown{data: runs, properties: bindsProperties(text)}
	for _, word := range bringing {
		seen.data = seen.data || bytes.Contains(text, word)
	}
	if !seen.properties && (bytes.Contains(text, []byte("instrtext")) || bytes.Contains(text, []byte("fldsimple"))) {
		seen.properties = tellsProperties(text)
	}
	return seen
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

// propertyStores are the identifiers by which content controls are bound to the core and to the extended properties, in
// lower case ([MS-OI29500] 2.1.1240).
var propertyStores = [][]byte{[]byte("6c3c8bc8-f283-45ae-878a-bab7291924a1"),
	[]byte("6668398d-a668-4e3e-a5eb-62b293d839f1")}

// bindsProperties tells whether a content control may be bound to properties: as the document is opened, it shows what
// stands there (ISO/IEC 29500-1 17.5.2.6). A binding that names no store finds any that its path fits.
func bindsProperties(text []byte) bool {
	const element = "databinding"
	for {
		at := bytes.Index(text, []byte(element))
		if at < 0 {
			return false
		}
		binding, rest, _ := bytes.Cut(text[at+len(element):], []byte(">"))
		if !bytes.Contains(binding, []byte("storeitemid")) || bytes.IndexByte(binding, '&') >= 0 {
			return true
		}
		for _, id := range propertyStores {
			if bytes.Contains(binding, id) {
				return true
			}
		}
		text = rest
	}
}

// propertyFields are the fields that show properties (ISO/IEC 29500-1 17.16.5): those in headers are brought up to
// date as the document is shown, and some programs do it with all.
var propertyFields = map[string]bool{"author": true, "comments": true, "createdate": true, "docproperty": true,
	"edittime": true, "info": true, "keywords": true, "lastsavedby": true, "printdate": true, "revnum": true,
	"savedate": true, "subject": true, "template": true, "title": true}

// tellsProperties tells whether a part of a text document, in lower case, has a field that shows properties. The name
// of a field may lie in pieces, and fields in one another: what one within writes into the name of another is not
// followed.
func tellsProperties(text []byte) bool {
	if bytes.Contains(text, []byte("<![cdata[")) {
		return true // Office writes none: it would hide a name from what follows
	}
	var open []string // instructions of the fields that the run stands in
	for {
		_, rest, ok := bytes.Cut(text, []byte("<"))
		if !ok {
			return len(open) > 0
		}
		var tag []byte
		tag, text, _ = bytes.Cut(rest, []byte(">"))
		switch localName(tag) {
		case "fldsimple":
			if _, value, _ := bytes.Cut(tag, []byte("instr=")); len(value) == 0 || showsProperties(string(value[1:])) {
				return true
			}
		case "instrtext":
			if len(open) == 0 {
				return true // an instruction of no field
			}
			if last := &open[len(open)-1]; len(*last) < maxInstruction {
				words, _, _ := bytes.Cut(text, []byte("<"))
				*last += string(words[:min(len(words), maxInstruction)])
			}
		case "fldchar":
			switch begins, ends := bytes.Contains(tag, []byte("begin")), bytes.Contains(tag, []byte("end")); {
			case begins && len(open) < maxFieldDepth:
				open = append(open, "")
			case ends && len(open) > 0 && !showsProperties(open[len(open)-1]):
				open = open[:len(open)-1]
			case begins || ends:
				return true
			}
		}
	}
}

// maxFieldDepth bounds how deep fields lie in one another; maxInstruction what is looked at of an instruction, in
// octets.
const (
	maxFieldDepth  = 64
	maxInstruction = 256
)

// localName is the name in a start tag, without its prefix; that of another tag begins with a slash or a mark.
func localName(tag []byte) string {
	if end := bytes.IndexAny(tag, " \t\r\n/"); end > 0 {
		tag = tag[:end]
	}
	_, local, prefixed := bytes.Cut(tag, []byte(":"))
	if !prefixed {
		local = tag
	}
	if len(tag) > 0 && tag[0] == '/' || len(local) > len("instrtext") {
		return ""
	}
	return string(local)
}

// showsProperties looks at the first word of an instruction. One that is written by references to characters is not
// read.
func showsProperties(instruction string) bool {
	name := strings.TrimLeft(instruction, " \t\r\n")
	if end := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }); end >= 0 {
		if name[end] == '&' {
			return true
		}
		name = name[:end]
	}
	return propertyFields[name]
}
