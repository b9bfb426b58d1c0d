package device

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"trustcore/vpn/internal/nl"
)

// routeProtocol marks our routes among those of the interface (rtnetlink(7): values above
// RTPROT_STATIC are free for programs).
const routeProtocol = 184

// mark is the alias of our interfaces (ip link show): what does not carry it is never changed or deleted.
const mark = "tunnel of trustcore"

// Link is the interface that carries a tunnel: its addresses, its state, its routes. It is known by its index, so that
// another interface that somebody puts in its place is not taken for it.
type Link struct {
	name  string
	index int
	mtu   int
	rests bool // it is to be down
	route *nl.Socket
	news  *nl.Events
}

// openLink marks the interface that was made just now.
func openLink(o Options) (*Link, error) {
	link, err := netlink.LinkByName(o.Name)
	if err != nil {
		return nil, fmt.Errorf("find the interface %s: %w", o.Name, err)
	}
	if err := netlink.LinkSetAlias(link, mark); err != nil {
		return nil, fmt.Errorf("mark the interface %s: %w", o.Name, err)
	}
	route, err := nl.Open(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	news, err := nl.Listen(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return nil, errors.Join(err, route.Close())
	}
	return &Link{o.Name, link.Attrs().Index, o.MTU, o.Resting, route, news}, nil
}

// Close gives up the link and leaves the interface as it is.
func (l *Link) Close() error { return errors.Join(l.news.Close(), l.route.Close()) }

// awaitRelease waits for an interface of ours that goes with its process: one that was killed takes a moment to end.
// The caller has the lock of the name, so nobody tends it.
func awaitRelease(name string) {
	for deadline := time.Now().Add(releaseTime); time.Now().Before(deadline); time.Sleep(releaseLook) {
		link, err := netlink.LinkByName(name)
		if err != nil || link.Attrs().Alias != mark || link.Type() == "wireguard" {
			return
		}
	}
}

const (
	releaseTime = 3 * time.Second
	releaseLook = 10 * time.Millisecond
)

// Ensure gives the interface what it lacks of the addresses, its mark and its MTU, takes it up, and says how many
// things it changed. It leaves addresses that others added: the firewall does not look at them.
func (l *Link) Ensure(addresses []netip.Prefix) (changed int, err error) {
	link, err := l.find()
	if err != nil {
		return 0, err
	}
	present, err := undisturbed(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return 0, fmt.Errorf("list the addresses of %s: %w", l.name, err)
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
			return changed, fmt.Errorf("give %s the address %v: %w", l.name, want, err)
		}
		changed++
	}
	n, err := l.ensureAttributes(link)
	return changed + n, err
}

func (l *Link) ensureAttributes(link netlink.Link) (changed int, err error) {
	if have := link.Attrs(); have.Alias != mark {
		changed++
		err = errors.Join(err, netlink.LinkSetAlias(link, mark))
	}
	if link.Attrs().MTU != l.mtu {
		changed++
		err = errors.Join(err, netlink.LinkSetMTU(link, l.mtu))
	}
	switch up := link.Attrs().Flags&net.FlagUp != 0; {
	case !up && !l.rests:
		changed++
		err = errors.Join(err, netlink.LinkSetUp(link))
	case up && l.rests:
		changed++
		err = errors.Join(err, netlink.LinkSetDown(link))
	}
	if err != nil {
		return changed, fmt.Errorf("set up %s: %w", l.name, err)
	}
	return changed, nil
}

// Rest takes the interface down for as long as it rests, or up.
func (l *Link) Rest(rests bool) error {
	link, err := l.find()
	if err != nil {
		return err
	}
	l.rests = rests
	_, err = l.ensureAttributes(link)
	return err
}

// Resize gives the interface another MTU.
func (l *Link) Resize(mtu int) error {
	link, err := l.find()
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("set the MTU of %s: %w", l.name, err)
	}
	l.mtu = mtu
	return nil
}

// Forget removes the flows of the sources from the kernel's connection tracking, so that
// no rule of the host that trusts established flows lets them live on.
func (l *Link) Forget(sources []netip.Prefix) error {
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		filter := newSourceFilter(sources, family == unix.AF_INET)
		if filter.isEmpty() {
			continue
		}
		_, err := undisturbed(func() (uint, error) {
			return netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, filter)
		})
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL) {
			return nil // the kernel tracks no connections: nothing can live on
		}
		if err != nil {
			return fmt.Errorf("forget tracked flows: %w", err)
		}
	}
	return nil
}

// sourceFilter matches flows from or to one of its addresses or networks.
type sourceFilter struct {
	addresses map[netip.Addr]struct{}
	networks  []netip.Prefix
}

func newSourceFilter(sources []netip.Prefix, v4 bool) sourceFilter {
	f := sourceFilter{addresses: make(map[netip.Addr]struct{})}
	for _, p := range sources {
		switch {
		case p.Addr().Is4() != v4:
		case p.IsSingleIP():
			f.addresses[p.Addr()] = struct{}{}
		default:
			f.networks = append(f.networks, p)
		}
	}
	return f
}

func (f sourceFilter) isEmpty() bool { return len(f.addresses)+len(f.networks) == 0 }

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f sourceFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	for _, ip := range []net.IP{flow.Forward.SrcIP, flow.Forward.DstIP} {
		a, ok := netip.AddrFromSlice(ip)
		if !ok {
			continue
		}
		a = a.Unmap()
		if contains(f.addresses, a) || slices.ContainsFunc(f.networks, func(n netip.Prefix) bool { return n.Contains(a) }) {
			return true
		}
	}
	return false
}

func (l *Link) find() (netlink.Link, error) {
	link, err := netlink.LinkByIndex(l.index)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, fmt.Errorf("interface %s: %w", l.name, ErrDeviceGone)
	}
	if err != nil {
		return nil, fmt.Errorf("find the interface %s: %w", l.name, err)
	}
	if link.Attrs().Name != l.name {
		return nil, fmt.Errorf("interface %s: it is called %s now: %w", l.name, link.Attrs().Name, ErrDeviceGone)
	}
	return link, nil
}

func (l *Link) delete() error {
	link, err := netlink.LinkByIndex(l.index)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
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
