package device

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"trustcore/vpn/internal/nl"
)

// Host is what the host had of its own when it was looked at: its addresses, and the routes of its main table.
type Host struct {
	// Paths are the destinations of which the kernel has heard that the way to them carries less than its first link,
	// and how much, in bytes.
	Paths map[netip.Addr]int

	addresses []hostAddress
	routes    []route
	names     map[int]string // of the interfaces, by index
}

type hostAddress struct {
	netip.Prefix
	link int
}

// LookAtHost reads addresses and routes.
func LookAtHost() (*Host, error) {
	socket, err := nl.Open(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	return lookAtHost(socket, func(route) bool { return false })
}

// LookAround reads what the host has beside our own routes.
func (l *Link) LookAround() (*Host, error) { return lookAtHost(l.route, l.isOurs) }

func lookAtHost(socket *nl.Socket, ours func(route) bool) (*Host, error) {
	h := &Host{names: make(map[int]string)}
	links, err := undisturbed(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	for _, l := range links {
		h.names[l.Attrs().Index] = l.Attrs().Name
	}
	addresses, err := undisturbed(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	for _, a := range addresses {
		h.addresses = append(h.addresses, hostAddress{prefix(*a.IPNet), a.LinkIndex})
	}
	err = readRoutes(socket, func() { h.routes, h.Paths = nil, make(map[netip.Addr]int) }, func(r route, _ []byte) {
		switch {
		case r.learnt && r.mtu > 0 && r.to.IsSingleIP():
			h.Paths[r.to.Addr()] = r.mtu
		case !r.learnt && !ours(r):
			h.routes = append(h.routes, r)
		}
	})
	return h, err
}

// undisturbed has the kernel list something again, some times, when it was changed while it was listed: the list lacks
// something then.
func undisturbed[T any](list func() (T, error)) (all T, err error) {
	for range listTries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

const listTries = 10

// Leave takes what is on the interface of the name out of what was seen: it is ours, too.
func (h *Host) Leave(ifname string) {
	h.addresses = slices.DeleteFunc(h.addresses, func(a hostAddress) bool { return h.names[a.link] == ifname })
	h.routes = slices.DeleteFunc(h.routes, func(r route) bool { return h.names[r.link] == ifname })
}

// Has says whether the address is one of the host's, on whatever interface.
func (h *Host) Has(a netip.Addr) bool {
	for _, have := range h.addresses {
		if have.Addr() == a {
			return true
		}
	}
	return false
}

// Conflicts names the host's own addresses and routes that lie in one of the ranges or cover it, but for what is on the
// interface of the name and the default route. With a tunnel over them the host, or a neighbour of it, would be cut
// off. A route that discards what it covers leads to nobody.
func (h *Host) Conflicts(ifname string, ranges []netip.Prefix) (named []string) {
	for _, a := range h.addresses {
		if at := overlap(netip.PrefixFrom(a.Addr(), a.Addr().BitLen()), ranges); at.IsValid() && h.names[a.link] != ifname {
			named = append(named, fmt.Sprintf("the host's address %v on %s is in %v", a.Prefix, h.names[a.link], at))
		}
	}
	for _, r := range h.routes {
		if h.names[r.link] == ifname {
			continue
		}
		switch r.kind {
		case unix.RTN_BLACKHOLE, unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT, unix.RTN_THROW:
			continue
		}
		if at := overlap(r.to, ranges); at.IsValid() && r.to.Bits() > 0 {
			named = append(named, fmt.Sprintf("the host's route to %v by %s meets %v", r.to, h.names[r.link], at))
		}
	}
	return named
}

// Claims names the host's own addresses that are among the wanted ones, and its routes to the very destinations, but
// for what is on the interface of the name. Wider routes do no harm: the narrower one leads.
func (h *Host) Claims(ifname string, wanted []netip.Prefix) (named []string) {
	for _, a := range h.addresses {
		if at := overlap(netip.PrefixFrom(a.Addr(), a.Addr().BitLen()), wanted); at.IsValid() && h.names[a.link] != ifname {
			named = append(named, fmt.Sprintf("this computer has %v on %s", a.Addr(), h.names[a.link]))
		}
	}
	for _, r := range h.routes {
		if slices.Contains(wanted, r.to) && h.names[r.link] != ifname {
			named = append(named, fmt.Sprintf("this computer has a route to %v by %s", r.to.Addr(), h.names[r.link]))
		}
	}
	return named
}

func overlap(p netip.Prefix, ranges []netip.Prefix) netip.Prefix {
	for _, r := range ranges {
		if r.Overlaps(p) {
			return r
		}
	}
	return netip.Prefix{}
}
