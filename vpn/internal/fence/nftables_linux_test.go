package fence

import (
	"net/netip"
	"slices"
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
				if _, err := OpenNftables(c.open, []netip.Addr{netip.MustParseAddr("10.64.0.1")}, nil); err != nil {
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
		r := newRuleset(ifname)
		r.table.Name = oldTable
		delete(r.sets, leaseSet)
		for _, chain := range []string{"inward", "outward"} {
			r.rules[chain] = nil
		}
		return r.add(c)
	}
}
