package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"trustcore/vpn"
	"trustcore/vpn/bench"
	"trustcore/vpn/namespace"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

const (
	crowdSize = "TRUSTCORE_TAKEOVER_PEERS" // how many offices there are beside the real one; make endure has 999
	virtual   = "192.0.2.10"
	hubPort   = 51899
)

// lan is a switch and the namespaces on it, each with one address.
type lan struct {
	t      *testing.T
	middle *namespace.Namespace
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	l := &lan{t: t, middle: newSpace(t)}
	l.run(l.middle, "ip", "link", "add", "br0", "type", "bridge")
	l.run(l.middle, "ip", "link", "set", "br0", "up")
	return l
}

func newSpace(t *testing.T) *namespace.Namespace {
	t.Helper()
	space, err := namespace.New(namespace.Link{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { space.Close() })
	return space
}

func (l *lan) run(space *namespace.Namespace, name string, args ...string) {
	l.t.Helper()
	cmd := exec.Command(name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := space.Start(cmd); err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		l.t.Fatalf("%v: %v: %s", cmd, err, out.String())
	}
}

// join makes a namespace on the switch; port is the switch's end of its cable.
func (l *lan) join(port, address string) *namespace.Namespace {
	l.t.Helper()
	space := newSpace(l.t)
	inside := exec.Command("sleep", "infinity") // names the namespace to ip
	inside.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := space.Start(inside); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { inside.Process.Kill(); inside.Wait() })
	l.run(l.middle, "ip", "link", "add", port, "type", "veth", "peer", "name", "uplink", "netns", strconv.Itoa(inside.Process.Pid))
	l.run(l.middle, "ip", "link", "set", port, "master", "br0", "up")
	l.run(space, "ip", "address", "add", address+"/24", "dev", "uplink")
	l.run(space, "ip", "link", "set", "uplink", "up")
	return space
}

// pairCore is trustd as two gateways know it: the same wish for both, and the keys that one seals for the other.
type pairCore struct {
	t        *testing.T
	mu       sync.Mutex
	cores    map[string]*core
	offers   map[string]vpn.KeyOffer
	sealed   map[string][]byte
	serial   map[string]int64
	approved bool
	heard    vpn.HeardOffices
}

// at is the core as one gateway reaches it.
func (p *pairCore) at(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /v1/vpn/keys":
			p.keys(name, w, r)
		case "GET /v1/vpn/heard":
			p.mu.Lock()
			defer p.mu.Unlock()
			answer := vpn.HeardOffices{Serial: p.heard.Serial}
			if r.URL.Query().Get("after") != strconv.FormatInt(p.heard.Serial, 10) {
				answer.Offices = p.heard.Offices
			}
			json.NewEncoder(w).Encode(answer)
		default:
			p.cores[name].ServeHTTP(w, r)
			p.hear(name)
		}
	})
}

func (p *pairCore) keys(name string, w http.ResponseWriter, r *http.Request) {
	var in vpn.KeyOffer
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offers[name] = in
	answer := vpn.KeyAnswer{SealFor: map[string][]byte{}, Waits: !p.approved}
	for other, offer := range p.offers {
		if other == name || !p.approved {
			continue
		}
		if sealed := in.Sealed[other]; sealed != nil {
			p.sealed[other], p.serial[other] = sealed, in.Serial
		} else if in.Serial > offer.Serial {
			answer.SealFor[other] = offer.Recipient
		}
	}
	if p.serial[name] > in.Serial {
		answer.Sealed = p.sealed[name]
	}
	json.NewEncoder(w).Encode(answer)
}

// hear keeps where the gateway that carries heard the offices.
func (p *pairCore) hear(name string) {
	s := p.cores[name].report()
	if s.Pair == nil || !s.Pair.Active {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := len(p.heard.Offices)
	p.heard.Offices = nil
	for _, peer := range s.Peers {
		if peer.Endpoint.IsValid() && !peer.LastHandshake.IsZero() {
			p.heard.Offices = append(p.heard.Offices, vpn.Heard{PublicKey: peer.PublicKey, Endpoint: peer.Endpoint, At: peer.LastHandshake, Followed: peer.Followed,
				Busy: peer.Partner == "office-1"}) // as trustd finds by what it received
		}
	}
	if len(p.heard.Offices) != known {
		p.heard.Serial++
	}
}

// couple is two gateways of a pair on a switch, with the service that both have behind them.
type couple struct {
	*lan
	core   *pairCore
	spaces [2]*namespace.Namespace
	cfgs   [2]Config
	cmds   [2]*exec.Cmd
	site   *namespace.Namespace
}

func coupleNames() [2]string { return [2]string{"vpnd-1", "vpnd-2"} }

func startCouple(t *testing.T) *couple {
	t.Helper()
	c := &couple{lan: newLAN(t)}
	c.core = &pairCore{t: t, cores: map[string]*core{}, offers: map[string]vpn.KeyOffer{}, sealed: map[string][]byte{}, serial: map[string]int64{}}
	for i, name := range coupleNames() {
		c.spaces[i] = c.join("port"+strconv.Itoa(i+1), fmt.Sprintf("192.0.2.%d", i+1))
		c.inside(i, func() error {
			c.core.cores[name], c.cfgs[i] = startCoreBehind(t, name, c.core.at(name))
			return echoDatagrams(t, netip.MustParseAddrPort("10.64.0.1:9444"))
		})
	}
	c.site = c.join("port3", "192.0.2.30")
	c.start(0)
	c.start(1)
	t.Cleanup(func() { c.kill(0); c.kill(1) })
	return c
}

func (c *couple) inside(i int, do func() error) {
	c.t.Helper()
	if err := c.spaces[i].Do(do); err != nil {
		c.t.Fatal(err)
	}
}

func (c *couple) start(i int) {
	c.t.Helper()
	from := ""
	if i == 1 {
		from = ", keys_from: vpnd-1"
	}
	pair := fmt.Sprintf("pair: {interface: uplink, addresses: [%s], listen: '192.0.2.%d:51819', peer: '192.0.2.%d:51819'%s}\n",
		virtual, i+1, 2-i, from)
	c.cmds[i] = startDaemonWith(c.t, c.spaces[i], c.cfgs[i], pair)
}

func (c *couple) kill(i int) {
	c.cmds[i].Process.Kill()
	c.cmds[i].Wait()
}

func (c *couple) report(i int) vpn.Status { return c.core.cores[coupleNames()[i]].report() }

// carries says whether the gateway reports that it does, and the other one that it does not.
func (c *couple) carries(i int) bool {
	s, other := c.report(i), c.report(1-i)
	return s.Pair != nil && s.Pair.Active && other.Pair != nil && !other.Pair.Active
}

func (c *couple) put(w vpn.Wish) {
	c.t.Helper()
	for _, core := range c.core.cores {
		core.put(c.t, w)
	}
}

// echoDatagrams answers at an address that exists while the tunnel does.
func echoDatagrams(t *testing.T, at netip.AddrPort) error {
	free := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		if err == nil {
			err = failed
		}
		return err
	}}
	socket, err := free.ListenPacket(t.Context(), "udp", at.String())
	if err != nil {
		return err
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		datagram := make([]byte, 64)
		for {
			n, from, err := socket.ReadFrom(datagram)
			if err != nil {
				return
			}
			socket.WriteTo(datagram[:n], from) // while the address is away there is no way back
		}
	}()
	return nil
}

// realOffice is one with an interface, which sends numbered datagrams through the tunnel all the time.
type realOffice struct {
	peer   vpn.PeerWish
	key    vpn.PrivateKey
	socket net.Conn
	last   atomic.Int64 // when the last answer came, in nanoseconds since began
	worst  atomic.Int64 // the longest time between two answers since reset
	began  time.Time
	sent   atomic.Int64
	came   atomic.Int64
	pause  atomic.Bool
}

func newOffice(t *testing.T) *realOffice {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return &realOffice{key: key, began: time.Now(), peer: vpn.PeerWish{Partner: "office-1", Site: "main", PublicKey: key.Public(),
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32")},
		Services:  []vpn.Service{{Name: "clock", Proto: "udp", Addr: netip.MustParseAddrPort("10.64.0.1:9444")}}}}
}

// up brings the office up in the namespace of the calling thread.
func (o *realOffice) up(t *testing.T, hub vpn.Key, at string) error {
	up, err := tunnel.Up(context.Background(), tunnel.Config{Mode: vpn.ModeUserspace, Interface: "tc-office", PrivateKey: o.key,
		Log: slog.New(slog.DiscardHandler), Enrolment: office.Enrolment{Partner: "office-1", Site: "main", Address: o.peer.Addresses,
			Hub: office.Hub{PublicKey: hub, Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")},
				Endpoint: netip.AddrPortFrom(netip.MustParseAddr(at), hubPort).String()},
			Services: []office.Service{{Name: "clock", Addr: o.peer.Services[0].Addr}}}})
	if err != nil {
		return err
	}
	t.Cleanup(func() { up.Close() })
	if o.socket, err = net.Dial("udp", o.peer.Services[0].Addr.String()); err != nil {
		return err
	}
	t.Cleanup(func() { o.socket.Close() })
	return nil
}

// flow sends a datagram every 5 ms, and notes the longest time without an answer.
func (o *realOffice) flow(t *testing.T) {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				if !o.pause.Load() {
					if _, err := fmt.Fprintf(o.socket, "%d", n); err == nil {
						o.sent.Add(1)
					}
				}
			}
		}
	}()
	go func() {
		answer := make([]byte, 64)
		for {
			_, err := o.socket.Read(answer)
			select {
			case <-stop:
				return
			default:
			}
			if err != nil {
				time.Sleep(time.Millisecond) // the way is away, as the kernel says
				continue
			}
			o.came.Add(1)
			now := int64(time.Since(o.began))
			if gap := now - o.last.Swap(now); gap > o.worst.Load() {
				o.worst.Store(gap)
			}
		}
	}()
}

// flows says whether an answer came within the last moment.
func (o *realOffice) flows() bool {
	return time.Duration(int64(time.Since(o.began))-o.last.Load()) < 50*time.Millisecond
}

// gap is the longest time without an answer while something is done and until the flow is there again.
func (o *realOffice) gap(t *testing.T, what string, do func(), done func() bool) time.Duration {
	t.Helper()
	o.worst.Store(0)
	do()
	eventually(t, what, done)
	eventually(t, what+": the datagrams are answered", o.flows)
	gap := time.Duration(o.worst.Load())
	t.Logf("%s: %v without an answer", what, gap.Round(time.Millisecond))
	return gap
}

// TestPairOfGateways has two gateways share the hub's keys and carry the tunnels in turn: one hands over, is killed with its
// machine, and comes back as standby. A connection of datagrams goes on.
func TestPairOfGateways(t *testing.T) {
	c := startCouple(t)
	c.put(vpn.Wish{Revision: 1})
	eventually(t, "the first gateway carries", func() bool { s := c.report(0); return s.Pair != nil && s.Pair.Active })
	if s := c.report(1); s.Pair != nil || exists(filepath.Join(c.cfgs[1].StateDir, "hub.key")) {
		t.Fatalf("the other one takes part before officers gave it the keys: %+v", s)
	}
	hub := c.report(0).PublicKey
	c.core.mu.Lock()
	c.core.approved = true
	c.core.mu.Unlock()
	eventually(t, "the other one stands by", func() bool { return c.carries(0) && c.report(1).PublicKey == hub })

	size, _ := strconv.Atoi(os.Getenv(crowdSize))
	crowd, secrets, err := bench.NewCrowd(max(size, 20))
	if err != nil {
		t.Fatal(err)
	}
	o := newOffice(t)
	wish := vpn.Wish{Revision: 2, Peers: []vpn.PeerWish{o.peer}}
	for i, key := range crowd.Keys() {
		wish.Peers = append(wish.Peers, vpn.PeerWish{Partner: "crowd", Site: strconv.Itoa(i), PublicKey: key,
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64, byte(2 + i>>8), byte(i)}), 32)}, Services: o.peer.Services})
	}
	c.put(wish)
	eventually(t, "the wish is in force", func() bool {
		return c.report(0).Revision == 2 && c.report(1).Revision == 2 && c.report(1).Pair.Ready && c.report(0).Pair.OtherReady
	})
	if err := c.site.Do(func() error { return o.up(t, hub, virtual) }); err != nil {
		t.Fatal(err)
	}
	if err := c.site.Do(func() error {
		return crowd.Start(secrets, hub, netip.AddrPortFrom(netip.MustParseAddr(virtual), hubPort))
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { crowd.Close() })
	o.flow(t)
	patient(t, "all offices are up", func() bool { return c.up(0) == len(wish.Peers) })
	patient(t, "the other gateway knows where", func() bool { return c.knows(1) == len(wish.Peers) })

	handed := o.gap(t, "handed over", func() { c.takeOver(1, true) }, func() bool { return c.carries(1) })
	c.takeOver(1, false)
	patient(t, "all offices are up again", func() bool { return c.up(1) == len(wish.Peers) })
	patient(t, "the first gateway knows where", func() bool { return c.knows(0) == len(wish.Peers) })
	killed := o.gap(t, "its machine is gone", func() {
		c.run(c.middle, "ip", "link", "set", "port2", "down")
		c.kill(1)
		killHolder(t, c.cfgs[1].StateDir)
	}, func() bool { return c.report(0).Pair.Active })
	if os.Getenv(crowdSize) != "" && max(handed, killed) > time.Second {
		t.Errorf("a take-over with %d offices took longer than a second", len(wish.Peers))
	}
	patient(t, "all offices are up once more", func() bool { return c.up(0) == len(wish.Peers) })

	c.core.cores["vpnd-2"].forget()
	c.run(c.middle, "ip", "link", "set", "port2", "up")
	c.run(c.spaces[1], "sh", "-c", "ip link delete tc-kill || true") // of the kernel, it outlives its daemon but not its machine
	c.start(1)
	eventually(t, "it comes back as standby", func() bool { return c.carries(0) && c.report(1).Pair.Ready && c.report(0).Pair.OtherReady })
	o.gap(t, "ended for an upgrade", func() { c.cmds[0].Process.Signal(os.Interrupt) }, func() bool { return c.report(1).Pair.Active })
}

// killHolder ends the process that has the device of a folder, if there is one: it goes with its machine.
func killHolder(t *testing.T, dir string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if args := strings.Split(string(text), "\x00"); err != nil || len(args) < 3 || args[1] != holdArgument || args[2] != dir {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// patient waits as eventually does, and longer for a large crowd.
func patient(t *testing.T, what string, condition func() bool) {
	t.Helper()
	end := time.Now().Add(3 * time.Minute)
	for !condition() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 3 minutes", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// up is how many offices the gateway hears.
func (c *couple) up(i int) (n int) {
	for _, p := range c.report(i).Peers {
		if p.State == vpn.StateUp {
			n++
		}
	}
	return n
}

// knows is of how many offices the gateway knows where they are.
func (c *couple) knows(i int) (n int) {
	for _, p := range c.report(i).Peers {
		if p.Endpoint.IsValid() {
			n++
		}
	}
	return n
}

func (c *couple) takeOver(i int, wanted bool) {
	core := c.core.cores[coupleNames()[i]]
	core.change(func() { core.over = wanted })
}

// TestPairIsFenced loses the adverts of a pair whose network is whole, and then the daemon that carries: the other gateway takes the
// addresses when the machine that had them has let them go, and not before.
func TestPairIsFenced(t *testing.T) {
	c := startCouple(t)
	c.core.mu.Lock()
	c.core.approved = true
	c.core.mu.Unlock()
	o := newOffice(t)
	c.put(vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{o.peer}})
	eventually(t, "one carries, the other one stands by", func() bool { return c.carries(0) && c.report(1).Pair.Ready && c.report(1).Revision == 1 })
	if err := c.site.Do(func() error { return o.up(t, c.report(0).PublicKey, virtual) }); err != nil {
		t.Fatal(err)
	}
	o.flow(t)
	eventually(t, "the datagrams are answered", o.flows)
	eventually(t, "the other gateway knows where", func() bool { return c.knows(1) == 1 })

	for i := range c.spaces {
		c.run(c.spaces[i], "nft", "add table inet lost; add chain inet lost input { type filter hook input priority 0; }; add rule inet lost input udp dport 51819 drop")
	}
	eventually(t, "the other one says why it takes nothing", func() bool {
		p := c.report(1).Pair
		return !p.Active && p.Other == "" && strings.Contains(p.Problem, "has the addresses")
	})
	if !c.report(0).Pair.Active {
		t.Error("adverts were lost, and nobody carries")
	}
	eventually(t, "the datagrams are answered", o.flows)
	c.kill(0)
	eventually(t, "the kernel let the addresses go, and the other one took them", func() bool { return c.report(1).Pair.Active })
	eventually(t, "the datagrams are answered", o.flows)
	has := func(i int) bool {
		return c.spaces[i].Do(func() error {
			out, err := exec.Command("ip", "-o", "address", "show", "to", virtual).Output()
			if err == nil && len(out) == 0 {
				err = os.ErrNotExist
			}
			return err
		}) == nil
	}
	if has(0) || !has(1) {
		t.Errorf("who has the address: %v, %v", has(0), has(1))
	}
}
