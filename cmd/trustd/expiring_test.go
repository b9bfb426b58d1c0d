package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm/mechanism"
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

// TestMechanismsThatEndAreAnnounced has an office sign by a mechanism that is relied on for less long than it may be used.
func TestMechanismsThatEndAreAnnounced(t *testing.T) {
	end, known := mechanism.RSAPKCS1SHA256.End()
	if !known {
		t.Skip("no mechanism has an end")
	}
	late, early := end.AddDate(1, 0, 0), end.AddDate(-1, 0, 0)
	key := func(name string, notAfter time.Time) registry.HSMKey {
		return registry.HSMKey{Name: name, Mechanisms: []string{name}, NotAfter: notAfter}
	}
	authorisation := registry.End{Kind: registry.EndOfAuthorisation, Subject: "um-nowe ezd", Partner: "um-nowe", Order: "ZU-1", At: late,
		Keys: []registry.HSMKey{key("RSA-PKCS1-SHA256", time.Time{}), key("RSA-PSS-SHA256", time.Time{}), key("RSA-PKCS1-SHA512", early)}}
	found := mechanismEnds(authorisation)
	if len(found) != 1 || found[0].Kind != endOfMechanism || !found[0].NotAfter.Equal(end) || found[0].Subject != "um-nowe ezd RSA-PKCS1-SHA256" {
		t.Fatalf("%+v", found)
	}
	for days, state := range map[int]string{61: "", 60: httpserver.Amber, 1: httpserver.Red} {
		f, told := found[0].finding(end.AddDate(0, 0, -days))
		if told != (state != "") || told && (f.State != state || !strings.Contains(f.Remedy, "another mechanism")) {
			t.Errorf("%d days before: %v %+v, want %q", days, told, f, state)
		}
	}
	authorisation.At = early
	if found := mechanismEnds(authorisation); len(found) != 0 {
		t.Errorf("an authorisation that ends before: %+v", found)
	}
}

// TestMechanismsAreAmongWhatExpires orders keys for longer than they are relied on.
func TestMechanismsAreAmongWhatExpires(t *testing.T) {
	o := newInside(t, nil)
	o.decide("ZU-1", activationOf("ZU-1", "", keysOnly, ezd,
		"    - {name: seal, algorithm: RSA-3072, mechanisms: [RSA-PKCS1-SHA256]}\n", inYears(9)))
	list, err := o.expiring(t.Context())
	o.must(err)
	if !slices.ContainsFunc(list, func(e expiry) bool { return e.Kind == endOfMechanism && e.Order == "ZU-1" }) {
		t.Errorf("no mechanism among %+v", list)
	}
}
