package pdf

// structure says what a change of the structure tree is.
func (c *comparison) structure(change *Change) {
	c.worded = false
	words := c.words(change.Object.Number)
	switch {
	case words != "":
		change.What, change.Named = "the words that stand for what is shown were changed:"+words, ""
	case !c.grew(change.Object.Number):
	case c.worded:
		change.Kind, change.Named = ChangeStructure, ""
		change.What = "the structure of the document names what was added, and has words for it"
	default:
		change.Kind, change.Named = ChangeStructure, ""
		change.What = "the structure of the document names what was added"
	}
}

// grew tells that an object of the structure tree got nothing but entries for new annotations and fields, as
// editors of tagged documents add them (ISO 32000-2 14.7.4.4). New text for what a page shows is none of that.
func (c *comparison) grew(number int) bool {
	if c.repeats(number) {
		return false
	}
	switch was := c.old.peek(number).(type) {
	case Dict:
		now, ok := c.new.peek(number).(Dict)
		if !ok {
			return false
		}
		for _, k := range c.keys(was, now) {
			if !c.same(was[k], now[k]) && !c.grewKey(k, was[k], now[k]) {
				return false
			}
		}
		return true
	case Array:
		now, ok := c.new.peek(number).(Array)
		return ok && c.grewArray(was, now)
	}
	return false
}

func (c *comparison) grewKey(k Name, before, after Object) bool {
	switch k {
	case "K", "Kids", "Nums":
		was, ok := c.old.Resolve(before).(Array)
		if !ok && before != nil {
			was = Array{before}
		}
		now, ok := c.new.Resolve(after).(Array)
		if !ok && after != nil {
			now = Array{after}
		}
		return c.grewArray(was, now)
	case "ParentTreeNextKey":
		was, ok1 := c.old.Integer(before)
		now, ok2 := c.new.Integer(after)
		return ok1 && ok2 && now >= was
	case "Limits":
		return true // of the keys in a tree: it helps to find them
	}
	return false
}

// grewArray tells that all members are there in their order, and that the others name annotations alone.
func (c *comparison) grewArray(was, now Array) bool {
	for _, o := range now {
		if len(was) > 0 && c.same(was[0], o) {
			was = was[1:]
			continue
		}
		if _, isKey := o.(Integer); !isKey && !c.namesAnnotation(o, 0, false) {
			return false
		}
	}
	return len(was) == 0
}

// namesAnnotation tells of a new structure element that it stands for annotations, and has words (Alt) at most in the
// place of those that are new. An object reference names an annotation by Obj (ISO 32000-2 14.7.5.3).
func (c *comparison) namesAnnotation(o Object, depth int, worded bool) bool {
	element, ok := c.new.Resolve(o).(Dict)
	if !ok || depth > maxIndirection || c.new.meter.Nodes(1) != nil {
		return false
	}
	if element["S"] == nil {
		r, ok := element["Obj"].(Ref)
		ok = ok && c.new.Name(element["Type"]) == "OBJR" && element["MCID"] == nil
		return ok && (c.added[r.Number] > 0 || !worded && c.pageOf[r.Number] > 0)
	}
	if element["ActualText"] != nil || element["E"] != nil {
		return false
	}
	kids, ok := c.new.Resolve(element["K"]).(Array)
	if !ok {
		kids = Array{element["K"]}
	}
	if element["Alt"] != nil {
		worded, c.worded = true, true
	}
	for _, kid := range kids {
		if !c.namesAnnotation(kid, depth+1, worded) {
			return false
		}
	}
	return true
}

// words lists what of an element's words is another now: programs read them out in the place of what is shown.
func (c *comparison) words(number int) string {
	was, now := entries(c.old.peek(number)), entries(c.new.peek(number))
	text := ""
	for _, k := range []Name{"ActualText", "Alt", "E"} {
		if !c.same(was[k], now[k]) {
			text += " " + string(k)
		}
	}
	return text
}
