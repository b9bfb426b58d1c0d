package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/vpn"
)

// TestReview lists what is open alone, with what the gateways have seen of it.
func TestReview(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	one := registry.Reach{Order: "ZU-1", Partner: "um", Site: "gops", Unit: "gops", Address: "10.64.0.4", Service: "benefits", Proto: "tcp",
		Addr: "10.80.0.7:443", GivenBy: "order", Since: now.Add(-time.Hour)}
	ended := one
	ended.Until, ended.Site = now, "branch"
	all := reach{one, ended}
	traffic := func(packets uint64) []vpn.ServiceTraffic {
		return []vpn.ServiceTraffic{{Name: "benefits", Addr: netip.MustParseAddrPort("10.80.0.7:443"), Packets: packets}}
	}
	gateways := tunnels{
		"vpnd":   {Peers: []vpn.PeerStatus{{Partner: "um", Site: "gops", LastHandshake: now.Add(-time.Minute), Services: traffic(3)}}},
		"vpnd-2": {Peers: []vpn.PeerStatus{{Partner: "um", Site: "gops", Services: traffic(4)}, {Partner: "um", Site: "main", Services: traffic(9)}}},
	}
	list := reviewOf(all, gateways)
	if len(list) != 1 || list[0].Packets != 7 || !list[0].LastHandshake.Equal(now.Add(-time.Minute)) {
		t.Errorf("%+v", list)
	}
	var out strings.Builder
	if err := list.write(&out, now); err != nil || !strings.Contains(out.String(), "gops (gops)") || !strings.Contains(out.String(), "1m0s ago") {
		t.Errorf("%s, %v", out.String(), err)
	}
	out.Reset()
	if err := all.write(&out, now); err != nil || strings.Count(out.String(), "still") != 1 || !strings.Contains(out.String(), "2026-11-28 12:00:00") {
		t.Errorf("%s, %v", out.String(), err)
	}
}
