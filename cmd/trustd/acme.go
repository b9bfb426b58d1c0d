package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/pki"
	"trustcore/pki/acme"
	"trustcore/vpn/office"
)

// ACME is where servers of offices get their certificates. Off without Listen; an office has none but by an order with B_CC that
// names its servers.
type ACME struct {
	Listen string `koanf:"listen"` // address (TLS); the tunnel's in production
	Host   string `koanf:"host"`   // name or address by which offices reach it, which trustd's certificate has; default that of listen
	// Resolver is the DNS server that is asked for names and for dns-01; none: servers are looked for at the office's end of the tunnel.
	Resolver netip.AddrPort `koanf:"resolver"`
}

func (a *ACME) check() error {
	if a.Listen == "" {
		if a.Host != "" || a.Resolver.IsValid() {
			return errors.New("acme.listen is missing: write address and port, or leave acme out")
		}
		return nil
	}
	ap, err := netip.ParseAddrPort(a.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("acme.listen: %q is not an address and port, such as 10.64.0.1:8444", a.Listen)
	case a.Host == "" && ap.Addr().IsUnspecified():
		return errors.New("acme.host is missing: by which name offices reach acme.listen")
	case a.Host != "" && !office.IsHost(a.Host):
		if _, err := netip.ParseAddr(a.Host); err != nil {
			return fmt.Errorf("acme.host: %q is no DNS name in lower case and no address", a.Host)
		}
	}
	return nil
}

// base is the URL of the server at the port where it listens.
func (a *ACME) base(at netip.AddrPort) string {
	host := a.Host
	if host == "" {
		host = at.Addr().String()
	}
	if at.Port() == 443 {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return "https://" + host
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(int(at.Port())))
}

// openACME opens the server when its listener is there.
func (d *daemon) openACME(ctx context.Context) (err error) {
	at, on := d.listens("acme")
	if !on {
		return nil
	}
	d.acme, err = acme.New(ctx, acme.Config{DB: d.custody.DB, Audit: d.custody.Audit, CA: d.ca, Leases: d.custody.Leases,
		Base: d.cfg.ACME.base(at), Rules: d.serversOf, Resolver: d.cfg.ACME.Resolver, Logger: d.cfg.Logger,
		Seal: d.sealer.sealBinding, Open: d.sealer.openBinding})
	return err
}

// acmeDoor serves the protocol: its problem documents are its own (RFC 8555 6.7).
func (d *daemon) acmeDoor(httpserver.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.acme.Handler().ServeHTTP(w, r) })
}

// serversOf is what the order in force lets a partner's servers have, and where they are.
func (d *daemon) serversOf(ctx context.Context, partner string) (*acme.Rule, error) {
	right, err := d.registry.Servers(ctx, partner)
	if err != nil {
		return nil, err
	}
	if right == nil {
		return nil, acme.ErrNoRule
	}
	ends, err := d.registry.TunnelsOf(ctx, partner)
	if err != nil {
		return nil, err
	}
	s := right.ServerCertificates
	rule := &acme.Rule{Line: right.Line, Order: right.ID, Names: s.Names, Profile: pki.PartnerServer, NotAfter: s.NotAfter}
	if slices.Contains(s.Purposes, registry.ClientPurpose) {
		rule.Profile = pki.PartnerPeer
	}
	for _, t := range ends {
		rule.Reach = append(append(rule.Reach, d.cfg.Tunnel.addresses(t)...), t.Networks...)
	}
	for _, text := range s.Addresses {
		a, err := netip.ParseAddr(text)
		if err == nil && slices.ContainsFunc(rule.Reach, func(own netip.Prefix) bool { return own.Contains(a) }) {
			rule.Addresses = append(rule.Addresses, a)
		}
	}
	return rule, nil
}

// canHaveServers refuses names and addresses of the data centre's own, and what can't come true.
func (d *daemon) canHaveServers(o registry.Order) error {
	s := o.ServerCertificates
	if s == nil {
		return nil
	}
	if d.cfg.ACME.Listen == "" {
		return &registry.FieldError{Field: "server_certificates",
			Remedy: "the data centre gives no certificates by ACME (acme.listen of trustd's configuration): leave it out"}
	}
	for i, name := range s.Names {
		if d.cfg.ownName(name) {
			return &registry.FieldError{Field: fmt.Sprintf("server_certificates.names[%d]", i),
				Remedy: fmt.Sprintf("%q is a name of the data centre's: leave it out", name)}
		}
	}
	for i, text := range s.Addresses {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		if a == d.cfg.Tunnel.Hub || a == d.cfg.Tunnel.Hub6 || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() ||
			slices.ContainsFunc(d.cfg.Tunnel.Services, func(s TunnelService) bool { return s.Addr.Addr() == a }) {
			return &registry.FieldError{Field: fmt.Sprintf("server_certificates.addresses[%d]", i),
				Remedy: fmt.Sprintf("%s is no address of an office's server: leave it out", text)}
		}
	}
	return nil
}

// ownName reports whether a DNS name is the data centre's.
func (c *Config) ownName(name string) bool {
	if zone := c.Tunnel.Zone; zone != "" && (name == zone || strings.HasSuffix(name, "."+zone)) {
		return true
	}
	return name == c.ACME.Host || slices.ContainsFunc(c.Tunnel.Services, func(s TunnelService) bool { return s.host(&c.Tunnel) == name })
}

// acmeKey is a request about a key of an office.
type acmeKey struct {
	Partner string `json:"partner,omitempty"`
	Key     string `json:"kid,omitempty"`
}

// madeKey is a key as its client is configured with it.
type madeKey struct {
	acme.NewBinding
	Partner   string `json:"partner"`
	Directory string `json:"directory"`
}

func (d *daemon) makeKeyFor(ctx context.Context, who audit.Actor, partner string) (any, error) {
	if d.acme == nil {
		return nil, problem.Refuse(http.StatusConflict, "the data centre gives no certificates by ACME (acme.listen)")
	}
	made, err := d.acme.Bind(ctx, who, partner)
	switch {
	case errors.Is(err, acme.ErrNoRule):
		return nil, problem.RefuseField(http.StatusConflict, "partner", "%q has no order in force with B_CC and server_certificates", partner)
	case errors.Is(err, acme.ErrTooMany):
		return nil, problem.RefuseField(http.StatusConflict, "partner", "%v", acme.ErrTooMany)
	case err != nil:
		return nil, err
	}
	at, _ := d.listens("acme")
	return madeKey{*made, partner, d.cfg.ACME.base(at) + acme.Directory}, nil
}

func (d *daemon) makeACMEKey(r *http.Request, who audit.Actor) (any, error) {
	var in acmeKey
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	return d.makeKeyFor(r.Context(), who, in.Partner)
}

// makeOwnACMEKey makes a key for the office whose certificate is shown.
func (d *daemon) makeOwnACMEKey(r *http.Request, who rights.Holder) (any, error) {
	return d.makeKeyFor(r.Context(), actorOf(who), who.Partner)
}

func (d *daemon) listACMEKeys(r *http.Request, _ audit.Actor) (any, error) {
	if d.acme == nil {
		return []acme.Binding{}, nil
	}
	return d.acme.Bindings(r.Context(), r.URL.Query().Get("partner"))
}

func (d *daemon) revokeACMEKey(r *http.Request, who audit.Actor) (any, error) {
	var in acmeKey
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	err := acme.ErrBinding
	if d.acme != nil {
		err = d.acme.Unbind(r.Context(), who, in.Key, in.Partner)
	}
	if errors.Is(err, acme.ErrBinding) {
		return nil, problem.RefuseField(http.StatusNotFound, "kid", "%v", acme.ErrBinding)
	}
	return nil, err
}

// bindingKind is what the sealed secret of a key for ACME is about.
const bindingKind = "external account binding "

func (s *sealer) sealBinding(secret []byte, of string) (string, error) {
	return base64.StdEncoding.EncodeToString(s.aead.Seal(nil, nil, secret, []byte(bindingKind+of))), nil
}

func (s *sealer) openBinding(sealed, of string) ([]byte, error) {
	text, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errors.New("the key's secret is damaged")
	}
	secret, err := s.aead.Open(nil, nil, text, []byte(bindingKind+of))
	if err != nil {
		return nil, errors.New("the key's secret was enciphered with another key than trustd's, is another's, or is damaged")
	}
	return secret, nil
}
