package pdf

import (
	"bytes"
	"fmt"
	"regexp"
)

// What stands behind a signed revision has to be written to the letter of ISO 32000-2 7.5: where it is not, one program
// mends it, another ignores the cross references and searches the file for objects, and each shows another document.
// What a program mends inside the signed revision is the signer's own affair.

// tailWritten is where programs look for startxref and the end of the file (ISO 32000-1 H.3, note 18).
const tailWritten = 1024

// Each program passes the line ends and blanks that stand too much in some places here.
var (
	tableWritten = regexp.MustCompile(`^[\r\n ]{0,2}xref ?(?:\r\n|\r|\n)`)
	trailerBegun = regexp.MustCompile(`^[\r\n ]{0,2}trailer[ \t\r\n]*<<`)
	tailEnds     = regexp.MustCompile(`^startxref[ \t\r\n]+([0-9]{1,18})[ \t\r\n]+%%EOF`)
)

// Of these a file has one a row or an object, too many for a regular expression.

// runWritten reads the line that begins a subsection, "first count"; size is what it takes, 0 where it is not written
// to the letter.
func runWritten(text []byte) (count int64, size int) {
	first, blank := digitsOf(text, 10), 1
	n := digitsOf(text[min(first+blank, len(text)):], 10)
	if first == 0 || n == 0 || text[first] != ' ' {
		return 0, 0
	}
	count, size = integer(text[first+blank:][:n]), first+blank+n
	if size < len(text) && text[size] == ' ' {
		size++
	}
	rest := text[size:]
	switch {
	case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		return count, size + 2
	case len(rest) > 0 && (rest[0] == '\r' || rest[0] == '\n'):
		return count, size + 1
	}
	return 0, 0
}

// rowWritten tells whether a row of a table is "nnnnnnnnnn ggggg n" and one of the ends of line of two octets.
func rowWritten(row []byte) bool {
	if !isRow(row) || len(row) != rowOctets {
		return false
	}
	switch string(row[18:]) {
	case " \r", " \n", "\r\n":
		return true
	}
	return false
}

// headWritten reads "n g obj" and an octet that ends the keyword; size is what they take, 0 where they are not written
// to the letter.
func headWritten(text []byte) (number, generation int64, size int) {
	for size < min(2, len(text)) && (text[size] == '\r' || text[size] == '\n' || text[size] == ' ') {
		size++
	}
	for i, field := range [...]*int64{&number, &generation} {
		n := digitsOf(text[size:], 10-5*i)
		if n == 0 || size+n == len(text) || text[size+n] != ' ' {
			return 0, 0, 0
		}
		*field, size = integer(text[size:size+n]), size+n+1
	}
	const keyword = "obj"
	if rest := text[size:]; len(rest) > len(keyword) && string(rest[:len(keyword)]) == keyword &&
		bytes.IndexByte([]byte(" \t\r\n<[(/"), rest[len(keyword)]) >= 0 {
		return number, generation, size + len(keyword) + 1
	}
	return 0, 0, 0
}

// digitsOf is how many digits a text begins with, 0 for more than the limit.
func digitsOf(text []byte, limit int) int {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		if n++; n > limit {
			return 0
		}
	}
	return n
}

const (
	rowOctets  = 20
	headOctets = 32  // that the head of an object takes at most
	tailOctets = 64  // that startxref, its offset and the end take at most
	leadWork   = 400 // what it costs to see whether an entry leads to its object
)

// alike demands of the i newest cross-reference sections that everybody reads them in one way.
func (c *comparison) alike(updates int) {
	for i := range updates {
		if odd := c.oddity(i); odd != "" {
			c.add(Change{Kind: ChangeOther, What: "programs read the structure of an update in different ways: " + odd})
		}
	}
	if updates > 0 && !bytes.HasPrefix(c.new.data, []byte("%PDF-")) {
		c.add(Change{Kind: ChangeOther, What: "programs count the offsets of an update in different ways: " +
			"bytes stand before the header"})
	}
	if i := bytes.LastIndex(c.new.data, []byte("startxref")); i < len(c.new.data)-tailWritten {
		c.add(Change{Kind: ChangeOther, What: "programs do not find the cross references: too many bytes follow them"})
	}
}

// oddity tells what is not written to the letter in a section of an update, "" for nothing.
func (c *comparison) oddity(i int) string {
	s := c.new.sections[i]
	odd := c.new.sectionWritten(s)
	if odd == "" && s.hybrid != nil {
		odd = c.new.sectionWritten(s.hybrid)
	}
	for _, check := range []func(int) string{c.trailerOddity, c.tailOddity, c.entryOddity} {
		if odd == "" {
			odd = check(i)
		}
	}
	return odd
}

// sectionWritten looks at the text of a section.
func (d *Document) sectionWritten(s *section) string {
	text := d.data[s.at:s.end]
	if d.meter.Work(readOctet*int64(len(text))) != nil {
		return ""
	}
	_, _, head := headWritten(text)
	begin := head - 1
	if !s.stream {
		begin = afterTable(text)
	}
	if begin < 0 || s.shifted {
		return "the cross references are broken"
	}
	p := d.parser(text[begin:], -1)
	_, err := p.object(0)
	switch {
	case d.meter.spend(p) != nil || err != nil:
		return "the trailer cannot be read"
	case p.repeated:
		return "a key stands twice in the trailer"
	case p.commented:
		return "a comment stands in the trailer"
	case s.stream:
		return s.streamOddity()
	}
	return ""
}

// afterTable passes a cross-reference table and the keyword trailer, -1 where they are not written to the letter
// (ISO 32000-2 7.5.4).
func afterTable(text []byte) int {
	at := len(tableWritten.Find(text))
	if at == 0 {
		return -1
	}
	for {
		if t := trailerBegun.Find(text[at:]); t != nil {
			return at + len(t) - len("<<")
		}
		count, size := runWritten(text[at:])
		if size == 0 {
			return -1
		}
		at += size
		for ; count > 0; count-- {
			if len(text)-at < rowOctets || !rowWritten(text[at:at+rowOctets]) {
				return -1
			}
			at += rowOctets
		}
	}
}

// integer reads at most 18 digits.
func integer(digits []byte) (n int64) {
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n
}

// streamOddity looks at the dictionary of a cross-reference stream, whose values are direct (ISO 32000-2 7.5.8.2).
func (s *section) streamOddity() string {
	t := s.trailer
	w, _ := t["W"].(Array)
	index, ok := t["Index"].(Array)
	if !ok {
		index = Array{Integer(0), t["Size"]}
	}
	rows := int64(0)
	for i := 1; i < len(index); i += 2 {
		n, _ := index[i].(Integer)
		rows += int64(n)
	}
	switch {
	case len(w) != 3, rows != int64(s.count()):
		return "the cross-reference stream counts its rows wrongly"
	case t["Length"] != Integer(s.whole-s.end):
		return "the cross-reference stream has another length"
	case indirect(t["Filter"], t["DecodeParms"], t["F"], t["DP"]):
		return "the cross-reference stream is read by what it leads to"
	}
	return ""
}

// trailerOddity looks at what the trailer of an update says.
func (c *comparison) trailerOddity(i int) string {
	s, below := c.new.sections[i], c.new.sections[i+1]
	t := s.trailer
	prev, ok := t["Prev"].(Integer)
	size, counted := t["Size"].(Integer)
	under, _ := below.trailer["Size"].(Integer)
	_, exact := t["XRefStm"].(Integer)
	switch {
	case !ok || int64(prev)+c.new.base != below.at:
		return "Prev is not the offset of the cross references before"
	case !counted || size < under || int64(size) < s.highest():
		return "Size does not count all objects"
	case t["XRefStm"] != nil && !exact:
		return "XRefStm is no offset"
	case !c.names(t) || !c.same(t["Encrypt"], c.new.trailer["Encrypt"]):
		return "a trailer names another catalog or encryption"
	case s.hybrid != nil && !c.follows(s.hybrid.trailer, below):
		return "the stream beside a table leads elsewhere"
	case c.lost(t["Info"]):
		return "Info leads to nothing"
	}
	return ""
}

// follows tells of the stream beside a table that it leads nowhere, or where the table leads.
func (c *comparison) follows(hybrid Dict, below *section) bool {
	prev, ok := hybrid["Prev"].(Integer)
	return (hybrid["Prev"] == nil || ok && int64(prev)+c.new.base == below.at) &&
		(hybrid["Root"] == nil || c.saysNothingNew(hybrid))
}

// names tells of a trailer that it names the catalog that is in force.
func (c *comparison) names(trailer Dict) bool {
	r, ok := trailer["Root"].(Ref)
	return ok && r == c.rootNumber()
}

// highest is the largest number of an object in a section, and one.
func (s *section) highest() (n int64) {
	for _, sub := range s.subsections {
		n = max(n, int64(sub.first+sub.count))
	}
	if s.hybrid != nil {
		n = max(n, s.hybrid.highest())
	}
	return n
}

// lost tells of a trailer's Info that it is no reference to a dictionary, and was not so when the file was signed.
func (c *comparison) lost(info Object) bool {
	r, ok := info.(Ref)
	if info == nil || ok && info == c.old.trailer["Info"] && !c.moved(info) {
		return false
	}
	_, isDict := c.new.peek(r.Number).(Dict)
	return !ok || !isDict
}

// tailOddity looks at what follows a section: startxref with its offset, and the end.
func (c *comparison) tailOddity(i int) string {
	s := c.new.sections[i]
	p := c.new.parser(c.new.data[s.end:], -1)
	if s.stream {
		p.pos = int(s.whole - s.end)
		if !p.keyword("endstream") || !p.keyword("endobj") {
			return "the cross-reference stream has no end"
		}
	}
	p.skipSpace() // producers put their names there, as comments
	if c.new.meter.spend(p) != nil {
		return ""
	}
	m := tailEnds.FindSubmatch(p.data[p.pos:min(len(p.data), p.pos+tailOctets)])
	if m == nil || integer(m[1])+c.new.base != s.at {
		return "startxref does not follow with the offset and the end"
	}
	return ""
}

// entryOddity looks for an entry of an update that leads to no object: some programs search the file then. What the
// signed revision said already is its own affair.
func (c *comparison) entryOddity(i int) string {
	s := c.new.sections[i]
	for ; s != nil; s = s.hybrid {
		for _, sub := range s.subsections {
			for k := range sub.count {
				n := sub.first + k
				if c.new.meter.Work(probeSection) != nil {
					return ""
				}
				e, ok := sub.entry(k, c.new.base)
				if !ok || !c.leads(n, e, sub.free(k)) {
					return fmt.Sprintf("the entry of object %d leads nowhere", n)
				}
			}
		}
	}
	return ""
}

// free tells of a row that it says of itself that its object is free.
func (s *subsection) free(i int) bool {
	row := s.rows[i*s.width:]
	if s.fields == [3]int{} {
		return row[17] == 'f'
	}
	return s.fields[0] > 0 && bigEndian(row[:s.fields[0]]) == 0
}

// leads tells whether an entry leads to an object that has its number and generation.
func (c *comparison) leads(number int, e entry, free bool) bool {
	switch {
	case free || c.new.meter.Work(leadWork) != nil:
		return true
	case e.kind == entryCompressed:
		s := c.new.objectStreamOf(int(e.offset))
		if s != nil && e.index < len(s.numbers) && s.numbers[e.index] == number {
			return true
		}
	case e.kind == entryOffset && e.offset < int64(len(c.new.data)):
		n, g, size := headWritten(c.new.data[e.offset:min(int64(len(c.new.data)), e.offset+headOctets)])
		if size > 0 && n == int64(number) && g == int64(e.generation) {
			return true
		}
	}
	was, signed := c.old.lookup(number)
	return signed && was == e
}
