package verify

import "testing"

// TestAllPassed: what belongs to the file alone counts for itself, an evidence record of a signature in the signature.
func TestAllPassed(t *testing.T) {
	signed := []SignatureReport{{Indication: TotalPassed}}
	open := EvidenceRecordReport{Indication: Indeterminate}
	embedded := open
	embedded.Signatures = []string{"S-1"}
	for name, c := range map[string]struct {
		r    Report
		want bool
		own  int
	}{
		"nothing":                   {},
		"a signature":               {r: Report{Signatures: signed}, want: true},
		"one that is open":          {r: Report{Signatures: []SignatureReport{{Indication: Indeterminate}}}},
		"a time-stamp that failed":  {r: Report{Signatures: signed, Timestamps: []TimestampReport{{Indication: Failed}}}},
		"a time-stamp":              {r: Report{Timestamps: []TimestampReport{{Indication: Passed}}}, want: true},
		"an open record":            {r: Report{Signatures: signed, EvidenceRecords: []EvidenceRecordReport{open}}, own: 1},
		"an open record within one": {r: Report{Signatures: signed, EvidenceRecords: []EvidenceRecordReport{embedded}}, want: true},
	} {
		if got := c.r.AllPassed(); got != c.want || len(c.r.OwnRecords()) != c.own || c.r.Bare() != (name == "nothing") {
			t.Errorf("%s: passed %t, bare %t, own records %v", name, got, c.r.Bare(), c.r.OwnRecords())
		}
	}
}
