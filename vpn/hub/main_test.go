package hub_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/namespace"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

const (
	ownNamespace = "TRUSTCORE_TEST_NAMESPACE" // set: this process has a network namespace of its own
	officeRole   = "TRUSTCORE_TEST_OFFICE"    // set: this process plays an office
	patience     = 20 * time.Second           // for what must happen
	refusalTime  = 700 * time.Millisecond     // for what must not
)

// TestMain runs the tests in namespaces of their own when we are root, so that interfaces, routes,
// firewall and WireGuard's sockets of the host are not touched and all of it vanishes with the process.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(officeRole) != "":
		playOffice()
	case os.Getenv(ownNamespace) != "" || namespace.Available() != nil:
		os.Exit(m.Run())
	}
	if err := runApart(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runApart runs this program again inside a namespace.
func runApart() error {
	space, err := namespace.New(namespace.Link{})
	if err != nil {
		return err
	}
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Env = append(os.Environ(), ownNamespace+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := space.Start(again); err != nil {
		return err
	}
	return errors.Join(again.Wait(), space.Close())
}

// needRoot skips where the test cannot have interfaces.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getenv(ownNamespace) == "" {
		t.Skip("needs root: interfaces, a firewall and network namespaces")
	}
}

// site is one office as a test sees it.
type site interface {
	do(action) error
}

// action is one thing that an office does; everything but the kind is an argument.
type action struct {
	Kind string         // handshake, reach, hold, echo, listen, use, adopt; bulk, narrow, send, forge: see path_test.go; stream, flood: others_test.go
	To   netip.AddrPort // of all but handshake and echo
	From netip.Addr     // of reach: source address, if not the usual one; of forge: whose packet the error is about
	Port uint16         // of forge: see there
	Size int            // of bulk, bytes; of narrow, what the way is to carry; of forge, the type; else how many
	Wait time.Duration

	Use   *shown            // of use, and of stream when half of it is sent
	Adopt *office.Enrolment // of adopt

	Move     vpn.Key `json:",omitzero"` // of stream: the hub's next key, to which the office changes when half of it is sent
	Endpoint string  // of that
}

// shown is what an office changes to.
type shown struct {
	KeyFile   string
	Preshared vpn.PresharedKey
}

func handshake(s site) error { return s.do(action{Kind: "handshake", Wait: patience}) }

// reach opens a connection and gets an echo through it.
func reach(s site, to netip.AddrPort, wait time.Duration) error {
	return s.do(action{Kind: "reach", To: to, Wait: wait})
}

// hold keeps a connection open, echo uses it.
func hold(s site, to netip.AddrPort) error { return s.do(action{Kind: "hold", To: to, Wait: patience}) }
func echo(s site, wait time.Duration) error {
	return s.do(action{Kind: "echo", Wait: wait})
}

// localSite is an office in this process.
type localSite struct {
	tunnel *tunnel.Tunnel
	hub    vpn.Key
	held   net.Conn
}

func (s *localSite) do(a action) error {
	ctx, cancel := context.WithTimeout(context.Background(), a.Wait)
	defer cancel()
	switch a.Kind {
	case "handshake":
		return s.tunnel.WaitHandshake(ctx)
	case "reach":
		conn, err := s.dial(ctx, a)
		if err != nil {
			return err
		}
		defer conn.Close()
		return roundTrip(conn, a.Wait)
	case "hold":
		conn, err := s.dial(ctx, a)
		s.held = conn
		return err
	case "echo":
		return roundTrip(s.held, a.Wait)
	case "listen":
		listener, err := net.Listen("tcp", a.To.String())
		if err == nil {
			go serveEcho(listener)
		}
		return err
	case "bulk":
		return s.bulk(ctx, a)
	case "narrow":
		return narrow(ctx, a)
	case "stream":
		return stream(ctx, a, func() error { return s.change(ctx, a) })
	case "use":
		return s.use(a.Use)
	case "adopt":
		return s.tunnel.Adopt(ctx, *a.Adopt, a.Size)
	case "flood":
		return flood(a, s.hub)
	case "send":
		return send(a)
	case "forge":
		return forge(a)
	}
	return errors.ErrUnsupported
}

// change is what a stream does when half of it is sent.
func (s *localSite) change(ctx context.Context, a action) error {
	if (a.Move != vpn.Key{}) {
		return s.tunnel.MoveTo(ctx, a.Move, a.Endpoint)
	}
	return s.use(a.Use)
}

func (s *localSite) use(c *shown) error {
	if c == nil {
		return nil
	}
	key, err := vpn.LoadOrCreateKey(c.KeyFile)
	if err != nil {
		return err
	}
	return s.tunnel.Use(tunnel.Credentials{PrivateKey: key, PresharedKey: c.Preshared})
}

func (s *localSite) dial(ctx context.Context, a action) (net.Conn, error) {
	if !a.From.IsValid() {
		return s.tunnel.Dial(ctx, a.To)
	}
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.From, 0))}
	return dialer.DialContext(ctx, "tcp", a.To.String())
}

func roundTrip(conn net.Conn, wait time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 4))
	return err
}

func serveEcho(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, conn)
		}()
	}
}

// script is what the process of an office reads first.
type script struct {
	KeyFile   string
	Mode      vpn.Mode
	Enrolment office.Enrolment
	Uplink    int // bytes that the office's link carries; 0 is the usual
}

// playOffice is the process of an office in its own namespace: a script, then an action a
// line; each is answered with a line, empty when it went well.
func playOffice() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	var s script
	tunnel, err := func() (*tunnel.Tunnel, error) {
		if err := in.Decode(&s); err != nil {
			return nil, err
		}
		key, err := vpn.LoadOrCreateKey(s.KeyFile)
		if err != nil {
			return nil, err
		}
		if s.Uplink != 0 {
			if err := exec.Command("ip", "link", "set", "uplink", "mtu", strconv.Itoa(s.Uplink)).Run(); err != nil {
				return nil, err
			}
		}
		return tunnel.Up(context.Background(), tunnel.Config{Mode: s.Mode, Interface: "tc-office", PrivateKey: key, Enrolment: s.Enrolment, Log: slog.New(slog.DiscardHandler)})
	}()
	answer(err)
	if err != nil {
		os.Exit(1)
	}
	local := &localSite{tunnel: tunnel, hub: s.Enrolment.Hub.PublicKey}
	for {
		var a action
		if in.Decode(&a) != nil {
			tunnel.Close()
			os.Exit(0)
		}
		answer(local.do(a))
	}
}

func answer(err error) {
	if err != nil {
		fmt.Printf("%q\n", err.Error())
		return
	}
	fmt.Println(`""`)
}

// remoteSite is an office in a process and a namespace of its own.
type remoteSite struct {
	space *namespace.Namespace
	cmd   *exec.Cmd
	in    *json.Encoder
	out   *json.Decoder
}

// startSite starts the process and gives it the script. The test's end ends it.
func startSite(t *testing.T, link namespace.Link, s script) *remoteSite {
	t.Helper()
	space, err := namespace.New(link)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), officeRole+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := space.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // it ends at the end of its input
		cmd.Wait()
		if err := space.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &remoteSite{space: space, cmd: cmd, in: json.NewEncoder(in), out: json.NewDecoder(out)}
	if err := r.ask(s); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *remoteSite) do(a action) error { return r.ask(a) }

func (r *remoteSite) ask(v any) error {
	if err := r.in.Encode(v); err != nil {
		return err
	}
	var problem string
	if err := r.out.Decode(&problem); err != nil {
		return fmt.Errorf("the office's process: %w", err)
	}
	if problem != "" {
		return errors.New(problem)
	}
	return nil
}

// eventually asks until the condition holds, and fails the test when it does not in time.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}
