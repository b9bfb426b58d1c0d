package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/custody"
	"trustcore/internal/durable"
	"trustcore/vpn/namespace"
)

// layout is where everything listens. It is chosen at the first start and kept in config/trustctl.yaml.
type layout struct {
	Trustd    string `koanf:"trustd"`    // https URL of trustd's interface for officers
	Enrolment string `koanf:"enrolment"` // https URL where offices enrol
	Console   string `koanf:"console"`   // https URL of the console
	Verifyd   string `koanf:"verifyd"`   // https URL of verifyd
	PKIURL    string `koanf:"pki"`       // http URL of OCSP, CRLs and time-stamps
	Gateway   string `koanf:"gateway"`   // address of the HSM gateway
	AuditLog  string `koanf:"audit_log"`
	Mode      string `koanf:"mode"` // of the tunnel: "auto" as root, "netstack" without
	Endpoint  string `koanf:"endpoint"`
	PortBase  int    `koanf:"port_base"`
	VPNPort   int    `koanf:"vpn_port"`
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
	l := &layout{PortBase: o.portBase, VPNPort: o.listenPort, Mode: "auto", Gateway: tunnelGateway,
		PKIURL: "http://" + tunnelPKI + "/pki", AuditLog: st.path("trustd", "audit")}
	host := outerHost
	if !o.privileged() {
		l.Mode, l.Gateway, host = netstack, l.local(portGateway), "127.0.0.1"
		l.PKIURL = "http://" + l.local(portPKI) + "/pki"
	}
	if o.endpoint != "" {
		host = o.endpoint
	}
	l.Endpoint = net.JoinHostPort(host, fmt.Sprint(l.VPNPort))
	l.Trustd, l.Enrolment = "https://"+l.local(portAdmin), "https://"+l.local(portEnrolment)
	l.Console, l.Verifyd = "https://"+l.local(portConsole), "https://"+l.local(portVerifyd)
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
	portsUsed
)

// maxPort is the last there is.
const maxPort = 65535

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

// layout reads where everything listens.
func (s state) layout() (*layout, error) {
	l := &layout{}
	return l, config.Load(s.path("config", "trustctl.yaml"), l)
}

func (o *upOptions) loadLayout(st state) (*layout, error) {
	l, err := st.layout()
	if err != nil {
		return nil, err
	}
	if l.interfaces() != o.privileged() {
		return nil, fmt.Errorf("the state in %s was made %s: start it so again, or choose another --state",
			st.dir, map[bool]string{true: "as root", false: "without root"}[l.interfaces()])
	}
	return l, nil
}

// write writes the configuration files of all daemons, and last trustctl's own, which says that they are there.
func (l *layout) write(st state, o *upOptions) error {
	files := map[string]string{"trustd.yaml": l.trustd(st), "vpnd.yaml": l.vpnd(st), "verifyd.yaml": l.verifyd(st, o)}
	for name, text := range files {
		if err := durable.WriteFile(st.path("config", name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("trustd: %s\nenrolment: %s\nconsole: %s\nverifyd: %s\npki: %s\ngateway: %s\naudit_log: %s\nmode: %s\nendpoint: %s\nport_base: %d\nvpn_port: %d\n",
		l.Trustd, l.Enrolment, l.Console, l.Verifyd, l.PKIURL, l.Gateway, quote(l.AuditLog), l.Mode, l.Endpoint, l.PortBase, l.VPNPort)
	return durable.WriteFile(st.path("config", "trustctl.yaml"), []byte(text), 0o600)
}

func (l *layout) trustd(st state) string {
	gateway, pki, free := tunnelGateway, tunnelPKI, true
	behind := func(string) string { return "" }
	if !l.interfaces() {
		gateway, pki, free = l.local(portGateway), l.local(portPKI), false
		behind = func(address string) string { return fmt.Sprintf(", backend: %q", address) }
	}
	return fmt.Sprintf(`# trustd: keys, registry, authority, HSM gateway, console. Every key is described in docs/operations.md.
leader: {id: demonstration, name: Demonstration data centre}
state_dir: %s
pki_url: %s
identity:
  certificate: %s
  key: %s
  ca: %s
admin: %s
enrolment: %s
gateway: %s
pki: %s
console: %s
operations: %s
freebind: %v
verifyd: {url: %s}
tunnel:
  pool: 10.64.0.0/16
  hub: %s
  endpoint: %q
  services:
    - {name: gateway, addr: "%s"%s}
    - {name: pki, addr: "%s"%s}
`, quote(st.path("trustd")), l.PKIURL, quote(st.path("identity", "trustd.pem")), quote(st.path("identity", "trustd.key")), quote(st.ca()),
		l.local(portAdmin), l.local(portEnrolment), gateway, pki, l.local(portConsole), l.local(portTrustdOperations), free, l.Verifyd,
		hubAddress, l.Endpoint, tunnelGateway, behind(gateway), tunnelPKI, behind(pki))
}

func (l *layout) vpnd(st state) string {
	return fmt.Sprintf(`# vpnd: the WireGuard hub, its firewall and routes.
mode: %s
interface: tc-hub
listen_port: %d
addresses: [%s/32]
state_dir: %s
trustd: %s
identity:
  certificate: %s
  key: %s
  ca: %s
operations: %s
`, l.Mode, l.VPNPort, hubAddress, quote(st.path("vpnd")), l.Trustd,
		quote(st.path("identity", "vpnd.pem")), quote(st.path("identity", "vpnd.key")), quote(st.ca()), l.local(portVPNOperations))
}

func (l *layout) verifyd(st state, o *upOptions) string {
	var lists strings.Builder
	for _, e := range []struct{ key, path string }{{"trust_lists", o.lists}, {"lotl_signers", o.signers}} {
		if e.path != "" {
			fmt.Fprintf(&lists, "%s: %s\n", e.key, quote(absolute(e.path)))
		}
	}
	if len(o.extra) > 0 {
		lists.WriteString("extra_lists:\n")
		for _, f := range o.extra {
			fmt.Fprintf(&lists, "  - %s\n", quote(absolute(f)))
		}
	}
	pki := strings.TrimSuffix(strings.TrimPrefix(l.PKIURL, "http://"), "/pki")
	return fmt.Sprintf(`# verifyd: judges documents; holds no key but its own TLS key.
listen: %s
identity:
  certificate: %s
  key: %s
  ca: %s
operations: %s
state_dir: %s
anchors: [%s]
fetch_allow: ["%s"]   # the own authority's OCSP and CRLs, though their address is private
%s`, l.local(portVerifyd), quote(st.path("identity", "verifyd.pem")), quote(st.path("identity", "verifyd.key")), quote(st.ca()),
		l.local(portVerifydOperations), quote(st.path("verifyd")), quote(st.path("trustd", "pki", "root.pem")), pki, lists.String())
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

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
