package hub

import (
	"fmt"
	"maps"
	"net/netip"

	"trustcore/vpn"
	"trustcore/vpn/internal/fence"
)

// grants is what of a wish is granted, as each pass needs it.
type grants struct {
	peers  map[vpn.Key]*vpn.PeerWish
	policy fence.Policy
	routes map[netip.Prefix]struct{}

	claimed map[netip.Prefix]string // networks behind offices that are, or meet, the host's own, and what they meet

	served    map[netip.Addr]int // how many services of the wish are at an address, which is nobody's then
	entangled bool               // what one peer gets depends on what another has, or the device did not take one
}

// adopt makes w the wish.
func (h *Hub) adopt(w vpn.Wish) {
	h.wish, h.wished, h.met = w, true, nil
	h.derive()
}

// derive makes of the wish what each pass needs of it.
func (h *Hub) derive() {
	h.settled = false
	granted, refused := h.wish.Divide([]vpn.Key{h.publicKey}, h.hosts())
	alone := len(h.wish.Peers) - len(granted) // refused whatever others have
	if h.shut() != nil {
		granted = nil
	}
	h.refused = refused
	h.grants = grants{
		peers: make(map[vpn.Key]*vpn.PeerWish, len(granted)), routes: make(map[netip.Prefix]struct{}, 2*len(granted)),
		policy: newPolicy(len(granted)), served: make(map[netip.Addr]int), claimed: h.claims(),
	}
	for i := range granted {
		peer := &granted[i]
		kept := make([]vpn.Service, 0, len(peer.Services))
		for j, s := range peer.Services {
			if problem := h.cannotCarry(s); problem != "" {
				h.refused = append(h.refused, peer.Refusal(fmt.Sprintf("services[%d]", j), problem))
				continue
			}
			kept = append(kept, s)
		}
		peer.Services = kept
		peer.Networks = h.networksOf(peer)
		h.grants.add(peer)
	}
	for _, p := range h.wish.Peers {
		h.serve(p, 1)
		if p.Check(h.publicKey) != nil {
			alone--
		}
	}
	h.entangled = alone != 0
}

// serve counts the addresses of a peer's services, or takes them from the count.
func (g *grants) serve(p vpn.PeerWish, n int) {
	for _, s := range p.Services {
		a := s.Addr.Addr()
		if g.served[a] += n; g.served[a] == 0 {
			delete(g.served, a)
		}
	}
}

func (g *grants) add(peer *vpn.PeerWish) {
	g.peers[peer.PublicKey] = peer
	for _, a := range peer.Routed() {
		g.routes[a] = struct{}{}
	}
	part := policyOf(peer)
	for a := range part.Sources {
		g.policy.Sources[a] = struct{}{}
	}
	maps.Copy(g.policy.Networks, part.Networks)
	for flow, backend := range part.Flows {
		g.policy.Flows[flow] = backend
	}
}

func (g *grants) remove(peer *vpn.PeerWish) {
	delete(g.peers, peer.PublicKey)
	for _, a := range peer.Routed() {
		delete(g.routes, a)
	}
	part := policyOf(peer)
	for a := range part.Sources {
		delete(g.policy.Sources, a)
	}
	for n := range part.Networks {
		delete(g.policy.Networks, n)
	}
	for flow := range part.Flows {
		delete(g.policy.Flows, flow)
	}
}

func newPolicy(peers int) fence.Policy {
	return fence.Policy{Sources: make(map[netip.Addr]struct{}, 2*peers), Flows: make(map[fence.Flow]netip.AddrPort, peers),
		Networks: make(map[netip.Prefix]netip.Addr)}
}

// policyOf is what of a policy is for one peer.
func policyOf(peer *vpn.PeerWish) fence.Policy {
	p := newPolicy(1)
	for _, n := range peer.Networks {
		p.Networks[n] = peer.StandsFor(n)
	}
	for _, a := range peer.Addresses {
		p.Sources[a.Addr()] = struct{}{}
		for _, s := range peer.Services {
			if a.Addr().Is4() == s.Addr.Addr().Is4() {
				p.Flows[flow(s, a.Addr())] = s.Backend
			}
		}
	}
	return p
}

func flow(s vpn.Service, source netip.Addr) fence.Flow {
	proto := uint8(fence.TCP)
	if s.Proto == "udp" {
		proto = fence.UDP
	}
	return fence.Flow{Source: source, Dest: s.Addr, Proto: proto}
}
