// Package active finds what a document does besides being read: programs and scripts in it, what it opens, sends or
// fetches, and files that it carries. It says nothing of whether a signature is valid, and a document without findings is
// not therefore harmless: that a scanner may say.
package active

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/cades"
)

// Kind is what is found.
type Kind string

// The kinds.
const (
	Script   Kind = "script"   // JavaScript of a PDF (ISO 32000-2 12.6.4.17), script of SVG or XHTML
	Macro    Kind = "macro"    // VBA of Office Open XML, Basic and scripts of OpenDocument, all files of the old Office formats
	Launch   Kind = "launch"   // starts a program (ISO 32000-2 12.6.4.6)
	Program  Kind = "program"  // a file that a system runs
	Submit   Kind = "submit"   // sends what was filled in, or takes it from elsewhere (12.7.6.2, 12.7.6.4)
	External Kind = "external" // is shown with what lies elsewhere: other files, linked data, style sheets
	Media    Kind = "media"    // sound, film, three-dimensional and rich content
	File     Kind = "file"     // a file that the document carries, and that a reader does not see
	Control  Kind = "control"  // ActiveX, OLE objects
	Form     Kind = "form"     // XFA: a form that programs itself, and that viewers show differently
)

// Item is one finding.
type Item struct {
	Kind Kind   `json:"kind"`
	In   string `json:"in,omitempty"`   // the file of the container, or that is carried
	Name string `json:"name,omitempty"` // of what is found, as the document gives it
	Page int    `json:"page,omitempty"` // of a PDF, from 1
	// Automatic is true where it happens when the document or a page is opened, without anybody's doing.
	Automatic bool `json:"automatic,omitempty"`
}

// Findings are all items of a document, each once.
type Findings struct {
	Items []Item `json:"items"`
	// Complete is false where a part of the document could not be looked through: it is enciphered, broken, of more
	// work than it may cost, or it holds more than MaxItems.
	Complete bool `json:"complete"`
}

// MaxItems is how many findings are told.
const MaxItems = 200

// maxDepth is how deep files lie in one another: an attachment of a PDF in a container has depth 2.
const maxDepth = 4

// Find looks through a document of any kind. It spends of the budget, and ends where that does.
func Find(b *budget.Budget, document []byte) Findings {
	f := &finder{budget: b, seen: map[Item]bool{}, complete: true}
	f.file(document, "", 0)
	return Findings{Items: f.items, Complete: f.complete && b.Err() == nil}
}

type finder struct {
	budget   *budget.Budget
	items    []Item
	seen     map[Item]bool
	complete bool
}

func (f *finder) add(i Item) {
	switch {
	case f.seen[i]:
	case len(f.items) == MaxItems:
		f.complete = false
	default:
		f.seen[i] = true
		f.items = append(f.items, i)
	}
}

// missed keeps in mind that there may be more than what is found.
func (f *finder) missed(err error) bool {
	f.complete = f.complete && err == nil
	return err != nil
}

// file looks through what is told by its content, wherever it lies.
func (f *finder) file(data []byte, name string, depth int) {
	if depth > maxDepth {
		f.complete = false
		return
	}
	head := bytes.TrimLeft(bytes.TrimPrefix(data[:min(len(data), 1024)], []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case runs(data, name):
		f.add(Item{Kind: Program, In: name})
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		f.add(Item{Kind: Macro, In: name}) // a compound file, in which macros are not told from the rest
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		f.container(data, name, depth)
	case cades.Looks(data[:min(len(data), 1024)]):
		if content, err := cades.Content(f.budget, data); err == nil && len(content) > 0 {
			f.file(content, name, depth+1)
		}
	case bytes.Contains(data[:min(len(data), 1024)], []byte("%PDF-")):
		f.pdf(data, name, depth)
	case bytes.HasPrefix(head, []byte("<")):
		f.xml(data, name)
	}
}

// programs are the ends of names that the systems of offices run or obey.
var programs = []string{".exe", ".com", ".scr", ".pif", ".bat", ".cmd", ".ps1", ".vbs", ".vbe", ".js", ".jse", ".wsf", ".wsh", ".hta",
	".msi", ".msp", ".cpl", ".dll", ".jar", ".lnk", ".reg", ".sh", ".scf", ".url", ".iso", ".img", ".vhd", ".chm"}

// runs tells of a program by its name or its content.
func runs(data []byte, name string) bool {
	return slices.Contains(programs, strings.ToLower(path.Ext(name))) || bytes.HasPrefix(data, []byte("\x7fELF")) ||
		bytes.HasPrefix(data, []byte("#!")) || bytes.HasPrefix(data, []byte("MZ")) && len(data) > 64
}

// container looks through the entries of a ZIP file.
func (f *finder) container(data []byte, name string, depth int) {
	c, err := asic.Open(f.budget, data)
	if f.missed(err) {
		return
	}
	for _, e := range c.Entries {
		in := path.Join(name, e.Name)
		if c.Kind == asic.OpenPackage && isRelationships(e.Name) {
			f.relationships(c, e, name)
			continue
		}
		if kind := partOf(c.Kind, e.Name); kind != "" {
			f.add(Item{Kind: kind, In: in})
			continue
		}
		if strings.HasSuffix(e.Name, "/") || c.Kind == asic.OpenPackage && !carried(e.Name) {
			continue
		}
		content, err := c.Read(e)
		if f.missed(err) {
			continue
		}
		f.file(content, in, depth+1)
		c.Forget(e)
	}
}

// partOf tells the kind of a part of an office document, "" where it is text, style or picture.
func partOf(kind asic.Kind, entry string) Kind {
	lower := strings.ToLower(entry)
	switch {
	case kind == asic.OpenPackage && (strings.HasSuffix(lower, "vbaproject.bin") || strings.Contains(lower, "/macrosheets/")):
		return Macro
	case kind == asic.OpenPackage && (strings.Contains(lower, "/activex/") || strings.Contains(lower, "/embeddings/oleobject")):
		return Control
	case kind == asic.OpenPackage && (strings.Contains(lower, "/externallinks/") || strings.HasSuffix(lower, "/connections.xml")):
		return External
	case kind == asic.OpenDocument && (strings.HasPrefix(lower, "basic/") || strings.HasPrefix(lower, "scripts/")):
		return Macro
	}
	return ""
}

// carried tells whether a part of an Office Open XML document is a file of its own.
func carried(entry string) bool { return strings.Contains(strings.ToLower(entry), "/embeddings/") }

// The vocabularies whose scripts viewers run.
const (
	namespaceSVG   = "http://www.w3.org/2000/svg"
	namespaceXHTML = "http://www.w3.org/1999/xhtml"
)

// xml looks for scripts and for the style sheet by which viewers show a document.
func (f *finder) xml(data []byte, name string) {
	limits := xmldsig.DefaultLimits
	limits.Budget = f.budget
	doc, err := xmldsig.Parse(data, limits)
	if f.missed(err) {
		return
	}
	root := doc.Root()
	if start, _ := root.Offset(); bytes.Contains(doc.Source()[:start], []byte("<?xml-stylesheet")) {
		f.add(Item{Kind: External, In: name, Name: "xml-stylesheet", Automatic: true})
	}
	for _, space := range []string{namespaceSVG, namespaceXHTML} {
		for range root.Descendants(space, "script") {
			f.add(Item{Kind: Script, In: name, Automatic: true})
			break
		}
	}
}
