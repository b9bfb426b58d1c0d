package hub_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"trustcore/vpn"
)

// networkOf are networks behind the nth of the offices below, with an address in each.
func networkOf(n int) (networks []netip.Prefix, inside [2]netip.Addr) {
	networks = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("192.168.%d.0/24", n)), netip.MustParsePrefix(fmt.Sprintf("fd12:3456:%d::/48", n))}
	return networks, [2]netip.Addr{netip.MustParseAddr(fmt.Sprintf("192.168.%d.7", n)), netip.MustParseAddr(fmt.Sprintf("fd12:3456:%d::7", n))}
}

// machines gives the office addresses of its own, as if machines had them behind it.
func (p *plannedSite) machines(t *testing.T, addresses ...netip.Addr) {
	t.Helper()
	for _, a := range addresses {
		family := "-4"
		if a.Is6() {
			family = "-6"
		}
		p.inside(t, "ip", family, "addr", "add", netip.PrefixFrom(a, a.BitLen()).String(), "dev", "lo")
	}
}

// reachFrom is reach with the address that the packets come from.
func reachFrom(s site, from netip.Addr, to netip.AddrPort) error {
	wait := patience
	return s.do(action{Kind: "reach", From: from, To: to, Wait: wait})
}

func refusedFrom(t *testing.T, s *plannedSite, from netip.Addr, to netip.AddrPort, why string) {
	t.Helper()
	if s.do(action{Kind: "reach", From: from, To: to, Wait: refusalTime}) == nil {
		t.Errorf("%s reached %v from %v: %s", s.name, to, from, why)
	}
}

// TestNetworkBehindAnOffice: its machines reach what the office may reach, by both families, and nothing else; another
// office can't speak as them; what is taken away is cut off.
func TestNetworkBehindAnOffice(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a, b := w.plan("A"), w.plan("B")
		networks, inside := networkOf(10)
		theirs, _ := networkOf(11) // next to it: where the one ends the other begins
		with, other := w.peer(a), w.peer(b)
		with.Networks, other.Networks = networks, theirs
		w.apply(with, other)
		w.start(a)
		w.start(b)
		a.machines(t, inside[0], inside[1], netip.MustParseAddr("192.168.12.7"))
		b.machines(t, inside[0], inside[1])
		for i, gateway := range w.gateway {
			if err := reachFrom(a, inside[i], gateway); err != nil {
				t.Errorf("from %v: %v", inside[i], err)
			}
			if err := reach(b, gateway, patience); err != nil {
				t.Errorf("B: %v", err)
			}
			refusedFrom(t, b, inside[i], gateway, "the network is A's")
		}
		refusedFrom(t, a, inside[0], w.secret, "no service of A's")
		refusedFrom(t, a, netip.MustParseAddr("192.168.12.7"), w.gateway[0], "it is in no network of A's")
		if s := w.status(); len(s.Refused) != 0 {
			t.Errorf("%+v", s)
		}
		w.spoofOutside(b, inside[0])
		newcomer := somePeer(t, 7) // what comes alone is held against those who stay, too
		newcomer.Networks = networks
		w.apply(with, other, newcomer)
		if s := w.status(); len(s.Refused) != 2 || !strings.Contains(s.Refused[0].Problem, `of site "main" of partner "A"`) {
			t.Errorf("a network that is A's: %+v", s.Refused)
		}

		if err := a.do(action{Kind: "hold", From: inside[0], To: w.gateway[0], Wait: patience}); err != nil {
			t.Fatal(err)
		}
		with.Networks = networks[1:]
		w.apply(with, other)
		if echo(a, refusalTime) == nil {
			t.Error("a flow from a network that was taken away goes on")
		}
		refusedFrom(t, a, inside[0], w.gateway[0], "the network was taken away")
		if err := reachFrom(a, inside[1], w.gateway[1]); err != nil {
			t.Errorf("what stays: %v", err)
		}
	})
}

// spoofOutside has an office send as a machine of another's network, beside the tunnel: the firewall drops it.
func (w *world) spoofOutside(s *plannedSite, as netip.Addr) {
	w.t.Helper()
	before := w.status().Denied
	refusedFrom(w.t, s, as, netip.AddrPortFrom(s.link.Outer.Addr(), w.secret.Port()), "it came beside the tunnel")
	if w.status().Denied == before {
		w.t.Error("what came beside the tunnel from a network behind an office was not dropped")
	}
}

// TestNetworkOfTheHostIsRefused: an office whose network is the host's, or a neighbour's, goes without, and it alone.
func TestNetworkOfTheHostIsRefused(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		addLAN(t)
		tool(t, "ip addr add 192.168.77.1/24 dev lan")
		w := newWorld(t, mode)
		a, b := w.plan("A"), w.plan("B")
		networks, inside := networkOf(10)
		tool(t, "ip route add 192.168.10.0/25 via 192.168.77.2 dev lan")
		t.Cleanup(func() { tool(t, "ip route del 192.168.10.0/25 via 192.168.77.2 dev lan") })
		with, other := w.peer(a), w.peer(b)
		with.Networks, other.Networks = networks[:1], []netip.Prefix{netip.MustParsePrefix("192.168.77.0/24")}
		w.apply(with, other)
		s := w.status()
		if len(s.Refused) != 2 || !strings.Contains(s.Refused[0].Problem, "192.168.10.0/25 by lan") ||
			!strings.Contains(s.Refused[1].Problem, "192.168.77.1/24 on lan") {
			t.Errorf("refused: %+v", s.Refused)
		}
		w.start(a)
		a.machines(t, inside[0])
		if err := reach(a, w.gateway[0], patience); err != nil {
			t.Errorf("the office itself: %v", err)
		}
		refusedFrom(t, a, inside[0], w.gateway[0], "the network is the host's neighbour's")
	})
}

// TestForeignNetworkIsRepaired: an element that somebody adds to the sets of networks, or takes from it, does not last.
func TestForeignNetworkIsRepaired(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		needTools(t)
		w := newWorld(t, mode)
		a := w.plan("A")
		with := w.peer(a)
		with.Networks, _ = networkOf(10)
		w.apply(with)
		for _, line := range []string{
			"nft add element inet trustcore-tc-hub networks4 { 192.168.50.0/24 . 10.64.0.1 . tcp . 9443 }",
			"nft flush set inet trustcore-tc-hub networks4",
			"nft add element inet trustcore-tc-hub networkspairs6 { fd99::/48 . fd99::/48 }",
		} {
			tool(t, line)
			changes, err := w.hub.Look()
			if err != nil || changes.Fence == 0 {
				t.Errorf("%s: %+v, %v", line, changes, err)
			}
			if again, err := w.hub.Reconcile(); err != nil || !again.IsZero() {
				t.Errorf("%s, afterwards: %+v, %v", line, again, err)
			}
		}
	})
}
