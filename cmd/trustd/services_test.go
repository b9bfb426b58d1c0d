package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"trustcore/cmd/internal/registry"
)

// servicesOfTests has one service of each kind.
func servicesOfTests() []TunnelService {
	return []TunnelService{
		{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443"), By: "B_HSM"},
		{Name: "pki", Addr: netip.MustParseAddrPort("10.64.0.1:8080")},
		{Name: "time", Proto: "udp", Addr: netip.MustParseAddrPort("192.0.2.9:123"), By: "order"},
		{Name: "registry", Addr: netip.MustParseAddrPort("192.0.2.9:443"), By: "order"},
	}
}

// TestServicesByOrder holds that an office is given what its order, and what is on for its partner, give.
func TestServicesByOrder(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.cfg.Tunnel.Services = servicesOfTests()
	c.must(c.cfg.Tunnel.canServe(registry.Order{VPNRequest: &registry.VPNRequest{Services: []string{"time"}}}))
	c.order(strings.Replace(orderOn, "site: main", "site: main, services: [time]", 1))
	rec, err := c.registry.Order(t.Context(), "ZU-1")
	c.must(err)
	_, err = c.registry.GrantTunnel(t.Context(), *rec, officeKey(t).String())
	c.must(err)
	c.must(c.registry.Finish(t.Context(), rec.ID, registry.Active))
	given := func(want string) {
		t.Helper()
		w, err := c.currentWish(t.Context())
		c.must(err)
		var all []string
		for _, s := range w.Peers[0].Services {
			all = append(all, s.Name+"/"+s.Proto)
		}
		if got := strings.Join(all, " "); got != want {
			t.Errorf("the office is given %q, want %q", got, want)
		}
	}
	given("pki/tcp time/udp")
	c.order("id: ZU-2\nkind: activation\npartner: {id: um, name: Urząd}\nagreement: {number: UR/1, signed: 2026-01-15}\n" +
		"components: [B_HSM]\nhsm_authorization: {application: ezd, keys: [{name: seal, algorithm: P-256, " +
		"mechanisms: [ECDSA-SHA256]}], not_before: 2026-01-01T00:00:00Z, not_after: 2040-01-01T00:00:00Z}\n")
	given("gateway/tcp pki/tcp time/udp")
	c.order("id: ZZ-1\nkind: change\npartner: {id: um}\ncomponents: [B_HSM]\n")
	given("pki/tcp time/udp")

	c.start()
	c.cfg.Tunnel.Services = servicesOfTests()[:2]
	given("pki/tcp")
	c.wantFinding("a service that is no more", "order ZU-1 names services that its office is not given: time")
}

// TestServicesThatThereAreNot has orders and configurations that name what can't be given.
func TestServicesThatThereAreNot(t *testing.T) {
	tunnel := Defaults().Tunnel
	tunnel.Endpoint = "vpn.example:51820"
	tunnel.Services = servicesOfTests()
	if err := tunnel.check(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pki", "gateway", "other"} { // only those that orders name
		err := tunnel.canServe(registry.Order{VPNRequest: &registry.VPNRequest{Services: []string{"time", name}}})
		if err == nil || !strings.Contains(err.Error(), "vpn_request.services[1]") || !strings.Contains(err.Error(), "time, registry") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for want, wrong := range map[string]TunnelService{
		"name or addr":           {Addr: netip.MustParseAddrPort("192.0.2.9:443")},
		"lies in tunnel.pool":    {Name: "a", Addr: netip.MustParseAddrPort("10.64.0.9:443")},
		"neither tcp nor udp":    {Name: "a", Addr: netip.MustParseAddrPort("192.0.2.9:443"), Proto: "sctp"},
		"none of P_VPN":          {Name: "a", Addr: netip.MustParseAddrPort("192.0.2.9:443"), By: "B_CC"},
		"to be written in order": {Name: "A b", Addr: netip.MustParseAddrPort("192.0.2.9:443"), By: "order"},
		"carries TCP alone": {Name: "a", Addr: netip.MustParseAddrPort("192.0.2.9:53"), Proto: "udp",
			Backend: netip.MustParseAddrPort("127.0.0.1:53")},
	} {
		tunnel.Services = append(servicesOfTests(), wrong)
		if err := tunnel.check(); err == nil || !strings.HasPrefix(err.Error(), "tunnel.services[4]: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", wrong, err, want)
		}
	}
}

// TestSecondPool has offices with an IPv6 address beside the other one.
func TestSecondPool(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.cfg.Tunnel.Endpoint = "vpn.example:51820"
	c.on()
	wants := func(addresses, pools string) {
		t.Helper()
		c.must(c.cfg.Tunnel.check())
		w, err := c.currentWish(t.Context())
		c.must(err)
		if got := fmt.Sprint(w.Peers[0].Addresses); got != addresses || fmt.Sprint(w.Pool) != pools {
			t.Errorf("addresses %s of %v, want %s of %s", got, w.Pool, addresses, pools)
		}
		rec, err := c.registry.Order(t.Context(), "ZU-1")
		c.must(err)
		_, tunnels, err := c.registry.Wish(t.Context())
		c.must(err)
		if rec.State != registry.Active || fmt.Sprint(c.cfg.Tunnel.addresses(tunnels[0])) != addresses {
			t.Errorf("the office is told %v", c.cfg.Tunnel.addresses(tunnels[0]))
		}
	}
	wants("[10.64.0.2/32]", "[10.64.0.0/16]")
	c.start() // the same database with another configuration
	c.cfg.Tunnel.Endpoint = "vpn.example:51820"
	c.cfg.Tunnel.Pool6, c.cfg.Tunnel.Hub6 = netip.MustParsePrefix("fd64::/64"), netip.MustParseAddr("fd64::1")
	wants("[10.64.0.2/32 fd64::a40:2/128]", "[10.64.0.0/16 fd64::/64]")

	alone := c.cfg.Tunnel // IPv6 and nothing else
	alone.Pool, alone.Hub, alone.Pool6, alone.Hub6 = netip.MustParsePrefix("fd66::/64"), netip.MustParseAddr("fd66::1"), netip.Prefix{}, netip.Addr{}
	alone.Services = []TunnelService{{Name: "gateway", Addr: netip.MustParseAddrPort("[fd66::1]:9443")}}
	if err := alone.check(); err != nil {
		t.Errorf("a pool of IPv6 alone: %v", err)
	}
	for want, spoil := range map[string]func(*Tunnel){
		"pool6 is missing":           func(t *Tunnel) { t.Pool6 = netip.Prefix{} },
		"does not lie in":            func(t *Tunnel) { t.Hub6 = netip.MustParseAddr("fd65::1") },
		"at most 96 bits":            func(t *Tunnel) { t.Pool6 = netip.MustParsePrefix("fd64::/112") },
		"is no IPv6 prefix":          func(t *Tunnel) { t.Pool6 = netip.MustParsePrefix("10.65.0.0/16") },
		"is that of the office with": func(t *Tunnel) { t.Hub6 = netip.MustParseAddr("fd64::a40:9") },
		"which is no IPv4 pool": func(t *Tunnel) {
			t.Pool, t.Hub = netip.MustParsePrefix("fd66::/64"), netip.MustParseAddr("fd66::1")
		},
	} {
		tunnel := c.cfg.Tunnel
		spoil(&tunnel)
		if err := tunnel.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for at, fine := range map[string]bool{"[fd64::1]:443": true, "[fd64::a40:9]:443": false, "[fd70::1]:443": true} {
		tunnel := c.cfg.Tunnel
		tunnel.Services = []TunnelService{{Name: "six", Addr: netip.MustParseAddrPort(at)}}
		if err := tunnel.check(); (err == nil) != fine {
			t.Errorf("a service at an office's IPv6 address, %s: %v", at, err)
		}
	}
}
