package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"trustcore/cmd/internal/custody"
	"trustcore/vpn/namespace"
)

// layout is where everything listens. It is chosen at the first start and kept in config/trustctl.yaml.
type layout struct {
	Version   int    `koanf:"version" yaml:"version"`     // of the state; absent in those of version 1
	Folder    string `koanf:"folder" yaml:"folder"`       // where the state was when the configuration was written
	Trustd    string `koanf:"trustd" yaml:"trustd"`       // https URL of trustd's interface for officers
	Enrolment string `koanf:"enrolment" yaml:"enrolment"` // https URL where offices enrol
	Console   string `koanf:"console" yaml:"console"`     // https URL of the console
	Verifyd   string `koanf:"verifyd" yaml:"verifyd"`     // https URL of verifyd
	PKIURL    string `koanf:"pki" yaml:"pki"`             // http URL of OCSP, CRLs and time-stamps
	Gateway   string `koanf:"gateway" yaml:"gateway"`     // address of the HSM gateway
	AuditLog  string `koanf:"audit_log" yaml:"audit_log"`
	Reports   string `koanf:"reports" yaml:"reports,omitempty"` // the order by which verifyd's reports are sealed, of a state made for a demonstration
	Mode      string `koanf:"mode" yaml:"mode"`                 // of the tunnel: "auto" as root, "netstack" without
	Endpoint  string `koanf:"endpoint" yaml:"endpoint"`
	PortBase  int    `koanf:"port_base" yaml:"port_base"`
	VPNPort   int    `koanf:"vpn_port" yaml:"vpn_port"`
}

// Addresses inside the tunnel.
const (
	hubAddress    = "10.64.0.1"
	tunnelGateway = hubAddress + ":9443"
	tunnelPKI     = hubAddress + ":8080"
)

// outerHost is the hub as the demonstration's office sees it, from its network namespace (RFC 5737).
const outerHost = "192.0.2.1"

// netstack is the mode of a tunnel that lives inside vpnd.
const netstack = "netstack"

// interfaces reports whether the tunnel is a network interface with a firewall.
func (l *layout) interfaces() bool { return l.Mode != netstack }

// newLayout chooses where everything listens and says what is missing on this machine before anything is made.
func (o *upOptions) newLayout(st state) (*layout, error) {
	l := &layout{Version: stateVersion, Folder: st.dir, PortBase: o.portBase, VPNPort: o.listenPort, Mode: "auto", Gateway: tunnelGateway,
		PKIURL: "http://" + tunnelPKI + "/pki", AuditLog: st.path("trustd", "audit")}
	host := outerHost
	if !o.privileged() {
		l.Mode, l.Gateway, host = netstack, l.local(portGateway), "127.0.0.1"
		l.PKIURL = "http://" + l.local(portPKI) + "/pki"
	}
	if o.endpoint != "" {
		host = strings.Trim(o.endpoint, "[]") // of an IPv6 address
	}
	l.Endpoint = net.JoinHostPort(host, fmt.Sprint(l.VPNPort))
	l.Trustd, l.Enrolment = "https://"+l.local(portAdmin), "https://"+l.local(portEnrolment)
	l.Console, l.Verifyd = "https://"+l.local(portConsole), "https://"+l.local(portVerifyd)
	if o.demo {
		l.Reports = demoReports
	}
	return l, l.check()
}

// privileged reports whether this process may make interfaces and firewalls. For a demonstration a namespace of
// its own has to be possible, which in a container it may not be, even as root.
func (o *upOptions) privileged() bool {
	return os.Geteuid() == 0 && (!o.demo || namespace.Available() == nil)
}

// Ports, counted from the base.
const (
	portAdmin = iota
	portEnrolment
	portPKI
	portConsole
	portVerifyd
	portGateway
	portTrustdOperations = iota + 4
	portVPNOperations
	portVerifydOperations
	portBatchd
	portBatchdOperations
	portsUsed
)

// maxPort is the last there is.
const maxPort = 65535

// batchd is the https URL of batchd.
func (l *layout) batchd() string { return "https://" + l.local(portBatchd) }

func (l *layout) local(port int) string { return fmt.Sprintf("127.0.0.1:%d", l.PortBase+port) }

// hosts are the names in the daemons' certificates.
func (l *layout) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", hubAddress}
	if host, _, err := net.SplitHostPort(l.Endpoint); err == nil && host != "127.0.0.1" {
		hosts = append(hosts, host)
	}
	return hosts
}

// Check is part of config.Checker.
func (l *layout) Check() error {
	if l.Trustd == "" || l.Mode == "" || l.PortBase == 0 {
		return errors.New("trustd, mode or port_base is missing")
	}
	return nil
}

// check says what is missing on this machine before anything is made.
func (l *layout) check() error {
	if l.PortBase < 1024 || l.PortBase+portsUsed > maxPort {
		return fmt.Errorf("--port-base: %d: choose one from 1024 to %d", l.PortBase, maxPort-portsUsed)
	}
	if _, err := os.Stat(custody.SoftHSM); err != nil {
		return errors.New("SoftHSM2 is not installed: run `apt-get install softhsm2` (or `make run`, which does)")
	}
	if !l.interfaces() {
		return nil
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return errors.New("/dev/net/tun is missing: load the module tun (modprobe tun), or run without root")
	}
	return nil
}

func (o *upOptions) loadLayout(st state, out io.Writer) (*layout, error) {
	l, err := st.adopt(out)
	if err != nil {
		return nil, err
	}
	if l.interfaces() != o.privileged() {
		return nil, fmt.Errorf("the state in %s was made %s: start it so again, or choose another --state",
			st.dir, map[bool]string{true: "as root", false: "without root"}[l.interfaces()])
	}
	return l, nil
}

// lock keeps a second `trustctl up` off the same state.
func (s state) lock() (unlock func(), err error) {
	f, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the reason that matters is the lock's
		const busy = "another trustctl up serves the state in %s: end it, or choose another --state (make run: STATE=DIR)"
		return nil, fmt.Errorf(busy, s.dir)
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}
