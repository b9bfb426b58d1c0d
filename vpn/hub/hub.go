// Package hub makes one WireGuard device, its firewall and its routes agree with a wish, and keeps them so:
//
//	wish -> read device, firewall, routes -> differences -> apply -> read again
//
// It denies by default. A partner reaches the services named in its wish and nothing else: not the hub itself, not
// another partner. Three ways carry the tunnel, behind one face: WireGuard of the kernel, wireguard-go on a TUN
// interface (both guarded by nftables), and wireguard-go on a TCP/IP stack inside the process for hosts where we are
// not root (guarded by which listeners exist).
package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
	"trustcore/vpn/internal/fence"
	"trustcore/vpn/internal/lock"
)

// hubKeepalive lets the hub, too, start handshakes. Together with the remembered endpoints
// it makes traffic flow again milliseconds after a restart; without it an office notices
// only after 15 s (WireGuard's KEEPALIVE_TIMEOUT + REKEY_TIMEOUT).
const hubKeepalive = 25 * time.Second

// GCPercent is how much a process that holds a large hub may let its memory grow before it collects
// (debug.SetGCPercent). A carried device keeps some 20 kB for each peer, all of it long-lived, and there is little else:
// with the usual 100 the process would take twice that.
const GCPercent = 10

// The reasons for which a hub cannot open. The message of the error is one sentence that
// says what to do.
var (
	ErrPrivilege  = device.ErrPrivilege
	ErrFirewall   = fence.ErrPrivilege
	ErrNoNftables = fence.ErrNoNftables
	ErrPortTaken  = device.ErrPortTaken
	ErrNameTaken  = device.ErrNameTaken
	ErrTableTaken = fence.ErrTableTaken
	ErrNoKernel   = device.ErrNoKernel
	ErrHeld       = lock.ErrHeld // another process tends an interface of this name

	// ErrRange says that addresses of the tunnel are the host's own already: another range is needed, or what is named
	// has to go.
	ErrRange = errors.New("the tunnel's addresses meet the host's own")

	// ErrDeviceGone says that somebody deleted the interface: close the hub and open it again.
	ErrDeviceGone = device.ErrDeviceGone
)

// Config says how a hub is made. Everything but Mode, Beside, MTU, ListenPort and Lease is required.
type Config struct {
	Mode       vpn.Mode       // "" is auto
	Interface  string         // name of the tunnel interface, at most 15 bytes
	Beside     string         // name of the interface of the same hub's other key, see [Pair]; "" for none
	PrivateKey vpn.PrivateKey // see [vpn.LoadOrCreateKey]
	ListenPort uint16         // UDP; 0 is one that is free
	Addresses  []netip.Prefix // the hub's own tunnel addresses, /32 or /128
	MTU        int            // bytes; 0 is [vpn.DefaultMTU]
	StateDir   string         // folder for the endpoints that offices had last
	Resting    bool           // it is silent at first, see [Hub.Carry]; not in mode netstack
	Log        *slog.Logger

	// Lease says how much longer offices may be let in, for a firewall in the kernel to end it when this process does
	// not live to call Withdraw. It is asked at each reconciliation; nil stands for no end.
	Lease func() time.Duration

	// Holder starts a process that has the device of mode userspace, and calls [Hold] with the folder that it is given:
	// the tunnels outlive this process then. nil has the device in this process.
	Holder func(dir string) error
	// Keeps says that a wish follows at once, so that what an earlier process permitted, and the kernel still does, goes on
	// until then. Without it nobody is let in before.
	Keeps bool

	news chan struct{} // of another hub, which tells of events for both; nil for one of its own
}

// Hold has the device of a hub for as long as it is tended, and alone after that: see [Config.Holder].
func Hold(ctx context.Context, dir string, alone time.Duration, log *slog.Logger) error {
	return device.Hold(ctx, dir, alone, log)
}

// Hub is the data centre's end of all tunnels: one WireGuard device and the fence around
// it. One hub lives in a network namespace. Its methods may be called at the same time.
type Hub struct {
	cfg       Config
	publicKey vpn.Key // of cfg.PrivateKey
	mode      vpn.Mode
	endpoints *endpoints

	mu     sync.Mutex // guards all below: there is one writer of device and fence
	lock   io.Closer  // of the interface's name; nil in mode netstack
	device device.Device
	link   *device.Link // nil in mode netstack
	fence  fence.Fence
	table  *fence.Nftables // the fence where it is a firewall; nil in mode netstack
	host   *device.Host    // as it was at the last pass; nil in mode netstack
	met    []string        // what of the host's own meets the tunnel's addresses
	let    bool            // somebody was let in: what appears on the host from then on shuts nobody out
	closed string          // why every peer was shut out, "" while the fence stands

	told    vpn.Wish    // the wish as it came
	follow              // the offices of it that change their key
	wish    vpn.Wish    // told, with a peer for each key
	inForce vpn.Applied // the last wish that was carried out
	wished  bool        // a wish came, so that peers which are not in it are to go
	grants              // derived from wish
	refused []vpn.Refusal
	unled   []string // addresses of offices to which the host has no way

	seen map[vpn.Key]*health // of the offices, reading by reading

	rests   bool                 // see Carry
	asleep  map[vpn.Key]struct{} // with whom no handshake was begun since the hub carries again
	busy    map[vpn.Key]struct{} // offices that had traffic, as the other gateway tells
	settled bool                 // the last pass found all as wished, and nothing failed since
	news    chan struct{}        // see Disturbed
	closing chan struct{}
}

// Open builds the firewall, verifies it, and only then brings the tunnel up, with no
// peer yet. When it fails nothing is left up.
func Open(cfg Config) (*Hub, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.MTU == 0 {
		cfg.MTU = vpn.DefaultMTU
	}
	remembered, err := loadEndpoints(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	if cfg.news == nil {
		cfg.news = make(chan struct{})
	}
	h := &Hub{cfg: cfg, publicKey: cfg.PrivateKey.Public(), endpoints: remembered, rests: cfg.Resting, news: cfg.news, closing: make(chan struct{})}
	modes := []vpn.Mode{cfg.Mode}
	if cfg.Mode == vpn.ModeAuto || cfg.Mode == "" {
		modes = h.preference()
	}
	var refused []error
	for _, mode := range modes {
		if err = h.open(mode); err == nil {
			h.mode = mode
			h.listen()
			return h, nil
		}
		refused = append(refused, fmt.Errorf("mode %s: %w", mode, err))
		if !errors.Is(err, ErrNoKernel) {
			break // another way would not heal a taken port or a firewall that does not stand
		}
	}
	return nil, errors.Join(refused...)
}

func (c Config) check() error {
	switch {
	case c.Interface == "" || len(c.Interface) > 15:
		return fmt.Errorf("vpn: interface name %q has not 1 to 15 bytes", c.Interface)
	case c.PrivateKey.IsZero():
		return errors.New("vpn: the hub needs a private key")
	case len(c.Addresses) == 0:
		return errors.New("vpn: the hub needs a tunnel address")
	case c.StateDir == "":
		return errors.New("vpn: the hub needs a state folder")
	case c.Log == nil:
		return errors.New("vpn: the hub needs a logger")
	case c.MTU != 0 && (c.MTU < vpn.MinMTU6 || c.MTU > vpn.MaxMTU):
		return fmt.Errorf("vpn: MTU %d is not within %d to %d", c.MTU, vpn.MinMTU6, vpn.MaxMTU)
	}
	for _, a := range c.Addresses {
		if problem := vpn.AddressProblem(a); problem != "" {
			return errors.New("vpn: the hub's tunnel address " + problem)
		}
	}
	return nil
}

// preference is the order in which auto tries: what needs no privilege comes last, and
// only when there is no privilege.
func (h *Hub) preference() []vpn.Mode {
	if !device.MayAdminister() {
		return []vpn.Mode{vpn.ModeNetstack}
	}
	if h.cfg.Holder != nil && device.Held(h.cfg.StateDir) { // the interface is there, and is none of the kernel's
		return []vpn.Mode{vpn.ModeUserspace}
	}
	return []vpn.Mode{vpn.ModeKernel, vpn.ModeUserspace}
}

// open makes fence and device, in this order.
func (h *Hub) open(mode vpn.Mode) (err error) {
	options := device.Options{
		Name: h.cfg.Interface, MTU: h.cfg.MTU, PrivateKey: h.cfg.PrivateKey.Reveal(),
		ListenPort: int(h.cfg.ListenPort), Addresses: h.cfg.Addresses, Log: h.cfg.Log, Resting: h.cfg.Resting,
		Holder: h.cfg.Holder, StateDir: h.cfg.StateDir,
	}
	if mode == vpn.ModeNetstack {
		if h.cfg.Resting {
			return errors.New("vpn: a hub in mode netstack can't stand by: start it as root")
		}
		d, stack, err := device.OpenNetstack(options)
		if err != nil {
			return err
		}
		h.device, h.fence = d, fence.OpenProxy(stack, h.cfg.Log)
		return nil
	}
	firewall, err := h.guard()
	if err != nil {
		return err
	}
	if mode == vpn.ModeKernel {
		h.device, h.link, err = device.OpenKernel(options)
	} else {
		h.device, h.link, err = device.OpenUserspace(options)
	}
	if err != nil {
		return errors.Join(err, firewall.Close(), h.lock.Close())
	}
	h.fence, h.table = firewall, firewall
	return nil
}

// guard looks at the host before anything of it is taken: whose is the name, whose are the addresses. Then it builds
// the firewall.
func (h *Hub) guard() (firewall *fence.Nftables, err error) {
	if h.lock, err = lock.Take("interface " + h.cfg.Interface); err != nil {
		return nil, err
	}
	host, err := device.LookAtHost()
	if err == nil {
		host.Leave(h.cfg.Beside)
		if met := host.Conflicts(h.cfg.Interface, h.cfg.Addresses); len(met) > 0 {
			err = fmt.Errorf("%w: %s", ErrRange, strings.Join(met, "; "))
		}
	}
	if err == nil {
		firewall, err = fence.OpenNftables(h.cfg.Interface, h.cfg.Beside, h.hosts(), h.cfg.Lease, h.cfg.Keeps)
	}
	if err != nil {
		return nil, errors.Join(err, h.lock.Close())
	}
	return firewall, nil
}

func (h *Hub) hosts() []netip.Addr {
	hosts := make([]netip.Addr, 0, len(h.cfg.Addresses))
	for _, p := range h.cfg.Addresses {
		hosts = append(hosts, p.Addr())
	}
	return hosts
}

// Mode is how the tunnel is carried.
func (h *Hub) Mode() vpn.Mode { return h.mode }

// PublicKey is the key that offices know the hub by.
func (h *Hub) PublicKey() vpn.Key { return h.publicKey }

// Apply makes the wish the wanted state. A wish that differs in some peers from the one in force costs what they cost:
// they alone are written and read back, as nothing else has changed since the last pass. Any doubt, and any failure,
// has everything compared. What of the wish can't be granted is refused alone, see [Hub.Status]; what it does not hold
// goes in any case. The hub keeps the wish: nobody may change what it refers to. An error is about the whole: a wish
// that is older than the present one of its epoch, which changes nothing, or a host that does not do what it is told.
func (h *Hub) Apply(w vpn.Wish) (Changes, error) {
	if err := w.Validate(); err != nil {
		return Changes{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.Epoch == h.wish.Epoch && w.Revision < h.wish.Revision {
		return Changes{}, fmt.Errorf("wish: revision %d is older than revision %d that is in force", w.Revision, h.wish.Revision)
	}
	h.told, h.follow = w, h.follow.of(w)
	return h.apply(h.follow.spread(w))
}

// apply makes a wish that has a peer for each key the wanted state. The caller holds h.mu.
func (h *Hub) apply(w vpn.Wish) (Changes, error) {
	step, small := h.step(w)
	if !small {
		h.adopt(w)
		return h.reconcile()
	}
	h.wish = w
	changes, err := h.take(step)
	if err != nil {
		h.cfg.Log.Warn("a change did not go as it should: everything is compared", "error", err)
		h.adopt(w)
		more, err := h.reconcile()
		return changes.plus(more), err
	}
	h.inForce = applied(w)
	return changes, nil
}

// Withdraw lets nobody in any more, since there is no wish that holds: every peer goes.
func (h *Hub) Withdraw() (Changes, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told, h.follow = vpn.Wish{}, follow{}
	h.adopt(vpn.Wish{})
	return h.reconcile()
}

// Extend tells the firewall that the lease was renewed, for who reconciles less often than that.
func (h *Hub) Extend() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fence.Extend()
}

// Reconcile compares the whole present state with the last wish and repairs what differs. Call
// it every few seconds: whatever it finds then was changed by somebody else. A device that this process carries is
// changed by nobody else, so it is read after a failure alone.
func (h *Hub) Reconcile() (Changes, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reconcile()
}

// cannotCarry says why the hub's mode cannot offer a service, or "".
func (h *Hub) cannotCarry(s vpn.Service) string {
	switch {
	case h.mode != vpn.ModeNetstack:
		return ""
	case s.Proto != "tcp":
		return "mode netstack carries TCP alone: start the hub as root"
	case !s.Backend.IsValid():
		return "mode netstack needs the service's backend on loopback"
	case !slices.Contains(h.hosts(), s.Addr.Addr()):
		return "mode netstack offers services at the hub's own addresses alone"
	}
	return ""
}

// Close remembers the endpoints, takes the tunnel down and the fence away after it.
func (h *Hub) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	state, err := h.device.Read()
	switch {
	case errors.Is(err, ErrDeviceGone):
		err = nil // somebody was faster
	case err == nil && h.wished && !h.rests:
		err = h.endpoints.remember(h.carried(state.Peers))
	}
	close(h.closing)
	_, restrictErr := h.fence.Restrict(fence.Policy{})
	err = errors.Join(err, restrictErr, h.device.Close(), h.fence.Close())
	if h.link != nil {
		err = errors.Join(err, h.link.Close())
	}
	if h.lock != nil {
		err = errors.Join(err, h.lock.Close())
	}
	return err
}
