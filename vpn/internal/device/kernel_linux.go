package device

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// kernel is a WireGuard interface of the Linux kernel.
type kernel struct {
	client *wgctrl.Client
	name   string
	link   *Link
}

// OpenKernel makes a WireGuard interface of the kernel, or takes over the one of that name
// that an earlier process of ours left, so that its sessions live on. The caller's firewall must
// stand before, and the caller has the lock of the name.
func OpenKernel(o Options) (Device, *Link, error) {
	awaitRelease(o.Name)
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU = o.Name, o.MTU
	err := netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: attributes})
	left := errors.Is(err, syscall.EEXIST)
	switch {
	case errors.Is(err, syscall.EOPNOTSUPP):
		return nil, nil, fmt.Errorf("make the interface %s: %w", o.Name, ErrNoKernel)
	case errors.Is(err, syscall.EPERM):
		return nil, nil, fmt.Errorf("make the interface %s: %w", o.Name, ErrPrivilege)
	case err != nil && !left:
		return nil, nil, fmt.Errorf("make the interface %s: %w", o.Name, err)
	}
	client, err := wgctrl.New() // after the link: the kernel's family is looked up once, here
	if err != nil {
		return nil, nil, fmt.Errorf("open wgctrl: %w", err)
	}
	if left && !isOurs(client, o) {
		return nil, nil, errors.Join(fmt.Errorf("interface %s: %w", o.Name, ErrNameTaken), client.Close())
	}
	link, err := openLink(o)
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	k := &kernel{client: client, name: o.Name, link: link}
	if err := k.start(o); err != nil {
		return nil, nil, errors.Join(err, k.Close(), link.Close())
	}
	return k, link, nil
}

// isOurs tells an interface that a process of ours left from one that somebody else made: it carries our mark, or,
// before there were marks, our key. The kernel looks at names before kinds, so it may be of any kind.
func isOurs(client *wgctrl.Client, o Options) bool {
	link, err := netlink.LinkByName(o.Name)
	if err != nil || link.Type() != "wireguard" {
		return false
	}
	if link.Attrs().Alias == mark {
		return true
	}
	d, err := client.Device(o.Name)
	return err == nil && d.Type == wgtypes.LinuxKernel && Key(d.PrivateKey) == o.PrivateKey
}

// start sets key and port where they differ, then takes the link up: the port is bound then.
func (k *kernel) start(o Options) error {
	before, err := k.client.Device(k.name)
	if err != nil {
		return fmt.Errorf("interface %s: %w: %w", k.name, ErrNameTaken, err)
	}
	var change Change
	if Key(before.PrivateKey) != o.PrivateKey {
		change.PrivateKey = &o.PrivateKey
	}
	if before.ListenPort != o.ListenPort && o.ListenPort != 0 {
		change.ListenPort = &o.ListenPort
	}
	if change.PrivateKey != nil || change.ListenPort != nil {
		err = k.Write(change)
	}
	if err == nil {
		_, err = k.link.Ensure(o.Addresses)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return portError(o.ListenPort, err)
	}
	return err
}

func (k *kernel) Read() (State, error) {
	if _, err := k.link.find(); err != nil { // the client knows names alone
		return State{}, err
	}
	d, err := k.client.Device(k.name)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, ErrDeviceGone
	}
	if err != nil {
		return State{}, fmt.Errorf("read the device: %w", err)
	}
	state := State{PublicKey: Key(d.PublicKey), ListenPort: d.ListenPort, FirewallMark: d.FirewallMark, Peers: make(map[Key]Peer, len(d.Peers))}
	for _, p := range d.Peers {
		peer := Peer{
			PresharedKey: Key(p.PresharedKey), Keepalive: p.PersistentKeepaliveInterval,
			LastHandshake: p.LastHandshakeTime, Received: p.ReceiveBytes, Sent: p.TransmitBytes,
		}
		if p.Endpoint != nil {
			a := p.Endpoint.AddrPort()
			peer.Endpoint = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		}
		for _, n := range p.AllowedIPs {
			peer.AllowedIPs = append(peer.AllowedIPs, prefix(n))
		}
		state.Peers[Key(p.PublicKey)] = peer
	}
	return state, nil
}

func (k *kernel) Write(c Change) error {
	if _, err := k.link.find(); err != nil {
		return err
	}
	config := wgtypes.Config{ListenPort: c.ListenPort, FirewallMark: c.FirewallMark, PrivateKey: (*wgtypes.Key)(c.PrivateKey)}
	for _, p := range c.Peers {
		peer := wgtypes.PeerConfig{
			PublicKey: wgtypes.Key(p.PublicKey), Remove: p.Remove, UpdateOnly: p.UpdateOnly,
			PresharedKey: (*wgtypes.Key)(p.PresharedKey), PersistentKeepaliveInterval: (*time.Duration)(p.Keepalive),
			ReplaceAllowedIPs: p.ReplaceAllowedIPs,
		}
		if p.Endpoint.IsValid() {
			peer.Endpoint = net.UDPAddrFromAddrPort(p.Endpoint)
		}
		for _, a := range p.AllowedIPs {
			peer.AllowedIPs = append(peer.AllowedIPs, *ipNet(a))
		}
		config.Peers = append(config.Peers, peer)
	}
	if err := k.client.ConfigureDevice(k.name, config); err != nil {
		return fmt.Errorf("configure the device: %w", err)
	}
	return nil
}

func (k *kernel) Prove([]PeerChange) error { return nil }

func (k *kernel) Shake(Key) error { return nil }

func (k *kernel) Reset() error { return nil }

func (k *kernel) Guarded() bool { return false }

func (k *kernel) Close() error {
	return errors.Join(k.link.delete(), k.client.Close())
}

func prefix(n net.IPNet) netip.Prefix {
	a, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
