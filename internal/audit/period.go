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
	from, end, ok := periodIn(text, time.UTC)
	if !ok {
		err = fmt.Errorf("%q is no date: write 2026, 2026-03, 2026-03-03, "+
			"2026-03-03T12:30 or 2026-03-03T12:30:05 in UTC, or with an offset 2026-03-03T12:30:05+01:00", text)
	}
	return from, end, err
}

// ParsePeriodIn is ParsePeriod by the clocks of a zone. A time that they skip is none; one that they show twice, when they
// are put back, begins with the first time and ends with the second.
func ParsePeriodIn(text string, zone *time.Location) (from, end time.Time, err error) {
	from, end, ok := periodIn(text, zone)
	if !ok {
		err = fmt.Errorf("%q is no date: write 2026, 2026-03, 2026-03-03, "+
			"2026-03-03T12:30 or 2026-03-03T12:30:05 by the clocks of %s, or with an offset 2026-03-03T12:30:05+01:00", text, zone)
	}
	return from, end, err
}

func periodIn(text string, zone *time.Location) (from, end time.Time, ok bool) {
	for _, f := range forms {
		at, err := time.ParseInLocation(f.layout, text, zone)
		if err != nil {
			continue
		}
		if f.layout == time.RFC3339 {
			return at.UTC(), f.end(at).UTC(), true
		}
		first, last := at, at
		for _, other := range []time.Time{at.Add(-time.Hour), at.Add(time.Hour)} {
			if other.Format(f.layout) == text && len(text) > len(time.DateOnly) {
				first, last = earlier(first, other), later(last, other)
			}
		}
		return first.UTC(), f.end(last).UTC(), at.Format(f.layout) == text
	}
	return time.Time{}, time.Time{}, false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
