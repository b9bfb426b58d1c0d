package pdf

// form compares the interactive form.
func (c *comparison) form(before, after Object) {
	was, now := c.old.Dict(before), c.new.Dict(after)
	object, ok := after.(Ref)
	if !ok {
		object = c.rootNumber()
	}
	if ok && (before == after && !c.plain(object.Number) || c.new.repeated[object.Number]) {
		c.add(Change{Kind: ChangeOther, Object: object, What: "the form cannot be read in one way alone"})
	}
	f := formChange{comparison: c, object: object, regenerates: c.old.Resolve(was["NeedAppearances"]) == true}
	f.fields(c.old.array(was["Fields"]), c.new.array(now["Fields"]), fieldPath{})
	for _, k := range c.keys(was, now) {
		change := Change{Kind: ChangeOther, Object: object, What: "an entry of the form was changed", Named: string(k)}
		switch k {
		case "Fields":
			continue
		case "SigFlags":
			a, _ := c.old.Integer(was[k])
			if b, ok := c.new.Integer(now[k]); ok && a&^b == 0 {
				continue
			}
		case "DR":
			if !f.fillable && !f.regenerates { // of its other resources nothing is drawn
				fonts := c.old.Dict(was[k])["Font"]
				c.grown(fonts, c.new.Dict(now[k])["Font"], change, 1)
				continue
			}
			c.grown(was[k], now[k], change, 2)
			continue
		case "DA":
			if was[k] == nil {
				continue
			}
		case "NeedAppearances":
			if was[k] == nil && now[k] == false {
				continue
			}
		case "XFA":
			change.Kind = ChangeContent
		}
		if !c.same(was[k], now[k]) {
			c.add(change)
		}
		c.freeze(was[k], &reason{Change: change, absolute: k != "CO"})
	}
}

// grown allows new names in a resource dictionary and its categories; what was there stays.
func (c *comparison) grown(before, after Object, change Change, depth int) {
	was, now := c.old.Dict(before), c.new.Dict(after)
	if before == nil {
		return
	}
	if depth == 0 || was == nil {
		if !c.same(before, after) {
			c.add(change)
		}
		c.freeze(before, &reason{Change: change, absolute: true})
		return
	}
	for _, k := range c.keys(was, nil) {
		c.grown(was[k], now[k], change, depth-1)
	}
}

// formChange is the comparison of the fields.
type formChange struct {
	*comparison
	object      Ref
	regenerates bool // programs draw the fields of the signed revision anew
	fillable    bool // there is a field that is no signature field
	count       int
}

// fieldPath is what a node of the field tree has from above.
type fieldPath struct {
	name      string
	fieldType Name
	filled    bool // it has another value
	signing   bool // it was empty and is signed
	depth     int
}

// fields compares the root fields or the kids of one.
func (f *formChange) fields(before, after Array, path fieldPath) {
	if f.count += len(before) + len(after); path.depth > maxTreeDepth || f.count > 2*maxFields {
		f.add(Change{Kind: ChangeOther, Object: f.object, What: "the form is too large to be compared"})
		return
	}
	listed, present := map[Ref]bool{}, map[Ref]bool{}
	var direct Array
	for _, o := range after {
		if r, ok := o.(Ref); ok {
			present[r] = true
		}
	}
	for _, o := range before {
		r, ok := o.(Ref)
		switch {
		case !ok:
			direct = append(direct, o)
			f.freeze(o, &reason{Change: f.look(f.object, path, "a field was changed")})
		case listed[r]:
		case present[r]:
			listed[r] = true
			f.field(r, path)
		default:
			f.add(f.look(r, path, "a field was removed"))
		}
	}
	for _, o := range after {
		r, ok := o.(Ref)
		switch {
		case ok && listed[r]:
		case !ok && len(direct) > 0 && f.same(direct[0], o):
			direct = direct[1:]
		default:
			f.newField(o, path)
		}
	}
	if len(direct) > 0 {
		f.add(f.look(f.object, path, "a field was changed"))
	}
}

func (f *formChange) look(object Ref, path fieldPath, what string) Change {
	return Change{Kind: ChangeLook, Object: object, Page: f.pageOf[object.Number], Field: path.name, What: what, Named: path.name}
}

// down adds what a node of the tree says of itself.
func (p fieldPath) down(d *Document, dict Dict) fieldPath {
	p.depth++
	if dict["T"] != nil { // a field of its own, and no widget
		p.filled, p.signing = false, false
	}
	if t := d.Text(dict["T"]); t != "" && len(p.name) < 4096 {
		if p.name != "" {
			t = p.name + "." + t
		}
		p.name = t
		if d.meter.Hold(len(t)) != nil {
			p.name = ""
		}
	}
	if t := d.Name(dict["FT"]); t != "" {
		p.fieldType = t
	}
	return p
}

// field compares one node of the signed field tree.
func (f *formChange) field(r Ref, path fieldPath) {
	was := entries(f.old.peek(r.Number))
	now := was
	if _, changed := f.inspect(r.Number); changed {
		now = entries(f.new.peek(r.Number))
	}
	path = path.down(f.old, was)
	if !f.plain(r.Number) {
		f.add(f.look(r, path, "a field cannot be read in one way alone"))
		return
	}
	if path.fieldType != "Sig" {
		f.fillable = f.fillable || path.fieldType != ""
		if !path.filled && f.refilled(was, now) {
			path.filled = true
			change := f.look(r, path, "a field was filled in")
			change.Kind = ChangeField
			f.add(change)
		}
	}
	if path.fieldType == "Sig" && f.old.Dict(was["V"]) == nil && f.new.Dict(now["V"]) != nil {
		path.signing = true
		f.signed(r, now, path)
	}
	for _, k := range f.keys(was, now) {
		if k != "Kids" || len(f.old.array(was[k]))+len(f.new.array(now[k])) == 0 { // fields compares those that are there
			f.fieldKey(r, path, k, was, now)
		}
	}
	f.fields(f.old.array(was["Kids"]), f.new.array(now["Kids"]), path)
}

// refilled tells whether the value of a field is another.
func (f *formChange) refilled(was, now Dict) bool {
	for _, k := range []Name{"V", "RV", "I"} {
		if !f.same(was[k], now[k]) || f.moved(was[k]) {
			return true
		}
	}
	return false
}

// signed tells of an empty field that was signed.
func (f *formChange) signed(r Ref, field Dict, path fieldPath) {
	s := survey{page: f.pageOf[r.Number]}
	s.look(f.comparison, field)
	for _, kid := range f.new.array(field["Kids"]) {
		if widget, ok := kid.(Ref); ok && s.page == 0 {
			s.page = f.pageOf[widget.Number]
		}
		s.look(f.comparison, f.new.Dict(kid))
	}
	f.tellSignature(r, s, path)
}

// Bits of the flags of annotations (ISO 32000-2 table 167) and fields (table 227) that show nothing.
const (
	annotationLocks = 1<<6 | 1<<7 | 1<<9 // ReadOnly, Locked, LockedContents
	annotationPrint = 1 << 2
	fieldReadOnly   = 1
)

// fieldKey compares one entry of a field. What a field that is filled or signed shows follows from that.
func (f *formChange) fieldKey(r Ref, path fieldPath, k Name, was, now Dict) {
	free, signing := path.filled, path.signing
	switch k {
	case "V", "RV", "I":
		if free || signing {
			return
		}
	case "AP", "AS":
		if free || signing {
			return
		}
		if f.regenerates && was[k] == nil {
			change := f.look(r, path, "a field was drawn")
			change.Kind = ChangeField
			f.add(change)
			return
		}
	case "MK", "Rect", "DA", "Lock", "SV", "Type", "Subtype", "StructParent", "BS", "Border", "P", "H", "Q":
		if signing && (was[k] == nil || k != "Lock" && k != "SV") {
			return
		}
		if page, ok := now[k].(Ref); k == "P" && was[k] == nil && ok && f.roles[page.Number] == rolePage {
			return
		}
	case "M":
		if _, ok := now[k].(String); ok {
			return
		}
	case "F":
		may := int64(annotationLocks)
		if signing {
			may |= annotationPrint
		}
		if f.flags(was[k], now[k], may) {
			return
		}
	case "Ff":
		if f.flags(was[k], now[k], fieldReadOnly) {
			return
		}
	}
	change := f.look(r, path, "an entry of a field was changed")
	change.Named = string(k) + " of " + path.name
	absolute := k == "AP" || k == "V" && path.fieldType != "Sig"
	switch k {
	case "V", "RV", "I", "AP", "AS", "MK", "Rect", "DA", "F", "BS", "Border":
	default:
		change.Kind = ChangeOther
	}
	if !f.same(was[k], now[k]) {
		f.add(change)
	}
	f.freeze(was[k], &reason{Change: change, absolute: absolute})
}

// flags tells that only bits that may be set were set.
func (f *formChange) flags(before, after Object, may int64) bool {
	was, _ := f.old.Integer(before)
	now, ok := f.new.Integer(after)
	return (ok || after == nil) && was&^now == 0 && now&^was&^may == 0
}

// newField tells of a field that was not there. Signature fields may come.
func (f *formChange) newField(o Object, path fieldPath) {
	dict := f.new.Dict(o)
	r, _ := o.(Ref)
	path = path.down(f.new, dict)
	s := survey{onlySignatures: true, page: f.added[r.Number]}
	s.tree(f.comparison, o, path, 0)
	if path.depth > 1 && dict["T"] == nil || !s.onlySignatures {
		change := f.look(r, path, "a field was added that is no signature field")
		change.Kind, change.Page = ChangeOther, s.page
		f.add(change)
		return
	}
	if s.actions {
		change := f.look(r, path, "an action came with a signature field")
		change.Kind, change.Page = ChangeOther, s.page
		f.add(change)
	}
	s.isNew = true
	f.tellSignature(r, s, path)
}

func (f *formChange) tellSignature(r Ref, s survey, path fieldPath) {
	change := Change{Object: r, Field: path.name, New: s.isNew, Visible: s.visible}
	if s.visible {
		change.Page = s.page
	}
	switch {
	case !s.signed:
		change.Kind, change.What = ChangeEmptyField, "a signature field was added that is not signed"
	case s.timestamp:
		change.Kind, change.What = ChangeTimestamp, "a document time-stamp was added"
	default:
		change.Kind, change.What = ChangeSignature, "a further signature was added"
	}
	if s.visible {
		change.What += ", and it is seen"
	}
	f.add(change)
	for _, w := range s.widgets {
		delete(f.added, w)
	}
}

// survey is what a field of the newest revision holds, its kids included.
type survey struct {
	onlySignatures, signed, timestamp, visible, actions, isNew bool

	page    int
	widgets []int // annotations that belong to it
	count   int
}

func (s *survey) tree(c *comparison, o Object, path fieldPath, depth int) {
	r, _ := o.(Ref)
	dict := c.new.Dict(o)
	if s.count++; s.count > maxFields || depth > maxTreeDepth || dict == nil {
		s.onlySignatures = false
		return
	}
	kind := c.new.Name(dict["Subtype"])
	if page := c.added[r.Number]; page > 0 {
		s.onlySignatures = s.onlySignatures && kind == "Widget" // another kind shows itself in its own way
		s.page = page
		s.widgets = append(s.widgets, r.Number)
	}
	if t := c.new.Name(dict["FT"]); t != "" {
		path.fieldType = t
	}
	kids := c.new.array(dict["Kids"])
	if path.fieldType != "Sig" && len(kids) == 0 {
		s.onlySignatures = false
	}
	if c.roles[r.Number] != roleNone { // what was there is something else
		s.onlySignatures = false
	}
	s.look(c, dict)
	for _, kid := range kids {
		s.tree(c, kid, path, depth+1)
	}
}

// look adds what one dictionary says.
func (s *survey) look(c *comparison, dict Dict) {
	s.visible = s.visible || c.new.visible(dict)
	s.actions = s.actions || acts(dict)
	value := c.new.Dict(dict["V"])
	if value == nil {
		return
	}
	s.signed = true
	s.timestamp = c.new.Name(value["SubFilter"]) == SubFilterRFC3161
}
