// Package budgettest fails a test, a fuzz target above all, when what it calls costs more processor time or memory
// than the size of its input allows.
package budgettest

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Limit is what one call may cost: a base that every input has, and a share for each octet of the input.
//
// Fuzzing makes code several times slower, the race detector ten times, and the counted octets of memory lag by
// up to a megabyte: leave that much room. What is to be found grows with the square of the input or worse.
type Limit struct {
	// Time is processor time of the whole process, user and system, collector and helpers included.
	Time, TimeAnOctet time.Duration
	// Alloc is in octets allocated on the heap, those freed meanwhile included. It isn't what is held at once.
	Alloc, AllocAnOctet int64
}

// attempts is how often a call must be over the limit before it counts: whatever else the process did is then not
// to blame.
const attempts = 3

type cost struct {
	time  time.Duration
	alloc int64
}

// Check runs call for an input of so many octets, and t fails when that cost more than limit. A call that seems
// too costly is made again, three times at most, so it must not depend on having been made before.
func Check(t testing.TB, octets int, limit Limit, call func()) {
	t.Helper()
	most := cost{
		time:  limit.Time + time.Duration(octets)*limit.TimeAnOctet,
		alloc: limit.Alloc + int64(octets)*limit.AllocAnOctet,
	}
	least := measure(call)
	for range attempts - 1 {
		if !over(least, most) {
			return
		}
		runtime.GC() // what the run before left over is not this one's to collect
		again := measure(call)
		least = cost{min(least.time, again.time), min(least.alloc, again.alloc)}
	}
	if least.time > most.time {
		t.Errorf("an input of %d octets cost %v of processor time, %v is allowed", octets, least.time, most.time)
	}
	if least.alloc > most.alloc {
		t.Errorf("an input of %d octets allocated %d octets, %d are allowed", octets, least.alloc, most.alloc)
	}
}

func over(c, most cost) bool {
	return c.time > most.time || c.alloc > most.alloc
}

func measure(call func()) cost {
	before := now()
	call()
	after := now()
	return cost{after.time - before.time, after.alloc - before.alloc}
}

// now reads what the process has used up to now.
func now() cost {
	var clock unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &clock); err != nil {
		panic("budgettest: the processor time can't be read: " + err.Error())
	}
	allocs := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(allocs)
	return cost{time.Duration(clock.Nano()), int64(allocs[0].Value.Uint64())}
}
