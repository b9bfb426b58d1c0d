package pdf

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// strays looks at the bytes behind the signed revision for what the cross references do not name. A program that
// does not trust them searches the file for objects: it would show what nobody else sees.
func (c *comparison) strays() {
	d := c.new
	if c.from >= int64(len(d.data)) || d.rebuilt != nil {
		return // all objects were searched for: what differs was told
	}
	if n := len(d.revisions); d.revisions[n-1].End < int64(len(d.data)) {
		c.add(Change{Kind: ChangeOther, Harmless: true, What: fmt.Sprintf(
			"%d bytes follow that are no update of the document", int64(len(d.data))-d.revisions[n-1].End)})
	}
	last := map[int]int64{} // where the object of a number begins that a search of the file finds last
	for pos := c.from; ; {
		if d.meter.Work(probeSection) != nil {
			return
		}
		next := indexFrom(d.data, "obj", pos)
		c.strayTrailer(pos, next)
		if next == int64(len(d.data)) {
			break
		}
		pos = next + int64(len("obj"))
		header, at, ok := headerBefore(d.data[c.from:], int(next-c.from))
		if !ok {
			continue
		}
		start := c.from + int64(at)
		if !d.known(header, start) {
			c.searched(header) // also what hides in another's stream or string
			continue
		}
		if _, found := last[header.Number]; !found && d.meter.Hold(holdNode) != nil {
			return
		}
		last[header.Number] = start
	}
	for _, number := range slices.Sorted(maps.Keys(last)) {
		if d.supersedes(number, last[number]) {
			c.searched(Ref{Number: number})
		}
	}
}

// searched tells of an object that programs show which search the file for objects.
func (c *comparison) searched(object Ref) {
	c.add(Change{Kind: ChangeOther, Object: object, What: fmt.Sprintf(
		"object %d lies in the file where the cross references do not name it: programs that search for objects show it", object.Number)})
}

// supersedes tells whether the cross references name another object than the one that lies last in the file, in a place
// that a search of the file would not prefer.
func (d *Document) supersedes(number int, start int64) bool {
	e, ok := d.lookup(number)
	if !ok || e.kind == entryFree || d.isSection(start) {
		return false // what is free is not reached, or its absence was told
	}
	if e.kind == entryCompressed {
		container, _ := d.lookup(int(e.offset))
		return container.kind != entryOffset || container.offset < start
	}
	return e.offset > start || len(bytes.TrimLeft(d.data[e.offset:start], "\r\n\t\f\x00 ")) != 0
}

// isSection tells whether a cross-reference stream begins there.
func (d *Document) isSection(start int64) bool {
	return slices.ContainsFunc(d.sections, func(s *section) bool {
		return s.stream && s.at == start || s.hybrid != nil && s.hybrid.at == start
	})
}

// known tells whether a cross reference names the object that begins at start.
func (d *Document) known(header Ref, start int64) bool {
	for _, s := range d.sections {
		if d.meter.Work(probeSection) != nil {
			return true
		}
		e, there := s.lookup(header.Number, d.base)
		named := there && e.kind == entryOffset && e.generation == header.Generation &&
			e.offset <= start && len(bytes.TrimLeft(d.data[e.offset:start], "\r\n\t\f\x00 ")) == 0
		if named {
			return true
		}
	}
	return d.isSection(start)
}

// strayTrailer finds a trailer that belongs to no cross reference and names another catalog.
func (c *comparison) strayTrailer(from, to int64) {
	const keyword = "trailer"
	d := c.new
	for at := from; ; at += int64(len(keyword)) {
		i := bytes.Index(d.data[min(at, to):to], []byte(keyword))
		if d.meter.Octets(int(max(to-at, 0))) != nil || i < 0 {
			return
		}
		at += int64(i)
		inside := func(s *section) bool { // its own trailer, and none that stands in a string of that
			return s.at <= at && at < s.end && bytes.Index(d.data[s.at:], []byte(keyword)) == int(at-s.at)
		}
		if slices.ContainsFunc(d.sections, inside) {
			continue
		}
		p := d.parser(d.data[at+int64(len(keyword)):], -1)
		o, err := p.object(0)
		t, ok := o.(Dict)
		if d.meter.spend(p) != nil {
			return
		}
		if err != nil || !ok || !c.same(t["Root"], d.trailer["Root"]) {
			c.add(Change{Kind: ChangeOther, What: "a trailer that belongs to no cross reference names another catalog"})
		}
	}
}
