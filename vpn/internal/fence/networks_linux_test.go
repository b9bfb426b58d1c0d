package fence

import (
	"errors"
	"net/netip"
	"os/exec"
	"testing"

	"trustcore/vpn/namespace"
)

// inside does something in a namespace of its own.
func inside(t *testing.T, do func() error) error {
	t.Helper()
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	space, err := namespace.New(namespace.Link{})
	if err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	return space.Do(do)
}

// TestTableWithoutNetworks takes over the table of a version that knew no networks behind offices, and no table beside it.
func TestTableWithoutNetworks(t *testing.T) {
	for _, lacks := range []string{networks, "hub"} {
		err := inside(t, func() error {
			c, err := open()
			if err != nil {
				return err
			}
			r := newRuleset("tc-hub", "", nil)
			r.rules = nil
			for _, f := range families() {
				delete(r.sets, lacks+f.suffix)
			}
			if err := errors.Join(r.add(c), c.Flush()); err != nil {
				return err
			}
			n, err := OpenNftables("tc-hub", "", nil, nil, false)
			if err != nil {
				return err
			}
			return n.Close()
		})
		if taken := errors.Is(err, ErrTableTaken); taken != (lacks == "hub") || err != nil && !taken {
			t.Errorf("without the sets %s: %v", lacks, err)
		}
	}
}

// TestNetworksThatMeet writes networks that begin where others end, to the last address there is, and takes one of them away.
func TestNetworksThatMeet(t *testing.T) {
	own, other := netip.MustParseAddr("10.64.1.2"), netip.MustParseAddr("fd64::2")
	p := Policy{Networks: map[netip.Prefix]netip.Addr{}}
	for _, text := range []string{"192.168.0.0/24", "192.168.1.0/24", "192.168.2.0/23", "10.64.1.3/32", "255.255.255.0/24"} {
		p.Networks[netip.MustParsePrefix(text)] = own
	}
	for _, text := range []string{"fd12:3456::/48", "fd12:3456:1::/48", "ffff::/16"} {
		p.Networks[netip.MustParsePrefix(text)] = other
	}
	p.Flows = map[Flow]netip.AddrPort{{own, netip.MustParseAddrPort("10.64.0.1:80"), TCP}: {}, {other, netip.MustParseAddrPort("[fd64::1]:80"), UDP}: {}}
	err := inside(t, func() error {
		n, err := OpenNftables("tc-hub", "", nil, nil, false)
		if err != nil {
			return err
		}
		both := func(p Policy) error {
			if _, err := n.Restrict(p); err != nil {
				return err
			}
			if _, err := n.Permit(p); err != nil {
				return err
			}
			if changed, err := n.Restrict(p); err != nil || changed != 0 {
				t.Errorf("%d differences afterwards, %v", changed, err)
			}
			if changed, err := n.Permit(p); err != nil || changed != 0 {
				t.Errorf("%d things lack afterwards, %v", changed, err)
			}
			return nil
		}
		if err := both(p); err != nil {
			return err
		}
		if out, err := exec.Command("nft", "list", "ruleset").CombinedOutput(); err != nil { // administrators look at their host
			t.Errorf("nft can't list the rules: %v: %s", err, out)
		}
		delete(p.Networks, netip.MustParsePrefix("192.168.1.0/24"))
		if changed, err := n.Restrict(p); err != nil || changed == 0 {
			t.Errorf("to take one away is %d changes, %v", changed, err)
		}
		return errors.Join(both(p), n.Close())
	})
	if err != nil {
		t.Error(err)
	}
}
