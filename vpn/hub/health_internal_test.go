package hub

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"trustcore/vpn"
)

// TestSuspicions: a tunnel that comes and goes is flapping until it has been quiet for an hour; a key that is heard from two
// places in turn is told, and an office that moves once is not.
func TestSuspicions(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	home, other := netip.MustParseAddrPort("192.0.2.7:51820"), netip.MustParseAddrPort("198.51.100.7:4000")
	var h health
	look := func(after time.Duration, state vpn.State, at netip.AddrPort, want ...vpn.Suspicion) {
		t.Helper()
		now = now.Add(after)
		if got := h.look(state, at, now); !slices.Equal(got, want) {
			t.Errorf("at %s: %v, want %v", now.Format(time.TimeOnly), got, want)
		}
	}
	look(0, vpn.StateNever, netip.AddrPort{})
	look(time.Minute, vpn.StateUp, home) // the first time is no return
	for range flapReturns - 1 {
		look(5*time.Minute, vpn.StateDown, home)
		look(time.Minute, vpn.StateUp, home)
	}
	look(5*time.Minute, vpn.StateStale, home)
	look(time.Minute, vpn.StateUp, home, vpn.Flapping)
	look(30*time.Minute, vpn.StateUp, home, vpn.Flapping)
	look(flapWindow, vpn.StateUp, home)

	look(time.Minute, vpn.StateUp, other) // it moved
	for port := range uint16(2 * turnChanges) {
		look(30*time.Second, vpn.StateUp, netip.AddrPortFrom(other.Addr(), 5000+port)) // so does its router
	}
	look(30*time.Second, vpn.StateUp, home)
	look(30*time.Second, vpn.StateUp, other)
	places := []netip.AddrPort{home, other}
	for i := range turnChanges - 1 {
		look(30*time.Second, vpn.StateUp, places[i%2])
	}
	look(30*time.Second, vpn.StateUp, places[(turnChanges-1)%2], vpn.TwoPlaces)
	look(turnWindow+time.Second, vpn.StateUp, places[(turnChanges-1)%2])
	for range 1000 {
		h.look(vpn.StateUp, other, now)
		h.look(vpn.StateUp, home, now)
	}
	if len(h.turns) > turnChanges {
		t.Errorf("%d changes are remembered", len(h.turns))
	}
}
