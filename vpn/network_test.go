package vpn_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"trustcore/vpn"
)

// TestNetworkProblem refuses what an office could harm others with.
func TestNetworkProblem(t *testing.T) {
	for _, c := range []struct {
		network netip.Prefix
		problem string
	}{
		{netip.MustParsePrefix("192.168.10.0/24"), ""},
		{netip.MustParsePrefix("172.16.0.0/16"), ""},
		{netip.MustParsePrefix("10.1.2.3/32"), ""},
		{netip.MustParsePrefix("fd12:3456:789a::/48"), ""},
		{netip.Prefix{}, "is no network"},
		{netip.MustParsePrefix("0.0.0.0/0"), "too large"},
		{netip.MustParsePrefix("::/0"), "too large"},
		{netip.MustParsePrefix("10.0.0.0/8"), "too large"},
		{netip.MustParsePrefix("fc00::/7"), "too large"},
		{netip.MustParsePrefix("192.168.10.1/24"), "write 192.168.10.0/24"},
		{netip.PrefixFrom(netip.MustParseAddr("::ffff:192.168.10.0"), 120), "not a plain"},
		{netip.MustParsePrefix("8.8.8.0/24"), "not for private use"},
		{netip.MustParsePrefix("127.0.0.0/16"), "not for private use"},
		{netip.MustParsePrefix("224.0.0.0/24"), "not for private use"},
		{netip.MustParsePrefix("169.254.0.0/16"), "not for private use"},
		{netip.MustParsePrefix("fe80::/64"), "not for private use"},
		{netip.MustParsePrefix("2001:db8::/48"), "not for private use"},
	} {
		got := vpn.NetworkProblem(c.network)
		if c.problem == "" && got != "" || !strings.Contains(got, c.problem) {
			t.Errorf("%v: %q, want %q", c.network, got, c.problem)
		}
	}
}

// TestDivideNetworks: a network is one office's alone, and nobody's where it meets the pool, the hub, a service or an address;
// who asks for such a one keeps all else.
func TestDivideNetworks(t *testing.T) {
	hub := netip.MustParseAddr("192.168.99.1")
	pool := []netip.Prefix{netip.MustParsePrefix("10.64.0.0/16")}
	for _, c := range []struct{ network, problem string }{
		{"192.168.20.0/24", ""},
		{"192.168.10.0/24", `meets 192.168.10.0/24 of site "main" of partner "p1"`},
		{"192.168.10.128/25", "meets 192.168.10.0/24"},
		{"192.168.0.0/16", "meets 192.168.10.0/24"},
		{"192.168.99.0/24", "holds 192.168.99.1, which belongs to the hub itself"},
		{"172.20.0.0/16", "holds 172.20.0.7, which belongs to service registry"},
		{"10.64.7.0/24", "meets 10.64.0.0/16 of the pool of the tunnels"},
		{"fd12:3456:789a::/48", "of which the office has no address"},
		{"0.0.0.0/0", "too large"},
	} {
		first, second := networkPeer(t, 1, "192.168.10.0/24"), networkPeer(t, 2, c.network, "192.168.30.0/24")
		granted, refused := vpn.Wish{Pool: pool, Peers: []vpn.PeerWish{first, second}}.Divide(nil, []netip.Addr{hub})
		if len(granted) != 2 || len(granted[0].Networks) != 1 {
			t.Fatalf("%s: %+v, %+v", c.network, granted, refused)
		}
		kept := fmt.Sprint(granted[1].Networks)
		switch {
		case c.problem == "" && (len(refused) != 0 || kept != "["+c.network+" 192.168.30.0/24]"):
			t.Errorf("%s: %s, %+v", c.network, kept, refused)
		case c.problem != "" && (len(refused) != 1 || refused[0].Field != "networks[0]" || !strings.Contains(refused[0].Problem, c.problem) || kept != "[192.168.30.0/24]"):
			t.Errorf("%s: %s, %+v, want %q", c.network, kept, refused, c.problem)
		}
	}
	many := networkPeer(t, 1)
	for i := range vpn.MaxNetworksOfPeer + 1 {
		many.Networks = append(many.Networks, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(i), 0}), 24))
	}
	granted, refused := vpn.Wish{Peers: []vpn.PeerWish{many}}.Divide(nil, nil)
	if len(granted[0].Networks) != vpn.MaxNetworksOfPeer || len(refused) != 1 {
		t.Errorf("%d networks, %+v", len(granted[0].Networks), refused)
	}
}

func networkPeer(t *testing.T, n int, networks ...string) vpn.PeerWish {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	p := vpn.PeerWish{Partner: fmt.Sprintf("p%d", n), Site: "main", PublicKey: key.Public(),
		Addresses: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.64.0.%d/32", n+1))},
		Services:  []vpn.Service{{Name: "registry", Proto: "tcp", Addr: netip.MustParseAddrPort("172.20.0.7:443")}}}
	for _, network := range networks {
		p.Networks = append(p.Networks, netip.MustParsePrefix(network))
	}
	return p
}
