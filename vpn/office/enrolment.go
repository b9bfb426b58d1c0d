// Package office holds the words about the partner's end of a tunnel: what the core answers to an office that enrols,
// and the files that other programs read it from. Its keys are born there and stay there.
package office

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"trustcore/vpn"
)

// Enrolment is what the core answers to an office that enrols: everything it needs but its
// own private keys. It is public but for PresharedKey. An office that ordered no tunnel
// gets a certificate alone: Hub, Address and Services are empty.
type Enrolment struct {
	Partner     string         `json:"partner"`
	Site        string         `json:"site,omitempty"`
	Certificate string         `json:"certificate"` // PEM: client certificate and its chain
	CA          string         `json:"ca"`          // PEM: anchors of the core's servers
	Hub         Hub            `json:"hub,omitzero"`
	Address     []netip.Prefix `json:"address,omitempty"` // of this office in the tunnel, /32 or /128
	Services    []Service      `json:"services,omitempty"`

	// Encapsulated is the core's half of the agreement on the first pre-shared key, see [vpn.Exchange]. The office takes
	// it out, and puts the key into Hub.
	Encapsulated []byte `json:"preshared_encapsulated,omitempty"`
}

// Hub is the data centre's end as the office knows it.
type Hub struct {
	PublicKey    vpn.Key          `json:"public_key,omitzero"`
	PresharedKey vpn.PresharedKey `json:"preshared_key,omitzero"`
	Endpoint     string           `json:"endpoint,omitempty"` // host:port, UDP
	Addresses    []netip.Prefix   `json:"addresses,omitempty"`
}

// Service is what the office may reach through the tunnel.
type Service struct {
	Name  string         `json:"name"`
	Proto string         `json:"proto,omitempty"` // tcp when it is empty, or udp
	Addr  netip.AddrPort `json:"addr"`
	Host  string         `json:"host,omitempty"` // DNS name by which programs call it, "" when it has none; see [Enrolment.Hosts]
}

// IsTCP says whether connections are made to the service.
func (s Service) IsTCP() bool { return s.Proto == "" || s.Proto == "tcp" }

// Keepalive keeps the mapping of a NAT router open; it also starts the first handshake.
const Keepalive = 25 * time.Second

// Limits of an enrolment, far above need.
const (
	maxAddresses = 16
	maxServices  = 64
)

// HasTunnel says whether the office ordered a tunnel.
func (e Enrolment) HasTunnel() bool { return e.Hub.PublicKey != vpn.Key{} }

// Validate refuses an enrolment with which no tunnel can be brought up although there is
// one, or which would draw more than the core's addresses into it.
func (e Enrolment) Validate() error {
	switch {
	case e.Partner == "":
		return errors.New("enrolment: partner is missing")
	case !e.HasTunnel() && (len(e.Address) > 0 || len(e.Hub.Addresses) > 0):
		return errors.New("enrolment: hub.public_key is missing")
	case !e.HasTunnel():
		return nil
	case e.Site == "":
		return errors.New("enrolment: site is missing")
	case !isEndpoint(e.Hub.Endpoint):
		return fmt.Errorf("enrolment: hub.endpoint %q is no host with a port in digits", e.Hub.Endpoint)
	case len(e.Address) == 0 || len(e.Address) > maxAddresses:
		return fmt.Errorf("enrolment: address has %d entries, 1 to %d are expected", len(e.Address), maxAddresses)
	case len(e.Hub.Addresses) > maxAddresses || len(e.Services) > maxServices:
		return errors.New("enrolment: too many addresses or services")
	}
	for _, p := range append(e.Address[:len(e.Address):len(e.Address)], e.Hub.Addresses...) {
		if !p.IsSingleIP() {
			return fmt.Errorf("enrolment: %v is not a single address", p)
		}
	}
	for _, s := range e.Services {
		if !s.Addr.IsValid() || s.Addr.Port() == 0 {
			return fmt.Errorf("enrolment: service %q has no address", s.Name)
		}
		if s.Host != "" && !IsHost(s.Host) {
			return fmt.Errorf("enrolment: service %q has the host %q, which is no DNS name", s.Name, s.Host)
		}
	}
	return nil
}

// isEndpoint takes what every program that reads our files takes: a name or an address, IPv6 in brackets and without a
// zone, and a port in digits.
func isEndpoint(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return false
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == ""
	}
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

// Reachable are the addresses that the tunnel carries: the hub's and the services'. All
// other traffic of the office stays outside (split tunnel).
func (e Enrolment) Reachable() []netip.Prefix {
	seen := make(map[netip.Prefix]bool)
	var all []netip.Prefix
	add := func(p netip.Prefix) {
		if !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	for _, p := range e.Hub.Addresses {
		add(p)
	}
	for _, s := range e.Services {
		add(netip.PrefixFrom(s.Addr.Addr(), s.Addr.Addr().BitLen()))
	}
	return all
}

// KeyPlaceholder stands in a configuration where the private key belongs.
const KeyPlaceholder = "(insert the private key of this office)"

// Conf is the tunnel as a file for wg-quick and for the official WireGuard applications, which all take what is in it
// and nothing that they do not know. privateKey is base64 or [KeyPlaceholder], which they refuse.
func (e Enrolment) Conf(privateKey string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s / %s\n[Interface]\nPrivateKey = %s\nAddress = %s\nMTU = %d\n\n", oneLine(e.Partner), oneLine(e.Site), privateKey, join(e.Address), vpn.DefaultMTU)
	fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\n", e.Hub.PublicKey)
	if !e.Hub.PresharedKey.IsZero() {
		text, _ := e.Hub.PresharedKey.MarshalText() // never fails
		fmt.Fprintf(&b, "PresharedKey = %s\n", text)
	}
	fmt.Fprintf(&b, "Endpoint = %s\nAllowedIPs = %s\nPersistentKeepalive = %d\n", oneLine(e.Hub.Endpoint), join(e.Reachable()), int(Keepalive.Seconds()))
	return b.String()
}

func join(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

// oneLine keeps a name from adding lines to a configuration.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
