package verify

import (
	_ "embed"
	"sync"
	"time"
)

const zoneName = "Europe/Warsaw"

// warsaw is the file of that zone of IANA's tz database, release 2025c, as Go 1.26 brings it (SHA-256 e88f5a51f168157a...a33d93a4c). The
// whole database, which time/tzdata has, would be 70 KB more for browsers to load.
//
//go:embed warsaw.tzif
var warsaw []byte

// Zone is that of the times that people are told: the clocks of Poland, by the machine's own files where it has some.
func Zone() *time.Location { return zone() }

var zone = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation(zoneName)
	if err != nil {
		l = shippedZone()
	}
	return l
})

// shippedZone is what browsers and Windows read. The file is part of the program, so a fault in it is a fault of the build.
func shippedZone() *time.Location {
	l, err := time.LoadLocationFromTZData(zoneName, warsaw)
	if err != nil {
		panic(err)
	}
	return l
}
