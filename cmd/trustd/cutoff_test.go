package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/vpn"
	"trustcore/vpn/namespace"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

// site is where a real vpnd runs: a network of its own, from which trustd is reached over one line.
type site struct {
	*world
	space *namespace.Namespace
	line  *line
}

// line carries connections to trustd until it is cut.
type line struct {
	listener net.Listener  // inside
	to       func() string // where trustd is now

	mu    sync.Mutex
	cut   bool       // guarded by mu
	conns []net.Conn // guarded by mu
}

func (l *line) serve() {
	for {
		inner, err := l.listener.Accept()
		if err != nil {
			return
		}
		outer, err := net.Dial("tcp", l.to())
		if err != nil || !l.keep(inner, outer) {
			_ = inner.Close() // cut off
			if err == nil {
				_ = outer.Close()
			}
			continue
		}
		go func() { _, _ = io.Copy(outer, inner); _ = outer.Close() }()
		go func() { _, _ = io.Copy(inner, outer); _ = inner.Close() }()
	}
}

func (l *line) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conns...)
	return !l.cut
}

// set cuts the line, or mends it.
func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	for _, c := range l.conns {
		_ = c.Close() // some are
	}
	l.conns = nil
}

// newSite runs vpnd as a process.
func newSite(o *outside) *site {
	o.t.Helper()
	s := &site{world: o.world, line: &line{to: func() string { return o.port("admin") }}}
	var err error
	s.space, err = namespace.New(namespace.Link{})
	s.must(err)
	s.t.Cleanup(func() { s.must(s.space.Close()) })
	s.must(s.space.Do(func() (err error) {
		s.line.listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	}))
	s.t.Cleanup(func() { _ = s.line.listener.Close(); s.line.set(true) })
	go s.line.serve()
	s.startGateway()
	return s
}

var vpnd struct {
	once    sync.Once
	program string
}

// gatewayProgram is vpnd, of TRUSTCORE_BIN or built now.
func gatewayProgram(t testing.TB) string {
	t.Helper()
	vpnd.once.Do(func() {
		vpnd.program = filepath.Join(os.Getenv("TRUSTCORE_BIN"), "vpnd")
		if os.Getenv("TRUSTCORE_BIN") != "" {
			return
		}
		dir, err := os.MkdirTemp("", "vpnd-")
		if err != nil {
			t.Fatal(err)
		}
		vpnd.program = filepath.Join(dir, "vpnd")
		if out, err := exec.Command("go", "build", "-o", vpnd.program, "trustcore/cmd/vpnd").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
	return vpnd.program
}

// startGateway runs vpnd.
func (s *site) startGateway() {
	s.t.Helper()
	id, file := s.identity("vpnd"), filepath.Join(s.dir, "vpnd.yaml")
	s.must(os.WriteFile(file, fmt.Appendf(nil, "interface: tc-cut\nlisten_port: 51820\naddresses: [10.64.0.1/32]\nstate_dir: %q\n"+
		"trustd: https://%s\noperations: 127.0.0.1:9104\nreconcile: 1s\nidentity: {certificate: %q, key: %q, ca: %q}\n",
		filepath.Join(s.dir, "vpnd-state"), s.line.listener.Addr(), id.Certificate, id.Key, id.CA), 0o600))
	cmd := exec.Command(gatewayProgram(s.t), "--config", file)
	log, err := os.Create(filepath.Join(s.dir, "vpnd.log"))
	s.must(err)
	cmd.Stdout, cmd.Stderr = log, log
	s.must(s.space.Start(cmd))
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended; Wait says how
		if err := cmd.Wait(); err != nil {
			s.t.Error(err)
		}
		if text, err := os.ReadFile(log.Name()); err == nil && s.t.Failed() {
			s.t.Logf("vpnd said: %s", text[max(0, len(text)-4000):])
		}
		_ = log.Close()
	})
}

// firewall is what the kernel's firewall has there now.
func (s *site) firewall() string {
	s.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("nft", "list", "ruleset")
	cmd.Stdout, cmd.Stderr = &out, &out
	s.must(s.space.Start(cmd))
	if err := cmd.Wait(); err != nil {
		s.t.Fatalf("nft: %v %s", err, out.String())
	}
	return out.String()
}

// echo serves behind the tunnel, at an address that is there while the tunnel is.
func (s *site) echo(at netip.AddrPort) {
	s.t.Helper()
	var listener net.Listener
	s.must(s.space.Do(func() (err error) {
		listener, err = httpserver.Listen(s.t.Context(), "echo", at.String(), true)
		return err
	}))
	s.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
		}
	}()
}

// up brings an office's end up.
func (s *site) up(key vpn.PrivateKey, e office.Enrolment) *tunnel.Tunnel {
	s.t.Helper()
	var end *tunnel.Tunnel
	s.must(s.space.Do(func() (err error) {
		end, err = tunnel.Up(s.t.Context(), tunnel.Config{Mode: vpn.ModeNetstack, Interface: "none", PrivateKey: key,
			Log: slog.New(slog.DiscardHandler), Enrolment: e})
		return err
	}))
	s.t.Cleanup(func() { _ = end.Close() })
	return end
}

// inside reports whether the office reaches the service through the tunnel.
func inside(ctx context.Context, tunnel *tunnel.Tunnel, service netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := tunnel.Dial(ctx, service)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // an error shows below
	_, err = conn.Write([]byte("x"))
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 1))
	}
	return err == nil
}

// TestOrderOffWhileTheGatewayIsCutOff takes an office's tunnel away while its gateway does not reach trustd, on clocks that nobody sets:
// a real trustd, a real vpnd, packets through a real tunnel. The order is carried out only when the gateway's lease has surely ended,
// and by then the office does not get in any more.
func TestOrderOffWhileTheGatewayIsCutOff(t *testing.T) {
	t.Parallel()
	const lease = vpn.MinLease
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	o := newWithoutGateway(t, func(c *Config) { c.Tunnel.Lease = lease })
	s := newSite(o)
	service := s.cfg.Tunnel.Services[0].Addr
	s.echo(service)
	o.decide("ZU-1", activationOf("ZU-1", "", both, ezd, key("seal", ""), inYears(2)))
	private, err := vpn.GeneratePrivateKey()
	s.must(err)
	tunnel := s.up(private, o.enrolWith(private, "um-nowe", "ZU-1"))
	o.await("the tunnel", func() bool { return inside(t.Context(), tunnel, service) })

	s.line.set(true)
	cut := time.Now()
	o.takeAway("ZZ-1")
	if !inside(t.Context(), tunnel, service) {
		t.Error("within its lease a gateway that is cut off lets nobody in")
	}
	var waiting string
	refused := time.Duration(0)
	o.await("the order's end", func() bool {
		rec := o.order("ZZ-1") // before the probe: what is said of the order must be so afterwards
		done := rec.State == registry.CarriedOut
		if rec.Waiting != "" {
			waiting = rec.Waiting
		}
		in := inside(t.Context(), tunnel, service)
		switch now := time.Since(cut); {
		case in && refused != 0:
			t.Errorf("the office gets in again %v after the cut", now)
		case in && done:
			t.Errorf("%v after the cut the order is carried out and the office gets in", now)
		case !in && refused == 0:
			refused = now
		}
		return done
	})
	carriedOut := time.Since(cut)
	if carriedOut < lease || refused > lease+5*time.Second {
		t.Errorf("carried out %v, refused %v after the cut; want not before, and not long after, %v", carriedOut, refused, lease)
	}
	if !strings.Contains(waiting, "not proven: gateway vpnd") {
		t.Errorf("the order waited for %q", waiting)
	}
	t.Logf("after the cut: refused at %v, carried out at %v", refused.Round(time.Second), carriedOut.Round(time.Second))

	s.line.set(false)
	o.await("a report", func() bool { return s.gateways.quiet(s.listed("vpnd")) < 5*time.Second })
	if inside(t.Context(), tunnel, service) {
		t.Error("the office gets in after the cut is mended")
	}
}

func (s *site) listed(name string) registry.Gateway {
	all, err := s.registry.Gateways(s.t.Context())
	s.must(err)
	for _, g := range all {
		if g.Name == name {
			return g
		}
	}
	s.t.Fatalf("the registry lists no gateway %s", name)
	return registry.Gateway{}
}
