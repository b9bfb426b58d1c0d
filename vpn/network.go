package vpn

import (
	"fmt"
	"net/netip"
	"slices"
)

// The shortest prefixes that one office may have behind it, in bits: 65,536 addresses of IPv4, a site of IPv6 (RFC 6177).
const (
	minNetworkBits4 = 16
	minNetworkBits6 = 48
)

// NetworkProblem says why a prefix can't lie behind an office, or "". It has to be of addresses for private use (RFC 1918, RFC
// 4193): with any other the data centre's way to somebody else would lead to the office.
func NetworkProblem(p netip.Prefix) string {
	a := p.Addr()
	shortest := minNetworkBits4
	if a.Is6() {
		shortest = minNetworkBits6
	}
	switch {
	case !p.IsValid():
		return "is no network"
	case a.Is4In6() || a.Zone() != "":
		return p.String() + " is not a plain IPv4 or IPv6 network"
	case p != p.Masked():
		return p.String() + " has bits of a host: write " + p.Masked().String()
	case p.Bits() < shortest:
		return fmt.Sprintf("%s is too large for one office: write the networks that are there, of /%d or longer", p, shortest)
	case !a.IsPrivate():
		return p.String() + " is not for private use (RFC 1918, RFC 4193): have the office's router translate it to the tunnel address"
	}
	return ""
}

// divideNetworks takes from the granted peers the networks that they can't have, one by one: those that meet an address or a
// network that somebody else has, or the pool.
func (d divider) divideNetworks(granted []PeerWish, pool []netip.Prefix) (refused []Refusal) {
	var taken []ownedNetwork
	for _, p := range pool {
		taken = append(taken, ownedNetwork{p, "the pool of the tunnels"})
	}
	for i := range granted {
		p := &granted[i]
		if len(p.Networks) == 0 {
			continue
		}
		var kept []netip.Prefix
		for j, n := range p.Networks {
			problem := d.networkProblem(p, j, n, taken)
			if problem != "" {
				refused = append(refused, p.Refusal(fmt.Sprintf("networks[%d]", j), problem))
				continue
			}
			kept, taken = append(kept, n), append(taken, ownedNetwork{n, p.label()})
		}
		p.Networks = kept
	}
	return refused
}

// ownedNetwork is a network that somebody has.
type ownedNetwork struct {
	netip.Prefix
	owner string
}

func (d divider) networkProblem(p *PeerWish, j int, n netip.Prefix, taken []ownedNetwork) string {
	if problem := NetworkProblem(n); problem != "" {
		return problem
	}
	if j >= MaxNetworksOfPeer || len(taken) >= MaxNetworks {
		return fmt.Sprintf("a peer has at most %d networks, and all have %d", MaxNetworksOfPeer, MaxNetworks)
	}
	if !p.StandsFor(n).IsValid() {
		return n.String() + " is of a family of which the office has no address"
	}
	if i := slices.IndexFunc(taken, func(o ownedNetwork) bool { return o.Overlaps(n) }); i >= 0 {
		return fmt.Sprintf("%v meets %v of %s", n, taken[i].Prefix, taken[i].owner)
	}
	for a, owner := range d.owners {
		if n.Contains(a) {
			return fmt.Sprintf("%v holds %v, which belongs to %s", n, a, owner)
		}
	}
	return ""
}

// StandsFor is the peer's own address that stands for a network behind it where permissions are looked up; the invalid one
// where it has none of the family.
func (p *PeerWish) StandsFor(n netip.Prefix) netip.Addr {
	for _, a := range p.Addresses {
		if a.Addr().Is4() == n.Addr().Is4() {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// Routed are all prefixes that lead to the peer: its addresses and the networks behind it.
func (p *PeerWish) Routed() []netip.Prefix {
	if len(p.Networks) == 0 {
		return p.Addresses
	}
	return slices.Concat(p.Addresses, p.Networks)
}
