package ers_test

import (
	"slices"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// TestSeal: a record beside a document is one of its signatures where it is about the document, alone or in a group.
func TestSeal(t *testing.T) {
	certificate := []byte("certificate")
	for _, c := range []struct {
		name     string
		record   *rec
		document []byte
		detached []byte // one more file that is given
		want     string
		whose    bool // of the signature
	}{
		{"document", newRecord(t, false).first(contract), contract, nil, "", true},
		{"document, and a file that it is not about", newRecord(t, false).first(contract), contract, annex, "", true},
		{"group", newRecord(t, true).first(contract, annex), contract, annex, "", true},
		{"changed document", newRecord(t, false).first(contract), []byte("umowa!"), nil, "document not found", false},
		{"the detached file alone", newRecord(t, false).first(annex), contract, annex, "document not found", false},
	} {
		record := signature.Detached{Name: "record", Content: c.record.encode()}
		given := []signature.Detached{record}
		if c.detached != nil {
			given = append(given, signature.Detached{Name: "annex", Content: c.detached})
		}
		records, others := ers.Split(given)
		if len(records) != 1 || len(others) != len(given)-1 {
			t.Fatalf("%s: %d records, %d others", c.name, len(records), len(others))
		}
		s := &signature.Signature{Value: [32]byte{1}, Certificates: [][]byte{certificate, certificate}}
		doc := &signature.Document{Signatures: []*signature.Signature{s}}
		if err := ers.Seal(budget.New(t.Context(), len(record.Content)), doc, c.document, others, records); err != nil {
			t.Fatal(err)
		}
		list := doc.EvidenceRecords
		if c.whose {
			list = s.EvidenceRecords
		}
		if len(list) != 1 || len(doc.EvidenceRecords)+len(s.EvidenceRecords) != 1 {
			t.Errorf("%s: %d records of the document, %d of the signature", c.name, len(doc.EvidenceRecords), len(s.EvidenceRecords))
			continue
		}
		if f := fault(list[0]); f != c.want {
			t.Errorf("%s: %q, want %q", c.name, f, c.want)
		}
		if slices.Contains(list[0].Covers, s.Value) != c.whose || list[0].CoversSignature != c.whose {
			t.Errorf("%s: covers the value %v", c.name, !c.whose)
		}
	}
}
