package budgettest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// recorder keeps what Check would fail the test with.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

var wide = Limit{Time: time.Minute, Alloc: 1 << 40}

// burn uses processor time, not time alone: what waits costs nothing.
func burn(d time.Duration) {
	for start := now().time; now().time-start < d; {
	}
}

var kept []byte

func TestCheck(t *testing.T) {
	byTime, byAlloc := wide, wide
	byTime.Time, byTime.TimeAnOctet = 5*time.Millisecond, time.Millisecond
	byAlloc.Alloc, byAlloc.AllocAnOctet = 2<<20, 1<<20
	for _, tt := range []struct {
		name   string
		octets int
		limit  Limit
		call   func()
		want   string // in the failure; empty for none
	}{
		{"too long", 1, byTime, func() { burn(20 * time.Millisecond) }, "of processor time, 6ms is allowed"},
		{"long, for a long input", 1000, byTime, func() { burn(20 * time.Millisecond) }, ""},
		{"waiting", 1, byTime, func() { <-time.After(50 * time.Millisecond) }, ""},
		{"too much", 1, byAlloc, func() { kept = make([]byte, 8<<20) }, "octets, 3145728 are allowed"},
		{"much, for a long input", 10, byAlloc, func() { kept = make([]byte, 8<<20) }, ""},
		{"much in small pieces", 1, byAlloc, func() {
			for range 1 << 20 {
				kept = make([]byte, 8)
			}
		}, "octets, 3145728 are allowed"},
		{"nothing", 0, wide, func() {}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			Check(r, tt.octets, tt.limit, tt.call)
			if got := strings.Join(r.failures, "; "); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("failed with %q, want %q in it", got, tt.want)
			}
		})
	}
}

// TestNoise holds that one costly run among cheap ones, as when another part of the process works, is no failure.
func TestNoise(t *testing.T) {
	runs := 0
	r := &recorder{TB: t}
	Check(r, 0, Limit{Time: 5 * time.Millisecond, Alloc: 4 << 20}, func() {
		if runs++; runs < attempts {
			burn(10 * time.Millisecond)
		}
	})
	if runs != attempts || len(r.failures) != 0 {
		t.Errorf("%d runs, failures %q", runs, r.failures)
	}
}

func BenchmarkCheck(b *testing.B) {
	for b.Loop() {
		Check(b, 0, wide, func() {})
	}
}
