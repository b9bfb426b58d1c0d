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
	costAtom        = 150   // a name that did not occur before
	costFind        = 250   // a search for an Id, its message included
	costCanonical   = 3_000 // what every canonical form takes, however short
	costKeyedEntry  = 200   // an entry of a map
	costBase64      = 4     // an octet that is decoded
	costDigit       = 8     // an octet of a string that is read as a number
	costText        = 6     // an octet of a string that a function looks at
	costStep        = 50    // a step of an XPath expression
	costModulo      = 8     // a binary place of a remainder
	costFormat      = 500   // a number that is written
	costTest        = 16    // a node test that is made of every node in turn
	costJoin        = 16    // an octet of the URIs that are joined
)

// What is held, in octets. What is allocated at once counts half: no copies are left behind.
const (
	nodeBytes        = 40 / 2
	attributeBytes   = 20
	declarationBytes = 5 * 12 // with what stands beside it in lists that are copied while they grow
	atomBytes        = 96
	keyedEntryBytes  = 48
	idBytes          = 32
	nodeListBytes    = 8
	stringBytes      = 16
)

// hashCosts are units for each octet that is hashed.
var hashCosts = map[crypto.Hash]int64{
	crypto.MD5: 2, crypto.SHA1: 2, crypto.SHA224: 1, crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 2,
	crypto.SHA3_224: 4, crypto.SHA3_256: 4, crypto.SHA3_384: 5, crypto.SHA3_512: 7, crypto.RIPEMD160: 7,
}

// meter gathers small costs and spends them together, since the budget is shared and a look at it takes time.
type meter struct {
	budget *budget.Budget
	owed   int64
}

const meterStep = 50_000

func (m *meter) spend(units int) error {
	if m.owed += int64(units); m.owed < meterStep {
		return nil
	}
	return m.settle()
}

func (m *meter) settle() error {
	units := m.owed
	m.owed = 0
	return m.budget.Work(units)
}
