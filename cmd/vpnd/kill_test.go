package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/vpn"
	"trustcore/vpn/namespace"
	"trustcore/vpn/tunnel"
)

const (
	daemonRole        = "TRUSTCORE_TEST_VPND" // set: this process is vpnd itself
	operationsAddress = "127.0.0.1:9104"
)

func TestMain(m *testing.M) {
	if os.Getenv(daemonRole) == "" && !(len(os.Args) > 1 && os.Args[1] == holdArgument) {
		os.Exit(m.Run())
	}
	main()
}

// town is a gateway that runs as a process in a namespace, with an office that has a connection through it.
type town struct {
	space   *namespace.Namespace
	core    *core
	cfg     Config
	gateway *exec.Cmd
	peer    vpn.PeerWish
	office  *tunnel.Tunnel
	conn    net.Conn
}

func startTown(t *testing.T) *town {
	t.Helper()
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	w := new(town)
	var err error
	if w.space, err = namespace.New(namespace.Link{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.space.Close() })
	w.inside(t, func() error { w.core, w.cfg = startCore(t); return nil })
	service := netip.MustParseAddrPort("10.64.0.1:9443")
	w.inside(t, func() error { return echoBehindTheTunnel(t, service) })
	w.start(t)
	t.Cleanup(w.kill)
	eventually(t, "the first report", func() bool { return w.core.report().ListenPort != 0 })
	key, err := vpn.LoadOrCreateKey(filepath.Join(t.TempDir(), "office.key"))
	if err != nil {
		t.Fatal(err)
	}
	w.peer = vpn.PeerWish{Partner: "office-1", Site: "main", PublicKey: key.Public(),
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32")},
		Services:  []vpn.Service{{Name: "gateway", Proto: "tcp", Addr: service}}}
	w.core.put(t, vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{w.peer}})
	eventually(t, "the wish is in force", func() bool { return w.core.report().Revision == 1 })
	w.inside(t, func() error { w.office = bringUp(t, key, w.core.report(), w.peer); return nil })
	w.conn = dialTunnel(t, w.office, service)
	ping(t, w.conn)
	return w
}

func (w *town) inside(t *testing.T, f func() error) {
	t.Helper()
	if err := w.space.Do(f); err != nil {
		t.Fatal(err)
	}
}

func (w *town) kill() {
	w.gateway.Process.Kill()
	w.gateway.Wait()
}

// start runs the gateway, again after kill.
func (w *town) start(t *testing.T) {
	t.Helper()
	w.gateway = startDaemon(t, w.space, w.cfg)
}

// TestKilledGatewayComesBack ends vpnd with SIGKILL under an open connection.
func TestKilledGatewayComesBack(t *testing.T) {
	w := startTown(t)
	c := w.core
	if mode := c.report().Mode; mode == vpn.ModeNetstack {
		t.Fatalf("mode %s as root", mode)
	}
	eventually(t, "the gateway has written where the office is", func() bool {
		_, err := os.Stat(filepath.Join(w.cfg.StateDir, "endpoints.json"))
		return err == nil
	})

	w.kill()
	c.forget()
	killed := time.Now()
	w.start(t)
	ping(t, w.conn)
	t.Logf("traffic was back %v after the kill", time.Since(killed).Round(time.Millisecond))
	eventually(t, "the report of the new process", func() bool { return c.report().Revision == 1 })

	c.change(func() { c.mute = true }) // trustd is away: the last wish is on disk
	w.kill()
	w.start(t)
	ping(t, w.conn)
	eventually(t, "the new process serves", func() bool { // a tunnel of the kernel has carried the ping without it
		return w.space.Do(func() error {
			probe, err := net.Dial("tcp", operationsAddress)
			if err == nil {
				probe.Close()
			}
			return err
		}) == nil
	})
	w.gateway.Process.Signal(os.Interrupt) // an orderly end leaves no socket behind
	if err := w.gateway.Wait(); err != nil {
		t.Error(err)
	}
}

// startDaemon runs vpnd as a process in the namespace.
func startDaemon(t *testing.T, space *namespace.Namespace, cfg Config) *exec.Cmd {
	t.Helper()
	return startDaemonWith(t, space, cfg, "")
}

// startDaemonWith runs it with more in its configuration.
func startDaemonWith(t *testing.T, space *namespace.Namespace, cfg Config, more string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "vpnd.yaml")
	text := fmt.Sprintf("interface: tc-kill\nlisten_port: 51899\naddresses: [10.64.0.1/32]\nstate_dir: %s\ntrustd: %s\noperations: %s\nreconcile: 1s\noutlive: 10s\nidentity: {certificate: %s, key: %s, ca: %s}\n",
		cfg.StateDir, cfg.Trustd, operationsAddress, cfg.Identity.Certificate, cfg.Identity.Key, cfg.Identity.CA)
	if err := os.WriteFile(file, []byte(text+more), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "--config", file)
	cmd.Env = append(os.Environ(), daemonRole+"=1")
	if os.Getenv("TRUSTCORE_TEST_LOG") != "" { // for who looks for the reason of a failure
		cmd.Stderr = os.Stderr
	}
	if err := space.Start(cmd); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// echoBehindTheTunnel listens on an address that exists while the tunnel does.
func echoBehindTheTunnel(t *testing.T, at netip.AddrPort) error {
	listener, err := httpserver.Listen(t.Context(), "echo", at.String(), true)
	if err != nil {
		return err
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); io.Copy(conn, conn) }()
		}
	}()
	return nil
}

func dialTunnel(t *testing.T, tunnel *tunnel.Tunnel, to netip.AddrPort) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := tunnel.Dial(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func ping(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
}
