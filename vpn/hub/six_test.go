package hub_test

import (
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

// TestIPv6Alone has a hub, offices and services with IPv6 addresses and no other: an office reaches its service, and nobody else's.
func TestIPv6Alone(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		if err := w.hub.Close(); err != nil {
			t.Fatal(err)
		}
		w.cfg.Addresses = hubAddresses[1:]
		w.open()
		a, b := w.plan("a"), w.plan("b")
		six := func(p *plannedSite) vpn.PeerWish {
			peer := w.peer(p)
			peer.Addresses, peer.Services = peer.Addresses[1:], peer.Services[1:]
			return peer
		}
		other := six(b)
		other.Services = nil
		w.apply(six(a), other)
		if s := w.status(); len(s.Peers) != 2 || len(s.Refused) > 0 || len(s.Addresses) != 1 {
			t.Fatalf("%+v", s)
		}
		for _, p := range []*plannedSite{a, b} {
			w.startAs(p, func(e *office.Enrolment) { e.Address, e.Hub.Addresses = p.tunnel[1:], hubAddresses[1:] }, w.gateway[1])
			if err := handshake(p.site); err != nil {
				t.Fatal(err)
			}
		}
		if err := reach(a.site, w.gateway[1], patience); err != nil {
			t.Errorf("its service: %v", err)
		}
		if err := reach(b.site, w.gateway[1], time.Second); err == nil {
			t.Error("who may reach nothing reaches a service")
		}
		w.apply(six(a))
		if s := w.status(); len(s.Peers) != 1 || s.Peers[0].Received == 0 {
			t.Errorf("%+v", s)
		}
		w.apply()
		if err := reach(a.site, w.gateway[1], time.Second); err == nil {
			t.Error("it reaches the service after its end")
		}
	})
}
