package audit

import (
	"fmt"
	"time"
)

// forms are the beginnings of RFC 3339 that ParsePeriod takes, and how long what each names lasts.
var forms = []struct {
	layout string
	end    func(time.Time) time.Time
}{
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04:05", func(t time.Time) time.Time { return t.Add(time.Second) }},
	{time.RFC3339, func(t time.Time) time.Time { return t.Add(time.Second) }},
}

// ParsePeriod takes an RFC 3339 time or its beginning and returns the period that it names: the day of 2026-03-03 ends
// when the next one begins. Without an offset the time is UTC.
func ParsePeriod(text string) (from, end time.Time, err error) {
	for _, f := range forms {
		if from, err = time.Parse(f.layout, text); err == nil {
			return from.UTC(), f.end(from).UTC(), nil
		}
	}
	return time.Time{}, time.Time{}, fmt.Errorf("%q is no date: write 2026, 2026-03, 2026-03-03, "+
		"2026-03-03T12:30 or 2026-03-03T12:30:05 in UTC, or with an offset 2026-03-03T12:30:05+01:00", text)
}
