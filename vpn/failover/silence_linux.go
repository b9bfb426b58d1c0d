package failover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// voice is a firewall table that keeps the hub of a standby silent, and has that of the gateway which carries speak from the
// virtual addresses alone: an office answers to where it was spoken to from, and a hub that begins a handshake has not been
// spoken to yet.
type voice struct {
	table *nftables.Table
	ports []uint16
}

func newVoice(hub string, ports []uint16) *voice {
	return &voice{&nftables.Table{Name: "trustcore-pair-" + hub, Family: nftables.TableFamilyINet}, ports}
}

// priority is before connections are tracked, so that what is tracked is what is sent.
const priority = nftables.ChainPriority(-300)

// set makes the table anew in one transaction; from is nothing for a standby.
func (v *voice) set(from []netip.Addr) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("build the firewall of the pair: %w", err)
	}
	c.AddTable(v.table) // so that there is one to delete
	c.DelTable(v.table)
	c.AddTable(v.table)
	in, out := v.rules(from)
	for name, hook := range map[string]*nftables.ChainHook{"input": nftables.ChainHookInput, "output": nftables.ChainHookOutput} {
		prio := priority
		chain := c.AddChain(&nftables.Chain{Name: name, Table: v.table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: &prio})
		rules := out
		if name == "input" {
			rules = in
		}
		for _, exprs := range rules {
			c.AddRule(&nftables.Rule{Table: v.table, Chain: chain, Exprs: exprs})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("build the firewall of the pair: %w", err)
	}
	return nil
}

// stands says whether the table has as many rules as set wrote.
func (v *voice) stands(from []netip.Addr) (bool, error) {
	c, err := nftables.New()
	if err != nil {
		return false, err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil || !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == v.table.Name && t.Flags == 0 }) {
		return false, err
	}
	in, out := v.rules(from)
	for name, want := range map[string]int{"input": len(in), "output": len(out)} {
		rules, err := c.GetRules(v.table, &nftables.Chain{Name: name, Table: v.table})
		if errors.Is(err, syscall.ENOENT) || err == nil && len(rules) != want {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// remove takes the table away.
func (v *voice) remove() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.AddTable(v.table)
	c.DelTable(v.table)
	return c.Flush()
}

func (v *voice) rules(from []netip.Addr) (in, out [][]expr.Any) {
	const sourcePort, destPort = 0, 2
	for _, port := range v.ports {
		if len(from) == 0 {
			in = append(in, append(udp(destPort, port), &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}))
			out = append(out, append(udp(sourcePort, port), &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}))
		}
		for _, at := range from {
			out = append(out, append(udp(sourcePort, port), speakFrom(at)...))
		}
		if len(from) > 0 {
			out = append(out, append(udp(sourcePort, port), notOurs()...))
		}
	}
	return in, out
}

// udp matches datagrams with that port, at the offset in their header, that go by a network.
func udp(offset uint32, port uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
	}
}

// notOurs drops a packet whose source is no address of this host: the kernel took the virtual one away, since nobody tends it any
// more, and the device, which outlived who tended it, is silent then, too.
func notOurs() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagSADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
		&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// speakFrom gives a packet of the address's family that address as its source. The checksum of UDP covers it.
func speakFrom(at netip.Addr) []expr.Any {
	family, offset, checksum := byte(unix.NFPROTO_IPV4), uint32(12), expr.CsumTypeInet
	if at.Is6() {
		family, offset, checksum = unix.NFPROTO_IPV6, 8, expr.CsumTypeNone
	}
	lo := binary.NativeEndian.AppendUint32(nil, 1) // the index of lo, in every namespace
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Meta{Key: expr.MetaKeyOIF, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: lo},
		&expr.Immediate{Register: 1, Data: at.AsSlice()},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset,
			Len: uint32(len(at.AsSlice())), CsumType: checksum, CsumOffset: 10, CsumFlags: unix.NFT_PAYLOAD_L4CSUM_PSEUDOHDR},
	}
}
