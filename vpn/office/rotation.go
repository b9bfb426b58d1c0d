package office

import "trustcore/vpn"

// The routes by which an office and the core rotate the secrets of the office's tunnel, at the HSM gateway: mutual TLS inside
// the tunnel, which goes on meanwhile.
const (
	StandingRoute         = "/v1/tunnel"
	PresharedRoute        = "/v1/tunnel/preshared-key"
	PresharedConfirmRoute = "/v1/tunnel/preshared-key/confirm"
	KeyRoute              = "/v1/tunnel/key"
	KeyConfirmRoute       = "/v1/tunnel/key/confirm"
	HubRoute              = "/v1/tunnel/hub"
)

// The secrets of a tunnel, as the core names them.
const (
	PresharedKey = "preshared-key"
	Key          = "key"
	HubKey       = "hub-key" // which offices follow
)

// Standing is how the core sees the office's tunnel.
type Standing struct {
	PublicKey vpn.Key  `json:"public_key"`
	NextKey   vpn.Key  `json:"next_public_key,omitzero"` // that the office named and did not confirm
	Serial    int64    `json:"preshared_serial"`         // of the pre-shared key in force; 0 is none
	Rotate    []string `json:"rotate"`                   // what the office is asked to rotate now
	Settings  string   `json:"settings,omitempty"`       // signed, see [OpenSettings]; "" while no gateway has the office
}

// PresharedOffer begins a rotation of the pre-shared key: Exchange is the office's half, see [vpn.Exchange].
type PresharedOffer struct {
	Exchange []byte `json:"exchange"`
}

// PresharedAnswer is the core's half. The key is not in force before the office confirms that it has it, safe from a crash.
type PresharedAnswer struct {
	Serial       int64  `json:"serial"`
	Encapsulated []byte `json:"encapsulated"`
}

// PresharedConfirmation shows that the office has the key, see [vpn.PresharedKey.Proof]. The hub changes over first: when the
// answer says that the key is in force the office follows. Until then, and after a crash, it has both.
type PresharedConfirmation struct {
	Serial int64  `json:"serial"`
	Proof  []byte `json:"proof"`
}

// KeyChange names the key to which the office changes, and confirms later that it did. Between both the gateways know both.
// At HubRoute it names the hub's next key, which the office is about to use: the gateways look out for it then.
type KeyChange struct {
	PublicKey string `json:"wireguard_public_key"`
}

// Carried says whether every gateway that speaks has done what was asked for; else ask again.
type Carried struct {
	InForce bool `json:"in_force"`
}
