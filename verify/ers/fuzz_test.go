package ers_test

import (
	"bytes"
	"encoding/xml"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/verify/algorithm"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// fuzzLimit is what a small record may cost: some public-key operations, and much room.
var fuzzLimit = budgettest.Limit{Time: 300 * time.Millisecond, TimeAnOctet: 50 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 1 << 10}

// FuzzOpen reads records. What proves something has to hold from the objects to the last time-stamp.
func FuzzOpen(f *testing.F) {
	for _, xml := range []bool{false, true} {
		f.Add(newRecord(f, xml).first(contract).renew().encode())
		f.Add(newRecord(f, xml).first(contract).rehash(algorithm.SHA512, contract).encode())
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
	var deep bytes.Buffer
	deep.WriteString(`<EvidenceRecord xmlns="` + ers.Namespace + `" Version="1.0">`)
	_ = xml.EscapeText(&deep, bytes.Repeat([]byte("<"), 1<<18))
	deep.WriteString("</EvidenceRecord>")
	for name, record := range map[string][]byte{"XML chains": big.encode(), "DER chains": der.encode(), "wide tree": wide.encode(), "text": deep.Bytes()} {
		budgettest.Check(t, len(record), budgettest.Limit{Time: 2 * time.Second, TimeAnOctet: time.Microsecond, Alloc: 64 << 20, AllocAnOctet: 64}, func() {
			if r := parse(record, contract); fault(r) == "" {
				t.Errorf("%s: passes", name)
			}
		})
	}
}
