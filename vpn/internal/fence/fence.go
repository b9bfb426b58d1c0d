// Package fence decides who reaches what through the tunnel. It denies by default.
package fence

import (
	"net/netip"
)

// Transport protocols of a flow (IANA protocol numbers).
const (
	TCP = 6
	UDP = 17
)

// Flow is a permission: this source may reach this destination.
type Flow struct {
	Source netip.Addr
	Dest   netip.AddrPort
	Proto  uint8
}

// Policy is everything that is permitted.
type Policy struct {
	Sources map[netip.Addr]struct{} // every tunnel address of an office
	Flows   map[Flow]netip.AddrPort // permission, and where the proxy hands it over

	// Networks are behind offices: what an address in one may do is what the office's own address may, which is named here. They
	// meet neither each other nor Sources.
	Networks map[netip.Prefix]netip.Addr
}

// InNetwork says whether an address lies in a network behind an office.
func (p Policy) InNetwork(a netip.Addr) bool {
	for n := range p.Networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// Traffic counts what passed, in both directions.
type Traffic struct {
	Packets uint64 // 0 where only connections are known
	Bytes   uint64
}

// Size is how many permissions and sources a policy holds.
func (p Policy) Size() int { return len(p.Sources) + len(p.Flows) }

// Counters are what a fence has seen since it was built.
type Counters struct {
	Flows  map[Flow]Traffic
	Denied uint64 // packets, or connections where only these are known
}

// Fence enforces a policy. Restrict comes first and Permit after it, with the change of
// the tunnel's peers between them: so that access is taken before it is given.
type Fence interface {
	// Restrict repairs the fence itself where it was changed from outside, takes away what
	// the policy does not hold, running flows too, and says how many things it changed.
	Restrict(Policy) (changed int, err error)
	// Permit adds what the policy holds and is not there yet. It trusts the Restrict before it.
	Permit(Policy) (changed int, err error)
	// Take takes away what part permits, running flows too, and Give adds it. Both prove what they did by reading it
	// back and nothing else, so that they cost what the part costs. An error says that the fence is not known any more:
	// the next call has to be Restrict. The policy of then is the one that was given last, without or with the part.
	Take(part Policy) error
	Give(part Policy) error
	// Extend has the present end of the lease enforced, and nothing else. Permit does so too.
	Extend() error
	Counters() (Counters, error)
	// Close takes the fence away. The tunnel must be gone before.
	Close() error
}
