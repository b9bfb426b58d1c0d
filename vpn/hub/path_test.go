package hub_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"trustcore/vpn"
	"trustcore/vpn/namespace"
)

const officePort = 40001 // from which an office sends its datagrams

// bulk sends so many bytes to an echo, and gets them back.
func (s *localSite) bulk(ctx context.Context, a action) error {
	conn, err := s.dial(ctx, a)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(a.Wait)); err != nil {
		return err
	}
	data := make([]byte, a.Size)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(data)
		sent <- err
	}()
	back := make([]byte, a.Size)
	n, err := io.ReadFull(conn, back)
	if err != nil {
		return fmt.Errorf("%d of %d bytes came back: %w", n, a.Size, err)
	}
	if !bytes.Equal(back, data) {
		return errors.New("other bytes came back")
	}
	return <-sent
}

// narrow sends datagrams of 1,300 bytes that no router may cut, until the kernel has heard that the way carries less.
func narrow(ctx context.Context, a action) error {
	conn, err := net.DialUDP("udp", &net.UDPAddr{Port: officePort}, net.UDPAddrFromAddrPort(a.To))
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	level, discover, always, option := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO, unix.IP_MTU
	if a.To.Addr().Is6() {
		level, discover, always, option = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO, unix.IPV6_MTU
	}
	mtu := 0
	for ctx.Err() == nil {
		_, _ = conn.Write(make([]byte, 1300)) // refused once the kernel knows
		failed := raw.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), level, discover, always); err == nil {
				mtu, err = unix.GetsockoptInt(int(fd), level, option)
			}
		})
		if err := errors.Join(failed, err); err != nil || mtu == a.Size {
			return err
		}
		time.Sleep(20 * time.Millisecond) // between two datagrams
	}
	return fmt.Errorf("the way is said to carry %d bytes", mtu)
}

// send sends one datagram from the port of the service's, so that the answer meets a port at which nobody listens.
func send(a action) error {
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.From, officePort)), net.UDPAddrFromAddrPort(a.To))
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte("ping"))
	return errors.Join(err, conn.Close())
}

// forge sends the service an ICMP message of the type a.Size about a datagram from it to the office of the address a.From:
// that nobody listens at its port, or, with a port a.Port, that the datagram was longer than 1,400 bytes.
func forge(a action) error {
	if a.Port != 0 {
		return sendICMP(a.To.Addr(), icmpAbout(byte(a.Size), tooLong, 1400, a.To, netip.AddrPortFrom(a.From, a.Port)))
	}
	return sendICMP(a.To.Addr(), icmpAbout(byte(a.Size), noPort, 0, a.To, netip.AddrPortFrom(a.From, officePort)))
}

// The types of ICMP messages that tests send, and two codes of the first (RFC 792).
const (
	unreachable     = 3
	noPort, tooLong = 3, 4
	redirect        = 5
)

// icmpAbout is a message about a datagram (RFC 792, RFC 1191).
func icmpAbout(kind, code byte, mtu uint16, from, to netip.AddrPort) []byte {
	about := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}, from.Addr().AsSlice()...)
	about = append(about, to.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(about[10:], checksum(about))
	about = binary.BigEndian.AppendUint16(about, from.Port())
	about = binary.BigEndian.AppendUint16(about, to.Port())
	message := append([]byte{kind, code, 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, append(about, 0, 8, 0, 0)...)
	binary.BigEndian.PutUint16(message[2:], checksum(message))
	return message
}

func sendICMP(to netip.Addr, message []byte) error {
	conn, err := net.Dial("ip4:icmp", to.String())
	if err != nil {
		return err
	}
	_, err = conn.Write(message)
	return errors.Join(err, conn.Close())
}

// checksum is that of RFC 1071.
func checksum(data []byte) uint16 {
	var sum uint32
	for ; len(data) > 1; data = data[2:] {
		sum += uint32(binary.BigEndian.Uint16(data))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// TestOfficeBehindANarrowUplink has offices whose link carries less than usual. What is longer than that is lost without
// a word, as where a router on the way drops it and nobody may tell.
func TestOfficeBehindANarrowUplink(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		for _, uplink := range []int{1280, 1400, 1480} {
			t.Run(fmt.Sprint(uplink), func(t *testing.T) {
				w := newWorld(t, mode)
				a := w.plan("A")
				a.uplink = uplink
				w.apply(w.peer(a))
				w.start(a)
				if err := handshake(a); err != nil {
					t.Fatal(err)
				}
				for i, gateway := range w.gateway {
					if i == 1 && uplink < 1340 {
						continue // too narrow for IPv6 in the tunnel
					}
					if err := a.do(action{Kind: "bulk", To: gateway, Size: 2 << 20, Wait: patience}); err != nil {
						t.Errorf("%v: %v", gateway, err)
					}
				}
			})
		}
	})
}

// TestNarrowLinkBehindTheHub has services behind a link of the hub that carries 1,300 bytes, and behind a router that
// the hub reaches by a link of the usual length, but whose own carries 1,280.
func TestNarrowLinkBehindTheHub(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		near, far := behind(t, 1300), behind(t, 1500)
		far.does(t, "ip link add deep type veth peer name deeper", "ip link set deep mtu 1280 up", "ip link set deeper up",
			"ip addr add 198.51.100.1/24 dev deep", "ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 dev deep",
			"ip addr add fd51::1/64 dev deep nodad", "ip neigh add fd51::7 lladdr 02:00:00:00:00:07 dev deep")
		tool(t, "ip route add 198.51.100.0/24 via "+far.inner.String())
		tool(t, "ip route add fd51::/64 via "+far.inner6.String())
		echo := netip.AddrPortFrom(near.inner, near.echo(t))
		a := w.plan("A")
		peer := w.peer(a)
		services := []vpn.Service{
			{Name: "near", Proto: "tcp", Addr: echo},
			{Name: "near-udp", Proto: "udp", Addr: netip.AddrPortFrom(near.inner, 500)},
			{Name: "far", Proto: "udp", Addr: netip.MustParseAddrPort("198.51.100.7:500")},
			{Name: "far6", Proto: "udp", Addr: netip.MustParseAddrPort("[fd51::7]:500")},
			{Name: "silent", Proto: "udp", Addr: netip.MustParseAddrPort("198.51.100.9:500")},
		}
		peer.Services = append(peer.Services, services...)
		w.apply(peer)
		wanted := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.8:500")} // which is not permitted
		for _, s := range services {
			wanted = append(wanted, s.Addr)
		}
		w.start(a, wanted...)
		if err := a.do(action{Kind: "bulk", To: echo, Size: 200 << 10, Wait: patience}); err != nil {
			t.Errorf("200 kB over the narrow link: %v", err)
		}
		for i, size := range []int{1300, 1280, 1280} {
			if err := a.do(action{Kind: "narrow", To: services[1+i].Addr, Size: size, Wait: patience}); err != nil {
				t.Errorf("%s: %v", services[1+i].Name, err)
			}
		}
		for _, to := range []netip.AddrPort{netip.MustParseAddrPort("198.51.100.8:500"), netip.MustParseAddrPort("198.51.100.9:500")} {
			permitted := to == services[4].Addr
			lie := icmpAbout(unreachable, tooLong, 1280, netip.AddrPortFrom(a.tunnel[0].Addr(), officePort), to)
			told := make(chan error, 1)
			go func() { told <- a.do(action{Kind: "narrow", To: to, Size: 1280, Wait: 3 * refusalTime}) }()
			var err error
			for done := false; !done; {
				if err := far.space.Do(func() error { return sendICMP(a.tunnel[0].Addr(), lie) }); err != nil {
					t.Fatal(err)
				}
				select {
				case err = <-told:
					done = true
				case <-time.After(50 * time.Millisecond): // between two messages
				}
			}
			if (err == nil) != permitted {
				t.Errorf("an error about a packet to %v, permitted: %v: %v", to, permitted, err)
			}
		}
	})
}

// TestNarrowWayToAnOffice has a router on the way to an office tell the hub that it carries 1,400 bytes alone. In the
// kernel WireGuard lets routers cut its datagrams, and hears nothing of it.
func TestNarrowWayToAnOffice(t *testing.T) {
	needTools(t)
	inModes(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a, b := w.plan("A"), w.plan("B")
		w.apply(w.peer(a), w.peer(b))
		w.start(a)
		if err := handshake(a); err != nil {
			t.Fatal(err)
		}
		route := func(to netip.Prefix) string {
			t.Helper()
			out, err := exec.Command("ip", "route", "show", to.String()).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return string(out)
		}
		var endpoint netip.AddrPort
		eventually(t, "the hub has heard the office", func() bool {
			for _, p := range w.status().Peers {
				if p.Partner == "A" {
					endpoint = p.Endpoint
				}
			}
			return endpoint.IsValid()
		})
		settle := func() {
			t.Helper()
			if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
				t.Fatalf("it counts as a change by others: %+v, %v", changes, err)
			}
		}
		if settle(); strings.Contains(route(a.tunnel[0]), "mtu") {
			t.Errorf("before: %s", route(a.tunnel[0]))
		}
		hub := netip.AddrPortFrom(a.link.Outer.Addr(), w.port)
		forged := action{Kind: "forge", Size: unreachable, To: hub, From: endpoint.Addr(), Port: endpoint.Port(), Wait: patience}
		if err := a.do(forged); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the route has the length", func() bool {
			if err := reach(a, w.gateway[0], patience); err != nil { // the kernel tells of what a packet has gone by
				t.Fatal(err)
			}
			settle()
			return strings.Contains(route(a.tunnel[0]), "mtu 1328") // 1,400 less 60, and a multiple of 16
		})
		tool(t, "ip route flush cache")
		settle()
		tool(t, "ip route append "+a.tunnel[0].String()+" dev lo") // an administrator's
		both := route(a.tunnel[0])
		if err := a.do(forged); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the kernel has heard of it again", func() bool {
			out, err := exec.Command("ip", "route", "get", endpoint.Addr().String()).CombinedOutput()
			return err == nil && strings.Contains(string(out), "mtu 1400") && reach(a, w.gateway[0], patience) == nil
		})
		if settle(); route(a.tunnel[0]) != both {
			t.Errorf("beside an administrator's route: it was\n%s\nand is\n%s", both, route(a.tunnel[0]))
		}
		tool(t, "ip route del "+a.tunnel[0].String()+" dev lo")
		if strings.Contains(route(b.tunnel[0]), "mtu") {
			t.Errorf("another office's: %s", route(b.tunnel[0]))
		}
		if err := reach(a, w.gateway[0], patience); err != nil {
			t.Error(err)
		}
		tool(t, "ip route flush cache")
		if settle(); strings.Contains(route(a.tunnel[0]), "mtu") {
			t.Errorf("when it is forgotten: %s", route(a.tunnel[0]))
		}
	}, vpn.ModeUserspace)
}

// host is one behind the hub.
type host struct {
	space         *namespace.Namespace
	inner, inner6 netip.Addr
}

var hostsBehind byte

// behind makes a host that the hub reaches by a link of its own, which carries packets of so many bytes.
func behind(t *testing.T, mtu int) *host {
	t.Helper()
	for _, file := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if err := os.WriteFile(file, []byte("1"), 0o644); err != nil {
			t.Skip("the kernel's settings are read only here:", err)
		}
	}
	hostsBehind += 4
	outer, inner := netip.AddrFrom4([4]byte{192, 0, 3, hostsBehind + 1}), netip.AddrFrom4([4]byte{192, 0, 3, hostsBehind + 2})
	outer6, inner6 := fmt.Sprintf("fd52::%x:1", hostsBehind), fmt.Sprintf("fd52::%x:2", hostsBehind)
	space, err := namespace.New(namespace.Link{Outer: netip.PrefixFrom(outer, 30), Inner: netip.PrefixFrom(inner, 30)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { space.Close() })
	h := &host{space, inner, netip.MustParseAddr(inner6)}
	out, err := exec.Command("ip", "-o", "addr", "show", "to", outer.String()).Output()
	if err != nil || len(strings.Fields(string(out))) < 2 {
		t.Fatalf("%v: %s", err, out)
	}
	link := strings.Fields(string(out))[1]
	tool(t, fmt.Sprintf("ip link set %s mtu %d", link, mtu))
	tool(t, fmt.Sprintf("ip addr add %s/112 dev %s nodad", outer6, link))
	h.does(t, "ip link set uplink mtu "+fmt.Sprint(mtu), "ip addr add "+inner6+"/112 dev uplink nodad",
		"ip route add default via "+outer.String(), "ip route add default via "+outer6,
		"sysctl -q -w net.ipv4.ip_forward=1", "sysctl -q -w net.ipv6.conf.all.forwarding=1")
	return h
}

// does runs commands on the host.
func (h *host) does(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		words := strings.Fields(line)
		var said bytes.Buffer
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := errors.Join(h.space.Start(cmd), cmd.Wait()); err != nil {
			t.Fatalf("%s: %v: %s", line, err, said.String())
		}
	}
}

// echo serves on the host, and returns the port.
func (h *host) echo(t *testing.T) uint16 {
	t.Helper()
	var listener net.Listener
	err := h.space.Do(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(h.inner, 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go serveEcho(listener)
	return listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

// TestErrorsOfOwnFlows has an office tell a service that nobody listens: of its own flow it may, of another office's it
// may not.
func TestErrorsOfOwnFlows(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a, b := w.plan("A"), w.plan("B")
		service := netip.AddrPortFrom(hubAddresses[0].Addr(), 4500)
		var peers []vpn.PeerWish
		for _, p := range []*plannedSite{a, b} {
			peer := w.peer(p)
			peer.Services = append(peer.Services, vpn.Service{Name: "datagrams", Proto: "udp", Addr: service})
			peers = append(peers, peer)
		}
		w.apply(peers...)
		w.start(a)
		w.start(b)
		for _, p := range []*plannedSite{a, b} {
			if err := handshake(p); err != nil {
				t.Fatal(err)
			}
		}
		// answered says how it goes when the service answers the office at its port.
		conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(service), net.UDPAddrFromAddrPort(netip.AddrPortFrom(b.tunnel[0].Addr(), officePort)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		refused := func(wait time.Duration) bool {
			conn.SetReadDeadline(time.Now().Add(wait))
			_, err := conn.Read(make([]byte, 64))
			return errors.Is(err, syscall.ECONNREFUSED)
		}
		if err := b.do(action{Kind: "send", From: b.tunnel[0].Addr(), To: service, Wait: patience}); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 64)); err != nil {
			t.Fatalf("the datagram did not come: %v", err)
		}
		denied := w.status().Denied
		if err := a.do(action{Kind: "forge", Size: unreachable, From: b.tunnel[0].Addr(), To: service, Wait: patience}); err != nil {
			t.Fatal(err)
		}
		if refused(refusalTime) {
			t.Error("A ended a flow of B by an error about it")
		}
		if w.status().Denied == denied {
			t.Error("the fence did not deny it")
		}
		denied = w.status().Denied
		if err := b.do(action{Kind: "forge", Size: redirect, From: b.tunnel[0].Addr(), To: service, Wait: patience}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a message that tells of no error is denied", func() bool { return w.status().Denied > denied })
		if err := b.do(action{Kind: "forge", Size: unreachable, From: b.tunnel[0].Addr(), To: service, Wait: patience}); err != nil {
			t.Fatal(err)
		}
		if !refused(patience) {
			t.Error("an error of B about its own flow does not pass")
		}
		if _, err := conn.Write([]byte("pong")); err != nil {
			t.Fatal(err)
		}
		if !refused(patience) {
			t.Error("the error of B's own kernel does not pass")
		}
	})
}
