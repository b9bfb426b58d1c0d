package main

import (
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
)

// TestExpiryIsAnnounced holds what people are told against the time that is left.
func TestExpiryIsAnnounced(t *testing.T) {
	end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	people := expiry{Kind: "officer", Subject: "officer-1", NotAfter: end, Renewed: byPeople, Due: end.Add(-60 * day), Remedy: "have one issued"}
	itself := expiry{Kind: "daemon-client", Subject: "vpnd", NotAfter: end, Renewed: byItself, Due: end.Add(-130 * day)}
	failing := itself
	failing.Failure = "the key is away"
	for name, c := range map[string]struct {
		e     expiry
		left  time.Duration
		state string // "" when nothing is told
		want  string
	}{
		"61 days, by people":            {people, 61 * day, "", ""},
		"60 days, by people":            {people, 60 * day, httpserver.Amber, "in 60 days"},
		"7 days, by people":             {people, 7 * day, httpserver.Amber, "in 7 days"},
		"1 day, by people":              {people, day, httpserver.Red, "in 1 days"},
		"over, by people":               {people, -day, httpserver.Red, "ended on 2030-01-01"},
		"renewed by itself, not due":    {itself, 140 * day, "", ""},
		"renewed by itself, just due":   {itself, 129 * day, "", ""},
		"renewed by itself, late":       {itself, 120 * day, httpserver.Amber, "should have been renewed"},
		"renewed by itself, in trouble": {failing, 120 * day, httpserver.Amber, "the key is away"},
		"renewed by itself, over":       {itself, -time.Second, httpserver.Red, "ended on"},
	} {
		f, told := c.e.finding(end.Add(-c.left))
		if told != (c.state != "") || told && (f.State != c.state || !strings.Contains(f.What, c.want) || f.Remedy == "") {
			t.Errorf("%s: %v %+v, want %q %q", name, told, f, c.state, c.want)
		}
	}
	for left, want := range map[time.Duration]int{61 * day: 60, 60 * day: 60, 31 * day: 60, 30 * day: 30, 14 * day: 14, 8 * day: 14, 7 * day: 7, 2 * day: 7, day: 1, time.Hour: 1, -1: 0} {
		if got := step(left); got != want {
			t.Errorf("%s before the end: step %d, want %d", left, got, want)
		}
	}
}
