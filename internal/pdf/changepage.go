package pdf

import "fmt"

// newcomer is an annotation that was not on a page before.
type newcomer struct {
	page  int
	ref   Ref  // zero for a direct object
	annot Dict // nil where it cannot be read
}

// collect finds what has rules of its own in the signed revision: pages, the nodes of the form, annotations.
func (c *comparison) collect() {
	for _, o := range []Object{c.old.trailer["Root"], c.old.Catalog()["AcroForm"]} {
		if r, ok := o.(Ref); ok {
			c.setRole(r, roleRoot)
		}
	}
	c.leaves = c.old.leaves()
	c.held += leafSize * len(c.leaves)
	for _, leaf := range c.leaves {
		c.setRole(leaf.Ref, rolePage)
	}
	budget := maxFields
	form := c.old.Dict(c.old.Catalog()["AcroForm"])
	for _, f := range c.old.Array(form["Fields"]) {
		c.fieldRoles(f, &budget, 0)
	}
	for i, leaf := range c.leaves {
		for _, a := range c.old.array(leaf.dict["Annots"]) {
			r, ok := a.(Ref)
			if !ok {
				continue
			}
			c.pageOf[r.Number] = i + 1
			if c.setRole(r, roleAnnotation) || c.roles[r.Number] == roleRoot {
				c.annots = append(c.annots, r)
			}
		}
	}
}

// setRole gives an object its first role.
func (c *comparison) setRole(r Ref, to role) bool {
	if c.roles[r.Number] != roleNone || c.new.meter.Hold(holdNode) != nil {
		return false
	}
	c.held += holdNode
	c.roles[r.Number] = to
	return true
}

func (c *comparison) fieldRoles(o Object, budget *int, depth int) {
	r, ok := o.(Ref)
	if *budget--; !ok || *budget < 0 || depth > maxTreeDepth || !c.setRole(r, roleField) {
		return
	}
	dict := entries(c.old.peek(r.Number))
	for _, kid := range c.old.array(dict["Kids"]) {
		c.fieldRoles(kid, budget, depth+1)
	}
}

// array resolves o to an array without keeping it.
func (d *Document) array(o Object) Array {
	if r, ok := o.(Ref); ok {
		e, there := d.lookup(r.Number)
		if cached, ok := d.cache[r.Number]; ok || !there {
			o = cached
		} else {
			at := d.load(r.Number, e)
			if o = at.Object; d.meter.Hold(at.size) != nil {
				return nil
			}
			defer d.meter.Release(at.size)
		}
	}
	a, _ := d.Resolve(o).(Array)
	return a
}

// leaf is a page.
type leaf struct {
	Ref
	dict Dict
}

// leafSize is what a page takes, about, in octets.
const leafSize = 2 << 10

// leaves lists the pages in their order.
func (d *Document) leaves() []leaf {
	var out []leaf
	seen := map[int]bool{}
	var walk func(o Object, depth int)
	walk = func(o Object, depth int) {
		r, ok := o.(Ref)
		if !ok || seen[r.Number] || depth > maxTreeDepth || d.meter.Hold(holdNode) != nil {
			return
		}
		seen[r.Number] = true
		node := entries(d.peek(r.Number))
		if node["Kids"] == nil && d.Name(node["Type"]) != "Pages" {
			if d.meter.Hold(leafSize) == nil {
				out = append(out, leaf{r, node})
			}
			return
		}
		for _, kid := range d.array(node["Kids"]) {
			walk(kid, depth+1)
		}
	}
	walk(d.Catalog()["Pages"], 0)
	return out
}

// PageCount returns the number of pages that the page tree claims.
func (d *Document) PageCount() int64 {
	n, _ := d.Integer(d.Dict(d.Catalog()["Pages"])["Count"])
	return n
}

// tree looks at the nodes above the pages.
func (c *comparison) tree() {
	known := len(c.changes)
	change := Change{Kind: ChangeContent, Object: c.rootNumber(), What: "the page tree was changed"}
	before, after := c.old.Catalog()["Pages"], c.new.Catalog()["Pages"]
	if !c.same(before, after) {
		c.add(change)
	}
	c.freeze(before, &reason{Change: change, absolute: true})
	if len(c.changes) == known {
		return
	}
	now := c.new.leaves()
	defer c.new.meter.Release(leafSize * len(now))
	if len(now) != len(c.leaves) || c.old.PageCount() != c.new.PageCount() {
		c.add(Change{Kind: ChangePages, Object: c.rootNumber(), What: fmt.Sprintf("the document had %d pages and has %d",
			max(int64(len(c.leaves)), c.old.PageCount()), max(int64(len(now)), c.new.PageCount()))})
	}
}

// page compares one page. Annotations may come, and an editor's note when it was.
func (c *comparison) page(leaf leaf, page int) {
	was, now := leaf.dict, leaf.dict
	if _, changed := c.inspect(leaf.Number); changed {
		now = entries(c.new.peek(leaf.Number))
		if !c.plain(leaf.Number) {
			c.add(Change{Kind: ChangeContent, Object: leaf.Ref, Page: page, What: "a page cannot be read in one way alone"})
		}
	}
	for _, k := range c.keys(was, now) {
		change := Change{Kind: ChangeContent, Object: leaf.Ref, Page: page, What: "an entry of a page was changed", Named: string(k)}
		switch k {
		case "Annots":
			c.listAnnotations(leaf.Ref, page, was[k], now[k])
			continue
		case "LastModified":
			if _, ok := now[k].(String); ok {
				continue
			}
		case "Tabs":
			if _, ok := now[k].(Name); ok {
				continue
			}
		case "Parent", "Contents", "Resources", "Group", "Rotate", "UserUnit",
			"MediaBox", "CropBox", "BleedBox", "TrimBox", "ArtBox":
		default:
			change.Kind = ChangeOther
		}
		if !c.same(was[k], now[k]) {
			c.add(change)
		}
		c.freeze(was[k], &reason{Change: change, absolute: true})
	}
}

// listAnnotations finds what came to a page and what left it.
func (c *comparison) listAnnotations(leaf Ref, page int, before, after Object) {
	now := c.new.array(after)
	present := map[Ref]bool{}
	for _, a := range now {
		if r, ok := a.(Ref); ok && c.new.meter.Hold(holdNode) == nil {
			present[r] = true
		}
	}
	listed := map[Ref]bool{}
	var kept []Ref
	var direct Array
	for _, a := range c.old.array(before) {
		r, ok := a.(Ref)
		if !ok {
			direct = append(direct, a)
			c.freeze(a, &reason{Change: annotationChange(leaf, page)})
			continue
		}
		listed[r] = true
		switch {
		case present[r]:
			kept = append(kept, r)
		case c.old.Name(c.old.Dict(r)["Subtype"]) == "Widget": // no comment: what was filled in is seen no more
			c.add(Change{Kind: ChangeLook, Object: r, Page: page, What: "a field was removed"})
		default:
			c.add(Change{Kind: ChangeAnnotation, Object: r, Page: page, What: "an annotation was removed"})
		}
	}
	for _, a := range now {
		r, ok := a.(Ref)
		switch {
		case !ok && len(direct) > 0 && c.same(direct[0], a):
			direct = direct[1:]
		case ok && listed[r]:
			if len(kept) > 0 && kept[0] == r {
				kept = kept[1:]
			}
		default:
			dict := c.new.Dict(a)
			c.order = append(c.order, newcomer{page, r, dict})
			c.added[r.Number] = page
		}
	}
	if len(direct) > 0 {
		c.add(annotationChange(leaf, page))
	}
	if len(kept) > 0 {
		c.add(Change{Kind: ChangeAnnotation, Object: leaf, Page: page, What: "the annotations lie in another order"})
	}
}

func annotationChange(object Ref, page int) Change {
	return Change{Kind: ChangeAnnotation, Object: object, Page: page, What: "an annotation was changed"}
}

// annotation compares one that is no field. The date of its last change and its pop-up may come.
func (c *comparison) annotation(r Ref) {
	page := c.pageOf[r.Number]
	refs, changed := c.inspect(r.Number)
	if changed {
		was, now := entries(c.old.peek(r.Number)), entries(c.new.peek(r.Number))
		for _, k := range c.keys(was, now) {
			_, isText := now[k].(String)
			popup, isRef := now[k].(Ref)
			comes := k == "Popup" && was[k] == nil && isRef && c.added[popup.Number] > 0
			if comes || k == "M" && isText || c.same(was[k], now[k]) {
				continue
			}
			change := annotationChange(r, page)
			change.Named = string(k)
			c.add(change)
		}
		if !c.plain(r.Number) {
			c.add(annotationChange(r, page))
		}
	}
	c.freezeAll(refs, &reason{Change: annotationChange(r, page)})
}

// notes are the annotations by which readers write on a page (ISO 32000-2 12.5.6.2), and what shows them. What plays, attaches a
// file, leads elsewhere, asks for input or lies over the page unasked is no note.
var notes = map[Name]bool{"Text": true, "FreeText": true, "Line": true, "Square": true, "Circle": true, "Polygon": true, "PolyLine": true,
	"Highlight": true, "Underline": true, "Squiggly": true, "StrikeOut": true, "Caret": true, "Stamp": true, "Ink": true, "Popup": true}

// acts tells of an annotation or field that something happens when a reader sees or touches it (ISO 32000-2 12.6, 12.5.6.5).
func acts(dict Dict) bool {
	return dict["A"] != nil || dict["AA"] != nil || dict["PA"] != nil || dict["Dest"] != nil
}

// comments tells of the annotations that came and belong to no field that was told.
func (c *comparison) comments() {
	for _, n := range c.order {
		if n.ref.Number != 0 && c.added[n.ref.Number] == 0 {
			continue
		}
		subtype := c.new.Name(n.annot["Subtype"])
		change := Change{Kind: ChangeComment, Object: n.ref, Page: n.page, What: "an annotation was added", Named: string(subtype)}
		switch {
		case acts(n.annot):
			change.Kind, change.What = ChangeOther, "an annotation was added, with an action"
		case !notes[subtype]:
			change.Kind, change.What = ChangeOther, "an annotation was added that is no comment"
		}
		c.add(change)
	}
}
