package fence

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"

	"trustcore/vpn/namespace"
)

// TestTableOfTheVersionBefore opens fences on a host where that version left the one table that it had.
func TestTableOfTheVersionBefore(t *testing.T) {
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		name   string
		before func(*nftables.Conn) error
		open   string // interface of the fence
		stays  bool
	}{
		{"of this interface", tableOfBefore("tc-hub"), "tc-hub", false},
		{"of another interface", tableOfBefore("tc-hub"), "tc-test", true},
		{"of an interface of a longer name", tableOfBefore("tc-hub2"), "tc-hub", true},
		{"that has each office's address once", tableOfSinglePartners("tc-hub"), "tc-hub", false},
		{"somebody else's", func(c *nftables.Conn) error {
			c.AddTable(&nftables.Table{Name: oldTable, Family: nftables.TableFamilyINet})
			return nil
		}, "tc-hub", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			space, err := namespace.New(namespace.Link{})
			if err != nil {
				t.Fatal(err)
			}
			defer space.Close()
			var left []string
			err = space.Do(func() error {
				conn, err := open()
				if err != nil {
					return err
				}
				if err := c.before(conn); err != nil {
					return err
				}
				if err := conn.Flush(); err != nil {
					return err
				}
				if _, err := OpenNftables(c.open, "", []netip.Addr{netip.MustParseAddr("10.64.0.1")}, nil, false); err != nil {
					return err
				}
				tables, err := conn.ListTables()
				for _, table := range tables {
					left = append(left, table.Name)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(left, "trustcore-"+c.open) || slices.Contains(left, oldTable) != c.stays {
				t.Errorf("the tables are %v", left)
			}
		})
	}
}

func tableOfBefore(ifname string) func(*nftables.Conn) error {
	return func(c *nftables.Conn) error {
		r := newRuleset(ifname, "", nil)
		r.table.Name = oldTable
		delete(r.sets, leaseSet)
		for _, chain := range []string{"inward", "outward"} {
			r.rules[chain] = nil
		}
		return r.add(c)
	}
}

func tableOfSinglePartners(ifname string) func(*nftables.Conn) error {
	return func(c *nftables.Conn) error {
		r := newRuleset(ifname, "", nil)
		r.rules = nil
		for _, f := range families() {
			set := r.sets["partners"+f.suffix]
			set.KeyType, set.Concatenation = f.address, false
		}
		return r.add(c)
	}
}

// TestPartIsProved has parts of a policy that the kernel did not make so.
func TestPartIsProved(t *testing.T) {
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	space, err := namespace.New(namespace.Link{})
	if err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	var part Policy
	part.Flows = map[Flow]netip.AddrPort{{netip.MustParseAddr("10.64.1.2"), netip.MustParseAddrPort("10.64.0.1:80"), TCP}: {}}
	part.Sources = map[netip.Addr]struct{}{netip.MustParseAddr("fd64::2"): {}}
	lazy := func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error { return nil }
	var wrong, again error
	err = space.Do(func() error {
		n, err := OpenNftables("tc-part", "", nil, nil, false)
		if err != nil {
			return err
		}
		wrong = n.change(part, true, lazy)
		if err := n.Give(part); err != nil {
			return err
		}
		again = n.change(part, false, lazy)
		if changed, err := n.Restrict(part); err != nil || changed != 0 {
			return fmt.Errorf("after Give %d differences, %w", changed, err)
		}
		if err := n.Take(part); err != nil {
			return err
		}
		if err := n.Take(part); err == nil {
			return errors.New("what is not there was taken away")
		}
		if changed, err := n.Restrict(Policy{}); err != nil || changed != 0 {
			return fmt.Errorf("after Take %d differences, %w", changed, err)
		}
		return n.Close()
	})
	if err != nil {
		t.Error(err)
	}
	for _, got := range []error{wrong, again} {
		if got == nil || !strings.Contains(got.Error(), "does not read back") {
			t.Errorf("what the kernel did not do counts as done: %v", got)
		}
	}
}

// TestPairOfTwoAddresses has an element that pairs one office's address with another's: with it errors about the other's
// packets would pass.
func TestPairOfTwoAddresses(t *testing.T) {
	a, b := netip.MustParseAddr("10.64.1.2"), netip.MustParseAddr("10.64.1.3")
	n := &Nftables{want: newRuleset("tc-hub", "", nil)}
	wanted := n.wants("partners4", Policy{Sources: map[netip.Addr]struct{}{a: {}, b: {}}})
	for key, want := range map[string]bool{
		string(encodeSource(a)): true, string(append(a.AsSlice(), b.AsSlice()...)): false, string(a.AsSlice()): false, "": false,
	} {
		if wanted.has([]byte(key)) != want {
			t.Errorf("%x is an office's: %v", key, !want)
		}
	}
}

// TestKeptTable goes on with what an earlier process permitted, when the next one has a wish at once and the table is whole.
func TestKeptTable(t *testing.T) {
	if err := namespace.Available(); err != nil {
		t.Skip(err)
	}
	space, err := namespace.New(namespace.Link{})
	if err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	policy := Policy{Flows: map[Flow]netip.AddrPort{{netip.MustParseAddr("10.64.1.2"), netip.MustParseAddrPort("10.64.0.1:80"), TCP}: {}},
		Sources: map[netip.Addr]struct{}{netip.MustParseAddr("10.64.1.2"): {}}}
	permitted := func(keep bool) (n int) {
		t.Helper()
		err := space.Do(func() error {
			f, err := OpenNftables("tc-kept", "", nil, nil, keep)
			if err != nil {
				return err
			}
			return f.each("allowed4", func() { n = 0 }, func(_, _ []byte) { n++ })
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	let := func() {
		t.Helper()
		err := space.Do(func() error {
			f, err := OpenNftables("tc-kept", "", nil, nil, true)
			if err != nil {
				return err
			}
			if _, err := f.Restrict(policy); err != nil {
				return err
			}
			_, err = f.Permit(policy)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	let()
	if n := permitted(true); n != 1 {
		t.Errorf("%d permissions are left for who has a wish", n)
	}
	if n := permitted(false); n != 0 {
		t.Errorf("%d permissions are left for who has none", n)
	}
	let()
	err = space.Do(func() error {
		return exec.Command("nft", "flush", "chain", "inet", "trustcore-tc-kept", "inward").Run()
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := permitted(true); n != 0 {
		t.Errorf("%d permissions are left in a table that somebody changed", n)
	}
}
