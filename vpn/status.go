package vpn

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"trustcore/vpn/internal/fence"
)

// State is the health of one tunnel, derived from its last handshake.
type State string

// The states. While traffic or keepalives flow, a handshake happens every 120 s; a session
// ends 180 s after its handshake (REJECT_AFTER_TIME), and an initiator gives up after
// another 90 s (REKEY_ATTEMPT_TIME) and 5 s.
const (
	StateUp    State = "up"
	StateStale State = "stale" // the session ended, a new one may be under way
	StateDown  State = "down"
	StateNever State = "never" // no handshake since the hub started
)

const (
	staleAfter = 180 * time.Second
	downAfter  = 275 * time.Second
)

// StateAt judges the last handshake (zero when there was none) at a time.
func StateAt(lastHandshake, now time.Time) State {
	switch age := now.Sub(lastHandshake); {
	case lastHandshake.IsZero():
		return StateNever
	case age <= staleAfter:
		return StateUp
	case age <= downAfter:
		return StateStale
	}
	return StateDown
}

// Applied names a wish that was carried out.
type Applied struct {
	Epoch    string `json:"epoch"`
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
}

// Status is what a hub says about itself. It holds no secrets.
type Status struct {
	Applied                   // the last wish that was carried out; everything it took away is gone
	Mode       Mode           `json:"mode"`
	PublicKey  Key            `json:"public_key"`
	ListenPort int            `json:"listen_port"`
	Addresses  []netip.Prefix `json:"addresses"`
	Denied     uint64         `json:"denied"`            // packets (netstack: connections) that met no permission
	Problem    string         `json:"problem,omitempty"` // why every peer is shut out
	Refused    []Refusal      `json:"refused,omitempty"` // what of the wish is not granted

	// Findings is what people should look at while the tunnels go on, refusals among it.
	Findings     []Finding    `json:"findings,omitempty"`
	LeaseSeconds int64        `json:"lease_seconds"` // the lease that the gateway was given last; set by who holds it
	Peers        []PeerStatus `json:"peers"`         // sorted by partner and site
}

// Finding is one thing that is not as it should be.
type Finding struct {
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// PeerStatus is the state of one office's tunnel.
type PeerStatus struct {
	Partner       string           `json:"partner"`
	Site          string           `json:"site"`
	PublicKey     Key              `json:"public_key"`
	State         State            `json:"state"`
	Endpoint      netip.AddrPort   `json:"endpoint,omitzero"` // where the office was last heard
	LastHandshake time.Time        `json:"last_handshake,omitzero"`
	Received      int64            `json:"received_bytes"` // by the hub
	Sent          int64            `json:"sent_bytes"`
	Services      []ServiceTraffic `json:"services"`
}

// ServiceTraffic counts what went between one office and one service, both ways.
type ServiceTraffic struct {
	Name    string         `json:"name"`
	Addr    netip.AddrPort `json:"addr"`
	Packets uint64         `json:"packets"` // 0 in mode netstack
	Bytes   uint64         `json:"bytes"`
}

// Status reads the device and the counters, and remembers the offices' endpoints. Peers that the device
// has and the wish has not (drift) are not listed; Reconcile removes them.
func (h *Hub) Status(now time.Time) (Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state, err := h.device.Read()
	if err != nil {
		return Status{}, err
	}
	problem, findings := h.closed, h.findings()
	if err := h.shut(); problem == "" && err != nil {
		problem = err.Error()
	}
	if h.wished {
		if err := h.endpoints.remember(state.Peers); err != nil {
			findings = append(findings, Finding{"where offices were heard last can't be kept: after a restart they are silent for 15 s", err.Error()})
		}
	}
	counters, err := h.fence.Counters()
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Applied: h.inForce, Refused: h.refused, Mode: h.mode, PublicKey: h.PublicKey(), ListenPort: state.ListenPort,
		Addresses: h.cfg.Addresses, Denied: counters.Denied, Problem: problem, Findings: findings, Peers: []PeerStatus{},
	}
	for key, want := range h.peers {
		have := state.Peers[key]
		peer := PeerStatus{
			Partner: want.Partner, Site: want.Site, PublicKey: key, State: StateAt(have.LastHandshake, now),
			Endpoint: have.Endpoint, LastHandshake: have.LastHandshake, Received: have.Received, Sent: have.Sent, Services: []ServiceTraffic{},
		}
		for _, service := range want.Services {
			traffic := ServiceTraffic{Name: service.Name, Addr: service.Addr}
			for _, a := range want.Addresses {
				t := counters.Flows[service.from(a.Addr())]
				traffic.Packets += t.Packets
				traffic.Bytes += t.Bytes
			}
			peer.Services = append(peer.Services, traffic)
		}
		s.Peers = append(s.Peers, peer)
	}
	slices.SortFunc(s.Peers, func(a, b PeerStatus) int {
		return strings.Compare(a.Partner+"\x00"+a.Site+"\x00"+a.PublicKey.String(), b.Partner+"\x00"+b.Site+"\x00"+b.PublicKey.String())
	})
	return s, nil
}

// findings is what people should look at. The caller holds h.mu.
func (h *Hub) findings() (all []Finding) {
	for i, r := range h.refused {
		if i == maxFindings {
			all = append(all, Finding{fmt.Sprintf("%d more parts of the wish are refused", len(h.refused)-i), "see the report of the gateway"})
			break
		}
		all = append(all, Finding{fmt.Sprintf("the office %q of partner %q with the key %s is refused: %s %s", r.Site, r.Partner, r.PublicKey, r.Field, r.Problem),
			"take its order back, or correct what is named"})
	}
	for _, what := range h.met[:min(len(h.met), maxFindings)] {
		all = append(all, Finding{what + ", a range of the tunnel", "take it away, or choose another range; it is left as it is, and the next start is refused"})
	}
	for _, what := range h.unled[:min(len(h.unled), maxFindings)] {
		all = append(all, Finding{what, "the offices there are let in and get no answers; see what the host lacks"})
	}
	return append(all, h.hostFindings()...)
}

// hostFindings is what of the host may keep permitted packets from their way.
func (h *Hub) hostFindings() (all []Finding) {
	firewall, is := h.fence.(*fence.Nftables)
	if !is {
		return nil
	}
	strict, err := firewall.Strict()
	if err != nil {
		return []Finding{{"the host's firewall can't be read", err.Error()}}
	}
	for _, chain := range strict {
		all = append(all, Finding{"the host's own firewall drops what it does not permit: " + chain,
			"see that it permits the services behind " + h.cfg.Interface + ", and the hub's UDP port"})
	}
	for family, file := range map[string]string{"IPv4": "/proc/sys/net/ipv4/ip_forward", "IPv6": "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if value, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(value)) == "0" && h.forwards(family == "IPv4") {
			all = append(all, Finding{"a service lies behind this host, which forwards no " + family, "write 1 to " + file})
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
