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
