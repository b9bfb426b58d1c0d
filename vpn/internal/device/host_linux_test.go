package device

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestListThatWasDisturbed has a list that changes while it is listed.
func TestListThatWasDisturbed(t *testing.T) {
	for times, want := range map[int]error{0: nil, 2: nil, 1000: netlink.ErrDumpInterrupted} {
		asked := 0
		n, err := undisturbed(func() (int, error) {
			if asked++; asked <= times {
				return 0, netlink.ErrDumpInterrupted
			}
			return 7, nil
		})
		if !errors.Is(err, want) || (err == nil) != (n == 7) {
			t.Errorf("disturbed %d times: %d, %v", times, n, err)
		}
	}
	other := errors.New("no")
	if _, err := undisturbed(func() (int, error) { return 0, other }); !errors.Is(err, other) {
		t.Errorf("another error: %v", err)
	}
}
