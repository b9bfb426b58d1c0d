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
// that an earlier process left, so that its sessions live on. The caller's firewall must
// stand before.
func OpenKernel(o Options) (Device, *Link, error) {
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU = o.Name, o.MTU
	err := netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: attributes})
	switch {
	case errors.Is(err, syscall.EOPNOTSUPP):
		return nil, nil, fmt.Errorf("make the interface %s: %w", o.Name, ErrNoKernel)
	case errors.Is(err, syscall.EPERM):
		return nil, nil, fmt.Errorf("make the interface %s: %w", o.Name, ErrPrivilege)
	case err != nil && !errors.Is(err, syscall.EEXIST):
		return nil, nil, fmt.Errorf("make the interface %s: %w", o.Name, err)
	}
	link, err := openLink(o.Name)
	if err != nil {
		return nil, nil, err
	}
	client, err := wgctrl.New() // after the link: the kernel's family is looked up once, here
	if err != nil {
		return nil, nil, fmt.Errorf("open wgctrl: %w", err)
	}
	k := &kernel{client: client, name: o.Name, link: link}
	if err := k.start(o); err != nil {
		return nil, nil, errors.Join(err, k.Close())
	}
	return k, link, nil
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
		err = k.link.Ensure(o.Addresses)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return portError(o.ListenPort, err)
	}
	return err
}

func (k *kernel) Read() (State, error) {
	d, err := k.client.Device(k.name)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, ErrDeviceGone
	}
	if err != nil {
		return State{}, fmt.Errorf("read the device: %w", err)
	}
	state := State{PublicKey: Key(d.PublicKey), ListenPort: d.ListenPort, Peers: make(map[Key]Peer, len(d.Peers))}
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
	config := wgtypes.Config{ListenPort: c.ListenPort, PrivateKey: (*wgtypes.Key)(c.PrivateKey)}
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
