package xmldsig

import (
	"crypto"

	"trustcore/internal/budget"
)

// What work costs, in units of internal/budget (about a nanosecond each): measured on documents that are made of
// nothing else. Octets and nodes have their prices there.
const (
	costAttribute   = 30    // read, or written besides its octets
	costDeclaration = 60    // read, or looked at where an element is written
	costGlance      = 4     // an entry of a list that is passed over
	costAtom        = 200   // a name that did not occur before
	costFind        = 200   // a search for an Id
	costCanonical   = 3_000 // what every canonical form takes, however short
	costKeyedEntry  = 300   // an entry of a map
	costDecode      = 10    // an octet of a document that is not in UTF-8
	costBase64      = 4     // an octet that is decoded
	costDigit       = 8     // an octet of a string that is read as a number
	costText        = 6     // an octet of a string that a function looks at
	costStep        = 50    // a step of an XPath expression
	costModulo      = 8     // a binary place of a remainder
	costFormat      = 500   // a number that is written
	costTest        = 20    // a node test that is made of every node in turn
	costJoin        = 24    // an octet of the URIs that are joined
)

// What is held, in octets. Nodes, of 40 octets, are allocated at once: no copies are left behind, so they count
// about half. Lists that grow count more than they are long.
const (
	nodeBytes        = 22
	attributeBytes   = 20
	declarationBytes = 5 * 12 // with what stands beside it in lists that are copied while they grow
	atomBytes        = 140
	keyedEntryBytes  = 48
	idBytes          = 16
	nodeListBytes    = 3 * 8
	stringBytes      = 16
)

// hashCosts are units for each octet that is hashed.
var hashCosts = map[crypto.Hash]int64{
	crypto.MD5: 2, crypto.SHA1: 2, crypto.SHA224: 1, crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 2,
	crypto.SHA3_224: 4, crypto.SHA3_256: 4, crypto.SHA3_384: 5, crypto.SHA3_512: 7, crypto.RIPEMD160: 7,
}

// meter gathers small costs and spends them together, since the budget is shared and a look at it takes time. Its
// first error stays, so that who can't report it may leave that to the next.
type meter struct {
	budget *budget.Budget
	owed   int64
	err    error
}

const meterStep = 50_000

func (m *meter) spend(units int) error {
	if m.owed += int64(units); m.owed < meterStep {
		return m.err
	}
	return m.settle()
}

func (m *meter) settle() error {
	units := m.owed
	m.owed = 0
	if m.err == nil {
		m.err = m.budget.Work(units)
	}
	return m.err
}
