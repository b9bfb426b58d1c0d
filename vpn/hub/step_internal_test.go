package hub

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
	"trustcore/vpn/internal/fence"
)

// countingFence counts how often everything is compared.
type countingFence struct {
	fence.Fence
	whole int
}

func (f *countingFence) Restrict(p fence.Policy) (int, error) {
	f.whole++
	return f.Fence.Restrict(p)
}

// TestStepsEqualWholePasses goes 2,000 random wishes, with changes by others between them, and holds device, fence and
// routes against the wish after each. In a short run it goes 200.
func TestStepsEqualWholePasses(t *testing.T) {
	steps := 2000
	if testing.Short() {
		steps = 200
	}
	for _, mode := range []vpn.Mode{vpn.ModeKernel, vpn.ModeUserspace, vpn.ModeNetstack} {
		t.Run(string(mode), func(t *testing.T) {
			if mode != vpn.ModeNetstack && os.Getenv("TRUSTCORE_TEST_NAMESPACE") == "" {
				t.Skip("needs root: interfaces, a firewall and network namespaces")
			}
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			newWalk(t, mode, seed).run(steps)
		})
	}
}

type walk struct {
	t      *testing.T
	random *rand.Rand
	hub    *Hub
	fence  *countingFence
	wish   vpn.Wish
	keys   []vpn.Key
}

func newWalk(t *testing.T, mode vpn.Mode, seed uint64) *walk {
	t.Helper()
	w := &walk{t: t, random: rand.New(rand.NewPCG(seed, 0))}
	hub, err := Open(Config{Mode: mode, Interface: "tc-walk", PrivateKey: someKey(t), StateDir: t.TempDir(),
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32"), netip.MustParsePrefix("fd64::1/128")},
		Log:       slog.New(slog.DiscardHandler)})
	if errors.Is(err, ErrNoKernel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := hub.Close(); err != nil {
			t.Error(err)
		}
	})
	for range 24 {
		w.keys = append(w.keys, someKey(t).Public())
	}
	w.hub, w.fence = hub, &countingFence{Fence: hub.fence}
	hub.fence = w.fence
	return w
}

func someKey(t *testing.T) vpn.PrivateKey {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *walk) run(steps int) {
	w.t.Helper()
	drifts := 0
	for n := range steps {
		drift := ""
		if w.hub.link != nil && w.random.IntN(20) == 0 {
			drift = w.drift()
			drifts++
		}
		w.next()
		if _, err := w.hub.Apply(w.wish); err != nil {
			w.t.Fatalf("step %d after %q: %v", n, drift, err)
		}
		whole := w.fence.whole
		if problem := w.compare(); problem != "" {
			w.t.Fatalf("step %d after %q: %s", n, drift, problem)
		}
		w.fence.whole = whole
	}
	w.t.Logf("%d changes by others, %d times everything was compared", drifts, w.fence.whole)
	if w.fence.whole > steps {
		w.t.Error("more than half of the wishes were not carried out by themselves")
	}
	if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
		w.t.Errorf("not settled: %+v, %v", changes, err)
	}
}

// next makes another wish of the present one, now and then one that can't be granted as a whole.
func (w *walk) next() {
	peers := slices.Clone(w.wish.Peers)
	if w.random.IntN(2) == 0 { // what was not granted is corrected
		peers, _ = w.wish.Divide([]vpn.Key{w.hub.publicKey}, w.hub.hosts())
	}
	switch n := len(peers); {
	case n < 3 || n < 16 && w.random.IntN(3) == 0:
		peers = slices.Insert(peers, w.random.IntN(n+1), w.peer(peers))
	case w.random.IntN(40) == 0:
		peers = peers[:n/2]
	case w.random.IntN(30) == 0: // two ask for one address
		peers[0].Addresses = slices.Clone(peers[n-1].Addresses)
	case w.random.IntN(30) == 0: // a service at the address of an office
		peers[0].Services = []vpn.Service{{Name: "odd", Proto: "tcp", Addr: netip.AddrPortFrom(peers[n-1].Addresses[0].Addr(), 80)}}
	case w.random.IntN(30) == 0:
		peers[w.random.IntN(n)].PublicKey = vpn.Key{1}
	default:
		w.alter(peers)
		if w.random.IntN(4) == 0 {
			peers = slices.Delete(peers, 0, 1)
		}
	}
	w.wish = vpn.Wish{Revision: w.wish.Revision + 1, Peers: peers}
}

// alter changes one or two peers.
func (w *walk) alter(peers []vpn.PeerWish) {
	one, other := &peers[w.random.IntN(len(peers))], &peers[w.random.IntN(len(peers))]
	switch w.random.IntN(6) {
	case 0:
		one.PresharedKey[w.random.IntN(32)]++
	case 1:
		one.Services = w.services()
	case 2:
		one.Addresses, other.Addresses = other.Addresses, one.Addresses
	case 3:
		one.PublicKey = w.peer(peers).PublicKey
	case 4:
		*one = w.peer(peers)
	case 5:
		w.random.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	}
}

// peer is one of a key and of addresses that no other has, but for one in forty.
func (w *walk) peer(others []vpn.PeerWish) (p vpn.PeerWish) {
	for {
		p = w.anyPeer()
		taken := slices.ContainsFunc(others, func(o vpn.PeerWish) bool {
			return o.PublicKey == p.PublicKey || slices.ContainsFunc(o.Addresses, func(a netip.Prefix) bool { return slices.Contains(p.Addresses, a) })
		})
		if !taken || w.random.IntN(40) == 0 {
			return p
		}
	}
}

func (w *walk) anyPeer() vpn.PeerWish {
	n := w.random.IntN(64)
	return vpn.PeerWish{
		Partner: fmt.Sprintf("p%d", n), Site: "s", PublicKey: w.keys[w.random.IntN(len(w.keys))], Services: w.services(),
		Addresses: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64, 1, byte(n)}), 32),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x64, 13: 1, 15: byte(n)}), 128),
		},
	}
}

func (w *walk) services() (all []vpn.Service) {
	for i, to := range []string{"10.64.0.1:9443", "[fd64::1]:9443", "10.64.0.1:80"} {
		if w.random.IntN(2) == 0 {
			all = append(all, vpn.Service{Name: fmt.Sprint(i), Proto: "tcp", Addr: netip.MustParseAddrPort(to),
				Backend: netip.MustParseAddrPort("127.0.0.1:9")})
		}
	}
	return all
}

// drift changes the host as somebody would by hand, and says how.
func (w *walk) drift() (line string) {
	address := "10.64.1.200"
	for a := range w.hub.policy.Sources {
		if a.Is4() {
			address = a.String()
		}
	}
	lines := []string{
		"nft flush set inet trustcore-tc-walk allowed4",
		"nft add element inet trustcore-tc-walk allowed4 { 10.64.1.77 . 10.64.0.1 . tcp . 22 }",
		"nft add element inet trustcore-tc-walk partners6 { fd64::77 . fd64::77 }",
		"nft insert rule inet trustcore-tc-walk inward accept",
		"nft delete table inet trustcore-tc-walk",
		"nft flush set inet trustcore-tc-walk lease",
		"ip route del " + address + " dev tc-walk",
		"ip route add 10.64.1.201 dev tc-walk proto 184",
		"ip link set tc-walk mtu 1300",
		"ip link set tc-walk down",
		"ip addr del 10.64.0.1/32 dev tc-walk",
		"ip link set tc-walk alias mine",
	}
	line = lines[w.random.IntN(len(lines))]
	words := strings.Fields(line)
	_ = exec.Command(words[0], words[1:]...).Run() // what is not there can't be taken away
	return line
}

// compare holds the present state against the wish, with what a whole pass uses, and returns the first difference.
func (w *walk) compare() string {
	granted, refused := w.wish.Divide([]vpn.Key{w.hub.publicKey}, w.hub.hosts())
	peers := make([]*vpn.PeerWish, len(granted))
	routes := make(map[netip.Prefix]struct{})
	for i := range granted {
		peers[i] = &granted[i]
		granted[i].Services = slices.DeleteFunc(slices.Clone(granted[i].Services), func(s vpn.Service) bool { return w.hub.cannotCarry(s) != "" })
		for _, a := range granted[i].Addresses {
			routes[a] = struct{}{}
		}
	}
	state, err := w.hub.device.Read()
	if err != nil || len(state.Peers) != len(granted) {
		return fmt.Sprintf("%d peers, not %d: %v", len(state.Peers), len(granted), err)
	}
	for _, p := range peers {
		have, is := state.Peers[device.Key(p.PublicKey)]
		if !is || have.PresharedKey != device.Key(p.PresharedKey) ||
			!maps.Equal(setOf(have.AllowedIPs), setOf(p.Addresses)) {
			return fmt.Sprintf("peer %+v is %+v", p, have)
		}
	}
	if len(w.hub.refused) < len(refused) || len(w.hub.peers) != len(granted) {
		return fmt.Sprintf("the hub refuses %+v, not %+v", w.hub.refused, refused)
	}
	policy := policyOfAll(peers)
	for _, f := range []func(fence.Policy) (int, error){w.fence.Restrict, w.fence.Permit} {
		if changed, err := f(policy); err != nil || changed != 0 {
			return fmt.Sprintf("%d differences in the fence, %v", changed, err)
		}
	}
	if w.hub.link == nil {
		return ""
	}
	if changed, failed, err := w.hub.link.SyncRoutes(routes, nil); err != nil || changed != 0 || len(failed) > 0 {
		return fmt.Sprintf("%d differences in the routes, %v, %v", changed, failed, err)
	}
	if changed, err := w.hub.link.Ensure(w.hub.cfg.Addresses); err != nil || changed != 0 {
		return fmt.Sprintf("%d differences of the interface, %v", changed, err)
	}
	return ""
}

func setOf(prefixes []netip.Prefix) map[netip.Prefix]bool {
	set := make(map[netip.Prefix]bool)
	for _, p := range prefixes {
		set[p] = true
	}
	return set
}
