package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"trustcore/cmd/internal/httpserver"
	"trustcore/vpn/namespace"
)

// door is a listener on loopback that the demonstration opens before it starts the daemon, which inherits it
// under the name of the key in its configuration. So a port that is taken shows before anything runs, and
// people reach on the host what runs in a network of its own.
type door struct {
	daemon, key string
	port        int // counted from the layout's base
}

// openings are the doors of every demonstration. Offices come through the tunnel, to the gateway.
var openings = []door{
	{"trustd", "admin", portAdmin}, {"trustd", "enrolment", portEnrolment}, {"trustd", "pki", portPKI},
	{"trustd", "console", portConsole}, {"trustd", "operations", portTrustdOperations},
	{"verifyd", "listen", portVerifyd}, {"verifyd", "operations", portVerifydOperations},
	{"batchd", "listen", portBatchd}, {"batchd", "operations", portBatchdOperations},
	{"vpnd", "operations", portVPNOperations},
}

// behind is where the tunnel inside vpnd leads.
var behind = door{"trustd", "gateway", portGateway}

// portsApart is how far two appliances' ports lie from each other.
const portsApart = 20

// taken is an address that another program listens at.
type taken string

// Error says so.
func (t taken) Error() string { return string(t) + " is taken by another program" }

// doors are the open ones.
type doors []opened

type opened struct {
	door
	socket *os.File
}

// add keeps the socket of a listener for a daemon.
func (d *doors) add(at door, l net.Listener) error {
	defer l.Close() // the file is a copy
	socket, err := l.(*net.TCPListener).File()
	if err == nil {
		*d = append(*d, opened{at, socket})
	}
	return err
}

func (d doors) close() {
	for _, o := range d {
		_ = o.socket.Close() // nothing was written to it
	}
}

// openDoors opens the doors here. The error is a taken when a port is.
func (l *layout) openDoors(ctx context.Context) (doors, error) {
	wanted := openings
	if !l.interfaces() {
		wanted = append(slices.Clone(openings), behind)
	}
	var d doors
	for _, o := range wanted {
		address := l.local(o.port)
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = taken(address)
		}
		if err == nil {
			err = d.add(o, listener)
		}
		if err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

// settle opens the doors at the layout's ports or, when one is taken, at the next that are free. It says so,
// and changes a layout that is known from configuration files there, too.
func (a *appliance) settle(ctx context.Context, known bool) error {
	was := *a.layout
	reason, err := a.openFree(ctx)
	if err != nil || reason == nil {
		return err
	}
	const other = "%v, perhaps another appliance: this one takes the TCP ports from %d on, and UDP port %d for its tunnel\n"
	fmt.Fprintf(a.out, other, reason, a.layout.PortBase, a.layout.VPNPort)
	if !known {
		return nil
	}
	changes := was.replacer(a.layout)
	return a.state.rewrite(func(_, text string) (string, error) { return changes.Replace(text), nil })
}

// openFree moves the layout until no port is taken. The reason is why it had to, or nil.
func (a *appliance) openFree(ctx context.Context) (reason, err error) {
	l := a.layout
	if udp := freeUDP(l.VPNPort); !l.interfaces() && udp != l.VPNPort {
		reason = taken(fmt.Sprintf("UDP port %d", l.VPNPort))
		l.move(l.PortBase, udp)
	}
	for {
		a.doors, err = l.openDoors(ctx)
		if !errors.As(err, new(taken)) {
			return reason, err
		}
		if reason == nil {
			reason = err
		}
		next := l.PortBase + portsApart
		if next+portsUsed > maxPort {
			return nil, fmt.Errorf("%w, and so are ports of all after it: choose a --port-base", reason)
		}
		l.move(next, l.VPNPort)
	}
}

// freeUDP is the port, or the next pair that nobody has: the hub's next key takes the port behind.
func freeUDP(port int) int {
	free := func(p int) bool {
		socket, err := net.ListenPacket("udp", fmt.Sprintf(":%d", p))
		return err == nil && socket.Close() == nil // it was only to see
	}
	if free(port) {
		return port
	}
	for p := port + 2; p < maxPort; p += 2 {
		if free(p) && free(p+1) {
			return p
		}
	}
	return port
}

// move gives the layout other ports.
func (l *layout) move(base, udp int) {
	to := *l
	to.PortBase, to.VPNPort = base, udp
	if host, _, err := net.SplitHostPort(l.Endpoint); err == nil {
		to.Endpoint = net.JoinHostPort(host, strconv.Itoa(udp))
	}
	r := l.replacer(&to)
	for _, s := range []*string{&to.Trustd, &to.Enrolment, &to.Console, &to.Verifyd, &to.PKIURL, &to.Gateway} {
		*s = r.Replace(*s)
	}
	*l = to
}

// replacer turns what configuration files say about this layout's ports into another's.
func (l *layout) replacer(to *layout) *strings.Replacer {
	pairs := []string{l.Endpoint, to.Endpoint}
	line := func(key string, from, to int) {
		pairs = append(pairs, fmt.Sprintf("%s: %d\n", key, from), fmt.Sprintf("%s: %d\n", key, to))
	}
	line("port_base", l.PortBase, to.PortBase)
	line("vpn_port", l.VPNPort, to.VPNPort)
	line("listen_port", l.VPNPort, to.VPNPort)
	for port := range portsUsed {
		pairs = append(pairs, l.local(port), to.local(port))
	}
	return strings.NewReplacer(pairs...)
}

// enter makes the network in which the daemons of a demonstration with interfaces live, and doors there beside
// those on the host, for the daemons and the office among themselves.
func (a *appliance) enter(ctx context.Context) (err error) {
	if a.space, err = namespace.New(namespace.Link{}); err != nil {
		return err
	}
	return a.space.Do(func() error {
		for _, o := range openings {
			address := a.layout.local(o.port)
			if o.key == "pki" {
				address = tunnelPKI
			}
			l, err := httpserver.Listen(ctx, o.key, address, o.key == "pki")
			if err == nil {
				err = a.doors.add(o, l)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// command prepares a daemon with its doors, by the convention of systemd (sd_listen_fds(3)). What number a process
// has is known only when it runs: a shell notes it and then becomes the daemon.
func (d doors) command(ctx context.Context, name, program string, args ...string) *exec.Cmd {
	var keys []string
	var sockets []*os.File
	for _, o := range d {
		if o.daemon == name {
			keys, sockets = append(keys, o.key), append(sockets, o.socket)
		}
	}
	if len(sockets) == 0 {
		return exec.CommandContext(ctx, program, args...)
	}
	note := `export LISTEN_PID=$$; exec "$0" "$@"`
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", note, program}, args...)...)
	cmd.Env = append(os.Environ(), "LISTEN_FDS="+strconv.Itoa(len(keys)), "LISTEN_FDNAMES="+strings.Join(keys, ":"))
	cmd.ExtraFiles = sockets
	return cmd
}
