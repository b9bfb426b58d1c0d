package pdf

import (
	"bytes"
	"math/big"
	"slices"
	"strconv"

	"trustcore/internal/budget"
)

// reason tells what it means when something frozen is another now.
type reason struct {
	Change
	absolute bool // nothing but pages is left to rules of its own
	once     bool // the first object stands for all
	grows    bool // it is of the structure tree, which may grow
	told     bool
}

// numbers is a set of object numbers.
type numbers []uint64

func (s *numbers) add(n int) {
	if n/64 >= len(*s) {
		*s = append(*s, make([]uint64, n/64+1-len(*s))...)
	}
	(*s)[n/64] |= 1 << (n % 64)
}

func (s numbers) has(n int) bool { return n/64 < len(s) && s[n/64]&(1<<(n%64)) != 0 }

// freeze looks at everything below a value of the signed revision that was not looked at before, and tells what is
// another now.
func (c *comparison) freeze(o Object, why *reason) {
	if refs := c.references(o, nil); len(refs) > 0 {
		c.freezeAll(refs, why)
	}
}

func (c *comparison) freezeAll(stack []Ref, why *reason) {
	for len(stack) > 0 {
		n := stack[len(stack)-1].Number
		stack = stack[:len(stack)-1]
		if r := c.roles[n]; r == rolePage || r != roleNone && !why.absolute {
			continue
		}
		if n > maxObjectID || c.seen.has(n) || !why.absolute && c.loose.has(n) {
			continue
		}
		if why.absolute {
			c.seen.add(n)
		} else {
			c.loose.add(n)
		}
		if c.new.meter.Nodes(2) != nil {
			return
		}
		refs, changed := c.inspect(n)
		if changed {
			c.blame(why, Ref{Number: n})
		}
		stack = append(stack, refs...)
	}
}

func (c *comparison) blame(why *reason, object Ref) {
	if why.once && why.told {
		return
	}
	why.told = true
	change := why.Change
	change.Object = object
	if why.grows {
		c.structure(&change)
	}
	c.add(change)
}

// references lists the references inside a value.
func (c *comparison) references(o Object, to []Ref) []Ref {
	switch o := o.(type) {
	case Ref:
		return append(to, o)
	case Array:
		for _, v := range o {
			to = c.references(v, to)
		}
	case Dict:
		for _, k := range c.keys(o, nil) {
			to = c.references(o[k], to)
		}
	case *Stream:
		return c.references(o.Dict, to)
	}
	return to
}

// inspect lists what an object of the signed revision refers to and tells whether it reads otherwise now. An entry
// that stayed says the same only where the object lay inside the signed bytes, all of it.
func (c *comparison) inspect(number int) (refs []Ref, changed bool) {
	before, there := c.old.lookup(number)
	after, still := c.new.lookup(number)
	if !there && !still {
		return nil, false
	}
	s, whole := c.old.skimObject(number, before, c.new)
	if there && still && whole && before == after && c.sameContainer(before) {
		return s.refs, false
	}
	return s.refs, !c.equal(number, before, after, there, still)
}

// sameContainer tells of an object in an object stream that this stream is the signed one.
func (c *comparison) sameContainer(e entry) bool {
	if e.kind != entryCompressed {
		return true
	}
	number := int(e.offset)
	if same, known := c.packed[number]; known {
		return same
	}
	c.packed[number] = false // while it is looked at
	before, ok1 := c.old.lookup(number)
	after, ok2 := c.new.lookup(number)
	s, whole := c.old.skimObject(number, before, c.new)
	same := ok1 && ok2 && whole && before == after
	for _, r := range s.refs { // its length or filter
		_, changed := c.inspect(r.Number)
		same = same && !changed
	}
	c.packed[number] = same
	return same
}

// equal reads both versions of an object. What can be read in one revision alone is another, and so is one of
// another generation, which is null for who compares generations.
func (c *comparison) equal(number int, before, after entry, there, still bool) bool {
	was, ok1 := c.old.read(number, before)
	now, ok2 := c.new.read(number, after)
	switch {
	case !there:
		return ok2 && now == nil
	case !still:
		return ok1 && was == nil
	case !ok1 || !ok2:
		return ok1 == ok2 && before == after
	}
	return before.generation == after.generation && !c.repeats(number) && c.same(was, now)
}

// read loads what an entry names; false where nothing can be read there.
func (d *Document) read(number int, e entry) (Object, bool) {
	o := d.load(number, e)
	return o.Object, o.size > 0
}

// same compares values. References are the same when they name the same object, or objects that say the same.
func (c *comparison) same(a, b Object) bool {
	if c.new.meter.Work(budget.Node/2) != nil {
		return false
	}
	r, ok1 := a.(Ref)
	s, ok2 := b.(Ref)
	switch {
	case ok1 && ok2 && r.Number == s.Number:
		return r.Generation == s.Generation
	case ok1 || ok2:
		return c.sameTarget(a, b)
	}
	switch a := a.(type) {
	case String:
		b, ok := b.(String) // a text that cannot be deciphered is another under another key
		return ok && a.Broken == b.Broken && a.sealed == b.sealed && bytes.Equal(a.Value, b.Value)
	case Array:
		b, ok := b.(Array)
		return ok && slices.EqualFunc(a, b, c.same)
	case Dict:
		b, ok := b.(Dict)
		return ok && c.sameDict(a, b, "")
	case Integer, Real:
		return a == b || sameNumber(a, b)
	case *Stream:
		b, ok := b.(*Stream)
		return ok && c.sameDict(a.Dict, b.Dict, "Length") && c.sameData(a, b)
	}
	switch b.(type) {
	case String, Array, Dict, *Stream:
		return false
	}
	return a == b // null, booleans, names and references
}

// sameTarget compares what two values lead to where at most one of them is no reference. Some producers write an
// object anew under another number.
func (c *comparison) sameTarget(a, b Object) bool {
	if c.depth++; c.depth > maxIndirection {
		c.depth--
		return false
	}
	defer func() { c.depth-- }()
	if r, ok := a.(Ref); ok {
		e, there := c.old.lookup(r.Number)
		if a, ok = c.old.read(r.Number, e); !there || !ok || e.generation != r.Generation {
			return false
		}
	}
	if r, ok := b.(Ref); ok {
		e, there := c.new.lookup(r.Number)
		if b, ok = c.new.read(r.Number, e); !there || !ok || e.generation != r.Generation || c.new.repeated[r.Number] {
			return false
		}
	}
	return a != nil && c.same(a, b)
}

// sameData compares the data of streams as they stand in the file. Where they are encrypted, that is enough under the
// key of one object alone: others are deciphered.
func (c *comparison) sameData(a, b *Stream) bool {
	x, err1 := c.old.locate(a.start, a.Dict["Length"])
	y, err2 := c.new.locate(b.start, b.Dict["Length"])
	if err1 != nil || err2 != nil || c.new.meter.Octets(int(x.end-x.start)) != nil {
		return false
	}
	open := !c.old.Encrypted() && !c.new.Encrypted()
	if (open || a.ref == b.ref) && (x == y || bytes.Equal(c.old.data[x.start:x.end], c.new.data[y.start:y.end])) {
		return true
	}
	return !open && c.sameCleartext(a, b, x, y)
}

func (c *comparison) sameCleartext(a, b *Stream, x, y extent) bool {
	was, err1 := c.old.cleartext(a, x)
	now, err2 := c.new.cleartext(b, y)
	return err1 == nil && err2 == nil && bytes.Equal(was, now)
}

// sameNumber compares numbers by what they say: 612 and 612.0 are written by different producers. What is no number is
// the same as nothing.
func sameNumber(a, b Object) bool {
	if x, ok := a.(Integer); ok {
		if y, ok := b.(Integer); ok {
			return x == y
		}
	}
	if f, ok := nearly(a); ok {
		if g, ok := nearly(b); ok && f != g {
			return false // rounded alike, different numbers alone come out different
		}
	}
	x, ok1 := number(a)
	y, ok2 := number(b)
	return ok1 && ok2 && x.Cmp(y) == 0
}

// nearly is a number, rounded.
func nearly(o Object) (float64, bool) {
	switch o := o.(type) {
	case Integer:
		return float64(o), true
	case Real:
		f, err := strconv.ParseFloat(string(o), 64)
		return f, err == nil
	}
	return 0, false
}

// number reads a number exactly.
func number(o Object) (*big.Rat, bool) {
	switch o := o.(type) {
	case Integer:
		return new(big.Rat).SetInt64(int64(o)), true
	case Real:
		return new(big.Rat).SetString(string(o))
	}
	return nil, false
}

// sameDict compares all keys but one. A key with the value null is as good as none.
func (c *comparison) sameDict(a, b Dict, except Name) bool {
	for _, k := range c.keys(a, b) {
		if _, version := b[k].(String); k == "ITXT" && version && a[k] == nil {
			continue // an editor's mark
		}
		if k != except && !c.same(a[k], b[k]) {
			return false
		}
	}
	return true
}
