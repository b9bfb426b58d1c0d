package main

import (
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/verify/poland"
	"trustcore/verify/trustlist"
)

// TestShippedEndings: what is shipped is announced sixty days ahead; the signers of the list of the lists one by one,
// and when they have ended only if none is left.
func TestShippedEndings(t *testing.T) {
	list := endings(poland.Shipped(), trustlist.Journal())
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, test := range []struct {
		now, want, state string // a text that is told, "" for nothing at all; one that begins with "-" is not told
	}{
		{"2026-11-28", "", ""},
		{"2026-12-16", "pin seal of podpis zaufany ends on 2027-02-13", httpserver.Amber},
		{"2027-02-10", "pin seal of podpis zaufany ends on 2027-02-13", httpserver.Red},
		{"2027-02-13", "pin seal of podpis zaufany has ended on 2027-02-13", httpserver.Red},
		{"2027-02-26", "lotl-signer APOSTOLOS APLADAS", httpserver.Amber},
		{"2027-05-10", "-lotl-signer", ""},
		{"2028-12-01", "pin entry for seals of podpis zaufany on the Polish list ends on 2029-01-01", httpserver.Amber},
		{"2030-01-01", "lotl-signer EUROPEAN COMMISSION", httpserver.Amber},
	} {
		found := endingFindings(list, day(test.now))
		told := false
		unwanted, not := strings.CutPrefix(test.want, "-")
		for _, f := range found {
			if not && strings.HasPrefix(f.What, unwanted) || test.want == "" {
				t.Errorf("%s: %+v", test.now, f)
			}
			if strings.HasPrefix(f.What, test.want) {
				told = true
				if f.State != test.state || f.Remedy == "" {
					t.Errorf("%s: %+v, want %s", test.now, f, test.state)
				}
			}
		}
		if test.want != "" && !not && !told {
			t.Errorf("%s: %q is not told: %+v", test.now, test.want, found)
		}
	}
}

// TestSuccessorsEnd: a pin that has a successor is not told, and one without an end neither.
func TestSuccessorsEnd(t *testing.T) {
	until := func(year int) poland.Span { return poland.Span{Until: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)} }
	pins := &poland.Pins{Seals: []poland.TrustedSeal{{Span: until(2030)}, {Span: until(2027)}},
		Cohorts: []poland.Issuer{{Span: until(2028)}, {}}, Receipts: []poland.ReceiptIssuer{{Span: until(2029)}}}
	var got []string
	for _, e := range endings(pins, nil) {
		got = append(got, e.Subject+" "+e.NotAfter.Format(time.DateOnly))
	}
	if strings.Join(got, ", ") != "seals of receipts 2029-01-02, seal of podpis zaufany 2030-01-02" {
		t.Error(got)
	}
}
