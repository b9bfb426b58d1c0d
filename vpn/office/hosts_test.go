package office_test

import (
	"net/netip"
	"strings"
	"testing"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

// TestHosts writes a line for each name, and an enrolment with a name that would write more is refused.
func TestHosts(t *testing.T) {
	e := office.Enrolment{Partner: "um", Site: "main", Address: []netip.Prefix{netip.MustParsePrefix("10.64.0.2/32")},
		Hub: office.Hub{PublicKey: vpn.Key{9}, Endpoint: "hub.example.org:51820"},
		Services: []office.Service{
			{Name: "registry", Addr: netip.MustParseAddrPort("10.80.0.7:443"), Host: "registry.tunnel.example.org"},
			{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443"), Host: "gateway.tunnel.example.org"},
			{Name: "gateway-udp", Addr: netip.MustParseAddrPort("10.64.0.1:9444"), Host: "gateway.tunnel.example.org"},
			{Name: "gateway6", Addr: netip.MustParseAddrPort("[fd64::1]:9443"), Host: "gateway.tunnel.example.org"},
			{Name: "bare", Addr: netip.MustParseAddrPort("10.80.0.8:443")},
		}}
	const want = "10.64.0.1\tgateway.tunnel.example.org\nfd64::1\tgateway.tunnel.example.org\n10.80.0.7\tregistry.tunnel.example.org\n"
	if err := e.Validate(); err != nil || e.Hosts() != want {
		t.Errorf("%v, %q", err, e.Hosts())
	}
	for _, host := range []string{"a.b\n127.0.0.1 bank.example", "bank", "a..b", "-a.b", "a-.b", "A.b", "a b.c", "10.80.0.7", "ą.pl", "a.b#c",
		strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 127) + "b"} {
		e.Services[0].Host = host
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), "is no DNS name") {
			t.Errorf("%q: %v", host, err)
		}
	}
}
