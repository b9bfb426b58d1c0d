package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/hub"
	"trustcore/vpn/namespace"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

// world is a hub, its gateway service, and offices, in one of the modes.
type world struct {
	t       *testing.T
	mode    vpn.Mode
	cfg     hub.Config
	hub     *hub.Hub
	port    uint16            // UDP port of the hub
	gateway [2]netip.AddrPort // through the tunnel, IPv4 and IPv6
	backend netip.AddrPort    // of the gateway, on loopback, in mode netstack
	secret  netip.AddrPort    // a port of the hub's host that no office may reach
	wish    vpn.Wish
	sites   map[string]*plannedSite
}

// plannedSite is an office, at first only on paper.
type plannedSite struct {
	site
	name    string
	keyFile string
	key     vpn.PrivateKey
	tunnel  [2]netip.Prefix
	link    namespace.Link
	uplink  int // see script
}

var hubAddresses = []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32"), netip.MustParsePrefix("fd64::1/128")}

// newConfig is a hub of mode auto at any port.
func newConfig(key vpn.PrivateKey, dir string) hub.Config {
	return hub.Config{Interface: "tc-hub", PrivateKey: key, Addresses: hubAddresses, StateDir: dir, Log: slog.New(slog.DiscardHandler)}
}

// newWorld opens a hub with no peers and starts the gateway behind it.
func newWorld(t *testing.T, mode vpn.Mode) *world {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, mode: mode, sites: make(map[string]*plannedSite)}
	w.cfg = newConfig(key, t.TempDir())
	w.cfg.Mode, w.port = mode, freeUDPPort(t)
	if mode == vpn.ModeNetstack {
		w.backend = w.serve("127.0.0.1:0")
	}
	w.open()
	t.Cleanup(func() {
		if err := w.hub.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, a := range hubAddresses {
		w.gateway[i] = netip.AddrPortFrom(a.Addr(), 9443)
		if mode != vpn.ModeNetstack {
			w.serve(w.gateway[i].String())
		}
	}
	w.secret = netip.AddrPortFrom(hubAddresses[0].Addr(), w.serve("0.0.0.0:0").Port())
	return w
}

// open opens the hub, also again after it was closed.
func (w *world) open() {
	w.t.Helper()
	w.cfg.ListenPort = w.port
	h, err := hub.Open(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.hub = h
}

func (w *world) serve(address string) netip.AddrPort {
	w.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { listener.Close() })
	go serveEcho(listener)
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

func (w *world) status() vpn.Status {
	w.t.Helper()
	s, err := w.hub.Status(time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// freeUDPPort is one that nobody uses; a hub of production has a fixed port, too.
func freeUDPPort(t *testing.T) uint16 {
	t.Helper()
	socket, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// plan makes an office on paper: keys and addresses.
func (w *world) plan(name string) *plannedSite {
	w.t.Helper()
	n := len(w.sites) + 2
	p := &plannedSite{name: name, keyFile: filepath.Join(w.t.TempDir(), "wireguard.key")}
	p.tunnel = [2]netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.64.1.%d/32", n)), netip.MustParsePrefix(fmt.Sprintf("fd64::1:%d/128", n))}
	p.link = namespace.Link{Outer: netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/30", 4*n+1)), Inner: netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/30", 4*n+2))}
	var err error
	if p.key, err = vpn.LoadOrCreateKey(p.keyFile); err != nil {
		w.t.Fatal(err)
	}
	w.sites[name] = p
	return p
}

// peer is the office in a wish, with the gateway as its service.
func (w *world) peer(p *plannedSite) vpn.PeerWish {
	peer := vpn.PeerWish{Partner: p.name, Site: "main", PublicKey: p.key.Public(), Addresses: p.tunnel[:]}
	for i, addr := range w.gateway {
		peer.Services = append(peer.Services, vpn.Service{Name: []string{"gateway", "gateway6"}[i], Proto: "tcp", Addr: addr, Backend: w.backend})
	}
	return peer
}

// apply puts exactly these peers into force.
func (w *world) apply(peers ...vpn.PeerWish) {
	w.t.Helper()
	w.wish = vpn.Wish{Revision: w.wish.Revision + 1, Peers: peers}
	if _, err := w.hub.Apply(w.wish); err != nil {
		w.t.Fatal(err)
	}
}

// start brings the office's end up. It is a hostile office: it leads whatever it may want
// to reach into its tunnel.
func (w *world) start(p *plannedSite, more ...netip.AddrPort) {
	w.t.Helper()
	w.startAs(p, func(*office.Enrolment) {}, more...)
}

// startAs does so by an enrolment that is another in something.
func (w *world) startAs(p *plannedSite, change func(*office.Enrolment), more ...netip.AddrPort) {
	w.t.Helper()
	enrolment := w.enrolment(p, more...)
	change(&enrolment)
	if w.mode == vpn.ModeNetstack {
		tunnel, err := tunnel.Up(context.Background(), tunnel.Config{Mode: w.mode, Interface: "none", PrivateKey: p.key, Enrolment: enrolment, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { tunnel.Close() })
		p.site = &localSite{tunnel: tunnel}
		return
	}
	p.site = startSite(w.t, p.link, script{KeyFile: p.keyFile, Mode: w.mode, Enrolment: enrolment, Uplink: p.uplink})
}

// enrolment is what the office brings its end up by.
func (w *world) enrolment(p *plannedSite, more ...netip.AddrPort) office.Enrolment {
	e := office.Enrolment{
		Partner: p.name, Site: "main", Address: p.tunnel[:],
		Hub: office.Hub{PublicKey: w.cfg.PrivateKey.Public(), Addresses: hubAddresses, Endpoint: netip.AddrPortFrom(p.link.Outer.Addr(), w.port).String()},
	}
	if w.mode == vpn.ModeNetstack {
		e.Hub.Endpoint = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), w.port).String()
	}
	for _, addr := range more {
		e.Services = append(e.Services, office.Service{Name: "wanted", Addr: addr})
	}
	return e
}

// inside runs a command in the namespace of the office.
func (p *plannedSite) inside(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := p.site.(*remoteSite).space.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
}

// everyMode runs a test in each mode that this host has.
func everyMode(t *testing.T, test func(t *testing.T, mode vpn.Mode)) {
	t.Helper()
	inModes(t, test, vpn.ModeKernel, vpn.ModeUserspace, vpn.ModeNetstack)
}

func inModes(t *testing.T, test func(t *testing.T, mode vpn.Mode), modes ...vpn.Mode) {
	t.Helper()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			if mode != vpn.ModeNetstack {
				needRoot(t)
			}
			if mode == vpn.ModeKernel && exec.Command("ip", "link", "add", "tc-probe", "type", "wireguard").Run() != nil {
				t.Skip("this kernel has no WireGuard")
			}
			exec.Command("ip", "link", "del", "tc-probe").Run()
			test(t, mode)
		})
	}
}

// somePeer is a valid peer with the given number.
func somePeer(t testing.TB, n int) vpn.PeerWish {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return vpn.PeerWish{
		Partner: fmt.Sprintf("partner-%d", n), Site: "main", PublicKey: key.Public(),
		Addresses: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64, byte(1 + n>>8), byte(n)}), 32),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x64, 13: 1, 14: byte(n >> 8), 15: byte(n)}), 128),
		},
		Services: []vpn.Service{{Name: "gateway", Proto: "tcp", Addr: netip.MustParseAddrPort("10.64.0.1:9443")}},
	}
}
