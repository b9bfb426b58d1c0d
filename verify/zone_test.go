package verify

import (
	"testing"
	"time"
	_ "time/tzdata" // what the shipped file is held against
)

// TestZone: the shipped clocks of Poland go as those of the database that Go brings: where that is newer and has other rules, the file
// is to be taken from it anew.
func TestZone(t *testing.T) {
	want, err := time.LoadLocation(zoneName)
	if err != nil {
		t.Fatal(err)
	}
	shipped := shippedZone()
	for at := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2060; at = at.Add(time.Hour) {
		is, offset := at.In(shipped).Zone()
		if name, other := at.In(want).Zone(); is != name || offset != other {
			t.Fatalf("%s: %s, %d s; want %s, %d s", at, is, offset, name, other)
		}
	}
	summer := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).In(shipped)
	if text := summer.Format(time.DateTime + " MST"); text != "2026-07-01 14:00:00 CEST" {
		t.Error(text)
	}
}
