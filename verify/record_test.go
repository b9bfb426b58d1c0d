package verify_test

import (
	"context"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// TestOpenRecord: a file that begins as an evidence record is read as one, whatever follows.
func TestOpenRecord(t *testing.T) {
	for text, want := range map[string]signature.EvidenceRecordType{
		"0\x0b\x02\x01\x010\x060\x04\x06\x02*\x03 %PDF-1.7":                                           signature.ASN1EvidenceRecord,
		"<EvidenceRecord xmlns='" + ers.Namespace + "' Version='1.0'><!-- %PDF- --></EvidenceRecord>": signature.XMLEvidenceRecord,
	} {
		doc, err := verify.Open(budget.New(context.Background(), len(text)), []byte(text))
		if err != nil || len(doc.EvidenceRecords) != 1 {
			t.Errorf("%q: %v, %v", text, doc, err)
			continue
		}
		if r := doc.EvidenceRecords[0]; r.Type != want || len(r.Structure) == 0 {
			t.Errorf("%q: %+v", text, r)
		}
	}
}

// TestOpenSealed: a record that is given beside a document is none of the files that its signature may be about.
func TestOpenSealed(t *testing.T) {
	record := signature.Detached{Name: "record", Content: []byte("0\x0b\x02\x01\x010\x060\x04\x06\x02*\x03")}
	doc, err := verify.Open(budget.New(context.Background(), 100), []byte("<a/>"), record)
	if err != nil || len(doc.EvidenceRecords) != 1 {
		t.Errorf("%v, %v", doc, err)
	}
}
