package tunnel

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"trustcore/vpn"
	"trustcore/vpn/namespace"
	"trustcore/vpn/office"
)

func exampleOffice() office.Enrolment {
	return office.Enrolment{
		Address: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32"), netip.MustParsePrefix("fd64::2/128")},
		Hub: office.Hub{PublicKey: vpn.Key{9}, Endpoint: "192.0.2.1:51820",
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}},
		Services: []office.Service{{Name: "far", Addr: netip.MustParseAddrPort("198.51.100.7:443")}},
	}
}

// TestExamine has computers on which something is in the tunnel's way, each in a network of its own.
func TestExamine(t *testing.T) {
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	way := "ip link add wan type veth peer name other ; ip addr add 192.0.2.2/30 dev wan ; ip link set wan mtu 1300 up ; ip link set other up ; "
	for _, c := range []struct {
		name, does string
		named      []string // in this order, all that is found
	}{
		{"no network", "", []string{"there is no way to the hub at 192.0.2.1:51820"}},
		{"a narrow link", way, []string{"carries 1300 bytes a packet: IPv6 has no room"}},
		{"an address of the hub", way + "ip link set wan mtu 1500 ; ip addr add 10.64.0.1/32 dev lo",
			[]string{"this computer has 10.64.0.1 on lo, an address of the tunnel"}},
		{"a route to a service", way + "ip link set wan mtu 1500 ; ip route add 198.51.100.7 dev wan ; ip route add 198.51.100.0/24 dev wan",
			[]string{"a route to 198.51.100.7 by wan"}},
		{"the tunnel's own", way + "ip link set wan mtu 1500 ; ip link add tc-office type veth peer name end ; ip link set tc-office up ; " +
			"ip link set end up ; ip addr add 10.64.1.2/32 dev tc-office ; ip route add 198.51.100.7 dev tc-office", nil},
		{"a firewall", way + "ip link set wan mtu 1500 ; nft 'add table ip filter { chain output { type filter hook output priority 0 ; policy drop ; } ; }'",
			[]string{"drops what it does not permit: table ip filter, chain output"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			space, err := namespace.New(namespace.Link{})
			if err != nil {
				t.Fatal(err)
			}
			defer space.Close()
			var found []vpn.Finding
			err = space.Do(func() error {
				if out, err := exec.Command("sh", "-ec", c.does).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
				found = Examine(t.Context(), exampleOffice(), "tc-office")
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			ok := len(found) == len(c.named)
			for i := 0; ok && i < len(found); i++ {
				ok = strings.Contains(found[i].What, c.named[i]) && found[i].Remedy != ""
			}
			if !ok {
				t.Errorf("found %+v, want %q", found, c.named)
			}
		})
	}
}

// TestNameThatLeadsIntoTheTunnel has a name server that answers with an address of the tunnel.
func TestNameThatLeadsIntoTheTunnel(t *testing.T) {
	e := exampleOffice()
	e.Hub.Endpoint = "10.64.0.1:51820"
	if all := Examine(t.Context(), e, "tc-office"); len(all) == 0 || !strings.Contains(all[0].What, "lies inside its own tunnel") {
		t.Errorf("found %+v", all)
	}
}

func TestDroppingChains(t *testing.T) {
	const listed = `table inet filter {
	chain input {
		type filter hook input priority filter; policy accept;
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
table ip mine {
	chain in {
		type filter hook input priority 10; policy drop;
	}
	chain helper {
	}
}
`
	if got := dropping(listed); !slices.Equal(got, []string{"table ip mine, chain in"}) {
		t.Errorf("named %q", got)
	}
}

// TestLengthOfPackets holds how long packets in the tunnel may be by what the way carries.
func TestLengthOfPackets(t *testing.T) {
	both := exampleOffice().Address
	for _, c := range []struct{ mtu, carried int }{{1420, 2}, {1280, 2}, {1279, 1}, {1200, 1}} {
		if got := fit(c.mtu, both); len(got) != c.carried {
			t.Errorf("packets of %d bytes: %v is carried", c.mtu, got)
		}
	}
	if got := fit(1200, both[1:]); len(got) != 1 {
		t.Errorf("an office with IPv6 alone: %v is carried", got)
	}
}
