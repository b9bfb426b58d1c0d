package device

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks our routes among those of the interface (rtnetlink(7): values above
// RTPROT_STATIC are free for programs).
const routeProtocol = 184

// Link is the interface that carries a tunnel: its addresses, its state, its routes.
type Link struct{ name string }

func openLink(name string) (*Link, error) {
	if _, err := netlink.LinkByName(name); err != nil {
		return nil, fmt.Errorf("find the interface %s: %w", name, err)
	}
	return &Link{name}, nil
}

// Ensure gives the interface those of the addresses that it lacks and takes it up. It
// leaves addresses that others added: the firewall does not look at them.
func (l *Link) Ensure(addresses []netip.Prefix) error {
	link, err := l.find()
	if err != nil {
		return err
	}
	present, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", l.name, err)
	}
	for _, want := range addresses {
		if slices.ContainsFunc(present, func(a netlink.Addr) bool { return prefix(*a.IPNet) == want }) {
			continue
		}
		add := &netlink.Addr{IPNet: ipNet(want)}
		if want.Addr().Is6() {
			add.Flags = unix.IFA_F_NODAD // nobody else can be at this end
		}
		if err := netlink.AddrAdd(link, add); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("give %s the address %v: %w", l.name, want, err)
		}
	}
	if link.Attrs().Flags&net.FlagUp != 0 {
		return nil
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("take %s up: %w", l.name, err)
	}
	return nil
}

// SyncRoutes makes exactly the wanted destinations lead into the interface, among the
// routes that carry our mark, and says how many routes it changed.
func (l *Link) SyncRoutes(want []netip.Prefix) (changed int, err error) {
	link, err := l.find()
	if err != nil {
		return 0, err
	}
	missing := make(map[netip.Prefix]struct{}, len(want))
	for _, p := range want {
		missing[p] = struct{}{}
	}
	filter := &netlink.Route{LinkIndex: link.Attrs().Index, Protocol: routeProtocol}
	present, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return 0, fmt.Errorf("list the routes of %s: %w", l.name, err)
	}
	for _, r := range present {
		if r.Dst != nil {
			if p := prefix(*r.Dst); contains(missing, p) {
				delete(missing, p)
				continue
			}
		}
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, syscall.ESRCH) {
			return changed, fmt.Errorf("take the route to %v away: %w", r.Dst, err)
		}
		changed++
	}
	for p := range missing {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(p), Protocol: routeProtocol, Scope: netlink.SCOPE_LINK}
		if err := netlink.RouteReplace(route); err != nil {
			return changed, fmt.Errorf("lead %v into %s: %w", p, l.name, err)
		}
		changed++
	}
	return changed, nil
}

// Forget removes the flows of the sources from the kernel's connection tracking, so that
// no rule of the host that trusts established flows lets them live on.
func (l *Link) Forget(sources []netip.Addr) error {
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		filter := sourceFilter{}
		for _, a := range sources {
			if a.Is4() == (family == unix.AF_INET) {
				filter[a] = struct{}{}
			}
		}
		if len(filter) == 0 {
			continue
		}
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, filter)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL) {
			return nil // the kernel tracks no connections: nothing can live on
		}
		if err != nil {
			return fmt.Errorf("forget tracked flows: %w", err)
		}
	}
	return nil
}

// sourceFilter matches flows from or to one of its addresses.
type sourceFilter map[netip.Addr]struct{}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f sourceFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	for _, ip := range []net.IP{flow.Forward.SrcIP, flow.Forward.DstIP} {
		if a, ok := netip.AddrFromSlice(ip); ok && contains(f, a.Unmap()) {
			return true
		}
	}
	return false
}

func (l *Link) find() (netlink.Link, error) {
	link, err := netlink.LinkByName(l.name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, fmt.Errorf("interface %s: %w", l.name, ErrDeviceGone)
	}
	if err != nil {
		return nil, fmt.Errorf("find the interface %s: %w", l.name, err)
	}
	return link, nil
}

func (l *Link) delete() error {
	link, err := l.find()
	if errors.Is(err, ErrDeviceGone) {
		return nil
	}
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

func contains[K comparable](set map[K]struct{}, k K) bool {
	_, is := set[k]
	return is
}
