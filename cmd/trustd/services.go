package main

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"trustcore/cmd/internal/registry"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// TunnelService is one service at the other end of the tunnel.
type TunnelService struct {
	Name    string         `koanf:"name"`
	Proto   string         `koanf:"proto"`   // tcp (default) or udp
	Addr    netip.AddrPort `koanf:"addr"`    // as the office sees it
	Backend netip.AddrPort `koanf:"backend"` // where it really listens when vpnd runs without root

	// By is what gives the service to an office: P_VPN (default) to each that has a tunnel, B_HSM where that is on for
	// the partner, order to those whose order names it.
	By string `koanf:"by"`

	// Host is the DNS name by which offices call the service; none: the name under tunnel.zone, where that is set.
	Host string `koanf:"host"`
}

// What gives a service.
const (
	byTunnel = string(registry.VPN)
	byHSM    = string(registry.NetworkHSM)
	byOrder  = "order"
)

// nameInOrders is how orders write the name of a service.
var nameInOrders = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

func (s *TunnelService) check(t *Tunnel) error {
	switch {
	case s.Name == "" || !s.Addr.IsValid():
		return fmt.Errorf("name or addr is missing")
	case t.isOffices(s.Addr.Addr()):
		return fmt.Errorf("%s lies in tunnel.pool and will be a partner's", s.Addr)
	case s.Proto != "" && s.Proto != "tcp" && s.Proto != "udp":
		return fmt.Errorf("proto: %q is neither tcp nor udp", s.Proto)
	case s.Proto == "udp" && s.Backend.IsValid():
		return fmt.Errorf("backend: without root vpnd carries TCP alone; leave it out, or start vpnd as root")
	case s.By != "" && s.By != byTunnel && s.By != byHSM && s.By != byOrder:
		return fmt.Errorf("by: %q is none of %s, %s, %s", s.By, byTunnel, byHSM, byOrder)
	case s.By == byOrder && !nameInOrders.MatchString(s.Name):
		return fmt.Errorf("name: %q has to be written in orders: lower-case letters, digits and hyphens", s.Name)
	}
	if host := s.host(t); host != "" && !office.IsHost(host) {
		return fmt.Errorf("host: %q is no DNS name: letters, digits and hyphens, with dots between", host)
	}
	return nil
}

// host is the DNS name of the service for offices, "" when it has none.
func (s *TunnelService) host(t *Tunnel) string {
	if s.Host == "" && t.Zone != "" {
		return s.Name + "." + t.Zone
	}
	return s.Host
}

// told is the service as an office is told of it.
func (t *Tunnel) told(s TunnelService) office.Service {
	return office.Service{Name: s.Name, Proto: s.Proto, Addr: s.Addr, Host: s.host(t)}
}

func (s *TunnelService) proto() string {
	if s.Proto == "" {
		return "tcp"
	}
	return s.Proto
}

// services are those that the office at the other end of a tunnel is given.
func (t *Tunnel) services(of registry.Tunnel) []TunnelService {
	return slices.DeleteFunc(slices.Clone(t.Services), func(s TunnelService) bool {
		switch s.By {
		case byHSM:
			return !of.NetworkHSM
		case byOrder:
			return !slices.Contains(of.Services, s.Name)
		}
		return false
	})
}

// ordered are the names of the services that orders name.
func (t *Tunnel) ordered() (names []string) {
	for _, s := range t.Services {
		if s.By == byOrder {
			names = append(names, s.Name)
		}
	}
	return names
}

// canServe refuses an order that names a service which there is not.
func (t *Tunnel) canServe(o registry.Order) error {
	if o.VPNRequest == nil {
		return nil
	}
	known := t.ordered()
	return siteServices(o, func(field, name string) error {
		if slices.Contains(known, name) {
			return nil
		}
		remedy := fmt.Sprintf("%q is none of the services that orders name: %s", name, strings.Join(known, ", "))
		if len(known) == 0 {
			remedy = "the data centre has no services that orders name: leave it out"
		}
		return &registry.FieldError{Field: field, Remedy: remedy}
	})
}

func (d *daemon) peerWish(t registry.Tunnel, key vpn.Key) (p vpn.PeerWish, err error) {
	p = vpn.PeerWish{Partner: t.Partner, Site: t.Site, PublicKey: key, Addresses: d.cfg.Tunnel.addresses(t),
		Networks: t.Networks}
	if p.PresharedKey, err = d.sealer.open(t.Rotation.Preshared); err != nil {
		return p, err
	}
	if t.Rotation.NextKey != "" {
		if p.NextKey, err = vpn.ParsePeerKey(t.Rotation.NextKey); err != nil {
			return p, err
		}
	}
	for _, s := range d.cfg.Tunnel.services(t) {
		p.Services = append(p.Services, vpn.Service{Name: s.Name, Proto: s.proto(), Addr: s.Addr, Backend: s.Backend})
	}
	return p, nil
}

// unserved are the services that the order of a tunnel names and the configuration does not have.
func (t *Tunnel) unserved(of registry.Tunnel) []string {
	known := t.ordered()
	return slices.DeleteFunc(slices.Clone(of.Services), func(name string) bool { return slices.Contains(known, name) })
}
