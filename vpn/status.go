package vpn

import (
	"net/netip"
	"time"
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

// Suspicion is what is not right with a tunnel although it may be up.
type Suspicion string

// The suspicions.
const (
	Flapping  Suspicion = "flapping"    // it went down and came back several times within an hour
	TwoPlaces Suspicion = "two-places"  // the office is heard from several places in turn: two computers may use its key
	NarrowWay Suspicion = "mtu-suspect" // the way to the office carries less than the tunnel's packets need; they are kept shorter
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
	Findings []Finding `json:"findings,omitempty"`
	Drift    Drift     `json:"drift,omitzero"`

	// Second says that the hub's key is that of its second interface and port. Next is the key to which the hub changes,
	// at its other ones; nil while it does not.
	Second bool     `json:"second,omitempty"`
	Next   *NextHub `json:"next,omitempty"`

	// Pair is how the gateway stands to the other one of its pair; nil where there is none.
	Pair *PairStatus `json:"pair,omitempty"`

	LeaseSeconds int64        `json:"lease_seconds"` // the lease that the gateway was given last; set by who holds it
	Peers        []PeerStatus `json:"peers"`         // sorted by partner and site
}

// PairStatus is how a gateway stands to the other one, which has the same key of the hub.
type PairStatus struct {
	Active     bool   `json:"active"`          // it carries the tunnels; else it has them prepared, and is silent
	Ready      bool   `json:"ready"`           // it could
	Term       uint64 `json:"term"`            // number of the last take-over that it knows of
	Other      string `json:"other,omitempty"` // what the other one does, "active" or "standby"; "" when it is not heard
	OtherReady bool   `json:"other_ready"`     // it could carry the tunnels
	SkewMillis int64  `json:"skew_millis"`     // by how much the other's clock is ahead
	KeysSerial int64  `json:"keys_serial"`     // number of the hub's keys that it has
	Problem    string `json:"problem,omitempty"`
}

// GatewayStatus is what officers see of a gateway on the core's list.
type GatewayStatus struct {
	Name      string      `json:"name"`
	HeardAt   time.Time   `json:"heard_at"`
	PublicKey string      `json:"public_key"`     // of its hub; "" before its first report
	Pair      *PairStatus `json:"pair,omitempty"` // nil for one that is alone
	Peers     int         `json:"peers"`
	Up        int         `json:"up"` // of the peers, those whose tunnel is up
	Problem   string      `json:"problem,omitempty"`

	// Of the hub's keys: the name of the recipient that it offers, whether two officers decided on that one, from whom it wants
	// them, and the number of those that it has.
	Recipient string `json:"recipient,omitempty"`
	Approved  bool   `json:"approved"`
	KeysFrom  string `json:"keys_from,omitempty"`
	Serial    int64  `json:"keys_serial"`
}

// Standby says that the gateway carries no tunnel now, since the other one of its pair does.
func (s Status) Standby() bool { return s.Pair != nil && !s.Pair.Active }

// NextHub is the key to which a hub changes, and the UDP port at which it has it.
type NextHub struct {
	PublicKey  Key `json:"public_key"`
	ListenPort int `json:"listen_port"`
}

// Drift is what others did to a gateway, which undid it.
type Drift struct {
	Count int64  `json:"count"` // since the gateway's daemon started
	What  string `json:"what"`  // was different the last time
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
	Suspect       []Suspicion      `json:"suspect,omitempty"`
	Endpoint      netip.AddrPort   `json:"endpoint,omitzero"` // where the office was last heard
	LastHandshake time.Time        `json:"last_handshake,omitzero"`
	Received      int64            `json:"received_bytes"` // by the hub
	Sent          int64            `json:"sent_bytes"`
	Followed      bool             `json:"followed,omitempty"` // the office uses the hub's next key
	Services      []ServiceTraffic `json:"services"`
}

// ServiceTraffic counts what went between one office and one service, both ways.
type ServiceTraffic struct {
	Name    string         `json:"name"`
	Addr    netip.AddrPort `json:"addr"`
	Packets uint64         `json:"packets"` // 0 in mode netstack
	Bytes   uint64         `json:"bytes"`
}
