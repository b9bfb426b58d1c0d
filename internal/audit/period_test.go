package audit_test

import (
	"strings"
	"testing"
	"time"

	"trustcore/internal/audit"
)

func TestParsePeriod(t *testing.T) {
	for text, want := range map[string][2]string{
		"2026":                      {"2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		"2026-02":                   {"2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		"2026-03-03":                {"2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z"},
		"2028-02-29":                {"2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"},
		"2026-03-03T12:30":          {"2026-03-03T12:30:00Z", "2026-03-03T12:31:00Z"},
		"2026-03-03T12:30:05":       {"2026-03-03T12:30:05Z", "2026-03-03T12:30:06Z"},
		"2026-03-03T12:30:05Z":      {"2026-03-03T12:30:05Z", "2026-03-03T12:30:06Z"},
		"2026-03-03T00:30:05+01:00": {"2026-03-02T23:30:05Z", "2026-03-02T23:30:06Z"},
	} {
		from, end, err := audit.ParsePeriod(text)
		if err != nil || from.Format(time.RFC3339) != want[0] || end.Format(time.RFC3339) != want[1] {
			t.Errorf("%s: %v to %v, %v; want %v", text, from, end, err, want)
		}
	}
	for _, text := range []string{"", "3.03.2026", "2026-02-30", "2026-13", "26-03-03", "2026-3-3", "2026-03-03 12:30", "2026-03-03T25:00", "yesterday", "2026-03-03T12:30+01:00"} {
		if from, _, err := audit.ParsePeriod(text); err == nil || !strings.Contains(err.Error(), "write 2026") {
			t.Errorf("%q is taken as %v (%v)", text, from, err)
		}
	}
}

// TestParsePeriodIn: a day is as long as the clocks of its zone say; an hour that they skip is none, one that they show twice
// is both.
func TestParsePeriodIn(t *testing.T) {
	warsaw, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][2]string{
		"2026":                      {"2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"},
		"2026-07":                   {"2026-06-30T22:00:00Z", "2026-07-31T22:00:00Z"},
		"2026-03-03":                {"2026-03-02T23:00:00Z", "2026-03-03T23:00:00Z"},
		"2026-03-29":                {"2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // 23 hours
		"2026-10-25":                {"2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"}, // 25 hours
		"2026-03-03T12:30":          {"2026-03-03T11:30:00Z", "2026-03-03T11:31:00Z"},
		"2026-10-25T02:30":          {"2026-10-25T00:30:00Z", "2026-10-25T01:31:00Z"}, // twice
		"2026-03-03T00:30:05+05:00": {"2026-03-02T19:30:05Z", "2026-03-02T19:30:06Z"},
	} {
		from, end, err := audit.ParsePeriodIn(text, warsaw)
		if err != nil || from.Format(time.RFC3339) != want[0] || end.Format(time.RFC3339) != want[1] {
			t.Errorf("%s: %v to %v, %v; want %v", text, from, end, err, want)
		}
	}
	for _, text := range []string{"", "3.03.2026", "2026-02-30", "2026-03-29T02:30", "2026-03-29T02:30:00"} {
		if from, _, err := audit.ParsePeriodIn(text, warsaw); err == nil || !strings.Contains(err.Error(), "clocks of Europe/Warsaw") {
			t.Errorf("%q is taken as %v (%v)", text, from, err)
		}
	}
}
