package hub_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"trustcore/vpn"
	"trustcore/vpn/hub"
)

// everyInterface runs a test in the modes in which the host's tools can tamper with the tunnel.
func everyInterface(t *testing.T, test func(t *testing.T, mode vpn.Mode)) {
	t.Helper()
	needTools(t)
	inModes(t, test, vpn.ModeKernel, vpn.ModeUserspace)
}

func needTools(t *testing.T) {
	t.Helper()
	needRoot(t)
	for _, name := range []string{"nft", "wg", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s to tamper with the tunnel", name)
		}
	}
}

// tool runs a host's tool as an operator would by hand.
func tool(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

func TestDriftIsRepaired(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w, a, b := twoOffices(t, mode)
		addressOfA := a.tunnel[0]
		stranger, err := vpn.GeneratePrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		opened := fmt.Sprintf("{ %v . %v . tcp . %d }", addressOfA.Addr(), w.secret.Addr(), w.secret.Port())
		for _, c := range []struct {
			name   string
			tamper string
			open   bool // the tampering lets A reach what it must not, so the test can see the repair
			mended func(hub.Changes) bool
		}{
			{"foreign peer that steals an address", "wg set tc-hub peer " + stranger.Public().String() + " allowed-ips " + addressOfA.String(), false,
				func(c hub.Changes) bool { return c.PeersRemoved == 1 && c.PeersChanged == 1 }},
			{"known peer that steals an address", "wg set tc-hub peer " + b.key.Public().String() + " allowed-ips " + strings.Join([]string{addressOfA.String(), b.tunnel[0].String(), b.tunnel[1].String()}, ","), false,
				func(c hub.Changes) bool { return c.PeersChanged == 2 }},
			{"peer removed", "wg set tc-hub peer " + b.key.Public().String() + " remove", false,
				func(c hub.Changes) bool { return c.PeersAdded == 1 }},
			{"listen port", "wg set tc-hub listen-port 0", false,
				func(c hub.Changes) bool { return c.Device == 1 }},
			{"table deleted", "nft delete table inet trustcore-tc-hub", true,
				func(c hub.Changes) bool { return c.Fence > 1 }},
			{"rules inserted", "nft insert rule inet trustcore-tc-hub inward accept ; insert rule inet trustcore-tc-hub outward accept", true,
				func(c hub.Changes) bool { return c.Fence > 1 }},
			{"chains emptied", "nft flush chain inet trustcore-tc-hub inward ; flush chain inet trustcore-tc-hub outward", true,
				func(c hub.Changes) bool { return c.Fence > 1 }},
			{"table asleep", "nft add table inet trustcore-tc-hub { flags dormant ; }", true,
				func(c hub.Changes) bool { return c.Fence > 1 }},
			{"permission added", "nft add element inet trustcore-tc-hub allowed4 " + opened, true,
				func(c hub.Changes) bool { return c.Fence == 1 }},
			{"permissions deleted", "nft flush set inet trustcore-tc-hub allowed4", false,
				func(c hub.Changes) bool { return c.Fence == 2 }},
			{"MTU", "ip link set tc-hub mtu 1300", false,
				func(c hub.Changes) bool { return c.Device == 1 }},
			{"mark of the packets", "wg set tc-hub fwmark 7", false,
				func(c hub.Changes) bool { return c.Device == 1 }},
			{"alias", "ip link set tc-hub alias mine", false,
				func(c hub.Changes) bool { return c.Device == 1 }},
			{"address deleted", "ip addr del " + hubAddresses[0].String() + " dev tc-hub", false,
				func(c hub.Changes) bool { return c.Device == 1 }},
			{"route deleted", "ip route del " + addressOfA.String() + " dev tc-hub", false,
				func(c hub.Changes) bool { return c.Routes == 1 }},
			{"interface taken down", "ip link set tc-hub down", false,
				func(c hub.Changes) bool { return c.Routes > 0 }},
		} {
			t.Run(c.name, func(t *testing.T) {
				if strings.HasPrefix(c.tamper, "wg ") && mode == vpn.ModeUserspace {
					refusedByTheDevice(t, w, c.tamper)
					return
				}
				tool(t, c.tamper)
				if c.open && reach(a, w.secret, patience) != nil {
					t.Error("the tampering opened nothing: this test proves nothing")
				}
				changes, err := w.hub.Look()
				if err != nil {
					t.Fatal(err)
				}
				if !c.mended(changes) {
					t.Errorf("repaired %+v", changes)
				}
				if err := reach(a, w.gateway[0], patience); err != nil {
					t.Errorf("A lost the gateway: %v", err)
				}
				if reach(a, w.secret, refusalTime) == nil {
					t.Error("A still reaches what it must not")
				}
				if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
					t.Errorf("the repair is not settled: %+v, %v", changes, err)
				}
			})
		}
		tool(t, "ip link del tc-hub")
		if _, err := w.hub.Reconcile(); !errors.Is(err, hub.ErrDeviceGone) {
			t.Errorf("after the interface was deleted: %v", err)
		}
	})
}

// TestDriftIsToldAtOnce waits for nothing but the hub's word.
func TestDriftIsToldAtOnce(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		w.apply(w.peer(w.plan("A")))
		route := "ip route add 10.64.1.2 dev tc-hub proto 184"
		t.Cleanup(func() {
			for _, line := range []string{"ip link del tc-beside", "nft delete table inet other", "ip addr del 198.51.100.7/24 dev lo"} {
				tool(t, line)
			}
		})
		for _, c := range []struct {
			line    string
			foreign bool
		}{
			{"ip route del 10.64.1.2/32 dev tc-hub", true},
			{"ip link set tc-hub mtu 1300", true},
			{"nft flush set inet trustcore-tc-hub allowed6", true},
			{"nft add element inet trustcore-tc-hub partners4 { 10.64.1.9 . 10.64.1.9 }", true},
			{"nft flush set inet trustcore-tc-hub lease", false}, // it is put back, and shut nobody in meanwhile
			{"nft add table inet other", false},
			{"ip link add tc-beside type veth peer name tc-another", false},
			{"ip addr add 198.51.100.7/24 dev lo", false},
			{route + " metric 7", false}, // it leads where it should
		} {
			line, foreign := c.line, c.foreign
			for { // what was told before
				if _, err := w.hub.Look(); err != nil {
					t.Fatal(err)
				}
				select {
				case <-w.hub.Disturbed():
					continue
				case <-time.After(50 * time.Millisecond): // the hub's listeners have nothing to tell
				}
				break
			}
			tool(t, line)
			began := time.Now()
			select {
			case <-w.hub.Disturbed():
			case <-time.After(patience):
				t.Fatalf("%s: nothing was told", line)
			}
			changes, err := w.hub.Look()
			if err != nil || changes.IsZero() == foreign {
				t.Errorf("%s: repaired %+v, %v", line, changes, err)
			}
			t.Logf("%s: told and looked at within %v", line, time.Since(began))
		}
		if out, err := exec.Command("nft", "list", "set", "inet", "trustcore-tc-hub", "lease").Output(); err != nil || !strings.Contains(string(out), "elements") {
			t.Errorf("the lease was not put back: %v: %s", err, out)
		}
	})
}

// refusedByTheDevice tries to change a device that this process carries.
func refusedByTheDevice(t *testing.T, w *world, line string) {
	t.Helper()
	words := strings.Fields(line)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Operation not permitted") {
		t.Errorf("%s: %v: %s", line, err, out)
	}
	if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
		t.Errorf("it did something: repaired %+v, %v", changes, err)
	}
	if out, err := exec.Command("wg", "show", "tc-hub", "peers").Output(); err != nil || strings.Count(string(out), "\n") != 2 {
		t.Errorf("who asks is not told: %v: %s", err, out)
	}
}

func TestSpoofedSourceIsRefused(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w, a, b := twoOffices(t, mode)
		ofB := b.tunnel[0].Addr()
		// Inside the tunnel: WireGuard ties the inner source to the key.
		a.inside(t, "ip", "addr", "add", ofB.String()+"/32", "dev", "tc-office")
		if a.do(action{Kind: "reach", To: w.gateway[0], From: ofB, Wait: refusalTime}) == nil {
			t.Error("A spoke as B through its own tunnel")
		}
		// Beside the tunnel, in clear: once as itself and once with the tunnel's addresses.
		a.inside(t, "ip", "route", "replace", w.gateway[0].Addr().String()+"/32", "via", a.link.Outer.Addr().String(), "dev", "uplink")
		tool(t, "ip route replace "+ofB.String()+" via "+a.link.Inner.Addr().String())
		beside := netip.AddrPortFrom(a.link.Outer.Addr(), w.secret.Port())
		if err := a.do(action{Kind: "reach", To: beside, From: a.link.Inner.Addr(), Wait: patience}); err != nil {
			t.Errorf("what is not of the tunnel is the host's own affair, but: %v", err)
		}
		for _, c := range []struct {
			from netip.Addr
			to   netip.AddrPort
		}{
			{a.link.Inner.Addr(), w.gateway[0]},
			{ofB, w.gateway[0]},
			{ofB, beside},
		} {
			before := w.status().Denied
			if a.do(action{Kind: "reach", To: c.to, From: c.from, Wait: refusalTime}) == nil {
				t.Errorf("A reached %v beside the tunnel as %v", c.to, c.from)
			}
			if w.status().Denied == before {
				t.Errorf("the packets from %v to %v were not denied by the fence", c.from, c.to)
			}
		}
	})
}

func TestStrangerGetsNoHandshake(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		known, stranger := w.plan("known"), w.plan("stranger")
		w.apply(w.peer(known))
		w.start(stranger)
		if stranger.do(action{Kind: "handshake", Wait: refusalTime}) == nil {
			t.Error("the hub answered a key that is not in the wish")
		}
	})
}

func TestPresharedKeyMustMatch(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a := w.plan("A")
		peer := w.peer(a)
		peer.PresharedKey[0] = 1
		w.apply(peer)
		w.start(a) // it knows no pre-shared key
		if a.do(action{Kind: "handshake", Wait: refusalTime}) == nil {
			t.Error("a handshake without the pre-shared key")
		}
	})
}

// TestWithoutPrivilege runs the next test in a process that has no privilege over this network.
func TestWithoutPrivilege(t *testing.T) {
	const role = "TRUSTCORE_TEST_UNPRIVILEGED"
	if os.Getenv(role) == "" && os.Geteuid() == 0 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		again := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestWithoutPrivilege$")
		again.Env = append(os.Environ(), role+"=1", ownNamespace+"=")
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER} // no identity mapped: not root over anything
		out, err := again.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			t.Skip("needs user namespaces to give up privilege")
		}
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg := newConfig(key, t.TempDir())
	for _, mode := range []vpn.Mode{vpn.ModeKernel, vpn.ModeUserspace} {
		cfg.Mode = mode
		if _, err := hub.Open(cfg); !errors.Is(err, hub.ErrFirewall) || !strings.Contains(err.Error(), "start as root") {
			t.Errorf("mode %s: %v", mode, err)
		}
	}
	cfg.Mode = vpn.ModeAuto
	h, err := hub.Open(cfg)
	if err != nil || h.Mode() != vpn.ModeNetstack {
		t.Fatalf("auto: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// TestUserWithTheCapability runs the hub as a user who is not root and has CAP_NET_ADMIN; where TUN devices are
// root's alone, also the right to open one.
func TestUserWithTheCapability(t *testing.T) {
	const role = "TRUSTCORE_TEST_CAPABLE"
	needRoot(t)
	if dir := os.Getenv(role); dir != "" {
		cfg := anyHub(t, vpn.ModeAuto)
		cfg.Interface, cfg.StateDir = "tc-capable", dir
		h, err := hub.Open(cfg)
		if err != nil || h.Mode() == vpn.ModeNetstack || os.Geteuid() == 0 {
			t.Fatalf("as user %d: %v", os.Geteuid(), err)
		}
		if _, err := h.Apply(vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{somePeer(t, 2)}}); err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	capabilities := []uintptr{unix.CAP_NET_ADMIN}
	if info, err := os.Stat("/dev/net/tun"); err != nil || info.Mode().Perm()&0o006 != 0o006 {
		capabilities = append(capabilities, unix.CAP_DAC_OVERRIDE)
	}
	dir, err := os.MkdirTemp("/tmp", "capable") // one that the user reaches
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	again := exec.Command("/proc/self/exe", "-test.run=^TestUserWithTheCapability$")
	again.Env = append(os.Environ(), role+"="+dir, "TMPDIR="+dir)
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: capabilities}
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestTakenPortAndName(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		cfg := w.cfg
		cfg.Mode, cfg.ListenPort, cfg.StateDir = vpn.ModeNetstack, w.port, t.TempDir()
		if _, err := hub.Open(cfg); !errors.Is(err, hub.ErrPortTaken) {
			t.Errorf("taken port: %v", err)
		}
	})
}

func TestSecondHubOfAName(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		tool(t, "ip tuntap add dev tc-busy mode tun")
		t.Cleanup(func() { tool(t, "ip tuntap del dev tc-busy mode tun") })
		key, err := vpn.GeneratePrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		cfg := newConfig(key, t.TempDir())
		cfg.Mode, cfg.Interface = mode, "tc-busy"
		if _, err := hub.Open(cfg); !errors.Is(err, hub.ErrNameTaken) {
			t.Errorf("taken name: %v", err)
		}
		if exec.Command("nft", "list", "table", "inet", "trustcore-tc-busy").Run() == nil {
			t.Error("a hub that did not open left its firewall behind")
		}
	})
}

// TestRevocationForgetsTrackedFlows has a host whose own firewall tracks connections.
func TestRevocationForgetsTrackedFlows(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w, a, b := twoOffices(t, mode)
		tool(t, "nft add table inet host { chain input { type filter hook input priority 10 ; ct state established accept ; } ; }")
		t.Cleanup(func() { tool(t, "nft delete table inet host") })
		tracked := func(s *plannedSite) bool {
			table, err := os.ReadFile("/proc/net/nf_conntrack")
			if err != nil {
				t.Skip("the kernel does not show its connection tracking:", err)
			}
			return strings.Contains(string(table), "src="+s.tunnel[0].Addr().String()+" ")
		}
		for _, s := range []*plannedSite{a, b} {
			if err := hold(s, w.gateway[0]); err != nil {
				t.Fatal(err)
			}
			if err := echo(s, patience); err != nil {
				t.Fatal(err)
			}
			if !tracked(s) {
				t.Fatalf("the host does not track the flow of %s: this test proves nothing", s.name)
			}
		}
		w.apply(w.peer(b))
		if tracked(a) || !tracked(b) {
			t.Errorf("tracked after A was revoked: A %v, B %v", tracked(a), tracked(b))
		}
	})
}
