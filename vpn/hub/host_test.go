package hub_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/hub"
)

// hostState is what of the host an administrator sees: interfaces, addresses, routes, firewall. What the kernel counts is
// left out.
func hostState(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", "ip -d link; ip addr; ip route show table all; ip -6 route show table all; nft -s list ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// refusedHub opens a hub and wants it refused, with a host that stays as it is.
func refusedHub(t *testing.T, cfg hub.Config, want error, part string) {
	t.Helper()
	eventually(t, "the host's addresses are settled", func() bool { return !strings.Contains(hostState(t), "tentative") })
	before := hostState(t)
	h, err := hub.Open(cfg)
	if err == nil {
		h.Close()
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), part) {
		t.Errorf("mode %s: got %v, want %v with %q", cfg.Mode, err, want, part)
	}
	if after := hostState(t); after != before {
		gone, come := changed(before, after)
		t.Errorf("mode %s: the host was\n%s\nand is\n%s", cfg.Mode, gone, come)
	}
}

// changed are the lines that one text has and the other has not.
func changed(before, after string) (gone, come string) {
	lines := func(of, other string) (rest string) {
		for line := range strings.Lines(of) {
			if !strings.Contains(other, line) {
				rest += line
			}
		}
		return rest
	}
	return lines(before, after), lines(after, before)
}

func anyHub(t *testing.T, mode vpn.Mode) hub.Config {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg := newConfig(key, t.TempDir())
	cfg.Mode = mode
	return cfg
}

// addLAN gives the host another interface.
func addLAN(t *testing.T) {
	t.Helper()
	tool(t, "ip link add lan type veth peer name cable")
	t.Cleanup(func() { tool(t, "ip link del lan") })
	for _, name := range []string{"lan", "cable"} {
		tool(t, "ip link set "+name+" addrgenmode none up")
	}
	for _, name := range []string{"lan", "cable"} {
		eventually(t, name+" is up", func() bool {
			out, err := exec.Command("ip", "link", "show", name).CombinedOutput()
			return err == nil && strings.Contains(string(out), "state UP")
		})
	}
}

// TestForeignInterfaceStays has an interface of the hub's name that somebody else made.
func TestForeignInterfaceStays(t *testing.T) {
	needTools(t)
	for _, kind := range []string{
		"ip tuntap add dev tc-hub mode tun", "ip link add tc-hub type veth peer name tc-other",
		"ip link add tc-hub type veth peer name tc-other ; ip link set tc-hub mtu 1420 alias tunnel-of-somebody up",
	} {
		t.Run(kind, func(t *testing.T) {
			for _, command := range strings.Split(kind, " ; ") {
				tool(t, command)
			}
			t.Cleanup(func() { tool(t, "ip link del tc-hub") })
			for _, mode := range []vpn.Mode{vpn.ModeAuto, vpn.ModeKernel, vpn.ModeUserspace} {
				refusedHub(t, anyHub(t, mode), hub.ErrNameTaken, "choose another name")
			}
		})
	}
}

// TestForeignInterfaceInOurPlace has somebody put an interface of his own where the hub's was.
func TestForeignInterfaceInOurPlace(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		h, err := hub.Open(anyHub(t, mode))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Apply(vpn.Wish{Revision: 1}); err != nil {
			t.Fatal(err)
		}
		tool(t, "ip link del tc-hub")
		tool(t, "ip link add tc-hub type veth peer name tc-other")
		t.Cleanup(func() { tool(t, "ip link del tc-hub") })
		before, err := exec.Command("ip", "-d", "addr", "show", "tc-hub").CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Reconcile(); !errors.Is(err, hub.ErrDeviceGone) {
			t.Errorf("with another interface in its place: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if after, err := exec.Command("ip", "-d", "addr", "show", "tc-hub").CombinedOutput(); err != nil || string(after) != string(before) {
			t.Errorf("it was\n%s\nand is\n%s", before, after)
		}
	})
}

// TestForeignTableStays has a firewall table of the hub's name that somebody else made.
func TestForeignTableStays(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		for _, table := range []string{"", "chain inward { counter accept ; } ;", "set allowed4 { type ipv4_addr ; } ; set partners4 { type ipv4_addr ; } ;"} {
			tool(t, "nft add table inet trustcore-tc-hub { "+table+" }")
			refusedHub(t, anyHub(t, mode), hub.ErrTableTaken, "inet trustcore-tc-hub")
			tool(t, "nft delete table inet trustcore-tc-hub")
		}
	})
}

// TestRangeOfTheHostIsRefused has addresses and routes of the host's own where the tunnel's are to be.
func TestRangeOfTheHostIsRefused(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		addLAN(t)
		for _, c := range []struct{ does, undoes, named string }{
			{"ip addr add 10.64.0.1/32 dev lan", "ip addr del 10.64.0.1/32 dev lan", "address 10.64.0.1/32 on lan"},
			{"ip addr add 10.64.0.77/16 dev lan", "ip addr del 10.64.0.77/16 dev lan", "route to 10.64.0.0/16 by lan"},
			{"ip addr add fd64::9/64 dev lan nodad", "ip addr del fd64::9/64 dev lan", "route to fd64::/64 by lan"},
			{"ip route add 10.0.0.0/8 dev lan metric 77", "ip route del 10.0.0.0/8 dev lan", "route to 10.0.0.0/8 by lan"},
			{"ip route add 10.64.0.1 dev lan", "ip route del 10.64.0.1 dev lan", "route to 10.64.0.1/32 by lan"},
		} {
			tool(t, c.does)
			if strings.Contains(c.does, "fd64") { // the kernel makes an IPv6 address's own route a moment later
				eventually(t, "the address has its routes", func() bool { return strings.Contains(hostState(t), "local fd64::9 dev lan") })
			}
			refusedHub(t, anyHub(t, mode), hub.ErrRange, c.named)
			tool(t, c.undoes)
		}
		for _, harmless := range []string{"ip route add default dev lan", "ip route add blackhole 10.0.0.0/8", "ip addr add 10.65.0.1/16 dev lan"} {
			tool(t, harmless)
		}
		h, err := hub.Open(anyHub(t, mode))
		if err != nil {
			t.Fatalf("a default route, one that discards, and addresses elsewhere: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		tool(t, "ip route del blackhole 10.0.0.0/8")
	})
}

// TestPoolOfTheHostIsRefused has a host with a route into the range of the offices: before anybody was let in nobody is,
// later it is named. The route stays in any case.
func TestPoolOfTheHostIsRefused(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		addLAN(t)
		a := w.plan("A")
		own := "ip route add " + a.tunnel[0].String() + " dev lan"
		route := func() string {
			out, err := exec.Command("ip", "route", "show", "dev", "lan").CombinedOutput()
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
		for name, command := range map[string]string{"an office's address": own, "a part of the pool": "ip route add 10.64.200.0/24 dev lan"} {
			tool(t, command)
			before := route()
			wish := vpn.Wish{Revision: w.wish.Revision + 1, Digest: "d", Pool: []netip.Prefix{netip.MustParsePrefix("10.64.0.0/16")}, Peers: []vpn.PeerWish{w.peer(a)}}
			w.wish = wish
			if _, err := w.hub.Apply(wish); !errors.Is(err, hub.ErrRange) || !strings.Contains(err.Error(), "by lan") {
				t.Errorf("%s: %v", name, err)
			}
			if s := w.status(); len(s.Peers) != 0 || !strings.Contains(s.Problem, "by lan") || s.Revision != wish.Revision {
				t.Errorf("%s: %+v", name, s)
			}
			if route() != before {
				t.Errorf("%s: the route was\n%s\nand is\n%s", name, before, route())
			}
			tool(t, strings.Replace(command, "add", "del", 1))
		}
		if _, err := w.hub.Reconcile(); err != nil || len(w.status().Peers) != 1 {
			t.Errorf("the host was cleared: %v", err)
		}
		w.start(a)
		if err := reach(a, w.gateway[0], patience); err != nil {
			t.Fatal(err)
		}
		tool(t, "ip route add 10.64.200.0/24 dev lan")
		before := route()
		if _, err := w.hub.Reconcile(); err != nil {
			t.Errorf("a route that appears later: %v", err)
		}
		if err := reach(a, w.gateway[0], patience); err != nil {
			t.Errorf("A was shut out by it: %v", err)
		}
		if s := w.status(); s.Problem != "" || len(s.Findings) != 1 || !strings.Contains(s.Findings[0].What, "10.64.200.0/24 by lan") {
			t.Errorf("findings %+v, problem %q", s.Findings, s.Problem)
		}
		if route() != before {
			t.Errorf("the route was\n%s\nand is\n%s", before, route())
		}
	})
}

// TestAdministratorsRouteStays replaces the route to an office by one of the host's own.
func TestAdministratorsRouteStays(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a, b := w.plan("A"), w.plan("B")
		w.apply(w.peer(a), w.peer(b))
		tool(t, "ip route replace "+a.tunnel[0].String()+" dev lo")
		if _, err := w.hub.Reconcile(); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ip", "route", "show", a.tunnel[0].String()).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "dev lo") {
			t.Errorf("the route is %s, %v", out, err)
		}
		w.apply(w.peer(b))
		if out, err = exec.Command("ip", "route", "show", a.tunnel[0].String()).CombinedOutput(); err != nil || !strings.Contains(string(out), "dev lo") {
			t.Errorf("after A was revoked the route is %q, %v", out, err)
		}
		tool(t, "ip route del "+a.tunnel[0].String()+" dev lo")
	})
}

// TestTwoHubsBesideEachOther has a second hub, of other addresses, on the same host.
func TestTwoHubsBesideEachOther(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w, a, _ := twoOffices(t, mode)
		cfg := anyHub(t, w.mode)
		cfg.Interface, cfg.Addresses = "tc-test", []netip.Prefix{netip.MustParsePrefix("10.96.0.1/32")}
		h, err := hub.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		other := somePeer(t, 9)
		other.Addresses = []netip.Prefix{netip.MustParsePrefix("10.96.1.2/32")}
		other.Services[0].Addr = netip.AddrPortFrom(w.secret.Addr(), w.secret.Port()) // what is permitted there is not here
		if _, err := h.Apply(vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{other}}); err != nil {
			t.Fatal(err)
		}
		settled := func(when string) {
			t.Helper()
			for name, each := range map[string]*hub.Hub{"first": w.hub, "second": h} {
				if changes, err := each.Reconcile(); err != nil || !changes.IsZero() {
					t.Errorf("%s: the %s hub repaired %+v, %v", when, name, changes, err)
				}
			}
			if err := reach(a, w.gateway[0], patience); err != nil {
				t.Errorf("%s: %v", when, err)
			}
			if reach(a, w.secret, refusalTime) == nil {
				t.Errorf("%s: A reaches what it must not", when)
			}
		}
		settled("both open")
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
			t.Errorf("the second hub left and the first repaired %+v, %v", changes, err)
		}
		if err := reach(a, w.gateway[0], patience); err != nil {
			t.Error(err)
		}
	})
}

// TestSecondHubSaysWhoIsTheFirst opens a hub of the same interface, and of the same key.
func TestSecondHubSaysWhoIsTheFirst(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w, a, _ := twoOffices(t, mode)
		if err := hold(a, w.gateway[0]); err != nil {
			t.Fatal(err)
		}
		for _, mode := range []vpn.Mode{vpn.ModeAuto, vpn.ModeKernel, vpn.ModeUserspace} {
			cfg := w.cfg
			cfg.Mode, cfg.StateDir = mode, t.TempDir()
			refusedHub(t, cfg, hub.ErrHeld, fmt.Sprintf("process %d (", os.Getpid()))
		}
		if err := echo(a, patience); err != nil {
			t.Errorf("the first hub lost a flow: %v", err)
		}
		if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
			t.Errorf("the first hub repaired %+v, %v", changes, err)
		}
	})
}

// TestHostThatDropsIsNamed has what keeps permitted packets from their way.
func TestHostThatDropsIsNamed(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		peer := w.peer(w.plan("A"))
		named := func() (all string) {
			for _, f := range w.status().Findings {
				all += f.What + "\n"
			}
			return all
		}
		w.apply(peer)
		if all := named(); all != "" {
			t.Errorf("on a host that drops nothing: %s", all)
		}
		tool(t, "nft add table ip filter { chain input { type filter hook input priority 0 ; policy drop ; } ; chain output { type filter hook output priority 0 ; policy drop ; } ; }")
		t.Cleanup(func() { tool(t, "nft delete table ip filter") })
		if all := named(); !strings.Contains(all, "table filter, chain input") || strings.Contains(all, "output") {
			t.Errorf("a policy that drops: %s", all)
		}
		if strings.Contains(named(), "forwards no") {
			t.Errorf("no service lies behind the host, but: %s", named())
		}
		peer.Services = slices.Clone(peer.Services)
		peer.Services[0].Addr = netip.MustParseAddrPort("192.0.2.200:443")
		w.apply(peer)
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0o644); err != nil {
			t.Skip("the kernel's settings are read only here:", err)
		}
		if all := named(); !strings.Contains(all, "forwards no IPv4") {
			t.Errorf("a host that forwards nothing: %s", all)
		}
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
		if all := named(); strings.Contains(all, "forwards no IPv4") {
			t.Errorf("a host that forwards: %s", all)
		}
	})
}

// TestKernelEndsTheLease has a hub that nobody tends any more while its tunnels stand, as when a process dies that has its
// WireGuard in the kernel.
func TestKernelEndsTheLease(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		if err := w.hub.Close(); err != nil {
			t.Fatal(err)
		}
		left := time.Hour
		w.cfg.Lease = func() time.Duration { return left }
		w.open()
		a := w.plan("A")
		w.apply(w.peer(a))
		w.start(a)
		if err := hold(a, w.gateway[0]); err != nil {
			t.Fatal(err)
		}
		if err := echo(a, patience); err != nil {
			t.Fatal(err)
		}
		if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
			t.Errorf("not settled: %+v, %v", changes, err)
		}
		left = time.Second
		if _, err := w.hub.Reconcile(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the flow ends by itself", func() bool { return echo(a, refusalTime) != nil })
		if reach(a, w.gateway[0], refusalTime) == nil {
			t.Error("A gets in after the lease")
		}
		left = time.Hour
		if _, err := w.hub.Reconcile(); err != nil {
			t.Fatal(err)
		}
		if err := reach(a, w.gateway[0], patience); err != nil {
			t.Errorf("after the lease was renewed: %v", err)
		}
		left = 0
		if _, err := w.hub.Reconcile(); err != nil {
			t.Fatal(err)
		}
		if reach(a, w.gateway[0], refusalTime) == nil {
			t.Error("A gets in without a lease")
		}
	})
}
