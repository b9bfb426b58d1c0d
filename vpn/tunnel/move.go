package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
	"trustcore/vpn/office"
)

// MoveTo changes the tunnel over to the hub's next key, at another endpoint, when the hub has answered by it; else it stays as
// it was. Addresses and pre-shared key are the same, so connections go on.
func (t *Tunnel) MoveTo(ctx context.Context, key vpn.Key, endpoint string) error {
	at, err := resolve(ctx, endpoint)
	if err != nil {
		return err
	}
	t.changes.Lock()
	defer t.changes.Unlock()
	if key == vpn.Key(t.presentHub()) {
		return nil
	}
	if err := t.meet(ctx, key, at); err != nil {
		gone := device.PeerChange{PublicKey: device.Key(key), Remove: true}
		return errors.Join(err, t.device.Write(device.Change{Peers: []device.PeerChange{gone}}))
	}
	before := t.presentHub()
	change := device.Change{Peers: []device.PeerChange{
		{PublicKey: device.Key(key), UpdateOnly: true, AllowedIPs: t.reachable}, // which takes them from the other
		{PublicKey: before, Remove: true},
	}}
	if err := t.device.Write(change); err != nil {
		return err
	}
	next := device.Key(key)
	t.hub.Store(&next)
	t.endpoint = at
	t.cfg.Enrolment.Hub.PublicKey, t.cfg.Enrolment.Hub.Endpoint = key, endpoint
	return nil
}

// meet shakes hands with the next key, while the present one carries.
func (t *Tunnel) meet(ctx context.Context, key vpn.Key, at netip.AddrPort) error {
	state, err := t.device.Read()
	if err != nil {
		return err
	}
	every, preshared := office.Keepalive, state.Peers[t.presentHub()].PresharedKey
	change := device.PeerChange{PublicKey: device.Key(key), PresharedKey: &preshared, Endpoint: at, Keepalive: &every}
	if err := t.device.Write(device.Change{Peers: []device.PeerChange{change}}); err != nil {
		return err
	}
	tick := time.NewTicker(handshakePoll)
	defer tick.Stop()
	for {
		state, err := t.device.Read()
		if err != nil || !state.Peers[device.Key(key)].LastHandshake.IsZero() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the hub does not answer by its next key at %v: %w", at, ctx.Err())
		case <-tick.C:
		}
	}
}
