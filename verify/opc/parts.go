package opc

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/xmldsig"
)

// part is a file of the package (ECMA-376 part 2, 9.1).
type part struct {
	entry *asic.Entry
	name  string // from the root, as it is stored
	// relationships are those of a relationships part, which are about the part called source, or "/", the package.
	relationships []xmldsig.Relationship
	source        string
	// inward are the relationships that lead to the part.
	inward []link
	// reached is true of a signature that the package's relationships lead to.
	reached bool
}

// link is a relationship that leads to a part.
type link struct {
	from *part // the relationships part
	kind string
}

const contentTypesName = "/[content_types].xml"

// nameWork is what an octet of a name costs.
const nameWork = 20

// readParts finds the parts by their names, which are compared without regard to the case of ASCII letters (9.1.1.1).
// Of two with one name a reader may take either; a part in pieces (10.2.4) is none for readers that know no pieces.
func (p *pack) readParts() error {
	for _, e := range p.container.Entries {
		if err := p.budget.Work(int64(nameWork * len(e.Name))); err != nil {
			return err
		}
		if e.Role() == asic.Folder {
			continue
		}
		one := &part{entry: e, name: "/" + strings.TrimPrefix(e.Name, "/")}
		key := normal(one.name)
		if strings.HasSuffix(key, ".piece") {
			p.fault("the part %q is in pieces", one.name)
		}
		if p.parts[key] != nil {
			p.fault("two parts are called %q", one.name)
		}
		p.parts[key] = one
		if key != contentTypesName {
			p.list = append(p.list, one)
		}
	}
	return nil
}

// normal gives names of one part one form. They may be stored with percent-encoding or without (10.2.3).
func normal(name string) string {
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// find gives the part with a name from the root, or nil. The stream of the content types is no part (10.2.6).
func (p *pack) find(name string) *part {
	key := normal(name)
	if key == contentTypesName {
		return nil
	}
	return p.parts[key]
}

// splitURI parts the name from the content type in the reference of a manifest (13.2.4.17).
func splitURI(uri string) (name, contentType string) {
	name, query, _ := strings.Cut(uri, "?")
	contentType, ok := strings.CutPrefix(query, "ContentType=")
	if !ok {
		return name, ""
	}
	if plain, err := url.PathUnescape(contentType); err == nil {
		contentType = plain
	}
	return name, contentType
}

// contentTypes are those of the parts, by name ("/word/document.xml") or by extension (".xml"), as normal gives them.
type contentTypes map[string]string

const namespaceTypes = "http://schemas.openxmlformats.org/package/2006/content-types"

// readContentTypes reads the stream [Content_Types].xml (10.1.2.2). Two types of one name are a choice of the reader.
func (p *pack) readContentTypes() error {
	one := p.parts[contentTypesName]
	if one == nil {
		return fmt.Errorf("no stream of content types")
	}
	root, err := p.parse(one)
	if err != nil {
		return err
	}
	if !root.Is(namespaceTypes, "Types") {
		p.fault("the content types are none")
		return nil
	}
	for n := range root.Elements() {
		if err := p.budget.Nodes(1); err != nil {
			return err
		}
		p.readContentType(n)
	}
	return nil
}

// readContentType reads a child of Types. What programs read in more than one way is none: an element within it, which
// those find that take all elements of a name, and a name or an extension that some bring into form first.
func (p *pack) readContentType(n xmldsig.Node) {
	if n.Children() > 0 {
		p.fault("%v among the content types has elements of its own", n)
	}
	key, _ := n.Attr("", "PartName")
	switch {
	case n.Is(namespaceTypes, "Default"):
		extension, _ := n.Attr("", "Extension")
		if extension == "" || strings.ContainsAny(extension, "./\\% \t\r\n") {
			p.fault("a content type of %q, which is no extension", extension)
		}
		key = "." + extension
	case !n.Is(namespaceTypes, "Override"):
		p.fault("unexpected %v among the content types", n)
		return
	case !isPartName(key):
		p.fault("a content type of %q, which is no name of a part", key)
	}
	if _, twice := p.types[normal(key)]; twice {
		p.fault("two content types of %q", key)
	}
	p.types[normal(key)], _ = n.Attr("", "ContentType")
}

// isPartName tells whether a name is absolute and in form: no segment is empty, ends in a dot or a blank, or leads on
// the way back (9.1.1.1).
func isPartName(name string) bool {
	segments, absolute := strings.CutPrefix(normal(name), "/")
	if !absolute || strings.ContainsAny(segments, "\\?#\t\r\n") {
		return false
	}
	for one := range strings.SplitSeq(segments, "/") {
		if one == "" || strings.TrimSpace(one) != one || strings.HasSuffix(one, ".") {
			return false
		}
	}
	return true
}

// of is the content type of a part, or "" (10.1.2.4).
func (t contentTypes) of(one *part) string {
	key := normal(one.name)
	if of, ok := t[key]; ok {
		return of
	}
	return t[path.Ext(key)]
}

func (p *pack) parse(one *part) (xmldsig.Node, error) {
	content, err := p.container.Read(one.entry)
	if err != nil {
		return xmldsig.Node{}, err
	}
	doc, err := xmldsig.Parse(content, xmldsig.Limits{Budget: p.budget})
	if err != nil {
		return xmldsig.Node{}, fmt.Errorf("%q: %w", one.name, err)
	}
	return doc.Root(), nil
}
