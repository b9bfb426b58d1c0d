package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// ChangeKind tells how far a change goes (ISO 32000-2 12.8.2.2). Each kind includes the ones before it
// in what a certification may allow.
type ChangeKind int

// The kinds of changes. Security stores, document time-stamps, further signatures and metadata are no
// changes in this sense.
const (
	ChangeForm       ChangeKind = iota + 1 // a form field was filled in or changed its look
	ChangeAnnotation                       // annotations were added, changed or removed
	ChangeContent                          // anything else: pages, content, resources, the catalog
)

// Change is one difference between a signed revision and the newest one.
type Change struct {
	Kind   ChangeKind
	Object int    // number of the object
	What   string // for a person
}

// maxChanged limits the objects that are compared.
const maxChanged = 1 << 16

// ChangesSince compares the document as it was at revision i with the newest revision, object by
// object: objects that existed then and say something else now. It renders nothing, so a change that
// cannot be seen counts as well.
func (d *Document) ChangesSince(i int) ([]Change, error) {
	if i == len(d.revisions)-1 {
		return nil, nil
	}
	if d.rebuilt != nil {
		return nil, errors.New("pdf: revisions without cross references cannot be compared")
	}
	old, err := d.At(i)
	if err != nil {
		return nil, err
	}
	if old.rebuilt != nil {
		return nil, errors.New("pdf: the signed revision cannot be read by itself")
	}
	numbers, err := d.touchedSince(d.revisions[i].End)
	if err != nil {
		return nil, err
	}
	c := comparison{old: old, new: d, roles: rolesOf(old)}
	if a, b := old.PageCount(), d.PageCount(); a != b {
		c.add(ChangeContent, 0, fmt.Sprintf("the document had %d pages and has %d", a, b))
	}
	for _, n := range numbers {
		if c.object(n); d.budget.scan <= 0 {
			return nil, errLimit
		}
	}
	if old.trailer["Root"] != d.trailer["Root"] {
		c.add(ChangeContent, 0, "another catalog is in force")
	}
	return c.changes, nil
}

// PageCount returns the number of pages that the page tree claims.
func (d *Document) PageCount() int64 {
	n, _ := d.Integer(d.Dict(d.Catalog()["Pages"])["Count"])
	return n
}

// touchedSince lists the objects that have an entry in a cross-reference section at or behind an offset.
func (d *Document) touchedSince(offset int64) ([]int, error) {
	touched := map[int]bool{}
	for _, s := range d.sections {
		for _, t := range []*section{s, s.hybrid} {
			if t == nil || t.at < offset {
				continue
			}
			for _, sub := range t.subsections {
				if len(touched)+sub.count > maxChanged {
					return nil, errLimit
				}
				for k := range sub.count {
					touched[sub.first+k] = true
				}
			}
		}
	}
	delete(touched, 0)
	return slices.Sorted(maps.Keys(touched)), nil
}

// role is what an object was for in the signed revision.
type role byte

const (
	roleOther role = iota
	roleCatalog
	roleForm
	roleFieldList // the array of the form's fields, or of a field's kids
	roleField
	roleSignatureField
	roleSignature  // the dictionary that a signed field names
	roleAppearance // of a field
	roleStore      // in the security store
	roleMetadata
)

// rolesOf walks the parts of a document that later revisions change as a rule.
func rolesOf(d *Document) map[int]role {
	roles := map[int]role{}
	set := func(o Object, r role) {
		if ref, ok := o.(Ref); ok && roles[ref.Number] == roleOther {
			roles[ref.Number] = r
		}
	}
	root := d.Catalog()
	set(d.trailer["Root"], roleCatalog)
	set(d.trailer["Info"], roleMetadata)
	set(root["Metadata"], roleMetadata)
	set(root["AcroForm"], roleForm)
	form := d.Dict(root["AcroForm"])
	set(form["Fields"], roleFieldList)
	budget := maxFields
	for _, f := range d.Array(form["Fields"]) {
		d.fieldRoles(f, "", set, &budget, 0)
	}
	d.reach(root["DSS"], roleStore, set, &budget, 0)
	return roles
}

func (d *Document) fieldRoles(o Object, fieldType Name, set func(Object, role), budget *int, depth int) {
	if *budget--; *budget < 0 || depth > maxTreeDepth {
		return
	}
	dict := d.Dict(o)
	if t := d.Name(dict["FT"]); t != "" {
		fieldType = t
	}
	if fieldType == "Sig" {
		set(o, roleSignatureField)
		set(dict["V"], roleSignature)
	} else {
		set(o, roleField)
		set(dict["V"], roleField)
	}
	set(dict["Kids"], roleFieldList)
	d.reach(dict["AP"], roleAppearance, set, budget, depth)
	for _, kid := range d.Array(dict["Kids"]) {
		d.fieldRoles(kid, fieldType, set, budget, depth+1)
	}
}

// reach gives a role to everything below an object.
func (d *Document) reach(o Object, r role, set func(Object, role), budget *int, depth int) {
	if *budget--; *budget < 0 || depth > maxTreeDepth {
		return
	}
	set(o, r)
	switch o := d.Resolve(o).(type) {
	case Array:
		for _, v := range o {
			d.reach(v, r, set, budget, depth+1)
		}
	case Dict:
		for _, v := range o {
			d.reach(v, r, set, budget, depth+1)
		}
	}
}

type comparison struct {
	old, new *Document
	roles    map[int]role
	changes  []Change
}

func (c *comparison) add(kind ChangeKind, object int, what string) {
	if len(c.changes) < 256 {
		c.changes = append(c.changes, Change{kind, object, what})
	}
}

// object compares one object. New ones count only through the old ones that came to name them.
func (c *comparison) object(n int) {
	before := c.old.object(Ref{Number: n})
	after := c.new.object(Ref{Number: n})
	if before == nil || c.same(before, after) || structural(before) {
		return
	}
	switch c.roles[n] {
	case roleCatalog:
		c.catalog(n, before, after)
	case roleForm:
		c.form(n, before, after)
	case roleFieldList:
		c.fieldList(n, before, after)
	case roleSignatureField:
		c.signatureField(n, before, after)
	case roleSignature:
		c.add(ChangeContent, n, "a signature dictionary was replaced")
	case roleField, roleAppearance:
		c.add(ChangeForm, n, fmt.Sprintf("form field, object %d", n))
	case roleStore, roleMetadata:
	default:
		c.other(n, before, after)
	}
}

// structural recognises the streams that hold cross references and other objects.
func structural(o Object) bool {
	s, ok := o.(*Stream)
	return ok && (s.Dict["Type"] == Name("XRef") || s.Dict["Type"] == Name("ObjStm"))
}

func (c *comparison) catalog(n int, before, after Object) {
	for _, k := range c.changedKeys(before, after) {
		switch k {
		case "DSS", "Extensions", "Version", "Metadata", "Perms", "Type":
		case "AcroForm":
			old, now := c.old.Dict(before.(Dict)[k]), c.new.Dict(dictOf(after)[k])
			if old != nil {
				c.form(n, old, now)
			}
		default:
			c.add(ChangeContent, n, fmt.Sprintf("%s of the catalog", k))
		}
	}
}

func (c *comparison) form(n int, before, after Object) {
	for _, k := range c.changedKeys(before, after) {
		switch k {
		case "SigFlags", "DR", "DA", "NeedAppearances":
		case "Fields":
			c.fieldList(n, c.old.Resolve(dictOf(before)[k]), c.new.Resolve(dictOf(after)[k]))
		default:
			c.add(ChangeContent, n, fmt.Sprintf("%s of the form", k))
		}
	}
}

// fieldList allows new signature fields behind or among the old ones.
func (c *comparison) fieldList(n int, before, after Object) {
	old, _ := before.(Array)
	now, _ := after.(Array)
	if len(c.missing(old, now)) > 0 {
		c.add(ChangeContent, n, "a form field was removed")
	}
	for _, f := range c.missing(now, old) {
		if c.new.Name(c.new.Dict(f)["FT"]) != "Sig" {
			c.add(ChangeContent, n, "a form field was added")
		}
	}
}

// missing returns the members of a that b does not have. References are looked up; the few direct
// objects are compared.
func (c *comparison) missing(a, b Array) Array {
	refs := map[Ref]bool{}
	var direct Array
	for _, o := range b {
		if r, ok := o.(Ref); ok {
			refs[r] = true
		} else {
			direct = append(direct, o)
		}
	}
	var out Array
	for _, o := range a {
		if r, ok := o.(Ref); ok {
			if !refs[r] {
				out = append(out, o)
			}
			continue
		}
		if !slices.ContainsFunc(direct, func(d Object) bool { return c.same(o, d) }) {
			out = append(out, o)
		}
		if c.new.budget.scan <= 0 {
			break
		}
	}
	return out
}

// signatureField allows an empty field to be signed.
func (c *comparison) signatureField(n int, before, after Object) {
	was := dictOf(before)
	if c.old.Dict(was["V"]) != nil {
		for _, k := range c.changedKeys(before, after) {
			if k == "V" {
				c.add(ChangeContent, n, "the value of a signed field was replaced")
			} else {
				c.add(ChangeForm, n, fmt.Sprintf("%s of a signed field", k))
			}
		}
		return
	}
	for _, k := range c.changedKeys(before, after) {
		switch k {
		case "V", "AP", "M", "F", "Lock", "SV", "DA", "MK", "Type", "P", "Rect":
		default:
			c.add(ChangeForm, n, fmt.Sprintf("%s of a signature field", k))
		}
	}
}

// other looks at pages, annotations, lists of annotations, and the rest.
func (c *comparison) other(n int, before, after Object) {
	was, now := dictOf(before), dictOf(after)
	switch {
	case was["Type"] == Name("Page") && now["Type"] == Name("Page"):
		for _, k := range c.changedKeys(before, after) {
			switch k {
			case "Annots":
				c.annotations(n, c.old.Resolve(was[k]), c.new.Resolve(now[k]))
			case "LastModified", "Tabs":
			default:
				c.add(ChangeContent, n, fmt.Sprintf("%s of a page", k))
			}
		}
	case was["Type"] == Name("Annot") || was["Subtype"] != nil && was["Rect"] != nil:
		c.add(ChangeAnnotation, n, "an annotation was changed")
	case c.isAnnotationList(before) && c.isAnnotationList(after):
		c.annotations(n, before, after)
	case was["Type"] == Name("DSS") || was["Type"] == Name("VRI"):
	default:
		c.add(ChangeContent, n, describe(n, was))
	}
}

func describe(n int, was Dict) string {
	if t, ok := was["Type"].(Name); ok {
		return fmt.Sprintf("object %d (%s)", n, t)
	}
	return fmt.Sprintf("object %d", n)
}

// isAnnotationList guesses from the members what an array is for.
func (c *comparison) isAnnotationList(o Object) bool {
	a, ok := o.(Array)
	for _, v := range a {
		dict := c.new.Dict(v)
		if dict == nil {
			dict = c.old.Dict(v)
		}
		if dict["Subtype"] == nil || dict["Rect"] == nil {
			return false
		}
	}
	return ok
}

// annotations allows the widgets of new signature fields.
func (c *comparison) annotations(n int, before, after Object) {
	old, _ := before.(Array)
	now, _ := after.(Array)
	if len(c.missing(old, now)) > 0 {
		c.add(ChangeAnnotation, n, "an annotation was removed")
	}
	for _, f := range c.missing(now, old) {
		dict := c.new.Dict(f)
		parent := c.new.Dict(dict["Parent"])
		if c.new.Name(dict["FT"]) != "Sig" && c.new.Name(parent["FT"]) != "Sig" {
			c.add(ChangeAnnotation, n, "an annotation was added")
		}
	}
}

// changedKeys lists the keys whose values differ.
func (c *comparison) changedKeys(before, after Object) []Name {
	was, now := dictOf(before), dictOf(after)
	keys := map[Name]bool{}
	for k, v := range was {
		keys[k] = !c.same(v, now[k])
	}
	for k, v := range now {
		keys[k] = !c.same(was[k], v)
	}
	maps.DeleteFunc(keys, func(_ Name, changed bool) bool { return !changed })
	return slices.Sorted(maps.Keys(keys))
}

func dictOf(o Object) Dict {
	switch o := o.(type) {
	case Dict:
		return o
	case *Stream:
		return o.Dict
	}
	return nil
}

// same compares values; references are the same when they name the same object.
func (c *comparison) same(a, b Object) bool {
	if c.new.budget.scan -= 16; c.new.budget.scan <= 0 {
		return false // ChangesSince fails then
	}
	switch a := a.(type) {
	case String:
		b, ok := b.(String)
		return ok && bytes.Equal(a.Value, b.Value)
	case Array:
		b, ok := b.(Array)
		return ok && slices.EqualFunc(a, b, c.same)
	case Dict:
		b, ok := b.(Dict)
		return ok && c.sameDict(a, b)
	case Integer, Real:
		x, ok1 := number(a)
		y, ok2 := number(b)
		return ok1 && ok2 && x == y // 612 and 612.0 are written by different producers
	case *Stream:
		b, ok := b.(*Stream)
		if !ok || !c.sameDict(a.Dict, b.Dict) {
			return false
		}
		x, err1 := c.old.raw(a)
		y, err2 := c.new.raw(b)
		c.new.budget.scan -= int64(min(len(x), len(y)) / 8) // comparing is cheaper than parsing
		return err1 == nil && err2 == nil && bytes.Equal(x, y)
	}
	switch b.(type) {
	case String, Array, Dict, *Stream:
		return false
	}
	return a == b // null, booleans, names and references
}

func number(o Object) (float64, bool) {
	switch o := o.(type) {
	case Integer:
		return float64(o), true
	case Real:
		f, err := strconv.ParseFloat(string(o), 64)
		return f, err == nil
	}
	return 0, false
}

func (c *comparison) sameDict(a, b Dict) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		w, ok := b[k]
		if !ok || !c.same(v, w) {
			return false
		}
	}
	return true
}
