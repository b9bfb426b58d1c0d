package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// ReadKernel asks the kernel for the state of its clock; it needs no rights.
func ReadKernel() (Kernel, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return Kernel{}, err
	}
	return Kernel{Synchronised: t.Status&unix.STA_UNSYNC == 0, MaxError: time.Duration(t.Maxerror) * time.Microsecond}, nil
}
