package hub

import (
	"fmt"
	"net/netip"
	"strings"

	"trustcore/vpn"
)

// claims are the networks behind offices that the host has for itself, or ways of its own to, with what they meet. With a
// route to the office over it a neighbour of the host would be cut off; so the office goes without, and it alone.
func (h *Hub) claims() map[netip.Prefix]string {
	if h.host == nil {
		return nil
	}
	met := make(map[netip.Prefix]string)
	for _, p := range h.wish.Peers {
		for _, n := range p.Networks {
			if named := h.host.Conflicts(h.cfg.Interface, []netip.Prefix{n}); len(named) > 0 {
				met[n] = strings.Join(named, "; ")
			}
		}
	}
	return met
}

// networksOf are those of a peer's networks that the hub can lead; the others are refused one by one.
func (h *Hub) networksOf(peer *vpn.PeerWish) (kept []netip.Prefix) {
	refuse := func(n netip.Prefix, problem string) {
		h.refused = append(h.refused, peer.Refusal("networks", fmt.Sprintf("%v: %s", n, problem)))
	}
	for _, n := range peer.Networks {
		switch met := h.claimed[n]; {
		case h.mode == vpn.ModeNetstack || h.link == nil:
			refuse(n, "mode netstack knows single addresses alone: start the hub as root")
		case met != "":
			refuse(n, met)
		default:
			kept = append(kept, n)
		}
	}
	return kept
}
