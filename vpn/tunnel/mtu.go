package tunnel

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"trustcore/vpn"
)

// pathCheck is how often the way to the hub is looked at.
const pathCheck = 10 * time.Second

// mtuTowards is how long a packet in the tunnel may be for the way to the hub to carry it as one datagram. One that is
// longer is cut in pieces, which many a router drops, or can't be sent at all where several go to the kernel at once.
func mtuTowards(endpoint netip.AddrPort) int {
	path, err := pathMTU(endpoint)
	if err != nil || path == 0 {
		return vpn.DefaultMTU
	}
	return vpn.MTUWithin(path, endpoint.Addr(), vpn.DefaultMTU)
}

// fit takes IPv6 from what the tunnel carries where the way to the hub is too narrow for it, and IPv4 is carried too.
func fit(mtu int, all []netip.Prefix) []netip.Prefix {
	only4 := slices.DeleteFunc(slices.Clone(all), func(p netip.Prefix) bool { return p.Addr().Is6() })
	if mtu >= vpn.MinMTU6 || len(only4) == 0 {
		return all
	}
	return only4
}

// Follow keeps the packets of the tunnel as long as the way to the hub carries, until ctx ends: the kernel learns of
// routers that carry less, and an office may move. It has nothing to do where the MTU was given, or no interface carries
// the tunnel.
func (t *Tunnel) Follow(ctx context.Context) {
	if t.cfg.MTU != 0 || t.resize == nil {
		return
	}
	tick := time.NewTicker(pathCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := t.fitPath(); err != nil {
				t.cfg.Log.Warn("the length of the tunnel's packets can't be changed", "error", err)
			}
		}
	}
}

// fitPath looks at the way once.
func (t *Tunnel) fitPath() error {
	mtu := t.room(mtuTowards(t.endpoint))
	before := int(t.mtu.Swap(int64(mtu)))
	if mtu == before {
		return nil
	}
	t.cfg.Log.Info("the way to the hub carries packets of another length", "mtu_before", before, "mtu", mtu)
	return t.resize(mtu)
}

// room is the MTU, or more where the tunnel has IPv6 addresses.
func (t *Tunnel) room(mtu int) int {
	if slices.ContainsFunc(t.addresses, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
		return max(mtu, vpn.MinMTU6)
	}
	return mtu
}

// measure decides how long the tunnel's packets are, and what of the enrolment that has room for.
func (t *Tunnel) measure() {
	mtu := t.cfg.MTU
	if mtu == 0 {
		mtu = mtuTowards(t.endpoint)
	}
	t.addresses, t.reachable = fit(mtu, t.cfg.Enrolment.Address), fit(mtu, t.cfg.Enrolment.Reachable())
	if len(t.addresses) < len(t.cfg.Enrolment.Address) {
		t.cfg.Log.Warn("the way to the hub is too narrow for IPv6 in the tunnel: IPv4 alone is carried", "mtu", mtu)
	}
	t.mtu.Store(int64(t.room(mtu)))
}
