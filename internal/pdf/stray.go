package pdf

import (
	"bytes"
	"fmt"
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
	for pos := c.from; ; {
		if d.meter.Work(probeSection) != nil {
			return
		}
		next := indexFrom(d.data, "obj", pos)
		c.strayTrailer(pos, next)
		if next == int64(len(d.data)) {
			return
		}
		pos = next + int64(len("obj"))
		header, start, ok := headerBefore(d.data[c.from:], int(next-c.from))
		if !ok {
			continue
		}
		end, known := d.known(header, c.from+int64(start), pos)
		if !known {
			c.add(Change{Kind: ChangeOther, Object: header, What: fmt.Sprintf(
				"object %d lies in the file and in no cross reference: programs that search for objects show it", header.Number)})
		}
		pos = max(pos, end)
	}
}

// known tells whether a cross reference names the object that begins at start, and where it ends.
func (d *Document) known(header Ref, start, after int64) (end int64, ok bool) {
	for _, s := range d.sections {
		if d.meter.Work(probeSection) != nil {
			return after, true
		}
		e, there := s.lookup(header.Number, d.base)
		named := there && e.kind == entryOffset && e.generation == header.Generation &&
			e.offset <= start && len(bytes.TrimLeft(d.data[e.offset:start], "\r\n\t\f\x00 ")) == 0
		if named || s.stream && s.at == start || s.hybrid != nil && s.hybrid.at == start {
			return d.objectEnd(after), true
		}
	}
	return after, false
}

// objectEnd is where the object ends whose keyword obj lies before a position, a stream's data included.
func (d *Document) objectEnd(at int64) int64 {
	p := d.parser(d.data[at:], at)
	var s skimmed
	err := p.skim(&s)
	end := at + int64(p.pos)
	if err == nil && p.keyword("stream") {
		if data, err := d.locate(at+int64(p.endOfLine()), s.length); err == nil {
			end = data.end
		}
	}
	_ = d.meter.spend(p)
	return end
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
		inside := func(s *section) bool { return s.at <= at && at < s.end }
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
