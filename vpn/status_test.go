package vpn_test

import (
	"testing"
	"time"

	"trustcore/vpn"
)

func TestStateOfATunnel(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for age, want := range map[time.Duration]vpn.State{0: vpn.StateUp, 180 * time.Second: vpn.StateUp, 181 * time.Second: vpn.StateStale, 275 * time.Second: vpn.StateStale, time.Hour: vpn.StateDown} {
		if got := vpn.StateAt(now.Add(-age), now); got != want {
			t.Errorf("after %v: %s, want %s", age, got, want)
		}
	}
	if got := vpn.StateAt(time.Time{}, now); got != vpn.StateNever {
		t.Errorf("without a handshake: %s", got)
	}
}
