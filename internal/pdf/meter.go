package pdf

import "trustcore/internal/budget"

// What reading costs, in units of budget.Budget.
const (
	readOctet    = 8   // an octet that is parsed
	readDict     = 400 // a dictionary that is made
	inflateOctet = 10  // an octet that comes out of a filter
	probeSection = 15  // a look-up of one object in one cross-reference section
	holdNode     = 64  // octets that a parsed object takes, about
	holdDict     = 320 // octets that a dictionary takes besides
)

// meter is what all views of one file spend from, and what they share.
type meter struct {
	*budget.Budget
	views    int                // of maxViews
	sections map[int64]*section // cross-reference sections already read, by offset
	decoded  map[coded][]byte   // streams already decoded
	shared   map[int64]found    // objects that a view keeps, by offset
	recent   *[recentObjects]recent
	unclosed unclosed

	passwords [][]byte              // the caller's, who wipes them
	crypts    map[encryption]*crypt // nil where no password opens the document
}

// Objects that were read a moment ago are not read again: what two revisions are compared by is looked at several times
// and not kept. They are few and small, so that nobody has to count them.
const (
	recentObjects = 64
	recentOctets  = 4 << 10 // that one may take in memory
)

type recent struct {
	offset int64
	found
}

// known is an object of the file that was read before, by its offset.
func (m *meter) known(offset int64) (found, bool) {
	if o, ok := m.shared[offset]; ok {
		return o, true
	}
	if m.recent == nil {
		return found{}, false
	}
	r := &m.recent[offset%recentObjects]
	return r.found, r.offset == offset && r.size > 0
}

// remember keeps an object for a while.
func (m *meter) remember(offset int64, o found) {
	if o.size > recentOctets {
		return
	}
	if m.recent == nil {
		m.recent = &[recentObjects]recent{}
	}
	m.recent[offset%recentObjects] = recent{offset, o}
}

// extent is a piece of the file.
type extent struct{ start, end int64 }

// coded is a stream as it stands in the file: where its data lies, and what they are enciphered with.
type coded struct {
	extent
	ref   Ref
	crypt *crypt
}

func newMeter(b *budget.Budget, passwords ...[]byte) *meter {
	return &meter{
		Budget: b, views: maxViews, sections: map[int64]*section{}, decoded: map[coded][]byte{}, shared: map[int64]found{},
		passwords: passwords, crypts: map[encryption]*crypt{},
	}
}

// parser reads from a piece of the file, or of a stream where base is -1.
func (d *Document) parser(data []byte, base int64) *parser {
	return &parser{data: data, base: base, left: maxNodes, unclosed: &d.meter.unclosed}
}

// spend pays for what a parser did.
func (m *meter) spend(p *parser) error {
	m.unclosed.reset()
	return m.Work(readOctet*int64(p.pos) + budget.Node*int64(maxNodes-p.left) + readDict*int64(p.dicts))
}

// size is what the objects that a parser made take in memory, in octets.
func (p *parser) size() int { return holdNode*(maxNodes-p.left) + holdDict*p.dicts + p.text }
