package verify

import (
	"testing"

	"trustcore/verify/trustlist"
)

// TestQualification: a signature is what its certificate was both when it was issued and when it signed.
func TestQualification(t *testing.T) {
	qc := func(kind trustlist.Type, device bool) trustlist.Qualified {
		return trustlist.Qualified{Found: true, Certificate: true, Type: kind, Device: device}
	}
	not := func(kind trustlist.Type) trustlist.Qualified { return trustlist.Qualified{Found: true, Type: kind} }
	conflict := trustlist.Qualified{Found: true, Conflict: true}
	const esig, eseal, web, unknown = trustlist.ForSignatures, trustlist.ForSeals, trustlist.ForWebsites, trustlist.UnknownType
	for _, c := range []struct {
		name                          string
		issued, signed                trustlist.Qualified
		passed, indeterminate, failed string
	}{
		{"on no list", trustlist.Qualified{}, trustlist.Qualified{}, "N/A", "N/A", "N/A"},
		{"qualified, in a device", qc(esig, true), qc(esig, true), "QESig", "Indeterminate QESig", "Not AdES but QC with QSCD"},
		{"in a device when it signed", qc(esig, false), qc(esig, true), "QESig", "Indeterminate QESig", "Not AdES but QC with QSCD"},
		{"in a device when it was issued", qc(eseal, true), qc(eseal, false), "AdESeal-QC", "Indeterminate AdESeal-QC", "Not AdES but QC"},
		{"qualified when it signed", not(esig), qc(esig, true), "AdESig", "Indeterminate AdESig", "Not AdES"},
		{"qualified when it was issued", qc(eseal, true), not(eseal), "AdESeal", "Indeterminate AdESeal", "Not AdES"},
		{"another use since", qc(esig, true), qc(eseal, true), "Unknown-QC-QSCD", "Indeterminate Unknown-QC-QSCD", "Not AdES but QC with QSCD"},
		{"of no known use", qc(unknown, false), qc(unknown, false), "Unknown-QC", "Indeterminate Unknown-QC", "Not AdES but QC"},
		{"of no known use, not qualified", not(unknown), not(unknown), "Unknown", "Indeterminate Unknown", "Not AdES"},
		{"for websites", qc(web, true), qc(web, true), "Not AdES", "Not AdES", "Not AdES"},
		{"for websites since", qc(esig, true), qc(web, false), "Unknown-QC", "Indeterminate Unknown-QC", "Not AdES but QC"},
		{"services disagree", qc(esig, true), conflict, "N/A", "N/A", "Not AdES"},
		{"services disagreed when it was issued", conflict, qc(esig, true), "N/A", "N/A", "Not AdES"},
	} {
		for indication, want := range map[Indication]string{TotalPassed: c.passed, Indeterminate: c.indeterminate, TotalFailed: c.failed} {
			if got := qualification(indication, c.issued, c.signed); got != want {
				t.Errorf("%s, %s: %s, want %s", c.name, indication, got, want)
			}
		}
	}
}
