package audit_test

import (
	"strings"
	"testing"
	"time"

	"trustcore/internal/audit"
)

// TestFacts looks for what the database has among entries: allowed, by another, refused, failed to be there, and from before a reset.
func TestFacts(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	fact := audit.Fact{Action: "certificate.issue", Subject: "1f", Actor: "officer:one", At: at}
	entry := func(change func(*audit.Entry)) audit.Recorded {
		e := audit.Entry{Time: at, Actor: audit.Actor{Kind: "officer", ID: "one"}, Action: "certificate.issue", Subject: "1f", Outcome: audit.Granted}
		change(&e)
		return audit.Recorded{Entry: e}
	}
	same := func(*audit.Entry) {}
	for name, c := range map[string]struct {
		entries []audit.Recorded
		found   bool
	}{
		"allowed":            {[]audit.Recorded{entry(same)}, true},
		"nothing":            {nil, false},
		"by another":         {[]audit.Recorded{entry(func(e *audit.Entry) { e.Actor.ID = "two" })}, false},
		"another's":          {[]audit.Recorded{entry(func(e *audit.Entry) { e.Subject = "20" })}, false},
		"another act":        {[]audit.Recorded{entry(func(e *audit.Entry) { e.Action = "certificate.revoke" })}, false},
		"refused":            {[]audit.Recorded{entry(func(e *audit.Entry) { e.Outcome = audit.Refused })}, false},
		"older than a reset": {[]audit.Recorded{entry(func(e *audit.Entry) { e.Action, e.Time = audit.ResetAction, at.Add(time.Hour) })}, true},
		"since a reset":      {[]audit.Recorded{entry(func(e *audit.Entry) { e.Action, e.Time = audit.ResetAction, at.Add(-time.Hour) })}, false},
	} {
		facts := audit.NewFacts([]audit.Fact{fact})
		for _, e := range c.entries {
			if err := facts.Each(e); err != nil {
				t.Fatal(err)
			}
		}
		if held, err := facts.Missing(); held != 1 || (err == nil) != c.found || err != nil && !strings.Contains(err.Error(), "certificate.issue of 1f by officer:one") {
			t.Errorf("%s: %d, %v", name, held, err)
		}
	}
}
