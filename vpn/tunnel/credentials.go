package tunnel

import (
	"errors"
	"slices"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
	"trustcore/vpn/office"
)

// Credentials are what the office shows to the hub.
type Credentials struct {
	PrivateKey   vpn.PrivateKey
	PresharedKey vpn.PresharedKey // zero is none
}

// Use changes over to other credentials. With another pre-shared key the present session lives on, for a minute at least and
// three at most: both ends have to have changed by then. Another private key ends it, and a handshake begins at once.
func (t *Tunnel) Use(c Credentials) error {
	if c.PrivateKey.IsZero() {
		return errors.New("tunnel: a private key is required")
	}
	t.changes.Lock()
	defer t.changes.Unlock()
	preshared := device.Key(c.PresharedKey)
	change := device.Change{Peers: []device.PeerChange{{PublicKey: t.presentHub(), UpdateOnly: true, PresharedKey: &preshared}}}
	another := c.PrivateKey != t.cfg.PrivateKey
	if another {
		if err := t.own(c.PrivateKey); err != nil {
			return err
		}
		secret := c.PrivateKey.Reveal()
		change.PrivateKey = &secret
	}
	if err := t.device.Write(change); err != nil {
		return err
	}
	t.cfg.PrivateKey = c.PrivateKey
	if another {
		return t.beHeard()
	}
	return t.device.Shake(t.presentHub())
}

// beHeard has the device send a packet, for which it needs a session: it does when keepalives are switched on that were
// off.
func (t *Tunnel) beHeard() error {
	for _, every := range []time.Duration{0, office.Keepalive} {
		change := device.Change{Peers: []device.PeerChange{{PublicKey: t.presentHub(), UpdateOnly: true, Keepalive: &every}}}
		if err := t.device.Write(change); err != nil {
			return err
		}
	}
	return nil
}

// own takes the session of a key for this process, once.
func (t *Tunnel) own(key vpn.PrivateKey) error {
	public := key.Public()
	if slices.Contains(t.owned, public) {
		return nil
	}
	if err := t.lock("office " + public.String()); err != nil {
		return err
	}
	t.owned = append(t.owned, public)
	return nil
}
