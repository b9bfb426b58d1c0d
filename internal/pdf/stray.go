package pdf

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
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
			c.mangled(next)
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
		c.brings(header.Number, start, last)
	}
	for _, number := range slices.Sorted(maps.Keys(last)) {
		if c.supersedes(number, last[number]) {
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
// that a search of the file would not prefer, or none where the signed revision refers to one.
func (c *comparison) supersedes(number int, start int64) bool {
	d := c.new
	e, ok := d.lookup(number)
	switch {
	case d.isSection(start):
		return false
	case !ok:
		return c.seen.has(number) || c.loose.has(number) || c.roles[number] != roleNone
	case e.kind == entryCompressed:
		container, _ := d.lookup(int(e.offset))
		return container.kind != entryOffset || container.offset < start
	}
	return e.offset > start || len(bytes.TrimLeft(d.data[e.offset:start], "\r\n\t\f\x00 ")) != 0
}

// brings looks at what an object of an update brings to a program that searches the file: an object stream its members,
// a cross-reference stream the catalog that it names.
func (c *comparison) brings(number int, start int64, last map[int]int64) {
	d := c.new
	o, err := d.objectAt(start, false)
	stream, ok := o.Object.(*Stream)
	if err != nil || !ok || d.isSection(start) {
		return
	}
	kind := d.Name(stream.Dict["Type"])
	leads := kind == "XRef" && stream.Dict["Root"] != nil && !c.saysNothingNew(stream.Dict)
	if leads || d.repeated[number] && structural.Match(d.data[start:stream.start]) {
		c.add(Change{Kind: ChangeOther, Object: Ref{Number: number}, What: "programs that search for cross references may take a stream for some"})
		return
	}
	if where, err := d.locate(stream.start, stream.Dict["Length"]); err == nil && d.shorter(stream, where) {
		c.add(Change{Kind: ChangeOther, Object: Ref{Number: number}, What: "programs see different ends of a stream"})
	}
	if kind != "ObjStm" {
		return
	}
	content, err := d.readObjectStream(stream)
	if err != nil {
		c.add(Change{Kind: ChangeOther, Object: Ref{Number: number}, What: "an object stream cannot be read"})
		return
	}
	for i, n := range content.numbers {
		if !d.listed(n, entry{kind: entryCompressed, offset: int64(number), index: i}) {
			c.searched(Ref{Number: n})
		}
		last[n] = start
	}
}

// shorter tells of a stream that its Length is not that of its data.
func (d *Document) shorter(s *Stream, where extent) bool {
	n, ok := d.Integer(s.Dict["Length"])
	return !ok || n != where.end-where.start
}

// structural finds the types that may be those of a stream which holds a key twice.
var structural = regexp.MustCompile(`ObjStm|XRef|#`)

// listed tells whether a cross reference has an entry.
func (d *Document) listed(number int, want entry) bool {
	for _, s := range d.sections {
		if d.meter.Work(probeSection) != nil {
			return true
		}
		if e, ok := s.lookup(number, d.base); ok && e == want {
			return true
		}
	}
	return false
}

// mangled tells of a keyword obj at an offset before which stand two numbers that only some programs take for those of
// an object: with comments around them, signs or points.
func (c *comparison) mangled(at int64) {
	data := c.new.data[c.from:at]
	end := len(data)
	for field := range 2 {
		i := c.beforeGap(data[:end])
		if i == end && field == 1 {
			return
		}
		end = len(bytes.TrimRight(data[:i], "0123456789+-."))
		if end == i {
			return
		}
	}
	c.add(Change{Kind: ChangeOther, What: "an object begins in a way that only some programs read"})
}

// beforeGap is where the white space and the comments begin that stand at the end of the data.
func (c *comparison) beforeGap(data []byte) int {
	for {
		i := len(bytes.TrimRight(data, "\r\n\t\v\f\x00 "))
		line := bytes.LastIndexAny(data[:i], "\r\n") + 1
		if !bytes.ContainsAny(data[i:], "\r\n") || c.new.meter.Octets(len(data)-line) != nil {
			return i
		}
		comment := bytes.IndexByte(data[line:i], '%')
		if comment < 0 {
			return i
		}
		data = data[:line+comment]
	}
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
			return !s.stream && s.at <= at && at < s.end && bytes.Index(d.data[s.at:], []byte(keyword)) == int(at-s.at)
		}
		if slices.ContainsFunc(d.sections, inside) {
			continue
		}
		p := d.parser(d.data[at+int64(len(keyword)):], -1)
		if p.skipSpace(); !bytes.HasPrefix(p.data[p.pos:], []byte("<<")) {
			continue // a word
		}
		o, err := p.object(0)
		t, ok := o.(Dict)
		if d.meter.spend(p) != nil {
			return
		}
		if err != nil || !ok || p.repeated || !c.saysNothingNew(t) {
			c.add(Change{Kind: ChangeOther, What: "a trailer that belongs to no cross reference names another catalog"})
		}
	}
}

// saysNothingNew tells of a trailer, or of a cross-reference stream's dictionary, that it leads a program which finds it
// where the document's own leads.
func (c *comparison) saysNothingNew(trailer Dict) bool {
	own := c.new.trailer
	return c.names(trailer) && c.same(trailer["Encrypt"], own["Encrypt"]) &&
		(trailer["Info"] == nil || c.same(trailer["Info"], own["Info"])) &&
		(own["Encrypt"] == nil || c.same(first(c.new.Array(trailer["ID"])), first(c.new.Array(own["ID"]))))
}
