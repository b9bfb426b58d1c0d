package main

import (
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
