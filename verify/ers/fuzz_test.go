package ers_test

import (
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/verify/algorithm"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// fuzzLimit is what a small record may cost: some public-key operations, and much room.
var fuzzLimit = budgettest.Limit{
	Time: 300 * time.Millisecond, TimeAnOctet: 50 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 1 << 10,
}

// FuzzOpen reads records. What proves something has to hold from the objects to the last time-stamp.
func FuzzOpen(f *testing.F) {
	for _, xml := range []bool{false, true} {
		f.Add(newRecord(f, xml).first(contract).renew().encode())
		f.Add(newRecord(f, xml).first(contract).rehash(algorithm.SHA512, contract).encode())
		bare := newRecord(f, xml).first(contract).renew()
		bare.chains[0][0].token, bare.chains[0][1].token = []byte{0x30, 0}, []byte{0x30, 0}
		f.Add(bare.encode()) // a change there is likelier to reach a field than one among certificates
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files := []signature.Detached{{Name: "a", Content: contract}, {Name: "b", Content: annex}}[:len(data)%3]
		budgettest.Check(t, len(data), fuzzLimit, func() {
			doc, err := ers.Open(budget.New(t.Context(), len(data)), data, files)
			if err != nil {
				return
			}
			if r := doc.EvidenceRecords[0]; proves(r) && len(files) > 0 && fault(r) != "" {
				t.Fatalf("%s: %+v", fault(r), r)
			}
		})
	})
}

// TestCost: what costs more than its size is refused, or bounded by the budget.
func TestCost(t *testing.T) {
	token := newRecord(t, false).first(contract).last().token
	big := newRecord(t, true).first(contract)
	for range 63 { // as many chains as there may be, each about all those before it
		big.chains, big.hashes = append(big.chains, []*ats{{token: token}}), append(big.hashes, algorithm.SHA256)
	}
	der := newRecord(t, false)
	der.chains, der.hashes = big.chains, big.hashes
	wide := newRecord(t, false).first(contract)
	for range 90_000 {
		wide.last().tree[1] = append(wide.last().tree[1], algorithm.SHA256.Sum(annex))
	}
	limit := budgettest.Limit{Time: 2 * time.Second, TimeAnOctet: time.Microsecond, Alloc: 64 << 20, AllocAnOctet: 64}
	for name, record := range map[string][]byte{"XML chains": big.encode(), "DER chains": der.encode(), "wide tree": wide.encode()} {
		budgettest.Check(t, len(record), limit, func() {
			if r := parse(record, contract); fault(r) == "" {
				t.Errorf("%s: passes", name)
			}
		})
	}
}
