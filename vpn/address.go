package vpn

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrPoolExhausted says that every address of the pool is taken.
var ErrPoolExhausted = errors.New("no address is left in the pool")

// NextAddress gives the lowest address of the pool that is not in used (any order,
// repeats and addresses of other pools do no harm). The first address of the pool names
// the network and the last of an IPv4 pool is its broadcast address: neither is given.
// It is a pure function; that two callers cannot get the same address is for the
// registry's constraint to see to. Time is linear in len(used).
func NextAddress(pool netip.Prefix, used []netip.Addr) (netip.Addr, error) {
	if !pool.IsValid() || pool.Addr().Is4In6() {
		return netip.Addr{}, fmt.Errorf("pool %v is not a prefix", pool)
	}
	taken := make(map[netip.Addr]struct{}, len(used))
	for _, a := range used {
		taken[a] = struct{}{}
	}
	pool = pool.Masked()
	for a := pool.Addr().Next(); pool.Contains(a); a = a.Next() {
		if a.Is4() && !pool.Contains(a.Next()) {
			break
		}
		if _, is := taken[a]; !is {
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%v: %w", pool, ErrPoolExhausted)
}
