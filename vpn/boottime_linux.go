package vpn

import (
	"time"

	"golang.org/x/sys/unix"
)

// BootTime is how long the machine has been up, suspension included (clock_gettime(2), CLOCK_BOOTTIME). Nobody sets
// it, so a lease is counted on it.
func BootTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // cannot be: every kernel since 2.6.39 has it
	}
	return time.Duration(t.Nano())
}
