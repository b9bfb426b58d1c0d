package past_test

import (
	"testing"
	"time"

	"trustcore/verify/past"
)

func TestFresh(t *testing.T) {
	span := func(d time.Duration) *time.Duration { return &d }
	at, day := on(2020, 1, 10), 24*time.Hour
	for _, test := range []struct {
		name       string
		this, next time.Time
		freshness  *time.Duration
		want       bool
	}{
		{"within its own period", on(2020, 1, 5), on(2020, 1, 12), nil, true},
		{"at its nextUpdate", on(2020, 1, 3), on(2020, 1, 10), nil, false},
		{"no constraint and no nextUpdate", on(2020, 1, 9), time.Time{}, nil, false},
		{"from after the time, without nextUpdate", on(2020, 1, 11), time.Time{}, nil, false},
		{"within the constraint, past nextUpdate", on(2020, 1, 8), on(2020, 1, 9), span(3 * day), true},
		{"the constraint needs no nextUpdate", on(2020, 1, 8), time.Time{}, span(3 * day), true},
		{"exactly as old as the constraint", on(2020, 1, 7), on(2020, 2, 1), span(3 * day), false},
		{"older than the constraint, nextUpdate to come", on(2020, 1, 6), on(2020, 2, 1), span(3 * day), false},
		{"freshness 0: issued before", on(2020, 1, 9), on(2020, 2, 1), span(0), false},
		{"freshness 0: issued at the time", at, on(2020, 2, 1), span(0), false},
		{"freshness 0: issued after", at.Add(time.Second), on(2020, 2, 1), span(0), true},
	} {
		if got := past.Fresh(test.this, test.next, at, test.freshness); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
