package vpn

import "net/netip"

// The length of packets in the tunnel, in bytes.
const (
	DefaultMTU = 1420         // leaves room for IPv6, UDP and WireGuard inside an Ethernet frame of 1,500 bytes
	MaxMTU     = 9000         // inside a jumbo frame, nearly
	MinMTU6    = 1280         // below it there is no IPv6 (RFC 8200, 5)
	MinMTU     = MinMTU6 - 80 // what is left of the smallest IPv6 path
)

// MTUWithin is how long a packet in the tunnel may be for a way that carries path bytes, by addresses of the kind of
// outer, to carry it as one datagram: with an IP header, one of UDP (8) and what WireGuard adds (32). WireGuard fills a
// packet up to a multiple of 16, but not beyond its own MTU, which is the longest.
func MTUWithin(path int, outer netip.Addr, longest int) int {
	header := 20
	if outer.Is6() {
		header = 40
	}
	mtu := path - header - 8 - 32
	if mtu >= longest {
		return longest
	}
	return max(mtu&^15, MinMTU)
}
