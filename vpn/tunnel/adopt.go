package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"trustcore/vpn/internal/device"
	"trustcore/vpn/office"
)

// Adopt changes the tunnel over to other settings, without taking it down: the hub's endpoint, what is reached through it, and
// the longest packet, which is maxMTU bytes where the office measures (0 is no limit). Keys and addresses of the office are
// not among them.
func (t *Tunnel) Adopt(ctx context.Context, e office.Enrolment, maxMTU int) error {
	if err := e.Validate(); err != nil {
		return err
	}
	endpoint, err := resolve(ctx, e.Hub.Endpoint)
	if err != nil {
		return err
	}
	t.changes.Lock()
	defer t.changes.Unlock()
	if e.Hub.PublicKey != t.cfg.Enrolment.Hub.PublicKey || !slices.Equal(e.Address, t.cfg.Enrolment.Address) {
		return errors.New("tunnel: another hub or other addresses of the office need another tunnel")
	}
	t.limit.Store(int64(maxMTU))
	before := t.cfg.Enrolment
	t.cfg.Enrolment = e
	if err := t.reach(fit(int(t.mtu.Load()), e.Reachable())); err != nil {
		return err
	}
	if e.Hub.Endpoint == before.Hub.Endpoint {
		return nil // WireGuard may know better by now where the hub is
	}
	return t.moveTo(endpoint)
}

// reach has the tunnel carry other addresses: what comes is let through before it is led there, what goes the other way round.
func (t *Tunnel) reach(reachable []netip.Prefix) error {
	all := slices.Clone(t.reachable)
	for _, to := range reachable {
		if !slices.Contains(all, to) {
			all = append(all, to)
		}
	}
	carry := func(to []netip.Prefix, replace bool) error {
		change := device.PeerChange{PublicKey: t.presentHub(), UpdateOnly: true, ReplaceAllowedIPs: replace, AllowedIPs: to}
		return t.device.Write(device.Change{Peers: []device.PeerChange{change}})
	}
	if len(all) > len(t.reachable) {
		if err := carry(all, false); err != nil {
			return err
		}
	}
	if t.lead != nil {
		if err := t.lead(reachable); err != nil {
			return err
		}
	}
	t.reachable = reachable
	if len(all) > len(reachable) {
		return carry(reachable, true)
	}
	return nil
}

// Stays says whether the hub is spoken to where the settings have it. WireGuard follows a hub that is heard from elsewhere, so
// an endpoint at which nobody is may seem to do.
func (t *Tunnel) Stays() error {
	t.changes.Lock()
	defer t.changes.Unlock()
	state, err := t.device.Read()
	if err != nil {
		return err
	}
	if at := state.Peers[t.presentHub()].Endpoint; at != t.endpoint {
		return fmt.Errorf("the hub is heard from %v, not from %v", at, t.endpoint)
	}
	return nil
}
