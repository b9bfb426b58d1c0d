package hub

import (
	"net/netip"
	"slices"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
)

// When an office is suspect. A line that is lost now and then comes back once; a computer that roams changes its place, and
// stays there for longer than the minute in which two that share a key take turns.
const (
	flapWindow  = time.Hour
	flapReturns = 3 // times that the tunnel came back within the window
	turnWindow  = 10 * time.Minute
	turnChanges = 6 // times that the office was heard at the place before within the window
)

// health is what was seen of one office, reading by reading.
type health struct {
	state    vpn.State
	endpoint netip.AddrPort // where it was heard last
	before   netip.AddrPort // the place before that
	returns  []time.Time    // the tunnel was up again
	turns    []time.Time    // the office was heard at the place before again: a router that gives other ports goes to no such
}

// look takes a reading, and says what is suspect.
func (h *health) look(state vpn.State, endpoint netip.AddrPort, now time.Time) (suspect []vpn.Suspicion) {
	if h.state != "" && h.state != vpn.StateUp && h.state != vpn.StateNever && state == vpn.StateUp {
		h.returns = append(h.returns, now)
	}
	h.state = state
	if endpoint.IsValid() && endpoint != h.endpoint {
		if endpoint == h.before {
			h.turns = append(h.turns, now)
		}
		h.before, h.endpoint = h.endpoint, endpoint
	}
	h.returns, h.turns = since(h.returns, now.Add(-flapWindow)), since(h.turns, now.Add(-turnWindow))
	if len(h.returns) >= flapReturns {
		suspect = append(suspect, vpn.Flapping)
	}
	if len(h.turns) >= turnChanges {
		suspect = append(suspect, vpn.TwoPlaces)
	}
	return suspect
}

// since leaves the latest times out of which none is before then, as many as anybody asks for.
func since(all []time.Time, then time.Time) []time.Time {
	all = slices.DeleteFunc(all, func(t time.Time) bool { return t.Before(then) })
	return all[max(0, len(all)-turnChanges):]
}

// suspicions looks at the offices of a reading. Those that are gone are forgotten.
func (h *Hub) suspicions(peers map[device.Key]device.Peer, now time.Time) map[vpn.Key][]vpn.Suspicion {
	found, seen := make(map[vpn.Key][]vpn.Suspicion), make(map[vpn.Key]*health, len(h.peers))
	for key, want := range h.peers {
		if want.Dormant {
			continue
		}
		office := h.seen[key]
		if office == nil {
			office = new(health)
		}
		seen[key] = office
		have := peers[key]
		suspect := office.look(vpn.StateAt(have.LastHandshake, now), have.Endpoint, now)
		if h.narrow(have.Endpoint.Addr()) {
			suspect = append(suspect, vpn.NarrowWay)
		}
		if len(suspect) > 0 {
			found[key] = suspect
		}
	}
	h.seen = seen
	return found
}

// narrow says whether the kernel has heard that the way to an office carries less than the tunnel's packets need.
func (h *Hub) narrow(outer netip.Addr) bool {
	if h.host == nil {
		return false
	}
	path, known := h.host.Paths[outer]
	return known && vpn.MTUWithin(path, outer, h.cfg.MTU) < h.cfg.MTU
}
