package pdf

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
		if _, isKey := o.(Integer); !isKey && !c.namesAnnotation(o, 0) {
			return false
		}
	}
	return len(was) == 0
}

// namesAnnotation tells of a structure element that it stands for annotations and says nothing in their place.
func (c *comparison) namesAnnotation(o Object, depth int) bool {
	element, ok := c.new.Resolve(o).(Dict)
	if !ok || depth > maxIndirection || c.new.meter.Nodes(1) != nil {
		return false
	}
	if element["ActualText"] != nil || element["E"] != nil {
		return false
	}
	if element["Obj"] != nil {
		return true
	}
	kids, ok := c.new.Resolve(element["K"]).(Array)
	if !ok {
		kids = Array{element["K"]}
	}
	for _, kid := range kids {
		if !c.namesAnnotation(kid, depth+1) {
			return false
		}
	}
	return true
}
