package device

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"trustcore/vpn/internal/nl"
)

// Hear says whether something that is not as wished happened to the interface since the last call, or to what the host
// has in the ranges of the tunnel. It does not wait. What agrees with the wish is nobody's harm, and our own changes
// do.
func (l *Link) Hear(routes map[netip.Prefix]struct{}, own []netip.Addr, ranges func() []netip.Prefix) (foreign bool) {
	var lie []netip.Prefix // asked for once, and only when needed
	meets := func(p netip.Prefix) bool {
		if lie == nil {
			lie = ranges()
		}
		return overlap(p, lie).IsValid()
	}
	err := l.news.Drain(func(m nl.Message) {
		if foreign {
			return
		}
		switch m.Type {
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			r, ok := parseRoute(m.Data)
			switch {
			case !ok || r.learnt || r.link == l.index && !l.isOurs(r):
			case l.isOurs(r):
				foreign = contains(routes, r.to) != (m.Type == unix.RTM_NEWROUTE)
			default:
				foreign = r.to.Bits() > 0 && meets(r.to)
			}
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			at, link := parseAddress(m.Data)
			if link == l.index {
				foreign = m.Type == unix.RTM_DELADDR && slices.Contains(own, at)
			} else if at.IsValid() {
				foreign = meets(netip.PrefixFrom(at, at.BitLen()))
			}
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			foreign = l.changed(m)
		}
	})
	return foreign || err != nil
}

// Await returns when there is something to hear, or an error once the link is closed.
func (l *Link) Await() error { return l.news.Wait() }

// parseAddress reads struct ifaddrmsg and its attributes (rtnetlink(7)).
func parseAddress(data []byte) (a netip.Addr, link int) {
	if len(data) < unix.SizeofIfAddrmsg {
		return a, 0
	}
	for kind, value := range nl.Attributes(data[unix.SizeofIfAddrmsg:]) {
		if kind == unix.IFA_LOCAL || kind == unix.IFA_ADDRESS && !a.IsValid() {
			a, _ = netip.AddrFromSlice(value)
		}
	}
	return a, int(binary.NativeEndian.Uint32(data[4:]))
}

// changed says whether the message tells of our interface that it is not as it should be. Name, MTU and alias that are
// not told are as they were.
func (l *Link) changed(m nl.Message) bool {
	if len(m.Data) < unix.SizeofIfInfomsg || int(int32(binary.NativeEndian.Uint32(m.Data[4:]))) != l.index {
		return false
	}
	if m.Type == unix.RTM_DELLINK || (net.Flags(binary.NativeEndian.Uint32(m.Data[8:]))&unix.IFF_UP == 0) != l.rests {
		return true
	}
	for kind, value := range nl.Attributes(m.Data[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			if nl.Text(value) != l.name {
				return true
			}
		case unix.IFLA_MTU:
			if len(value) == 4 && int(binary.NativeEndian.Uint32(value)) != l.mtu {
				return true
			}
		case unix.IFLA_IFALIAS:
			if nl.Text(value) != mark {
				return true
			}
		}
	}
	return false
}
