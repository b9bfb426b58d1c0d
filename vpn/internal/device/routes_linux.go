package device

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"trustcore/vpn/internal/nl"
)

// route is one of the main table, as the kernel tells it.
type route struct {
	to       netip.Prefix // invalid for what has no destination, the default route
	link     int          // 0 where there is none, or more than one
	protocol uint8
	kind     uint8 // RTN_UNICAST and others
	mtu      int   // 0 is that of the link
	learnt   bool  // it is no route but what the kernel has learnt of a destination
}

// parseRoute reads struct rtmsg and its attributes (rtnetlink(7)); ok is false for what is not in the main table.
func parseRoute(data []byte) (r route, ok bool) {
	if len(data) < unix.SizeofRtMsg || data[4] != unix.RT_TABLE_MAIN {
		return r, false
	}
	r.protocol, r.kind = data[5], data[7]
	r.learnt = binary.NativeEndian.Uint32(data[8:])&unix.RTM_F_CLONED != 0
	var to netip.Addr
	if data[0] == unix.AF_INET {
		to = netip.IPv4Unspecified()
	} else {
		to = netip.IPv6Unspecified()
	}
	for kind, value := range nl.Attributes(data[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_DST:
			if a, is := netip.AddrFromSlice(value); is {
				to = a
			}
		case unix.RTA_OIF:
			if len(value) == 4 {
				r.link = int(binary.NativeEndian.Uint32(value))
			}
		case unix.RTA_METRICS:
			if mtu := nl.Attribute(value, unix.RTAX_MTU); len(mtu) == 4 {
				r.mtu = int(binary.NativeEndian.Uint32(mtu))
			}
		}
	}
	r.to = netip.PrefixFrom(to, int(data[1]))
	return r, data[0] == unix.AF_INET || data[0] == unix.AF_INET6
}

// readRoutes hands each route of the main table to take, with the message that told it. It calls begin before the first,
// and again when it has to begin again.
func readRoutes(socket *nl.Socket, begin func(), take func(r route, told []byte)) error {
	err := socket.Dump(unix.RTM_GETROUTE, make([]byte, unix.SizeofRtMsg), begin, func(m nl.Message) error {
		if r, ok := parseRoute(m.Data); ok && m.Type == unix.RTM_NEWROUTE {
			take(r, m.Data)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the routes: %w", err)
	}
	return nil
}

// isOurs says whether the route is one that SyncRoutes made.
func (l *Link) isOurs(r route) bool {
	return r.link == l.index && r.protocol == routeProtocol && !r.learnt
}

// SyncRoutes makes exactly the wanted destinations lead into the interface, among the routes that carry our mark, and
// says how many routes it changed. Packets to those that have a length are no longer than that, in bytes; to change it
// counts as no change. Where the host has a route of its own to a destination that one stays; see
// [Host.Conflicts]. What the host can't lead, such as IPv6 where that is off, is no reason not to lead the others:
// failed names it.
func (l *Link) SyncRoutes(want map[netip.Prefix]struct{}, lengths map[netip.Prefix]int) (changed int, failed []string,
	err error) {
	if _, err := l.find(); err != nil {
		return 0, nil, err
	}
	found := 0
	var last netip.Prefix // the kernel lists the routes to one destination one after another
	var surplus [][]byte
	var otherwise []netip.Prefix // of another length
	var shared []netip.Prefix    // the host has a route of its own there, too: to replace ours might replace that
	begin := func() { found, last, surplus, otherwise, shared = 0, netip.Prefix{}, nil, nil, nil }
	err = readRoutes(l.route, begin, func(r route, told []byte) {
		switch {
		case !l.isOurs(r):
			if !r.learnt && contains(want, r.to) {
				shared = append(shared, r.to)
			}
		case contains(want, r.to) && r.to != last:
			found, last = found+1, r.to
			if r.mtu != lengths[r.to] {
				otherwise = append(otherwise, r.to)
			}
		default:
			surplus = append(surplus, slices.Clone(told))
		}
	})
	if err != nil {
		return 0, nil, err
	}
	if changed, err = l.unlead(surplus); err == nil {
		err = l.lengthen(without(otherwise, shared), lengths)
	}
	if err != nil || found == len(want) {
		return changed, nil, err
	}
	present := make(map[netip.Prefix]struct{}, found)
	if err := readRoutes(l.route, func() { clear(present) }, func(r route, _ []byte) {
		if l.isOurs(r) {
			present[r.to] = struct{}{}
		}
	}); err != nil {
		return changed, nil, err
	}
	added, failed, err := l.AddRoutes(func(yield func(netip.Prefix) bool) {
		for p := range want {
			if !contains(present, p) && !yield(p) {
				return
			}
		}
	})
	return changed + added, failed, err
}

// without gives the prefixes of a that are not in b, which is short.
func without(a, b []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(a, func(p netip.Prefix) bool { return slices.Contains(b, p) })
}

// lengthen gives our routes to the destinations other lengths.
func (l *Link) lengthen(to []netip.Prefix, lengths map[netip.Prefix]int) error {
	answers, err := l.route.Change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, l.requests(to, lengths))
	return errors.Join(append(answers, err)...)
}

func (l *Link) unlead(told [][]byte) (deleted int, err error) {
	answers, err := l.route.Change(unix.RTM_DELROUTE, 0, slices.Values(told))
	for _, refused := range answers {
		switch {
		case refused == nil:
			deleted++
		case !errors.Is(refused, unix.ESRCH):
			err = errors.Join(err, fmt.Errorf("take a route of %s away: %w", l.name, refused))
		}
	}
	return deleted, err
}

// AddRoutes leads the destinations into the interface; what the host already leads somewhere is left as it is.
func (l *Link) AddRoutes(to iter.Seq[netip.Prefix]) (added int, failed []string, err error) {
	wanted := slices.Collect(to)
	answers, err := l.route.Change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, l.requests(wanted, nil))
	for i, refused := range answers {
		switch {
		case refused == nil:
			added++
		case !errors.Is(refused, unix.EEXIST):
			failed = append(failed, fmt.Sprintf("%v can't be led into %s: %v", wanted[i], l.name, refused))
		}
	}
	slices.Sort(failed)
	return added, failed, err
}

// RemoveRoutes takes the routes to the destinations away; it is an error when one is not there.
func (l *Link) RemoveRoutes(to []netip.Prefix) error {
	answers, err := l.route.Change(unix.RTM_DELROUTE, 0, l.requests(to, nil))
	return errors.Join(append(answers, err)...)
}

// requests writes struct rtmsg and its attributes for our route to each of the destinations, with its length where it has
// one.
func (l *Link) requests(to []netip.Prefix, lengths map[netip.Prefix]int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, p := range to {
			family := byte(unix.AF_INET)
			if p.Addr().Is6() {
				family = unix.AF_INET6
			}
			message := []byte{family, byte(p.Bits()), 0, 0,
				unix.RT_TABLE_MAIN, routeProtocol, unix.RT_SCOPE_LINK, unix.RTN_UNICAST, 0, 0, 0, 0}
			message = nl.AppendAttribute(message, unix.RTA_DST, p.Addr().AsSlice())
			message = nl.AppendAttribute(message, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(l.index)))
			if mtu := lengths[p]; mtu > 0 {
				metric := nl.AppendAttribute(nil, unix.RTAX_MTU, binary.NativeEndian.AppendUint32(nil, uint32(mtu)))
				message = nl.AppendAttribute(message, unix.RTA_METRICS|unix.NLA_F_NESTED, metric)
			}
			if !yield(message) {
				return
			}
		}
	}
}

// Leads says whether our route to the destination is the one that the kernel follows.
func (l *Link) Leads(to netip.Prefix) (is bool, err error) {
	for request := range l.requests([]netip.Prefix{to}, nil) {
		binary.NativeEndian.PutUint32(request[8:], unix.RTM_F_LOOKUP_TABLE|rtmFibMatch)
		request[4], request[5], request[6], request[7] = 0, 0, 0, 0
		err = l.route.Ask(unix.RTM_GETROUTE, request[:unix.SizeofRtMsg+attributeLen(to)], func(m nl.Message) error {
			r, ok := parseRoute(m.Data)
			is = is || ok && l.isOurs(r) && r.to == to
			return nil
		})
	}
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
		err = nil
	}
	return is, err
}

// rtmFibMatch asks for the route itself and not for where it leads (linux/rtnetlink.h, RTM_F_FIB_MATCH).
const rtmFibMatch = 0x2000

func attributeLen(to netip.Prefix) int { return unix.SizeofRtAttr + to.Addr().BitLen()/8 }
