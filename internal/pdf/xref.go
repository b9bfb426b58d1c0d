package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
)

type entryKind byte

const (
	entryFree entryKind = iota
	entryOffset
	entryCompressed
)

// entry says where an object lies: at an offset of the file, or in the object stream number offset at index.
type entry struct {
	kind   entryKind
	offset int64
	index  int
	// generation of an object that lies at an offset.
	generation int
}

// section is one cross-reference section: what one update of the file wrote.
type section struct {
	at          int64 // offset of the keyword xref or of the stream object
	end         int64 // first byte after the trailer or the stream's dictionary
	whole       int64 // first byte after all that was read: a view that ends before has another section
	stream      bool
	shifted     bool // the table counted from 1, and was taken to count from 0
	subsections []subsection
	hybrid      *section // cross-reference stream of a hybrid file (XRefStm)
	trailer     Dict
}

// subsection holds the entries of consecutive objects as they stand in the file, read on demand: a
// table of millions of lines costs nothing until it is asked.
type subsection struct {
	first, count int
	rows         []byte
	width        int    // bytes of a row
	fields       [3]int // widths of the fields of a cross-reference stream, all 0 for a table
}

// readSections follows the chain of cross-reference sections from the newest to the oldest.
func (d *Document) readSections() error {
	next, err := d.startXref(d.data, tailWindow)
	if err != nil {
		return err
	}
	seen := map[int64]bool{}
	for {
		if len(d.sections) >= maxRevisions {
			return errLimit
		}
		if seen[next] {
			d.problem("the chain of cross references runs in a circle")
			break
		}
		seen[next] = true
		s, known := d.meter.sections[next]
		if !known || s.whole > int64(len(d.data)) {
			if s, err = d.readSection(next); err != nil {
				return err
			}
			d.meter.sections[next] = s
		}
		d.sections = append(d.sections, s)
		prev, ok := d.trailerOffset(s.trailer["Prev"])
		if ok && prev == d.base { // some producers write Prev 0 for none
			if size, _ := s.trailer["Size"].(Integer); s.count() >= int(size) {
				break
			}
			if prev, err = d.startXref(d.data[:s.at], int(s.at)); err != nil || d.meter.Octets(int(s.at)) != nil {
				return errors.New("pdf: the chain of cross references ends before the first")
			}
			d.problem("the chain of cross references has a gap")
		}
		if !ok {
			break
		}
		next = prev
	}
	d.trailer = d.sections[0].trailer
	if d.trailer["Root"] == nil {
		return errors.New("pdf: the trailer has no Root")
	}
	return d.openTrailer()
}

// openTrailer opens what a trailer leads to: the encryption and the catalog. A document that cannot be deciphered is
// open where its catalog lies open.
func (d *Document) openTrailer() error {
	sealed := d.openEncryption()
	if sealed != nil {
		d.problem("%v", sealed)
	}
	switch {
	case d.Catalog() != nil:
		return nil
	case sealed != nil:
		return sealed
	}
	return errors.New("pdf: the catalog cannot be read")
}

// trailerOffset reads an offset of a trailer. Some producers write it as a real number.
func (d *Document) trailerOffset(o Object) (int64, bool) {
	switch o := o.(type) {
	case Integer:
		return int64(o) + d.base, o >= 0
	case Real:
		var n int64
		if _, err := fmt.Sscanf(string(o), "%d", &n); err == nil && n >= 0 {
			return n + d.base, true
		}
	}
	return 0, false
}

// tailWindow is where the last startxref stands: readers look for %%EOF in the last 1024 bytes, and some files carry
// more behind it.
const tailWindow = 2048

// startXref finds the offset that the last startxref of some data names.
func (d *Document) startXref(data []byte, window int) (int64, error) {
	tail := data[max(0, len(data)-window):]
	i := bytes.LastIndex(tail, []byte("startxref"))
	if i < 0 {
		return 0, errors.New("pdf: no startxref at the end")
	}
	p := d.parser(tail, -1)
	p.pos = i + len("startxref")
	n, ok := p.unsigned()
	if !ok {
		return 0, errors.New("pdf: startxref has no offset")
	}
	if d.base > 0 && !d.xrefAt(n+d.base) && d.xrefAt(n) {
		d.base = 0 // offsets count from the first byte of the file after all
	}
	return n + d.base, nil
}

// xrefAt tells whether a cross-reference section seems to begin at an offset.
func (d *Document) xrefAt(at int64) bool {
	if at < 0 || at >= int64(len(d.data)) {
		return false
	}
	p := d.parser(d.data[at:min(int64(len(d.data)), at+64)], -1)
	if p.keyword("xref") {
		return true
	}
	_, ok1 := p.unsigned()
	_, ok2 := p.unsigned()
	return ok1 && ok2 && p.keyword("obj")
}

func (d *Document) readSection(at int64) (*section, error) {
	if at < 0 || at >= int64(len(d.data)) {
		return nil, errors.New("pdf: a cross-reference offset lies outside the file")
	}
	p := d.parser(d.data[at:], at)
	if !p.keyword("xref") {
		return d.readXrefStream(at)
	}
	s, err := d.readTable(p, at)
	if spent := d.meter.spend(p); spent != nil {
		return nil, spent
	}
	if err != nil {
		return nil, err
	}
	if hybrid, ok := d.trailerOffset(s.trailer["XRefStm"]); ok {
		if s.hybrid, err = d.readXrefStream(hybrid); err != nil {
			d.problem("the cross-reference stream of a hybrid file cannot be read")
		} else {
			s.whole = max(s.whole, s.hybrid.whole)
		}
	}
	return s, nil
}

// readTable reads the subsections after the keyword xref, and the trailer.
func (d *Document) readTable(p *parser, at int64) (*section, error) {
	s := &section{at: at}
	for !p.keyword("trailer") {
		first, ok1 := p.unsigned()
		count, ok2 := p.unsigned()
		if !ok1 || !ok2 || first > maxObjectID || count > maxObjectID+1 {
			return nil, errors.New("pdf: broken cross-reference table")
		}
		if len(s.subsections) >= maxSubsections {
			return nil, errLimit
		}
		p.skipSpace()
		rows, width, err := tableRows(p.data[p.pos:], int(count))
		if err != nil {
			return nil, err
		}
		p.pos += len(rows)
		if count > 0 {
			s.subsections = append(s.subsections, subsection{first: int(first), count: int(count), rows: rows, width: width})
		}
	}
	trailer, err := p.object(0)
	if err != nil {
		return nil, err
	}
	var ok bool
	if s.trailer, ok = trailer.(Dict); !ok {
		return nil, errors.New("pdf: the trailer is no dictionary")
	}
	s.end = at + int64(p.pos)
	s.whole = s.end
	repairFirst(s)
	return s, s.sort()
}

// tableRows cuts the rows off the data. A row has 20 bytes; some producers write 19 or 18.
func tableRows(data []byte, count int) ([]byte, int, error) {
	if count == 0 {
		return nil, 20, nil
	}
	for _, width := range []int{20, 19, 18} {
		if len(data) < width*count-2 || len(data) < 18 {
			continue
		}
		if count > 1 && (len(data) < width+18 || !isRow(data[width:])) {
			continue
		}
		last := data[width*(count-1):]
		if isRow(data) && isRow(last) {
			return data[:min(len(data), width*count)], width, nil
		}
	}
	return nil, 0, errors.New("pdf: broken cross-reference table")
}

// isRow recognises "nnnnnnnnnn ggggg n".
func isRow(b []byte) bool {
	if len(b) < 18 || b[10] != ' ' || b[16] != ' ' || b[17] != 'n' && b[17] != 'f' {
		return false
	}
	for i, c := range b[:16] {
		if i != 10 && !isDigit(c) {
			return false
		}
	}
	return true
}

// repairFirst mends the frequent mistake of a table that counts from 1 and begins with the free entry of object 0.
func repairFirst(s *section) {
	if len(s.subsections) == 0 {
		return
	}
	sub := &s.subsections[0]
	if sub.first == 1 && string(sub.rows[:18]) == "0000000000 65535 f" {
		sub.first, s.shifted = 0, true
	}
}

// sort orders the subsections so that entries are found by halving; overlapping ones are refused,
// since readers would disagree about what they mean.
func (s *section) sort() error {
	slices.SortFunc(s.subsections, func(a, b subsection) int { return a.first - b.first })
	for i := 1; i < len(s.subsections); i++ {
		if s.subsections[i-1].first+s.subsections[i-1].count > s.subsections[i].first {
			return errors.New("pdf: overlapping cross-reference subsections")
		}
	}
	return nil
}

// readXrefStream reads a cross-reference stream (ISO 32000-2 7.5.8).
func (d *Document) readXrefStream(at int64) (*section, error) {
	o, err := d.objectAt(at, false)
	if err != nil {
		return nil, fmt.Errorf("pdf: no cross-reference section at %d: %w", at, err)
	}
	stream, ok := o.Object.(*Stream)
	if !ok || stream.Dict["Type"] != Name("XRef") {
		return nil, fmt.Errorf("pdf: no cross-reference section at %d", at)
	}
	rows, err := d.Decode(stream)
	if err != nil {
		return nil, err
	}
	where, err := d.locate(stream.start, stream.Dict["Length"])
	if err != nil {
		return nil, err
	}
	s := &section{at: at, end: stream.start, whole: where.end, stream: true, trailer: stream.Dict}
	return s, s.splitStream(rows)
}

// splitStream cuts the rows of a cross-reference stream into the subsections that Index names.
func (s *section) splitStream(rows []byte) error {
	broken := errors.New("pdf: broken cross-reference stream")
	var fields [3]int
	width := 0
	w, _ := s.trailer["W"].(Array)
	if len(w) < 3 {
		return broken
	}
	for i := range fields {
		n, ok := w[i].(Integer)
		if !ok || n < 0 || n > 8 {
			return broken
		}
		fields[i] = int(n)
		width += int(n)
	}
	index, ok := s.trailer["Index"].(Array)
	if s.trailer["Index"] == nil {
		index, ok = Array{Integer(0), s.trailer["Size"]}, true
	}
	if !ok || width == 0 || len(index)%2 != 0 || len(index)/2 > maxSubsections {
		return broken
	}
	for i := 0; i < len(index); i += 2 {
		first, ok1 := index[i].(Integer)
		count, ok2 := index[i+1].(Integer)
		if !ok1 || !ok2 || first < 0 || count < 0 || first > maxObjectID || count > maxObjectID+1 {
			return broken
		}
		n := min(int(count), len(rows)/width) // some producers count one too many
		if n > 0 {
			s.subsections = append(s.subsections, subsection{int(first), n, rows[:n*width], width, fields})
		}
		rows = rows[n*width:]
	}
	return s.sort()
}

// lookup finds the newest entry of an object.
func (d *Document) lookup(number int) (entry, bool) {
	if d.rebuilt != nil {
		e, ok := d.rebuilt[number]
		return e, ok
	}
	for i, s := range d.sections {
		e, ok := s.lookup(number, d.base)
		if !ok && i+1 < len(d.sections) {
			continue
		}
		if d.meter.Work(probeSection*int64(i+1)) != nil {
			return entry{}, false
		}
		return e, ok && e.kind != entryFree
	}
	return entry{}, false
}

// count is the number of entries.
func (s *section) count() int {
	n := 0
	for _, sub := range s.subsections {
		n += sub.count
	}
	return n
}

func (s *section) lookup(number int, base int64) (entry, bool) {
	i := sort.Search(len(s.subsections), func(i int) bool { return s.subsections[i].first > number }) - 1
	if i >= 0 && number < s.subsections[i].first+s.subsections[i].count {
		e, ok := s.subsections[i].entry(number-s.subsections[i].first, base)
		if ok && (e.kind != entryFree || s.hybrid == nil) {
			return e, true
		}
	}
	if s.hybrid != nil { // entries that the table of a hybrid file hides or lacks
		return s.hybrid.lookup(number, base)
	}
	return entry{}, false
}

// entry reads row i.
func (s *subsection) entry(i int, base int64) (entry, bool) {
	row := s.rows[i*s.width:]
	if s.fields == [3]int{} {
		if !isRow(row) {
			return entry{}, false
		}
		var offset int64
		for _, c := range row[:10] {
			offset = offset*10 + int64(c-'0')
		}
		if row[17] == 'f' || offset == 0 {
			return entry{}, true
		}
		generation := 0
		for _, c := range row[11:16] {
			generation = generation*10 + int(c-'0')
		}
		return entry{kind: entryOffset, offset: offset + base, generation: generation}, true
	}
	kind := int64(1) // default of field 1
	if s.fields[0] > 0 {
		kind = bigEndian(row[:s.fields[0]])
	}
	second := bigEndian(row[s.fields[0] : s.fields[0]+s.fields[1]])
	third := bigEndian(row[s.fields[0]+s.fields[1] : s.width])
	switch kind {
	case 1:
		return entry{kind: entryOffset, offset: second + base, generation: int(third & 0xffff)}, second >= 0
	case 2:
		if second < 0 || second > maxObjectID || third < 0 || third > maxObjStm {
			return entry{}, true
		}
		return entry{kind: entryCompressed, offset: second, index: int(third)}, true
	}
	return entry{}, true
}

func bigEndian(b []byte) int64 {
	var n int64
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n
}
