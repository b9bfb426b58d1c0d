package main

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/vpn"
)

// vpnWorld is one office that is well, for a test to spoil.
type vpnWorld struct {
	orders []registry.Record
	status vpn.Status
	now    time.Time
}

func newVPNWorld() *vpnWorld {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	order := registry.Record{State: registry.Active, SubmittedAt: now, Order: registry.Order{ID: "ZU-1", Partner: registry.Partner{ID: "um"},
		Components: []registry.Component{registry.VPN}, VPNRequest: &registry.VPNRequest{Site: "main"}}}
	return &vpnWorld{[]registry.Record{order}, vpn.Status{Applied: vpn.Applied{Revision: 7}, Peers: []vpn.PeerStatus{{
		Partner: "um", Site: "main", State: vpn.StateUp, LastHandshake: now.Add(-30 * time.Second), Endpoint: netip.MustParseAddrPort("192.0.2.7:51820"),
		Services: []vpn.ServiceTraffic{{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443"), Packets: 12, Bytes: 3400}},
	}}}, now}
}

// TestExplain spoils one thing at a time: that one is named, and nothing behind it.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w *vpnWorld)
		want  string // the last line but its remedy
	}{
		{"all is well", func(*vpnWorld) {}, "packets: 12 packets, 3400 bytes, both ways"},
		{"no order", func(w *vpnWorld) { w.orders[0].Partner.ID = "gm" }, "order: MISSING: no order gives um/main a tunnel"},
		{"another site", func(w *vpnWorld) { w.orders[0].VPNRequest.Site = "east" }, "order: MISSING: no order gives um/main a tunnel"},
		{"not carried out", func(w *vpnWorld) { w.orders[0].State = registry.Approved }, "order: MISSING: ZU-1 is approved"},
		{"no gateway speaks", func(w *vpnWorld) { w.status.Mode = "gone" }, "gateway: MISSING: none has reported since trustd started"},
		{"not in the wish", func(w *vpnWorld) { w.status.Peers[0].Partner = "gm" }, "gateway: MISSING: none has the office: vpnd"},
		{"nobody is let in", func(w *vpnWorld) { w.status.Peers, w.status.Problem = nil, "no firewall" }, "gateway: MISSING: vpnd lets nobody in: no firewall"},
		{"refused", func(w *vpnWorld) {
			w.status.Peers, w.status.Refused = nil, []vpn.Refusal{{Partner: "um", Site: "main", Field: "addresses[0]", Problem: "is taken"}}
		}, "gateway: MISSING: vpnd refuses the office: addresses[0] is taken"},
		{"not permitted", func(w *vpnWorld) { w.status.Peers[0].Services[0].Addr = netip.MustParseAddrPort("10.64.0.1:80") },
			"permission: MISSING: 10.64.0.1:9443 is none of the services that the office is given: gateway 10.64.0.1:80"},
		{"never heard", func(w *vpnWorld) {
			w.status.Peers[0].LastHandshake, w.status.Peers[0].Endpoint = time.Time{}, netip.AddrPort{}
		}, "handshake: MISSING: the office was never heard"},
		{"silent", func(w *vpnWorld) {
			w.status.Peers[0].State, w.status.Peers[0].LastHandshake = vpn.StateDown, w.now.Add(-time.Hour)
		}, "handshake: MISSING: the tunnel is down, the last one was 1h0m0s ago, from 192.0.2.7:51820"},
		{"nothing went", func(w *vpnWorld) { w.status.Peers[0].Services[0].Packets, w.status.Peers[0].Services[0].Bytes = 0, 0 },
			"packets: MISSING: none went between the office and the service yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newVPNWorld()
			c.spoil(w)
			all := tunnels{"vpnd": w.status}
			if w.status.Mode == "gone" {
				all = tunnels{}
			}
			e := question{"um", "main", netip.MustParseAddrPort("10.64.0.1:9443")}.explain(w.orders, all, w.now)
			var out strings.Builder
			if err := e.write(&out, w.now); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if !e.well() && strings.HasPrefix(lines[len(lines)-1], "  ") {
				lines = lines[:len(lines)-1]
			}
			if got := lines[len(lines)-1]; got != c.want || e.well() != (c.name == "all is well") {
				t.Errorf("well %v:\n%s", e.well(), out.String())
			}
			if strings.Count(out.String(), "MISSING") > 1 {
				t.Errorf("more than one thing is missing:\n%s", out.String())
			}
		})
	}
}

// TestStatusOfTunnels is well when all are up and no gateway has anything to tell.
func TestStatusOfTunnels(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*vpn.Status)
		said  string
	}{
		"":              {func(*vpn.Status) {}, "um"},
		"a tunnel":      {func(s *vpn.Status) { s.Peers[0].State = vpn.StateStale }, "stale"},
		"a finding":     {func(s *vpn.Status) { s.Findings = []vpn.Finding{{What: "it forwards nothing", Remedy: "write 1"}} }, "write 1"},
		"nobody let in": {func(s *vpn.Status) { s.Problem = "no firewall" }, "lets nobody in: no firewall"},
	} {
		w := newVPNWorld()
		c.spoil(&w.status)
		all := tunnels{"vpnd": w.status}
		var out strings.Builder
		if err := all.write(&out, w.now); err != nil || !strings.Contains(out.String(), c.said) || all.well() != (name == "") {
			t.Errorf("%q: well %v, %v:\n%s", name, all.well(), err, out.String())
		}
	}
	var out strings.Builder
	if err := (tunnels{}).write(&out, time.Now()); err != nil || (tunnels{}).well() || !strings.Contains(out.String(), "no gateway has reported") {
		t.Errorf("without a gateway: %v: %s", err, out.String())
	}
}

// TestStatusOfSecrets shows how old they are, and who has not followed.
func TestStatusOfSecrets(t *testing.T) {
	w := newVPNWorld()
	days := func(n int) time.Time { return w.now.AddDate(0, 0, -n) }
	s := vpnStatus{Gateways: tunnels{"vpnd": w.status}, Secrets: []tunnelSecrets{
		{Partner: "um", Site: "main", Serial: 3, RotatedAt: days(31), KeyAt: days(91), Due: []string{"key", "preshared-key"}},
		{Partner: "gm", Site: "east", KeyAt: days(1), Changing: true},
		{Partner: "pm", Site: "west"},
	}}
	var out strings.Builder
	if err := s.write(&out, w.now); err != nil || !s.well() {
		t.Fatalf("well %v, %v", s.well(), err)
	}
	for _, line := range []string{`um +main +number 3, 31 days old +91 days old +key, preshared-key`, `gm +east +none +1 days old, changing`, `pm +west +none +age unknown`} {
		if !regexp.MustCompile(`(?m)^` + line + ` *$`).MatchString(out.String()) {
			t.Errorf("no line %s in\n%s", line, out.String())
		}
	}
}
