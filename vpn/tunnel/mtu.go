package tunnel

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
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
// routers that carry less, and an office may move. It does not where the MTU was given, or no interface carries the
// tunnel. While the hub does not answer, its name is looked up again.
func (t *Tunnel) Follow(ctx context.Context) {
	tick := time.NewTicker(pathCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := t.find(ctx, time.Now()); err != nil {
				t.cfg.Log.Warn("the hub's endpoint", "error", err)
			}
			if err := t.fitPath(); err != nil {
				t.cfg.Log.Warn("the length of the tunnel's packets can't be changed", "error", err)
			}
		}
	}
}

// find looks the hub's name up again while the hub does not answer, and follows it.
func (t *Tunnel) find(ctx context.Context, now time.Time) error {
	status, err := t.Status(now)
	if err != nil || status.State == vpn.StateUp {
		return err
	}
	name := t.hubName()
	endpoint, err := resolve(ctx, name)
	if err != nil {
		return err
	}
	t.changes.Lock()
	defer t.changes.Unlock()
	if endpoint == t.endpoint || name != t.cfg.Enrolment.Hub.Endpoint {
		return nil
	}
	t.cfg.Log.Info("the hub's name has another address", "before", t.endpoint, "endpoint", endpoint)
	return t.moveTo(endpoint)
}

// moveTo has the device reach the hub elsewhere. The caller holds t.changes.
func (t *Tunnel) moveTo(endpoint netip.AddrPort) error {
	if slices.Contains(t.cfg.Enrolment.Reachable(), netip.PrefixFrom(endpoint.Addr(), endpoint.Addr().BitLen())) {
		return fmt.Errorf("the hub's endpoint %v lies inside its own tunnel", endpoint)
	}
	change := device.PeerChange{PublicKey: t.presentHub(), UpdateOnly: true, Endpoint: endpoint}
	if err := t.device.Write(device.Change{Peers: []device.PeerChange{change}}); err != nil {
		return err
	}
	t.endpoint = endpoint
	return nil
}

// fitPath looks at the way once.
func (t *Tunnel) fitPath() error {
	if t.cfg.MTU != 0 || t.resize == nil {
		return nil
	}
	t.changes.Lock()
	mtu := t.room(t.limited(mtuTowards(t.endpoint)))
	t.changes.Unlock()
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

// limited is the MTU, or less where the core sets a limit.
func (t *Tunnel) limited(mtu int) int {
	if limit := int(t.limit.Load()); limit != 0 {
		return min(mtu, limit)
	}
	return mtu
}

// measure decides how long the tunnel's packets are, and what of the enrolment that has room for.
func (t *Tunnel) measure() {
	mtu := t.cfg.MTU
	if mtu == 0 {
		mtu = t.limited(mtuTowards(t.endpoint))
	}
	t.addresses, t.reachable = fit(mtu, t.cfg.Enrolment.Address), fit(mtu, t.cfg.Enrolment.Reachable())
	if len(t.addresses) < len(t.cfg.Enrolment.Address) {
		t.cfg.Log.Warn("the way to the hub is too narrow for IPv6 in the tunnel: IPv4 alone is carried", "mtu", mtu)
	}
	t.mtu.Store(int64(t.room(mtu)))
}
