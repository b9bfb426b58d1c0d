package vpn

import (
	"fmt"
	"time"
)

// Limits of a lease: how long a gateway may carry tunnels without an answer of the core. They bound how long a
// gateway that is cut off lets a revoked partner in, and how long an outage of the core may last.
const (
	MinLease     = time.Minute
	DefaultLease = 15 * time.Minute
	MaxLease     = 24 * time.Hour
)

// CheckLease refuses a lease that is not within the limits.
func CheckLease(d time.Duration) error {
	if d < MinLease || d > MaxLease {
		return fmt.Errorf("%v is not within %v to %v", d, MinLease, MaxLease)
	}
	return nil
}

// Answer is what the core answers to a gateway, to its question for the wish and to its report alike. Each answer
// renews the lease, counted from when the gateway asked.
type Answer struct {
	LeaseSeconds int64 `json:"lease_seconds"`
	Wish         *Wish `json:"wish,omitempty"` // nil when the gateway has the present one

	// BeginHubKey asks the gateway to make its hub's next key, EndHubKey to end the former one, which it names: offices that
	// have not followed are cut off. Both stand in answers to reports until the gateway reports that it is done.
	BeginHubKey bool `json:"begin_hub_key,omitempty"`
	EndHubKey   Key  `json:"end_hub_key,omitzero"`

	// TakeOver asks the standby of a pair to have the other gateway hand over.
	TakeOver bool `json:"take_over,omitempty"`
}
