package active

import (
	"path"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/xmldsig"
)

// kindsOfParts are what parts of an Office Open XML document are by the last word of the relationship that leads to
// them, in lower case: programs go by that, whatever the part is called.
var kindsOfParts = map[string]Kind{
	"vbaproject": Macro, "wordvbadata": Macro, "xlmacrosheet": Macro, "xlintlmacrosheet": Macro,
	"control": Control, "activexcontrolbinary": Control, "oleobject": Control, "webextension": Control,
	"externallink": External, "connections": External, "afchunk": External,
}

// isRelationships tells whether an entry is a relationships part (ECMA-376 part 2, 9.3.2.1).
func isRelationships(entry string) bool {
	folder, file := path.Split(strings.ToLower(entry))
	return strings.HasSuffix("/"+folder, "/_rels/") && strings.HasSuffix(file, ".rels")
}

// relationships looks through a relationships part of an Office Open XML document. What one leads to outside of the
// document is fetched as it is opened, a template with its macros among it; a link alone waits for a click.
func (f *finder) relationships(c *asic.Container, e *asic.Entry, name string) {
	content, err := c.Read(e)
	if f.missed(err) {
		return
	}
	defer c.Forget(e)
	doc, err := xmldsig.Parse(content, xmldsig.Limits{Budget: f.budget})
	if f.missed(err) {
		return
	}
	list, err := xmldsig.ReadRelationships(doc.Root())
	if f.missed(err) {
		return
	}
	for _, r := range list {
		word := strings.ToLower(path.Base(r.Type))
		kind, known := kindsOfParts[word]
		switch {
		case r.TargetMode != "Internal" && word != "hyperlink":
			f.add(Item{Kind: External, In: path.Join(name, e.Name), Name: r.Target, Automatic: true})
		case r.TargetMode == "Internal" && known:
			f.add(Item{Kind: kind, In: path.Join(name, targetOf(e.Name, r.Target))})
		}
	}
}

// targetOf is the name of the part that a relationship of a relationships part leads to.
func targetOf(relationships, target string) string {
	if strings.HasPrefix(target, "/") {
		return path.Clean(target)[1:]
	}
	return strings.TrimPrefix(path.Join("/", path.Dir(path.Dir(relationships)), target), "/")
}
