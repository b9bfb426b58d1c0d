package hub

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
)

// peersPerCall bounds one call to the device: with more, the kernel's client sends one
// message a peer and repeats the device's own fields in each.
const peersPerCall = 32

// maxPasses bounds how often one reconciliation reads the device again to see that it holds what
// was written. Two suffice when nobody else writes.
const maxPasses = 3

// Changes counts what a reconciliation found different and changed.
type Changes struct {
	PeersAdded   int `json:"peers_added"`
	PeersRemoved int `json:"peers_removed"`
	PeersChanged int `json:"peers_changed"` // addresses or pre-shared key
	Fence        int `json:"fence"`         // permissions, firewall rules
	Routes       int `json:"routes"`
	Device       int `json:"device"` // key, port, mark of packets; the interface's addresses, MTU, mark, state
}

// IsZero says that the state was as wished.
func (c Changes) IsZero() bool { return c == Changes{} }

// LogValue is a group of the counts.
func (c Changes) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("peers_added", c.PeersAdded), slog.Int("peers_removed", c.PeersRemoved), slog.Int("peers_changed", c.PeersChanged),
		slog.Int("fence", c.Fence), slog.Int("routes", c.Routes), slog.Int("device", c.Device))
}

func (c Changes) plus(more Changes) Changes {
	return Changes{
		c.PeersAdded + more.PeersAdded, c.PeersRemoved + more.PeersRemoved, c.PeersChanged + more.PeersChanged,
		c.Fence + more.Fence, c.Routes + more.Routes, c.Device + more.Device,
	}
}

func applied(w vpn.Wish) vpn.Applied {
	return vpn.Applied{Epoch: w.Epoch, Revision: w.Revision, Digest: w.Digest}
}

// reconcile works until a reading shows nothing to do. The caller holds h.mu.
func (h *Hub) reconcile() (Changes, error) {
	var total Changes
	for range maxPasses {
		h.hear() // what comes after this is news for the next
		changed, err := h.pass(&total)
		if err != nil {
			h.settled = false
			return total, h.failClosed(err)
		}
		if !changed {
			h.let = h.let || len(h.peers) > 0
			h.closed, h.inForce, h.settled = "", applied(h.wish), h.wished
			return total, h.shut()
		}
		h.settled = false
	}
	return total, fmt.Errorf("vpn: the device did not settle in %d passes: somebody else writes to it", maxPasses)
}

// failClosed shuts every peer out when the fence cannot be trusted. The next
// reconciliation lets them in again if it succeeds.
func (h *Hub) failClosed(cause error) error {
	if !errors.As(cause, new(*fenceError)) {
		return cause
	}
	h.closed = cause.Error()
	state, err := h.device.Read()
	if err != nil {
		return errors.Join(cause, err)
	}
	var all []device.PeerChange
	for key := range state.Peers {
		all = append(all, device.PeerChange{PublicKey: key, Remove: true})
	}
	_, err = h.write(all)
	return errors.Join(cause, err)
}

// fenceError is a failure of the fence: what is let through is not known.
type fenceError struct{ error }

func (e *fenceError) Unwrap() error { return e.error }

// pass reads, compares and applies the differences once: access is taken away before anything
// else is done; the firewall closes before the peer goes and opens before the peer comes.
func (h *Hub) pass(total *Changes) (changed bool, err error) {
	before := *total
	blind := h.lookAround() // what is seen decides who comes, not who goes
	n, err := h.fence.Restrict(h.policy)
	total.Fence += n
	if err != nil {
		return false, &fenceError{err}
	}
	plan, err := h.restrict(total)
	if err = errors.Join(err, blind); err != nil || !h.wished {
		return false, err
	}
	n, err = h.fence.Permit(h.policy)
	total.Fence += n
	if err != nil {
		return false, &fenceError{err}
	}
	if err := h.syncRoutes(total); err != nil {
		return false, err
	}
	failed, err := h.write(plan.permit)
	if errors.Is(err, device.ErrDeviceGone) || err != nil && len(failed) > 1 && len(failed) == len(plan.permit) {
		return false, err // that is no matter of a peer
	}
	for key, err := range failed {
		h.renounce(key, err)
	}
	return *total != before, nil
}

// restrict compares the device, takes away what is not wished, and returns what is left to do. What nobody else can
// change is as it was written, and is not read again.
func (h *Hub) restrict(total *Changes) (plan plan, err error) {
	if h.settled && h.device.Guarded() {
		return plan, nil
	}
	state, err := h.device.Read()
	if err != nil {
		return plan, err
	}
	if h.wished { // else peers that an earlier process left keep their sessions, behind a closed fence
		plan = h.plan(state)
	}
	total.PeersAdded += plan.added
	total.PeersRemoved += plan.removed
	total.PeersChanged += plan.changed
	_, err = h.write(plan.restrict)
	if err = errors.Join(err, h.forget(plan.lost)); err != nil {
		return plan, err
	}
	return plan, h.repairDevice(state, total)
}

// renounce leaves a peer out that the device alone of all does not take, until the next wish.
func (h *Hub) renounce(key vpn.Key, cause error) {
	peer := h.peers[key]
	h.refused = append(h.refused, peer.Refusal("peer", "the device does not take it: "+cause.Error()))
	h.grants.remove(peer)
	h.entangled = true
}

// plan is what the peers of the device need: first restrict, then permit.
type plan struct {
	restrict, permit        []device.PeerChange
	lost                    []netip.Prefix // addresses and networks that went away from their holder
	added, removed, changed int
}

func (h *Hub) plan(state device.State) (p plan) {
	for key, peer := range state.Peers {
		if _, wanted := h.peers[vpn.Key(key)]; !wanted {
			p.restrict = append(p.restrict, device.PeerChange{PublicKey: key, Remove: true})
			p.lose(peer.AllowedIPs)
			p.removed++
		}
	}
	for key, want := range h.peers {
		if have, present := state.Peers[key]; present {
			p.change(want, have, h.sleeps(vpn.Key(key)))
			if last := h.endpoints.last(key); h.rests && last.IsValid() && last != have.Endpoint {
				p.permit = append(p.permit, device.PeerChange{PublicKey: device.Key(key), UpdateOnly: true, Endpoint: last})
			}
		} else {
			p.add(want, h.endpoints.last(key), h.sleeps(key))
		}
	}
	return p
}

func (p *plan) lose(addresses []netip.Prefix) {
	p.lost = append(p.lost, addresses...)
}

// add provisions a peer that is not there, with the endpoint that it had last. Without one
// there is nowhere to send keepalives to.
func (p *plan) add(want *vpn.PeerWish, endpoint netip.AddrPort, sleeps bool) {
	keepalive, preshared := keepaliveOf(want), device.Key(want.PresharedKey)
	if !endpoint.IsValid() || sleeps {
		keepalive = 0
	}
	p.permit = append(p.permit, device.PeerChange{
		PublicKey: device.Key(want.PublicKey), PresharedKey: &preshared, Endpoint: endpoint,
		Keepalive: &keepalive, ReplaceAllowedIPs: true, AllowedIPs: want.Routed(),
	})
	p.added++
}

// change writes what differs and nothing else, so that the session lives on.
func (p *plan) change(want *vpn.PeerWish, have device.Peer, sleeps bool) {
	update := device.PeerChange{PublicKey: device.Key(want.PublicKey), UpdateOnly: true}
	differs, routed := false, want.Routed()
	if surplus := without(have.AllowedIPs, routed); len(surplus) > 0 {
		p.restrict = append(p.restrict, device.PeerChange{
			PublicKey: device.Key(want.PublicKey), UpdateOnly: true,
			ReplaceAllowedIPs: true, AllowedIPs: without(have.AllowedIPs, surplus),
		})
		if !want.Dormant { // else they go on, to the office's other key
			p.lose(surplus)
		}
		differs = true
	}
	if missing := without(routed, have.AllowedIPs); len(missing) > 0 {
		update.AllowedIPs = missing
	}
	if preshared := device.Key(want.PresharedKey); preshared != have.PresharedKey {
		update.PresharedKey = &preshared
	}
	differs = differs || update.AllowedIPs != nil || update.PresharedKey != nil
	if keepalive := keepaliveOf(want); keepalive != have.Keepalive && have.Endpoint.IsValid() && !sleeps {
		update.Keepalive = &keepalive // the office was heard for the first time: that is no difference
	}
	if update.AllowedIPs != nil || update.PresharedKey != nil || update.Keepalive != nil {
		p.permit = append(p.permit, update)
	}
	if differs {
		p.changed++
	}
}

// keepaliveOf is how often the hub makes itself heard. It does not start handshakes by a key that does not carry.
func keepaliveOf(p *vpn.PeerWish) time.Duration {
	if p.Dormant {
		return 0
	}
	return hubKeepalive
}

// without gives the prefixes of a that are not in b, which is short (MaxAddressesOfPeer).
func without(a, b []netip.Prefix) (rest []netip.Prefix) {
	for _, p := range a {
		if !slices.Contains(b, p) {
			rest = append(rest, p)
		}
	}
	return rest
}

// write changes peers by parts. Where a part fails each of its peers is tried alone, and the others go on, so that no
// peer keeps another from coming or going. It returns which peers failed, and the last reason.
func (h *Hub) write(changes []device.PeerChange) (failed map[vpn.Key]error, last error) {
	failed = make(map[vpn.Key]error)
	if len(changes) > maxStep {
		defer fewCollections()()
	}
	for part := range slices.Chunk(changes, peersPerCall) {
		if h.device.Write(device.Change{Peers: part}) == nil {
			continue
		}
		for _, one := range part {
			if err := h.device.Write(device.Change{Peers: []device.PeerChange{one}}); err != nil {
				failed[one.PublicKey], last = err, fmt.Errorf("peer %v: %w", vpn.Key(one.PublicKey), err)
			}
		}
	}
	return failed, last
}

// fewCollections has the process collect less often until the function is called that it returns, which gives the memory
// back. While thousands of peers come, each of which stays, it would do little else.
func fewCollections() (end func()) {
	before := debug.SetGCPercent(-1)
	if before >= 0 {
		debug.SetGCPercent(max(before, 100))
	}
	return func() {
		debug.SetGCPercent(before)
		debug.FreeOSMemory()
	}
}

// repairDevice puts key, port and mark back when somebody changed them.
func (h *Hub) repairDevice(state device.State, total *Changes) error {
	change := h.deviceChange(state)
	if change == nil {
		return nil
	}
	total.Device++
	return h.device.Write(*change)
}

// deviceChange is what makes key, port and mark as configured, nil when they are. Port 0 of the configuration means
// that any port is right.
func (h *Hub) deviceChange(state device.State) *device.Change {
	var change device.Change
	if state.PublicKey != device.Key(h.PublicKey()) {
		secret := h.cfg.PrivateKey.Reveal()
		change.PrivateKey = &secret
	}
	if port := int(h.cfg.ListenPort); port != 0 && state.ListenPort != port {
		change.ListenPort = &port
	}
	if none := 0; state.FirewallMark != none {
		change.FirewallMark = &none
	}
	if change.PrivateKey == nil && change.ListenPort == nil && change.FirewallMark == nil {
		return nil
	}
	return &change
}

func (h *Hub) forget(lost []netip.Prefix) error {
	if h.link == nil || len(lost) == 0 {
		return nil
	}
	return h.link.Forget(lost)
}

// syncRoutes keeps the interface up with its addresses, and a route to each office on it.
func (h *Hub) syncRoutes(total *Changes) error {
	if h.link == nil {
		return nil
	}
	n, err := h.link.Ensure(h.cfg.Addresses)
	total.Device += n
	if err != nil {
		return err
	}
	if h.rests { // an interface that is down leads nowhere
		return nil
	}
	n, h.unled, err = h.link.SyncRoutes(h.routes, h.lengths())
	total.Routes += n
	return err
}

// lengths are those of packets to offices to which the way is narrower than to others, as far as the kernel has heard
// of it. Whoever sends to one is told then, and TCP connections agree on less.
func (h *Hub) lengths() map[netip.Prefix]int {
	if h.host == nil || len(h.host.Paths) == 0 {
		return nil
	}
	lengths := make(map[netip.Prefix]int)
	for key, peer := range h.peers {
		outer := h.endpoints.last(key).Addr()
		path, narrow := h.host.Paths[outer]
		if !narrow {
			continue
		}
		for _, a := range peer.Routed() {
			mtu := vpn.MTUWithin(path, outer, h.cfg.MTU)
			if a.Addr().Is6() {
				mtu = max(mtu, vpn.MinMTU6)
			}
			if mtu < h.cfg.MTU {
				lengths[a] = mtu
			}
		}
	}
	return lengths
}

// lookAround looks at what the host has of its own. What meets the addresses of the tunnel shuts everybody out before
// anybody was let in; what appears later is for people to see.
func (h *Hub) lookAround() (err error) {
	if h.link == nil {
		return nil
	}
	if h.host, err = h.link.LookAround(); err != nil {
		return err
	}
	h.host.Leave(h.cfg.Beside)
	shut := len(h.met) > 0
	h.met = h.host.Conflicts(h.cfg.Interface, h.ranges())
	if !h.let && shut != (len(h.met) > 0) || !maps.Equal(h.claimed, h.claims()) {
		h.derive()
	}
	return nil
}

// shut says why nobody was let in yet.
func (h *Hub) shut() error {
	if h.let || len(h.met) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrRange, strings.Join(h.met, "; "))
}

// ranges is where the addresses of the tunnel lie.
func (h *Hub) ranges() []netip.Prefix {
	all := slices.Concat(h.cfg.Addresses, h.wish.Pool)
	for _, p := range h.wish.Peers {
		for _, a := range p.Addresses {
			if !slices.ContainsFunc(h.wish.Pool, func(pool netip.Prefix) bool { return pool.Contains(a.Addr()) }) {
				all = append(all, a)
			}
		}
	}
	return all
}
