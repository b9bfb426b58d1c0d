package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/verify/internal/mint"
	"trustcore/verify/trustlist"
)

// set takes a list of the lists that runs out after a month and the world's list.
func (w *world) set(t *testing.T, failing map[string]time.Time) *trustlist.Snapshot {
	t.Helper()
	eu, pl := mint.Root(t, "EU"), mint.Root(t, "PL")
	lotl := mint.List{Type: mint.TypeLOTL, Territory: "EU", Sequence: 3, Next: mint.Day.AddDate(0, 1, 0),
		Pointers: []mint.Pointer{{Type: mint.TypeList, Territory: "PL", Signers: []mint.Party{pl}}}}
	list := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 7, Next: mint.Day.AddDate(0, 2, 0), Services: []mint.Service{
		{Name: "CA/QC", Type: mint.CAQC, By: w.ca, Periods: []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures}}}}}}
	s := trustlist.NewSet([]trustlist.Signers{{Certificates: [][]byte{eu.Cert.Raw}}})
	for _, data := range [][]byte{lotl.Sign(t, eu), list.Sign(t, pl)} {
		c, err := trustlist.Check(t.Context(), data)
		if err == nil {
			err = s.Take(c, time.Time{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{Set: s, Failing: failing})
	if err != nil {
		t.Fatal(err)
	}
	return lists
}

// TestListNotes: each verdict says by which list it was come to and how old that was then, and what may be missing.
func TestListNotes(t *testing.T) {
	w := newWorld(t)
	none, err := trustlist.Load(t.Context(), trustlist.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	const pl = "trusted list of PL, sequence number 7, issued on 2026-03-01 "
	const lotl = "the list of the lists, sequence number 3, is past its next update, which was due on 2026-04-01"
	const lost = "trusted lists are past their next update, so that an issuer that is new may be missing: "
	since := mint.Day.AddDate(0, 0, 5)
	failed := map[string]time.Time{"PL": since, "EU": since}
	const failing = "the trusted list of PL could not be fetched again since 2026-03-06T12:00:00Z"
	stranger := mint.Root(t, "stranger").Issue(t, mint.Request{Subject: officerName("stranger")})
	for _, c := range []struct {
		name  string
		lists *trustlist.Snapshot
		by    mint.Party
		days  int
		want  []string
	}{
		{"none loaded", none, w.officer, 0, []string{"no trusted list is loaded, so no list can tell whether a signature is qualified"}},
		{"fresh", w.set(t, nil), w.officer, 10, []string{pl + "(10 days before): its next update is due on 2026-05-01"}},
		{"the list of the lists has run out", w.set(t, nil), w.officer, 40, []string{lotl, pl + "(40 days before): its next update is due on 2026-05-01"}},
		{"both have run out", w.set(t, nil), w.officer, 70, []string{lotl, pl + "(70 days before): past its next update, which was due on 2026-05-01"}},
		{"fetching fails", w.set(t, failed), w.officer, 10, []string{pl + "(10 days before): its next update is due on 2026-05-01", failing}},
		{"a stranger, fresh", w.set(t, nil), stranger, 10, nil},
		{"a stranger, fetching fails", w.set(t, failed), stranger, 10, []string{"2 trusted lists could not be fetched again, so that an issuer that is new may be missing: EU, PL"}},
		{"a stranger", w.set(t, nil), stranger, 70, []string{lotl, "2 " + lost + "EU, PL"}},
	} {
		v, err := New(Config{Lists: func() *trustlist.Snapshot { return c.lists }, Policy: DefaultPolicy(), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		report, err := v.Verify(t.Context(), Request{Document: mint.XML{Signer: c.by, At: mint.Day}.Sign(t, letter), At: mint.Day.AddDate(0, 0, c.days)})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(report.Notes, c.want) {
			t.Errorf("%s: %q, want %q", c.name, report.Notes, c.want)
		}
		for _, note := range report.Notes {
			if text := Wording("pl", note); text == note || strings.Contains(text, "trusted list") {
				t.Errorf("%s: in Polish %q", c.name, text)
			}
		}
	}
}
