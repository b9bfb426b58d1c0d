package office

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"trustcore/vpn"
)

// Format is a configuration of a program or router that carries the office's end of the tunnel.
type Format string

// The formats.
const (
	WGQuick  Format = "wg-quick" // and the official WireGuard applications
	Networkd Format = "networkd" // of systemd, from version 250
	OpenWrt  Format = "openwrt"  // sections of /etc/config, from version 21.02
	MikroTik Format = "mikrotik" // a script of RouterOS 7
	OPNsense Format = "opnsense" // the part of config.xml, from version 24.1
)

// Formats are all of them.
var Formats = []Format{WGQuick, Networkd, OpenWrt, MikroTik, OPNsense}

// File is one file of an export.
type File struct{ Name, Text string }

// interfaceName is what all systems take as the name of the tunnel's interface.
var interfaceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,14}$`)

// Export is the tunnel in a format, on an interface of that name. privateKey is base64 or [KeyPlaceholder], and so are the
// files secret or useless. Routers translate the addresses of their network, since the data centre answers to the office's
// own address alone.
func (e Enrolment) Export(f Format, name, privateKey string) ([]File, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	switch {
	case !e.HasTunnel():
		return nil, errors.New("this office has no tunnel: its order holds none")
	case !interfaceName.MatchString(name):
		return nil, fmt.Errorf("%q is no name of an interface: 1 to 15 of a-z, 0-9 and -, a letter first", name)
	}
	host, port, err := net.SplitHostPort(e.Hub.Endpoint)
	if err != nil {
		return nil, err
	}
	x := export{e, name, privateKey, host, port}
	switch f {
	case WGQuick:
		return []File{{name + ".conf", e.Conf(privateKey)}}, nil
	case Networkd:
		return x.networkd(), nil
	case OpenWrt:
		return x.openWrt(), nil
	case MikroTik:
		return x.mikroTik(), nil
	case OPNsense:
		return x.opnSense()
	}
	return nil, fmt.Errorf("format %q is none of %v", f, Formats)
}

// export is what all formats say.
type export struct {
	Enrolment
	name, privateKey string
	host, port       string // of the hub's endpoint
}

// preshared is the pre-shared key in base64, "" for none.
func (x export) preshared() string {
	if x.Hub.PresharedKey.IsZero() {
		return ""
	}
	text, _ := x.Hub.PresharedKey.MarshalText() // never fails
	return string(text)
}

// networkd writes the two files of systemd-networkd. It alone reads them, so they are for root and its group.
func (x export) networkd() []File {
	var device, network strings.Builder
	fmt.Fprintf(&device, "# %s / %s: mode 0640, group systemd-network\n[NetDev]\nName=%s\nKind=wireguard\nMTUBytes=%d\n\n",
		oneLine(x.Partner), oneLine(x.Site), x.name, vpn.DefaultMTU)
	fmt.Fprintf(&device, "[WireGuard]\nPrivateKey=%s\n\n[WireGuardPeer]\nPublicKey=%s\n", x.privateKey, x.Hub.PublicKey)
	if key := x.preshared(); key != "" {
		fmt.Fprintf(&device, "PresharedKey=%s\n", key)
	}
	fmt.Fprintf(&device, "Endpoint=%s\nAllowedIPs=%s\nPersistentKeepalive=%d\n", x.Hub.Endpoint, join(x.Reachable()), int(Keepalive.Seconds()))
	fmt.Fprintf(&network, "[Match]\nName=%s\n\n[Network]\n", x.name)
	for _, a := range x.Address {
		fmt.Fprintf(&network, "Address=%s\n", a)
	}
	for _, to := range x.Reachable() {
		fmt.Fprintf(&network, "\n[Route]\nDestination=%s\nScope=link\n", to)
	}
	return []File{{"90-" + x.name + ".netdev", device.String()}, {"90-" + x.name + ".network", network.String()}}
}

// openWrt writes sections for /etc/config/network and /etc/config/firewall.
func (x export) openWrt() []File {
	section := strings.ReplaceAll(x.name, "-", "_") // UCI knows no hyphens in names
	var network, firewall strings.Builder
	option := func(name, value string) { fmt.Fprintf(&network, "\toption %s '%s'\n", name, value) }
	list := func(name string, values []netip.Prefix) {
		for _, v := range values {
			fmt.Fprintf(&network, "\tlist %s '%s'\n", name, v)
		}
	}
	fmt.Fprintf(&network, "config interface '%s'\n", section)
	option("proto", "wireguard")
	option("private_key", x.privateKey)
	option("mtu", fmt.Sprint(vpn.DefaultMTU))
	list("addresses", x.Address)
	fmt.Fprintf(&network, "\nconfig wireguard_%s\n", section)
	option("public_key", x.Hub.PublicKey.String())
	if key := x.preshared(); key != "" {
		option("preshared_key", key)
	}
	option("endpoint_host", x.host)
	option("endpoint_port", x.port)
	option("persistent_keepalive", fmt.Sprint(int(Keepalive.Seconds())))
	option("route_allowed_ips", "1")
	list("allowed_ips", x.Reachable())
	fmt.Fprintf(&firewall, "config zone\n\toption name '%s'\n\tlist network '%s'\n\toption input 'REJECT'\n\toption output 'ACCEPT'\n"+
		"\toption forward 'REJECT'\n\toption masq '1'\n\toption mtu_fix '1'\n\nconfig forwarding\n\toption src 'lan'\n\toption dest '%s'\n",
		section[:min(len(section), 11)], section, section[:min(len(section), 11)]) // a zone's name has 11 bytes
	return []File{{"network", network.String()}, {"firewall", firewall.String()}}
}

// mikroTik writes a script.
func (x export) mikroTik() []File {
	var b strings.Builder
	fmt.Fprintf(&b, "/interface/wireguard/add name=%s mtu=%d private-key=\"%s\"\n", x.name, vpn.DefaultMTU, x.privateKey)
	fmt.Fprintf(&b, "/interface/wireguard/peers/add interface=%s public-key=\"%s\"", x.name, x.Hub.PublicKey)
	if key := x.preshared(); key != "" {
		fmt.Fprintf(&b, " preshared-key=\"%s\"", key)
	}
	fmt.Fprintf(&b, " endpoint-address=\"%s\" endpoint-port=%s allowed-address=%s persistent-keepalive=%ds\n",
		x.host, x.port, strings.ReplaceAll(join(x.Reachable()), " ", ""), int(Keepalive.Seconds()))
	var six bool
	for _, a := range x.Address {
		if a.Addr().Is4() {
			fmt.Fprintf(&b, "/ip/address/add address=%s interface=%s\n", a, x.name)
		} else {
			six = true
			fmt.Fprintf(&b, "/ipv6/address/add address=%s interface=%s advertise=no\n", a, x.name)
		}
	}
	for _, to := range x.Reachable() {
		family := "ip"
		if to.Addr().Is6() {
			family = "ipv6"
		}
		fmt.Fprintf(&b, "/%s/route/add dst-address=%s gateway=%s\n", family, to, x.name)
	}
	fmt.Fprintf(&b, "/ip/firewall/nat/add chain=srcnat out-interface=%s action=masquerade\n", x.name)
	if six {
		fmt.Fprintf(&b, "/ipv6/firewall/nat/add chain=srcnat out-interface=%s action=masquerade\n", x.name)
	}
	return []File{{x.name + ".rsc", b.String()}}
}

// The identifiers that bind instance and peer to each other; any will do that are each other's.
const (
	serverUUID = "6f0c2f6c-5d3b-4a0e-9a57-3c1f7f1d5a01"
	clientUUID = "6f0c2f6c-5d3b-4a0e-9a57-3c1f7f1d5a02"
)

// opnSense is the part below OPNsense in config.xml (models OPNsense/Wireguard: General, Server, Client).
type opnSense struct {
	XMLName xml.Name `xml:"wireguard"`
	Enabled int      `xml:"general>enabled"`
	Server  struct {
		UUID          string `xml:"uuid,attr"`
		Enabled       int    `xml:"enabled"`
		Name          string `xml:"name"`
		Instance      int    `xml:"instance"`
		PublicKey     string `xml:"pubkey"`
		PrivateKey    string `xml:"privkey"`
		MTU           int    `xml:"mtu"`
		TunnelAddress string `xml:"tunneladdress"`
		DisableRoutes int    `xml:"disableroutes"`
		Peers         string `xml:"peers"`
	} `xml:"server>servers>server"`
	Client struct {
		UUID          string `xml:"uuid,attr"`
		Enabled       int    `xml:"enabled"`
		Name          string `xml:"name"`
		PublicKey     string `xml:"pubkey"`
		PresharedKey  string `xml:"psk,omitempty"`
		TunnelAddress string `xml:"tunneladdress"`
		ServerAddress string `xml:"serveraddress"`
		ServerPort    string `xml:"serverport"`
		Keepalive     int    `xml:"keepalive"`
	} `xml:"client>clients>client"`
}

func (x export) opnSense() ([]File, error) {
	c := opnSense{Enabled: 1}
	s, p := &c.Server, &c.Client
	s.UUID, s.Enabled, s.Name, s.PrivateKey, s.MTU, s.Peers = serverUUID, 1, x.name, x.privateKey, vpn.DefaultMTU, clientUUID
	s.TunnelAddress = strings.ReplaceAll(join(x.Address), " ", "")
	p.UUID, p.Enabled, p.Name, p.PublicKey, p.PresharedKey = clientUUID, 1, x.name+"-hub", x.Hub.PublicKey.String(), x.preshared()
	p.TunnelAddress, p.ServerAddress, p.ServerPort = strings.ReplaceAll(join(x.Reachable()), " ", ""), x.host, x.port
	p.Keepalive = int(Keepalive.Seconds())
	if key, err := vpn.ParsePrivateKey(x.privateKey); err == nil {
		s.PublicKey = key.Public().String()
	}
	text, err := xml.MarshalIndent(c, "", "  ")
	return []File{{x.name + ".xml", string(text) + "\n"}}, err
}
