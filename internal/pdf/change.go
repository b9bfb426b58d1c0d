package pdf

import (
	"bytes"
	"errors"
	"slices"
)

// ChangeKind tells what a later revision did. What of it is allowed depends on what was signed.
type ChangeKind int

// The kinds of changes.
const (
	ChangeStore       ChangeKind = iota + 1 // evidence came into the security store, or the catalog says that it is used
	ChangeTimestamp                         // a document time-stamp was added
	ChangeSignature                         // a further signature was added
	ChangeEmptyField                        // a signature field was added that nobody signed
	ChangeField                             // a field was filled in
	ChangeComment                           // a comment was added
	ChangeAnnotation                        // an annotation that was there is gone or another
	ChangeMetadata                          // dates and producer of the file
	ChangeStructure                         // new fields and annotations were put into the structure tree
	ChangeDescription                       // title, author, subject or keywords
	ChangePages                             // the number of pages
	ChangeContent                           // what a page shows
	ChangeLook                              // a field or its look was removed or replaced
	ChangeOther                             // anything else
)

// Change is one difference between a signed revision and the newest one.
type Change struct {
	Kind     ChangeKind
	Object   Ref    // zero where the change is in none
	Revision int    // index of the revision that did it last
	Page     int    // from 1, 0 where it is on none
	Field    string // full name of the field, "" where it is of none
	New      bool   // the field was not there before
	// Visible tells of a signature field that it shows something on the page, a rectangle that is not empty.
	Visible bool
	// Harmless tells of bytes that nobody takes for a part of the document.
	Harmless bool
	What     string // for a person
	// Named is how the file itself names what was changed: a key, a field, a kind of annotation; "" for nothing. Whoever
	// wrote the file chose it.
	Named string
}

// ChangesSince compares the document as it was at revision i with the newest one and lists what is different in
// whatever can be reached from the catalog, and what the bytes behind hold besides. It renders nothing: a change
// that cannot be seen counts as well. The error is that of the budget, or
// ErrPassword.
func (d *Document) ChangesSince(i int) ([]Change, error) {
	if i < 0 || i >= len(d.revisions) {
		return nil, errors.New("pdf: no such revision")
	}
	c := &comparison{
		old: d, new: d, from: d.revisions[i].End,
		roles: map[int]role{}, pageOf: map[int]int{}, added: map[int]int{}, packed: map[int]bool{},
	}
	if c.from < d.Size() {
		old, err := d.At(i)
		switch {
		case err == nil && old.Sealed():
			return nil, ErrPassword // nobody can tell what was signed
		case d.meter.Err() != nil:
			return nil, d.meter.Err()
		case errors.Is(err, errLimit):
			return nil, err
		case err != nil:
			c.add(Change{Kind: ChangeOther, What: "the signed revision cannot be read by itself"})
		default:
			if d.rebuilt != nil {
				_, _ = old.Fields() // what made the newest revision search for objects may lie in this one
			}
			c.old = old
			c.run()
		}
	}
	c.strays()
	if err := d.meter.Err(); err != nil {
		return nil, err
	}
	return c.changes, nil
}

// comparison holds the newest state of a document against a signed one.
//
// Whatever is reached from the signed catalog is frozen: it must read the same now. A few dictionaries and lists
// may change in ways that have rules of their own (role). What something is follows from how it is reached in the
// signed revision, never from the type that it claims, and what is reached in two ways is frozen by either.
type comparison struct {
	old, new *Document
	from     int64 // end of the signed revision
	changes  []Change

	leaves []leaf       // pages of the signed revision
	roles  map[int]role // by object of the signed revision
	pageOf map[int]int  // page of an annotation of the signed revision
	annots []Ref        // annotations of the signed revision that are no fields
	added  map[int]int  // annotations that are new on a page, with the page
	order  []newcomer   // the same, as they come
	seen   numbers      // frozen objects that were looked at for an absolute reason
	loose  numbers      // and for others
	depth  int          // of references that are compared
	worded bool         // a new element of the structure tree has words for an annotation
	held   int          // octets to be given back
	packed map[int]bool // object streams, and whether they are the signed ones
}

// role is what an object of the signed revision is for where it may change.
type role byte

const (
	roleNone role = iota
	rolePage
	roleField // of the form, or its widget
	roleAnnotation
	roleRoot // the catalog and the form
)

func (c *comparison) run() {
	c.foundation()
	c.collect()
	c.tree()
	for i, leaf := range c.leaves {
		c.page(leaf, i+1)
	}
	c.catalog()
	c.form(c.old.Catalog()["AcroForm"], c.new.Catalog()["AcroForm"])
	for _, a := range c.annots {
		c.annotation(a)
	}
	c.comments()
	c.description()
	c.store()
	c.new.meter.Release(c.held)
}

func (c *comparison) add(change Change) {
	if c.new.meter.Hold(holdNode*4) != nil {
		return
	}
	if change.Object.Number != 0 {
		change.Revision = c.new.revisionOf(change.Object.Number)
	} else {
		change.Revision = len(c.new.revisions) - 1
	}
	c.changes = append(c.changes, change)
}

// revisionOf is the revision that last wrote an object.
func (d *Document) revisionOf(number int) int {
	for _, s := range d.sections {
		if d.meter.Work(probeSection) != nil {
			break
		}
		if _, ok := s.lookup(number, d.base); !ok {
			continue
		}
		if i := slices.IndexFunc(d.revisions, func(r Revision) bool { return s.at < r.End }); i >= 0 {
			return i
		}
	}
	return len(d.revisions) - 1
}

// foundation compares what the objects are found by: trailers and cross references. Programs read odd ones in
// different ways, so an update has to be a plain one on top of what was signed.
func (c *comparison) foundation() {
	other := func(text string) { c.add(Change{Kind: ChangeOther, What: text}) }
	old, now := c.old.trailer, c.new.trailer
	if c.old.base != c.new.base {
		other("offsets count from another place")
	}
	root, _ := old["Root"].(Ref)
	if root != c.rootNumber() {
		other("another catalog is in force")
	}
	if !c.same(old["Encrypt"], now["Encrypt"]) {
		other("the encryption is another")
	}
	c.freeze(old["Encrypt"], &reason{Change: Change{Kind: ChangeOther, What: "the encryption"}})
	if c.old.Encrypted() && !c.same(first(c.old.Array(old["ID"])), first(c.new.Array(now["ID"]))) {
		other("the document has another identifier, and its encryption another key")
	}
	switch {
	case c.old.rebuilt == nil && c.new.rebuilt == nil:
		c.chain()
	case len(bytes.TrimSpace(c.new.data[c.from:])) > 0:
		other("the cross references are broken, and each program mends them in its own way")
	}
}

func first(a Array) Object {
	if len(a) == 0 {
		return nil
	}
	return a[0]
}

// chain demands that the cross references of the signed revision come right after those of the updates.
func (c *comparison) chain() {
	n := len(c.new.sections) - len(c.old.sections)
	same := func(a, b *section) bool { return a.at == b.at }
	if n < 0 || !slices.EqualFunc(c.old.sections, c.new.sections[max(n, 0):], same) {
		c.add(Change{Kind: ChangeOther, What: "the update does not build on the cross references that were signed"})
		return
	}
	c.alike(n)
	for i, s := range c.new.sections[:n] {
		switch {
		case s.at < c.from:
			c.add(Change{Kind: ChangeOther, What: "the update takes cross references from inside the signed bytes"})
		case s.hybrid != nil && c.disagrees(i), s.hybrid == nil && !s.stream && s.trailer["XRefStm"] != nil:
			c.add(Change{Kind: ChangeOther, What: "the update has two kinds of cross references, which say different things"})
		}
	}
}

// catalog compares what opens a document. Pages, form and store have rules of their own.
func (c *comparison) catalog() {
	number := c.rootNumber()
	was, now := c.old.Catalog(), c.new.Catalog()
	if root, _ := c.old.trailer["Root"].(Ref); !c.plain(root.Number) {
		c.add(Change{Kind: ChangeOther, Object: number, What: "the catalog cannot be read in one way alone"})
	}
	for _, k := range c.keys(was, now) {
		switch k {
		case "Pages", "AcroForm", "DSS", "Metadata", "Extensions":
			continue // tree, form, store, description
		case "Version":
			if v, ok := now[k].(Name); ok && v >= c.old.Name(was[k]) {
				continue
			}
		case "Perms":
			c.permissions(number, was[k], now[k])
			continue
		}
		kind := ChangeOther
		if k == "OCProperties" {
			kind = ChangeContent
		}
		change := Change{Kind: kind, Object: number, What: "an entry of the document was changed", Named: string(k)}
		if !c.same(was[k], now[k]) {
			c.add(change)
		}
		tagged := k == "StructTreeRoot"
		c.freeze(was[k], &reason{Change: change, absolute: !tagged && k != "Outlines", grows: tagged})
	}
}

// rootNumber is the object of the catalog.
func (c *comparison) rootNumber() Ref {
	r, _ := c.new.trailer["Root"].(Ref)
	return r
}

// permissions allows a certification to come where none was.
func (c *comparison) permissions(number Ref, before, after Object) {
	was, now := c.old.Dict(before), c.new.Dict(after)
	for _, k := range c.keys(was, now) {
		if was[k] == nil && k == "DocMDP" {
			continue
		}
		if !c.same(was[k], now[k]) {
			c.add(Change{Kind: ChangeOther, Object: number, What: "a permission was changed", Named: string(k)})
		}
		c.freeze(was[k], &reason{Change: Change{Kind: ChangeOther, What: "the permissions"}})
	}
}

// description compares the information about the document.
func (c *comparison) description() {
	was, now := c.old.Dict(c.old.trailer["Info"]), c.new.Dict(c.new.trailer["Info"])
	number, _ := c.new.trailer["Info"].(Ref)
	for _, k := range c.keys(was, now) {
		if c.same(was[k], now[k]) && !c.moved(was[k]) {
			continue
		}
		kind := ChangeDescription
		switch k {
		case "ModDate", "Producer", "CreationDate", "Creator", "Trapped":
			kind = ChangeMetadata
		}
		c.add(Change{Kind: kind, Object: number, What: "the description of the document was changed", Named: string(k)})
	}
	before, after := c.old.Catalog()["Metadata"], c.new.Catalog()["Metadata"]
	change := Change{Kind: ChangeMetadata, Object: c.rootNumber(), What: "the metadata of the document was changed"}
	if !c.same(before, after) {
		c.add(change)
		return
	}
	c.freeze(before, &reason{Change: change, once: true})
}

// moved tells whether a reference leads to something else now.
func (c *comparison) moved(o Object) bool {
	r, ok := o.(Ref)
	if !ok {
		return false
	}
	_, changed := c.inspect(r.Number)
	return changed
}

// store looks at the security store and at the extensions that announce it.
func (c *comparison) store() {
	was, now := c.old.Catalog(), c.new.Catalog()
	for _, k := range []Name{"DSS", "Extensions"} {
		change := Change{Kind: ChangeStore, Object: c.rootNumber(), What: "validation data was added"}
		if k != "DSS" {
			change.What = "the extensions that the document uses were changed"
		}
		if !c.same(was[k], now[k]) {
			c.add(change)
			continue
		}
		c.freeze(was[k], &reason{Change: change, once: true})
	}
}

// keys lists the keys of two dictionaries in their order.
func (c *comparison) keys(a, b Dict) []Name {
	if c.new.meter.Nodes(4*len(a)+len(b)) != nil {
		return nil
	}
	all := make([]Name, 0, len(a)+len(b))
	for k := range a {
		all = append(all, k)
	}
	for k := range b {
		if _, there := a[k]; !there {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	return all
}

// disagrees tells whether the stream of a hybrid section says of an object that was signed what the table, which
// other programs read, does not say.
func (c *comparison) disagrees(i int) bool {
	s := c.new.sections[i]
	table := *s
	table.hybrid = nil
	without := *c.new
	without.sections = slices.Concat([]*section{&table}, c.new.sections[i+1:])
	for _, sub := range s.hybrid.subsections {
		for k := range sub.count {
			n := sub.first + k
			e, _ := s.hybrid.lookup(n, c.new.base)
			if _, signed := c.old.lookup(n); !signed || e.kind == entryFree {
				continue
			}
			if other, _ := without.lookup(n); other != e || c.new.meter.Err() != nil {
				return true
			}
		}
	}
	return false
}

// plain tells that an object which may change is still a dictionary that everybody reads alike.
func (c *comparison) plain(number int) bool {
	if _, changed := c.inspect(number); !changed {
		return true
	}
	_, ok1 := c.old.peek(number).(Dict)
	_, ok2 := c.new.peek(number).(Dict)
	return ok1 && ok2 && !c.repeats(number)
}

// entries are those of a dictionary or of a stream's.
func entries(o Object) Dict {
	if s, ok := o.(*Stream); ok {
		return s.Dict
	}
	d, _ := o.(Dict)
	return d
}

// repeats tells whether the newest version of an object holds a key twice, and the signed one does not: programs
// choose differently between the two.
func (c *comparison) repeats(number int) bool {
	c.new.peek(number)
	c.old.peek(number)
	return c.new.repeated[number] && !c.old.repeated[number]
}
