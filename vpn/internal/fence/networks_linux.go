package fence

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// isNetworks says whether a set holds networks behind offices, with the addresses that stand for them.
func isNetworks(name string) bool { return strings.HasPrefix(name, networks) }

// interval is an element: from one key to another, in each of their parts.
type interval struct{ from, to string }

// intervalsOf are what the set of a name holds under a policy. An office's own address is among its networks there: its
// router tells of errors from it.
func intervalsOf(p Policy, name string, v4 bool) map[interval]struct{} {
	behind := make(map[netip.Addr][]netip.Prefix)
	for n, own := range p.Networks {
		if n.Addr().Is4() == v4 {
			behind[own] = append(behind[own], n)
		}
	}
	all := make(map[interval]struct{})
	if len(behind) == 0 {
		return all
	}
	for own := range behind {
		behind[own] = append(behind[own], netip.PrefixFrom(own, own.BitLen()))
	}
	if strings.Contains(name, "pairs") {
		for _, nets := range behind {
			for _, a := range nets {
				for _, b := range nets {
					all[interval{string(append(a.Addr().AsSlice(), b.Addr().AsSlice()...)), string(append(lastOf(a).AsSlice(), lastOf(b).AsSlice()...))}] = struct{}{}
				}
			}
		}
		return all
	}
	for f := range p.Flows {
		if f.Dest.Addr().Is4() != v4 {
			continue
		}
		for _, n := range behind[f.Source] {
			from, to := f, f
			from.Source, to.Source = n.Addr(), lastOf(n)
			all[interval{string(encodeFlow(from)), string(encodeFlow(to))}] = struct{}{}
		}
	}
	return all
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

// elementsOf are intervals as messages have them.
func elementsOf(intervals map[interval]struct{}) (elements []nftables.SetElement) {
	for i := range intervals {
		elements = append(elements, nftables.SetElement{Key: []byte(i.from), KeyEnd: []byte(i.to)})
	}
	return elements
}

// present are the intervals in the kernel.
func (n *Nftables) present(c *nftables.Conn, name string) (map[interval]struct{}, error) {
	elements, err := c.GetSetElements(n.want.sets[name])
	if err != nil {
		return nil, fmt.Errorf("read set %s: %w", name, classify(err))
	}
	intervals := make(map[interval]struct{}, len(elements))
	for _, e := range elements {
		i := interval{string(e.Key), string(e.KeyEnd)}
		if len(e.KeyEnd) == 0 {
			i.to = i.from
		}
		intervals[i] = struct{}{}
	}
	return intervals, nil
}

// narrowNetworks takes away, in the transaction of c, what the policy does not have. A set is written as a whole, and there is
// no moment without what stays.
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
	for name := range n.want.sets {
		if !isNetworks(name) {
			continue
		}
		present, err := n.present(c, name)
		if err != nil {
			return changed, err
		}
		wanted := intervalsOf(p, name, strings.HasSuffix(name, "4"))
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
