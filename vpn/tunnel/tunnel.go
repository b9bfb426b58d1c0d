// Package tunnel brings up the office's end of a tunnel and keeps it.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/tun/netstack"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
	"trustcore/vpn/internal/lock"
	"trustcore/vpn/internal/splice"
	"trustcore/vpn/office"
)

const (
	dialTimeout   = 10 * time.Second      // a program on loopback waits no longer for its service
	handshakePoll = 20 * time.Millisecond // WireGuard tells nobody that a handshake is done
)

// Config says how the office's end is brought up. All but Mode and MTU is required.
type Config struct {
	Mode       vpn.Mode // "" is auto
	Interface  string   // name of the tunnel interface, at most 15 bytes; not used by netstack
	PrivateKey vpn.PrivateKey
	Enrolment  office.Enrolment
	MTU        int // of packets in the tunnel, bytes; 0 is what the way to the hub carries, see [Tunnel.Follow]
	MaxMTU     int // bytes that MTU is not to exceed when it is 0; 0 is no limit, see [Tunnel.Adopt]
	Log        *slog.Logger
}

// Tunnel is the office's end that is up.
type Tunnel struct {
	cfg      Config
	mode     vpn.Mode
	endpoint netip.AddrPort             // of the hub
	hub      atomic.Pointer[device.Key] // by its present key
	held     []io.Closer                // locks, and the interface
	device   device.Device
	stack    *netstack.Net // nil when an interface carries the tunnel

	changes sync.Mutex // guards cfg, endpoint, reachable, held and owned once the tunnel is up
	owned   []vpn.Key  // the keys whose sessions are this process'

	mtu                  atomic.Int64
	limit                atomic.Int64               // of mtu, that the core sets; 0 is none
	resize               func(mtu int) error        // of the interface; nil without one
	lead                 func([]netip.Prefix) error // routes to these and no others; nil without an interface
	addresses, reachable []netip.Prefix             // of the enrolment, what the way to the hub has room for
}

// Up brings the office's end up: addresses, the hub as the only peer, routes to the hub
// and the services and to nothing else. It does not wait for the handshake.
func Up(ctx context.Context, cfg Config) (*Tunnel, error) {
	if cfg.PrivateKey.IsZero() || cfg.Log == nil || cfg.Interface == "" || len(cfg.Interface) > 15 {
		return nil, errors.New("tunnel: a private key, a logger and an interface name of 1 to 15 bytes are required")
	}
	if cfg.MTU != 0 && (cfg.MTU < vpn.MinMTU || cfg.MTU > vpn.MaxMTU) {
		return nil, fmt.Errorf("tunnel: MTU %d is not within %d to %d", cfg.MTU, vpn.MinMTU, vpn.MaxMTU)
	}
	if err := cfg.Enrolment.Validate(); err != nil {
		return nil, err
	}
	if !cfg.Enrolment.HasTunnel() {
		return nil, errors.New("this office has no tunnel: its order holds none")
	}
	endpoint, err := resolve(ctx, cfg.Enrolment.Hub.Endpoint)
	if err != nil {
		return nil, err
	}
	if slices.Contains(cfg.Enrolment.Reachable(), netip.PrefixFrom(endpoint.Addr(), endpoint.Addr().BitLen())) {
		return nil, fmt.Errorf("the hub's endpoint %v lies inside its own tunnel", endpoint)
	}
	t, hub := &Tunnel{cfg: cfg, endpoint: endpoint}, device.Key(cfg.Enrolment.Hub.PublicKey)
	t.hub.Store(&hub)
	t.limit.Store(int64(cfg.MaxMTU))
	if err := t.up(); err != nil {
		return nil, errors.Join(err, t.release())
	}
	return t, nil
}

func (t *Tunnel) up() (err error) {
	if err := t.lock("office " + t.cfg.PrivateKey.Public().String()); err != nil {
		return err
	}
	t.owned = append(t.owned, t.cfg.PrivateKey.Public())
	t.measure()
	for _, mode := range modes(t.cfg.Mode) {
		if err = t.open(mode); err == nil {
			break
		}
		err = fmt.Errorf("mode %s: %w", mode, err)
		if !errors.Is(err, device.ErrNoKernel) {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := t.addHub(); err != nil {
		return errors.Join(err, t.device.Close())
	}
	return nil
}

// lock keeps a second process from taking the key's session or the interface from the first.
func (t *Tunnel) lock(name string) error {
	held, err := lock.Take(name)
	if err != nil {
		return err
	}
	t.held = append(t.held, held)
	return nil
}

func (t *Tunnel) release() (err error) {
	for _, held := range t.held {
		err = errors.Join(err, held.Close())
	}
	t.held = nil
	return err
}

func modes(wanted vpn.Mode) []vpn.Mode {
	switch {
	case wanted != vpn.ModeAuto && wanted != "":
		return []vpn.Mode{wanted}
	case !device.MayAdminister():
		return []vpn.Mode{vpn.ModeNetstack}
	}
	return []vpn.Mode{vpn.ModeKernel, vpn.ModeUserspace}
}

func (t *Tunnel) open(mode vpn.Mode) (err error) {
	options := device.Options{
		Name: t.cfg.Interface, MTU: int(t.mtu.Load()), PrivateKey: t.cfg.PrivateKey.Reveal(),
		Addresses: t.addresses, Log: t.cfg.Log,
	}
	t.mode = mode
	if mode == vpn.ModeNetstack {
		t.device, t.stack, err = device.OpenNetstack(options)
		return err
	}
	return t.onInterface(options)
}

func (t *Tunnel) addHub() error {
	every, preshared := office.Keepalive, device.Key(t.cfg.Enrolment.Hub.PresharedKey)
	return t.device.Write(device.Change{Peers: []device.PeerChange{{
		PublicKey: device.Key(t.cfg.Enrolment.Hub.PublicKey), PresharedKey: &preshared, Endpoint: t.endpoint,
		Keepalive: &every, ReplaceAllowedIPs: true, AllowedIPs: t.reachable,
	}}})
}

// resolve looks the hub's host name up with the office's resolver.
func resolve(ctx context.Context, endpoint string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(endpoint); err == nil {
		return a, nil
	}
	host, service, err := net.SplitHostPort(endpoint)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the hub's endpoint %q is not host:port: %w", endpoint, err)
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the hub's endpoint %q: %w", endpoint, err)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("look up the hub's endpoint %q: %w", endpoint, err)
	}
	return netip.AddrPortFrom(addresses[0].Unmap(), uint16(port)), nil
}

// Mode is how the tunnel is carried.
func (t *Tunnel) Mode() vpn.Mode { return t.mode }

// Status is the state of the office's end.
type Status struct {
	State         vpn.State `json:"state"`
	LastHandshake time.Time `json:"last_handshake,omitzero"`
	Received      int64     `json:"received_bytes"`
	Sent          int64     `json:"sent_bytes"`
	MTU           int64     `json:"mtu"` // of packets in the tunnel, bytes
}

// Status reads the device.
func (t *Tunnel) Status(now time.Time) (Status, error) {
	state, err := t.device.Read()
	if err != nil {
		return Status{}, err
	}
	hub := state.Peers[t.presentHub()]
	return Status{
		State: vpn.StateAt(hub.LastHandshake, now), LastHandshake: hub.LastHandshake,
		Received: hub.Received, Sent: hub.Sent, MTU: t.mtu.Load(),
	}, nil
}

// WaitHandshake returns when the hub has answered. WireGuard keeps trying every 5 s; a hub
// that does not know this office's key stays silent.
func (t *Tunnel) WaitHandshake(ctx context.Context) error {
	tick := time.NewTicker(handshakePoll)
	defer tick.Stop()
	for {
		status, err := t.Status(time.Now())
		if err != nil {
			return err
		}
		if !status.LastHandshake.IsZero() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the hub at %s does not answer: is it up, is UDP let through, was this office switched off? %w", t.hubName(), ctx.Err())
		case <-tick.C:
		}
	}
}

func (t *Tunnel) presentHub() device.Key { return *t.hub.Load() }

// hubName is the hub's endpoint as the core names it.
func (t *Tunnel) hubName() string {
	t.changes.Lock()
	defer t.changes.Unlock()
	return t.cfg.Enrolment.Hub.Endpoint
}

// Dial opens a TCP connection through the tunnel.
func (t *Tunnel) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if t.stack != nil {
		return t.stack.DialContextTCPAddrPort(ctx, to)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
}

// Forward accepts connections on the listener, which must be on loopback, and carries each
// to a service through the tunnel. It ends when ctx is done.
func (t *Tunnel) Forward(ctx context.Context, listener net.Listener, to netip.AddrPort) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		local, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept for %v: %w", to, err)
		}
		go t.carry(ctx, local, to)
	}
}

func (t *Tunnel) carry(ctx context.Context, local net.Conn, to netip.AddrPort) {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	remote, err := t.Dial(dialing, to)
	cancel()
	if err != nil {
		t.cfg.Log.Warn("a service does not answer through the tunnel", "service", to, "error", err)
		local.Close()
		return
	}
	stop := context.AfterFunc(ctx, func() { local.Close(); remote.Close() })
	defer stop()
	splice.Both(local, remote)
}

// Close takes the tunnel down.
func (t *Tunnel) Close() error { return errors.Join(t.device.Close(), t.release()) }
