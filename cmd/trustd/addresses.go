package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"trustcore/cmd/internal/registry"
)

// addresses are those of the office at the other end of a tunnel: the one that the registry gave it, and with a second
// pool the IPv6 address that ends in it. So whoever has the one has the other, for as long.
func (t *Tunnel) addresses(of registry.Tunnel) []netip.Prefix {
	all := []netip.Prefix{netip.PrefixFrom(of.Address, of.Address.BitLen())}
	if t.Pool6.IsValid() && of.Address.Is4() {
		six := t.Pool6.Masked().Addr().As16()
		four := of.Address.As4()
		copy(six[12:], four[:])
		all = append(all, netip.PrefixFrom(netip.AddrFrom16(six), 128))
	}
	return all
}

// pools are where the addresses of offices come from.
func (t *Tunnel) pools() []netip.Prefix {
	if !t.Pool6.IsValid() {
		return []netip.Prefix{t.Pool}
	}
	return []netip.Prefix{t.Pool, t.Pool6}
}

// holds says whether the address is one of the tunnel's.
func (t *Tunnel) holds(a netip.Addr) bool {
	return slices.ContainsFunc(t.pools(), func(pool netip.Prefix) bool { return pool.Contains(a) })
}

// isOffices says whether the address is, or may be, that of an office.
func (t *Tunnel) isOffices(a netip.Addr) bool { return t.holds(a) && a != t.Hub && a != t.Hub6 }

func (t *Tunnel) checkPool6() error {
	if !t.Pool6.IsValid() {
		if t.Hub6.IsValid() {
			return errors.New("tunnel.pool6 is missing, and tunnel.hub6 is there")
		}
		return nil
	}
	switch {
	case !t.Pool.Addr().Is4():
		return errors.New("tunnel.pool6: the addresses end in those of tunnel.pool, which is no IPv4 pool")
	case !t.Pool6.Addr().Is6() || t.Pool6.Addr().Is4In6() || t.Pool6.Bits() > 96:
		return fmt.Errorf("tunnel.pool6: %s is no IPv6 prefix of at most 96 bits", t.Pool6)
	case !t.Pool6.Contains(t.Hub6):
		return fmt.Errorf("tunnel.hub6: %s does not lie in tunnel.pool6 %s", t.Hub6, t.Pool6)
	}
	six := t.Hub6.As16()
	if end := netip.AddrFrom4([4]byte(six[12:])); t.Pool.Contains(end) && end != t.Hub {
		return fmt.Errorf("tunnel.hub6: %s is that of the office with %s", t.Hub6, end)
	}
	return nil
}
