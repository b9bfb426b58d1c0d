package tunnel

import (
	"errors"
	"net/netip"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
)

// onInterface carries the tunnel by an interface of this host, in the mode that is set.
func (t *Tunnel) onInterface(options device.Options) (err error) {
	if len(t.held) < 2 { // the other mode was tried
		if err := t.lock("interface " + t.cfg.Interface); err != nil {
			return err
		}
	}
	var link *device.Link
	if t.mode == vpn.ModeKernel {
		t.device, link, err = device.OpenKernel(options)
	} else {
		t.device, link, err = device.OpenUserspace(options)
	}
	if err != nil {
		return err
	}
	t.held, t.resize = append(t.held, link), link.Resize
	t.lead = func(to []netip.Prefix) error { return leadTo(link, to) }
	t.lookAround()
	if err := t.lead(t.reachable); err != nil {
		return errors.Join(err, t.device.Close())
	}
	return nil
}

// leadTo has the host's routes on the interface lead to these and to no others.
func leadTo(link *device.Link, all []netip.Prefix) error {
	wanted := make(map[netip.Prefix]struct{})
	for _, to := range all {
		wanted[to] = struct{}{}
	}
	_, failed, err := link.SyncRoutes(wanted, nil)
	if err == nil && len(failed) > 0 {
		err = errors.New(failed[0])
	}
	return err
}

// lookAround says what of the host's own meets the tunnel's addresses. A wide route there is usual in an office and
// does no harm; one to the very address stays, and leads the office's packets elsewhere.
func (t *Tunnel) lookAround() {
	host, err := device.LookAtHost()
	if err != nil {
		t.cfg.Log.Warn("the host's addresses and routes can't be read", "error", err)
		return
	}
	for _, met := range host.Conflicts(t.cfg.Interface, t.reachable) {
		t.cfg.Log.Info("an address of the tunnel is the host's own, too", "met", met)
	}
}
