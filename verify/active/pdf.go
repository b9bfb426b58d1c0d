package active

import (
	"cmp"
	"maps"
	"path"
	"slices"

	"trustcore/internal/pdf"
)

// pdf looks through all that is reached from the catalog, which is what a viewer can reach.
func (f *finder) pdf(data []byte, name string, depth int) {
	d, err := pdf.OpenWithin(f.budget, data)
	if f.missed(err) {
		return
	}
	f.complete = f.complete && !d.Sealed()
	w := &walk{finder: f, doc: d, in: name, depth: depth, seen: map[pdf.Ref]bool{}}
	catalog := d.Catalog()
	pages := w.pages(catalog["Pages"])
	// What happens by itself goes first: it is told as such, whatever else leads there.
	w.from(pdf.Dict{"OpenAction": catalog["OpenAction"], "AA": catalog["AA"], "JavaScript": d.Dict(catalog["Names"])["JavaScript"]}, 0)
	for i, page := range pages {
		w.from(page, i+1)
	}
	w.from(catalog, 0)
	f.complete = f.complete && !d.Lost()
}

// walk is the way through the objects of a PDF, each indirect one once.
type walk struct {
	*finder
	doc   *pdf.Document
	in    string
	depth int
	seen  map[pdf.Ref]bool
	todo  []place
}

// place is an object that is still to be looked at, and how it is come to.
type place struct {
	object    pdf.Object
	page      int
	automatic bool
}

// pages are the leaves of the page tree in their order. They are marked as seen: what leads to a page from elsewhere, such
// as a link, does not make what is on it happen there.
func (w *walk) pages(root pdf.Object) []pdf.Dict {
	var leaves []pdf.Dict
	todo := []pdf.Object{root}
	for len(todo) > 0 && w.budget.Nodes(1) == nil {
		o := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if r, ok := o.(pdf.Ref); ok {
			if w.seen[r] {
				continue
			}
			w.seen[r] = true
		}
		node := w.doc.Dict(o)
		kids := w.doc.Array(node["Kids"])
		if node != nil && kids == nil {
			leaves = append(leaves, node)
		}
		for i := range kids {
			todo = append(todo, kids[len(kids)-1-i])
		}
	}
	return leaves
}

// from looks at an object and at all that is reached from it.
func (w *walk) from(o pdf.Object, page int) {
	w.todo = append(w.todo[:0], place{object: o, page: page})
	for len(w.todo) > 0 && w.budget.Nodes(1) == nil {
		p := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		if r, ok := p.object.(pdf.Ref); ok {
			if w.seen[r] {
				continue
			}
			w.seen[r] = true
			p.object = w.doc.Resolve(r)
		}
		switch o := p.object.(type) {
		case pdf.Array:
			for _, e := range o {
				w.push(e, p, false)
			}
		case *pdf.Stream:
			if o.Dict["F"] != nil {
				w.tell(p, External, w.fileName(o.Dict["F"]))
			}
			w.dict(o.Dict, p)
		case pdf.Dict:
			w.dict(o, p)
		}
	}
}

func (w *walk) push(o pdf.Object, from place, automatic bool) {
	switch o.(type) {
	case pdf.Ref, pdf.Array, pdf.Dict, *pdf.Stream:
		w.todo = append(w.todo, place{o, from.page, from.automatic || automatic})
	}
}

func (w *walk) tell(p place, kind Kind, name string) {
	w.add(Item{Kind: kind, In: w.in, Name: name, Page: p.page, Automatic: p.automatic})
}

// triggers are the keys whose actions happen without anybody's doing: those of the document and of pages and fields that
// are opened, shown or left, and scripts of the document as a whole (ISO 32000-2 12.6.3, 12.6.4.17).
var triggers = map[pdf.Name]bool{"OpenAction": true, "AA": true, "JavaScript": true}

// dict looks at a dictionary, and has what it leads to looked at, but for the way up.
func (w *walk) dict(dict pdf.Dict, p place) {
	w.action(dict, p)
	switch w.doc.Name(dict["Subtype"]) {
	case "RichMedia", "3D", "Screen", "Movie", "Sound":
		w.tell(p, Media, "")
	}
	if dict["XFA"] != nil {
		w.tell(p, Form, "XFA")
	}
	if dict["EF"] != nil {
		w.attachment(dict, p)
		return
	}
	keys := slices.Sorted(maps.Keys(dict))
	for _, key := range slices.Backward(keys) {
		if key != "Parent" && key != "P" && key != "Pg" {
			w.push(dict[key], p, triggers[key])
		}
	}
}

// action looks at an action dictionary (ISO 32000-2 12.6.4).
func (w *walk) action(dict pdf.Dict, p place) {
	s := w.doc.Name(dict["S"])
	switch {
	case s == "JavaScript" || dict["JS"] != nil:
		w.tell(p, Script, "")
	case s == "Launch":
		w.tell(p, Launch, cmp.Or(w.fileName(dict["F"]), w.fileName(dict["Win"]), w.fileName(dict["Unix"])))
	case s == "SubmitForm" || s == "ImportData":
		w.tell(p, Submit, w.fileName(dict["F"]))
	case s == "GoToR" || s == "GoToE":
		w.tell(p, External, w.fileName(dict["F"]))
	case s == "URI" && p.automatic:
		w.tell(p, External, w.doc.Text(dict["URI"]))
	case s == "Rendition" || s == "Movie" || s == "Sound" || s == "RichMediaExecute":
		w.tell(p, Media, "")
	}
}

// fileName is the name in a file specification (ISO 32000-2 7.11), a text or a dictionary.
func (w *walk) fileName(o pdf.Object) string {
	if spec := w.doc.Dict(o); spec != nil {
		return cmp.Or(w.doc.Text(spec["UF"]), w.doc.Text(spec["F"]))
	}
	return w.doc.Text(o)
}

// attachment looks at a file that the PDF carries, and into it.
func (w *walk) attachment(spec pdf.Dict, p place) {
	name := w.fileName(spec)
	w.tell(p, File, name)
	streams := w.doc.Dict(spec["EF"])
	for _, key := range []pdf.Name{"UF", "F"} {
		s, ok := w.doc.Resolve(streams[key]).(*pdf.Stream)
		if !ok {
			continue
		}
		content, err := w.doc.Decode(s)
		if !w.missed(err) {
			w.file(content, path.Join(w.in, name), w.depth+1)
		}
		return
	}
}
