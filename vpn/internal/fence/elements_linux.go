package fence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"trustcore/vpn/internal/nl"
)

// contents is what a set must hold.
type contents struct {
	has  func(key []byte) bool
	keys iter.Seq[[]byte]
	size func() int
}

// wants says what the set of the name must hold under a policy.
func (n *Nftables) wants(name string, p Policy) contents {
	kind, v4 := name[:len(name)-1], strings.HasSuffix(name, "4")
	length := 16
	if v4 {
		length = 4
	}
	switch kind {
	case "allowed":
		flows := matching(maps.Keys(p.Flows), func(f Flow) bool { // a packet has one family
			return f.Source.Is4() == v4 && f.Dest.Addr().Is4() == v4
		})
		return newContents(flows, encodeFlow, func(key []byte) bool {
			flow, ok := decodeFlow(key, length)
			_, is := p.Flows[flow]
			return ok && is
		})
	case "partners":
		sources := matching(maps.Keys(p.Sources), func(a netip.Addr) bool { return a.Is4() == v4 })
		return newContents(sources, encodeSource, func(key []byte) bool {
			a, ok := decodeSource(key, length)
			_, is := p.Sources[a]
			return ok && is
		})
	}
	own := make(map[netip.Addr]struct{}, len(n.hub))
	for _, a := range n.hub {
		own[a] = struct{}{}
	}
	addresses := matching(maps.Keys(own), func(a netip.Addr) bool { return a.Is4() == v4 })
	return newContents(addresses, netip.Addr.AsSlice, func(key []byte) bool {
		a, _ := netip.AddrFromSlice(key)
		_, is := own[a]
		return is
	})
}

func newContents[E any](all iter.Seq[E], encode func(E) []byte, has func([]byte) bool) contents {
	keys := func(yield func([]byte) bool) {
		for e := range all {
			if !yield(encode(e)) {
				return
			}
		}
	}
	size := func() (n int) {
		for range all {
			n++
		}
		return n
	}
	return contents{has, keys, size}
}

func matching[E any](all iter.Seq[E], is func(E) bool) iter.Seq[E] {
	return func(yield func(E) bool) {
		for e := range all {
			if is(e) && !yield(e) {
				return
			}
		}
	}
}

// request begins a message about the elements of a set.
func (n *Nftables) request(set string) []byte {
	message := []byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0} // struct nfgenmsg
	message = nl.AppendAttribute(message, unix.NFTA_SET_ELEM_LIST_TABLE, append([]byte(n.want.table.Name), 0))
	return nl.AppendAttribute(message, unix.NFTA_SET_ELEM_LIST_SET, append([]byte(set), 0))
}

const genericLen = 4 // of struct nfgenmsg

func kindOf(message uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | message }

// each reads a set, element by element; count is its counter, as decodeCounter takes it. It calls begin before the
// first element, and again when it has to begin again.
func (n *Nftables) each(set string, begin func(), take func(key, count []byte)) error {
	err := n.raw.Dump(kindOf(unix.NFT_MSG_GETSETELEM), n.request(set), begin, func(m nl.Message) error {
		eachElement(m.Data, take)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read set %s: %w", set, classify(err))
	}
	return nil
}

// eachElement walks through the elements of one message.
func eachElement(message []byte, take func(key, count []byte)) {
	if len(message) < genericLen {
		return
	}
	list := nl.Attribute(message[genericLen:], unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	for _, element := range nl.Attributes(list) {
		var key, count []byte
		for kind, value := range nl.Attributes(element) {
			switch kind {
			case unix.NFTA_SET_ELEM_KEY:
				key = nl.Attribute(value, unix.NFTA_DATA_VALUE)
			case unix.NFTA_SET_ELEM_EXPR:
				count = nl.Attribute(value, unix.NFTA_EXPR_DATA)
			}
		}
		take(key, count)
	}
}

// decodeCounter reads the data of a counter; without one nothing was counted.
func decodeCounter(data []byte) (t Traffic) {
	for kind, value := range nl.Attributes(data) {
		switch {
		case len(value) != 8:
		case kind == unix.NFTA_COUNTER_PACKETS:
			t.Packets = binary.BigEndian.Uint64(value)
		case kind == unix.NFTA_COUNTER_BYTES:
			t.Bytes = binary.BigEndian.Uint64(value)
		}
	}
	return t
}

// has asks for one element.
func (n *Nftables) has(set string, key []byte) (bool, error) {
	data := nl.AppendAttribute(nil, unix.NFTA_DATA_VALUE, key)
	element := nl.AppendAttribute(nil, unix.NFTA_SET_ELEM_KEY|unix.NLA_F_NESTED, data)
	list := nl.AppendAttribute(nil, unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, element)
	message := nl.AppendAttribute(n.request(set), unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, list)
	err := n.raw.Ask(kindOf(unix.NFT_MSG_GETSETELEM), message, func(nl.Message) error { return nil })
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// change makes one transaction of a part of the policy, and proves it element by element.
func (n *Nftables) change(part Policy, present bool,
	put func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error) error {
	c, err := open()
	if err != nil {
		return err
	}
	touched := make(map[string][]nftables.SetElement)
	for _, f := range families() {
		for _, name := range []string{"allowed" + f.suffix, "partners" + f.suffix} {
			for key := range n.wants(name, part).keys {
				touched[name] = append(touched[name], nftables.SetElement{Key: key})
			}
			if len(touched[name]) == 0 {
				continue
			}
			if err := put(c, byName(n.want.sets[name]), touched[name]); err != nil {
				return fmt.Errorf("change set %s: %w", name, err)
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("change permissions: %w", classify(err))
	}
	for name, elements := range touched {
		for _, e := range elements {
			is, err := n.has(name, e.Key)
			if err == nil && is != present {
				err = errors.New("an element does not read back as it was written")
			}
			if err != nil {
				return fmt.Errorf("prove set %s: %w", name, err)
			}
		}
	}
	return nil
}

// Take implements [Fence].
func (n *Nftables) Take(part Policy) error {
	return n.change(part, false, (*nftables.Conn).SetDeleteElements)
}

// Give implements [Fence].
func (n *Nftables) Give(part Policy) error {
	return n.change(part, true, (*nftables.Conn).SetAddElements)
}

// News is what others did to the table.
type News struct {
	Foreign bool // something is not as the policy has it, or may not be
	Lease   bool // the lease was touched, by whomever: it has to be looked at
}

// Hear says what happened to the table since the last call, and does not wait. It holds what happened against the policy
// that is in force: what agrees with that is nobody's harm, and our own changes do.
func (n *Nftables) Hear(p Policy) (news News) {
	wanted := make(map[string]contents)
	err := n.events.Drain(func(m nl.Message) {
		if len(m.Data) < genericLen || m.Type>>8 != unix.NFNL_SUBSYS_NFTABLES {
			return
		}
		attributes := m.Data[genericLen:]
		kind := m.Type & 0xff
		if kind == unix.NFT_MSG_NEWGEN || kind == unix.NFT_MSG_TRACE ||
			nl.Text(nl.Attribute(attributes, unix.NFTA_SET_ELEM_LIST_TABLE)) != n.want.table.Name { // number 1 in all kinds
			return
		}
		set := nl.Text(nl.Attribute(attributes, unix.NFTA_SET_ELEM_LIST_SET))
		if kind != unix.NFT_MSG_NEWSETELEM && kind != unix.NFT_MSG_DELSETELEM || n.want.sets[set] == nil {
			news.Foreign = true
			return
		}
		if set == leaseSet {
			news.Lease = true
			return
		}
		if isNetworks(set) { // which change seldom: who did it is not worth knowing
			news.Foreign = true
			return
		}
		if _, is := wanted[set]; !is {
			wanted[set] = n.wants(set, p)
		}
		eachElement(m.Data, func(key, _ []byte) {
			news.Foreign = news.Foreign || wanted[set].has(key) != (kind == unix.NFT_MSG_NEWSETELEM)
		})
	})
	news.Foreign = news.Foreign || err != nil
	return news
}

// Await returns when there is something to hear, or an error once the fence is closed.
func (n *Nftables) Await() error { return n.events.Wait() }
