package hub

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
)

// Status reads the device and the counters, and remembers the offices' endpoints. Peers that the device
// has and the wish has not (drift) are not listed; Reconcile removes them.
func (h *Hub) Status(now time.Time) (vpn.Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state, err := h.device.Read()
	if err != nil {
		return vpn.Status{}, err
	}
	problem, findings := h.closed, h.findings()
	if err := h.shut(); problem == "" && err != nil {
		problem = err.Error()
	}
	if h.wished && !h.rests {
		h.settled = h.settled && !h.unheeded(state.Peers)
		if err := h.endpoints.remember(h.carried(state.Peers)); err != nil {
			findings = append(findings, finding("where offices were heard last can't be kept: after a restart they are silent for 15 s", err.Error()))
		}
	}
	counters, err := h.fence.Counters()
	if err != nil {
		return vpn.Status{}, err
	}
	s := vpn.Status{
		Applied: h.inForce, Refused: h.refused, Mode: h.mode, PublicKey: h.PublicKey(), ListenPort: state.ListenPort,
		Addresses: h.cfg.Addresses, Denied: counters.Denied, Problem: problem, Findings: findings, Peers: []vpn.PeerStatus{},
	}
	suspect := h.suspicions(state.Peers, now)
	for key, want := range h.peers {
		if want.Dormant {
			continue // the office is listed with its other key
		}
		have := state.Peers[key]
		peer := vpn.PeerStatus{
			Partner: want.Partner, Site: want.Site, PublicKey: key, State: vpn.StateAt(have.LastHandshake, now), Suspect: suspect[key],
			Endpoint: have.Endpoint, LastHandshake: have.LastHandshake, Received: have.Received, Sent: have.Sent, Services: []vpn.ServiceTraffic{},
		}
		for _, service := range want.Services {
			traffic := vpn.ServiceTraffic{Name: service.Name, Addr: service.Addr}
			for _, a := range want.Addresses {
				t := counters.Flows[flow(service, a.Addr())]
				traffic.Packets += t.Packets
				traffic.Bytes += t.Bytes
			}
			peer.Services = append(peer.Services, traffic)
		}
		s.Peers = append(s.Peers, peer)
	}
	slices.SortFunc(s.Peers, func(a, b vpn.PeerStatus) int {
		return cmp.Or(strings.Compare(a.Partner, b.Partner), strings.Compare(a.Site, b.Site), bytes.Compare(a.PublicKey[:], b.PublicKey[:]))
	})
	return s, nil
}

// carried are the peers that have addresses: where the others were heard is of no use after a restart.
func (h *Hub) carried(peers map[device.Key]device.Peer) map[device.Key]device.Peer {
	var dormant []device.Key
	for key, p := range h.peers {
		if p.Dormant {
			dormant = append(dormant, key)
		}
	}
	if len(dormant) == 0 {
		return peers
	}
	peers = maps.Clone(peers)
	for _, key := range dormant {
		delete(peers, key)
	}
	return peers
}

// unheeded says whether an office was heard for the first time, to which the hub does not keep the way open yet: that
// is for the next pass.
func (h *Hub) unheeded(peers map[device.Key]device.Peer) bool {
	for key, p := range peers {
		want := h.peers[key]
		if want != nil && p.Endpoint.IsValid() && p.Keepalive != keepaliveOf(want) && !h.sleeps(vpn.Key(key)) {
			return true
		}
	}
	return false
}

// findings is what people should look at. The caller holds h.mu.
func (h *Hub) findings() (all []vpn.Finding) {
	for i, r := range h.refused {
		if i == maxFindings {
			all = append(all, finding(fmt.Sprintf("%d more parts of the wish are refused", len(h.refused)-i), "see the report of the gateway"))
			break
		}
		all = append(all, finding(fmt.Sprintf("the office %q of partner %q with the key %s is refused: %s %s", r.Site, r.Partner, r.PublicKey, r.Field, r.Problem),
			"take its order back, or correct what is named"))
	}
	for _, what := range h.met[:min(len(h.met), maxFindings)] {
		all = append(all, finding(what+", a range of the tunnel", "take it away, or choose another range; it is left as it is, and the next start is refused"))
	}
	for _, what := range h.unled[:min(len(h.unled), maxFindings)] {
		all = append(all, finding(what, "the offices there are let in and get no answers; see what the host lacks"))
	}
	return append(all, h.hostFindings()...)
}

// hostFindings is what of the host may keep permitted packets from their way.
func (h *Hub) hostFindings() (all []vpn.Finding) {
	if h.table == nil {
		return nil
	}
	strict, err := h.table.Strict()
	if err != nil {
		return []vpn.Finding{finding("the host's firewall can't be read", err.Error())}
	}
	for _, chain := range strict {
		all = append(all, finding("the host's own firewall drops what it does not permit: "+chain,
			"see that it permits the services behind "+h.cfg.Interface+", and the hub's UDP port"))
	}
	for family, file := range map[string]string{"IPv4": "/proc/sys/net/ipv4/ip_forward", "IPv6": "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if value, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(value)) == "0" && h.forwards(family == "IPv4") {
			all = append(all, finding("a service lies behind this host, which forwards no "+family, "write 1 to "+file))
		}
	}
	return all
}

// forwards says whether a permitted service of the family is on another host.
func (h *Hub) forwards(v4 bool) bool {
	for flow := range h.policy.Flows {
		if a := flow.Dest.Addr(); a.Is4() == v4 && h.host != nil && !h.host.Has(a) {
			return true
		}
	}
	return false
}

// maxFindings bounds how many of one kind are listed.
const maxFindings = 20

func finding(what, remedy string) vpn.Finding { return vpn.Finding{What: what, Remedy: remedy} }
