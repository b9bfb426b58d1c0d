package fence

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// isNetworks says whether a set holds networks behind offices, with the addresses that stand for them.
func isNetworks(name string) bool { return strings.HasPrefix(name, networks) }

// interval is a network as the kernel keeps it: from an address to the one before behind, or to the last there is where that
// is invalid. own stands for it.
type interval struct{ from, behind, own netip.Addr }

// intervalsOf are the networks of one family. An office's own address is among them where a network is behind it: the
// office's router tells of errors from it.
func intervalsOf(all map[netip.Prefix]netip.Addr, v4 bool) map[interval]struct{} {
	with := maps.Clone(all)
	for _, own := range all {
		with[netip.PrefixFrom(own, own.BitLen())] = own
	}
	intervals := make(map[interval]struct{}, len(with))
	for p, own := range with {
		if p.Addr().Is4() == v4 {
			intervals[interval{p.Addr(), lastOf(p).Next(), own}] = struct{}{}
		}
	}
	return intervals
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	last := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(last)
	return a
}

// elementsOf are intervals as messages have them: each has a beginning with what stands for it, and an end, which comes
// before the beginning of the next.
func elementsOf(intervals map[interval]struct{}) (elements []nftables.SetElement) {
	for i := range intervals {
		elements = append(elements, nftables.SetElement{Key: i.from.AsSlice(), Val: i.own.AsSlice()})
		if i.behind.IsValid() {
			elements = append(elements, nftables.SetElement{Key: i.behind.AsSlice(), IntervalEnd: true})
		}
	}
	sortElements(elements)
	return elements
}

func sortElements(elements []nftables.SetElement) {
	slices.SortFunc(elements, func(a, b nftables.SetElement) int {
		if c := bytes.Compare(a.Key, b.Key); c != 0 || a.IntervalEnd == b.IntervalEnd {
			return c
		}
		if a.IntervalEnd {
			return -1
		}
		return 1
	})
}

// present are the networks in the kernel. What is not as this package writes it is an interval that nobody wants.
func (n *Nftables) present(c *nftables.Conn, name string) (map[interval]struct{}, error) {
	elements, err := c.GetSetElements(n.want.sets[name])
	if err != nil {
		return nil, fmt.Errorf("read set %s: %w", name, classify(err))
	}
	sortElements(elements)
	intervals := make(map[interval]struct{})
	for i, e := range elements {
		if e.IntervalEnd {
			continue
		}
		from, _ := netip.AddrFromSlice(e.Key)
		own, _ := netip.AddrFromSlice(e.Val)
		var behind netip.Addr
		if i+1 < len(elements) && elements[i+1].IntervalEnd {
			behind, _ = netip.AddrFromSlice(elements[i+1].Key)
		}
		intervals[interval{from, behind, own}] = struct{}{}
	}
	return intervals, nil
}

// narrowNetworks takes away, in the transaction of c, what the policy does not have. A set is written as a whole, since
// intervals that meet share an end: there is no moment without what stays.
func (n *Nftables) narrowNetworks(c *nftables.Conn, p Policy) (changed int, err error) {
	return n.writeNetworks(c, p, func(wanted, present map[interval]struct{}) {
		maps.DeleteFunc(wanted, func(i interval, _ struct{}) bool { _, is := present[i]; return !is })
	})
}

// widenNetworks makes the sets what the policy has.
func (n *Nftables) widenNetworks(c *nftables.Conn, p Policy) (changed int, err error) {
	return n.writeNetworks(c, p, func(_, _ map[interval]struct{}) {})
}

// writeNetworks writes the sets that are not as the policy has them; leave takes out of what is wanted what is not to be
// there yet.
func (n *Nftables) writeNetworks(c *nftables.Conn, p Policy, leave func(wanted, present map[interval]struct{})) (changed int, err error) {
	for _, f := range families() {
		name := networks + f.suffix
		present, err := n.present(c, name)
		if err != nil {
			return changed, err
		}
		wanted := intervalsOf(p.Networks, f.suffix == "4")
		leave(wanted, present)
		if maps.Equal(wanted, present) {
			continue
		}
		for i := range present {
			if _, stays := wanted[i]; !stays {
				changed++
			}
		}
		changed += max(0, len(wanted)-len(present))
		c.FlushSet(byName(n.want.sets[name]))
		for part := range slices.Chunk(elementsOf(wanted), chunk) {
			if err := c.SetAddElements(byName(n.want.sets[name]), part); err != nil {
				return changed, fmt.Errorf("write set %s: %w", name, err)
			}
		}
	}
	return changed, nil
}
