package fence

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The ruleset, in nft's words (IF is the tunnel's interface). It holds no rule per
// partner, so a packet costs the same for one and for ten thousand. It trusts no
// established flow: each packet, also of a reply, needs the element of its permission, so
// deleting the element cuts the flow.
//
//	chain input    iifname IF goto inward
//	               iifname != lo  saddr . saddr @partners  drop    # the tunnel's sources come by the tunnel alone
//	               iifname != lo  daddr @hub               drop    # the tunnel's services are reached by the tunnel alone
//	chain forward  iifname IF tcp flags syn tcp option maxseg size set rt mtu
//	               oifname IF tcp flags syn tcp option maxseg size set rt mtu
//	               iifname IF oifname IF                   drop    # never from partner to partner
//	               iifname IF goto inward
//	               saddr . saddr @partners                 drop
//	               oifname IF goto outward
//	               (input and forward: what has a source in @networks and comes by another interface than IF is dropped, too)
//	chain output   oifname IF goto outward
//	chain inward   iifname @lease saddr . daddr . l4proto . dport @allowed accept
//	               iifname @lease ICMP error about an outward packet that is permitted accept;  drop
//	chain outward  oifname @lease daddr . saddr . l4proto . sport @allowed accept
//	               oifname @lease ICMP error about an inward packet that is permitted  saddr set HUB  accept;  drop
//
// An ICMP error names the packet that it is about. It passes where that packet would, on the way back, and where it
// was of the very office that the error comes from or goes to: the set partners holds each address twice, since nftables
// looks two fields up and can't compare them. An error about another's packets could slow that one down, or cut it off.
// Towards the office an error has the hub's address, whichever router it is from: an office's tunnel takes packets of the
// hub and the services alone.
//
// The sets networks and networkspairs are what allowed and partners are, for networks behind offices, by intervals; rules like
// those of inward and outward come after them and look there. Packets of offices without one cost nothing.
//
// The set lease holds the interface, with a timeout: the kernel itself ends what this process may not live to end.
//
// Each tunnel has a table of its own, so that two beside each other do not open each other's firewall.
func tableName(ifname string) string { return oldTable + "-" + ifname }

const (
	leaseSet = "lease"
	networks = "networks" // of each family
)

// oldTable is the one table that versions before had, for whatever interface.
const oldTable = "trustcore"

// priority puts our chains before those of the host at the usual priority 0. A drop
// is final in nftables, so the order is a matter of cost only.
const priority = nftables.ChainPriority(-10)

// family is what differs between IPv4 and IPv6. Offsets are in the network header.
type family struct {
	suffix       string
	nfproto      byte
	address      nftables.SetDatatype
	addressLen   uint32
	source, dest uint32
	proto        uint32
	checksum     uint32 // that covers the source: IPv4's own, or ICMPv6's behind it
	headerLen    uint32 // without options

	// Registers of a concatenated key, as the kernel lists them.
	sourceRegister, destRegister, protoRegister, serviceRegister uint32

	icmp                   byte // protocol
	errorMask, errorType   byte // of a message's type: what says that it tells of an error
	versionMask, versionIs byte // of the header's first byte

	viaNetwork bool // an office's address is one in a network behind it
}

// behind are the rules of the family for addresses in networks behind offices.
func (f family) behind() family {
	f.viaNetwork = true
	return f
}

// fromNetwork matches a packet whose source is in a network behind an office.
func (f family) fromNetwork() []expr.Any { return f.behind().fromPartner() }

// families returns both; the registers are of 16 bytes (1 to 4) or of 4 (8 to 23).
func families() [2]family {
	return [2]family{
		{
			suffix: "4", nfproto: unix.NFPROTO_IPV4, address: nftables.TypeIPAddr, addressLen: 4,
			source: 12, dest: 16, proto: 9, checksum: 10, headerLen: 20,
			sourceRegister: 1, destRegister: 9, protoRegister: 10, serviceRegister: 11,
			icmp: unix.IPPROTO_ICMP, errorMask: 0xf7, errorType: 3, // 3 destination unreachable, 11 time exceeded (RFC 792)
			versionMask: 0xff, versionIs: 0x45,
		},
		{
			suffix: "6", nfproto: unix.NFPROTO_IPV6, address: nftables.TypeIP6Addr, addressLen: 16,
			source: 8, dest: 24, proto: 6, checksum: 42, headerLen: 40,
			sourceRegister: 1, destRegister: 2, protoRegister: 3, serviceRegister: 17,
			icmp: unix.IPPROTO_ICMPV6, errorMask: 0x80, errorType: 0, // an error's type is below 128 (RFC 4443, 2.1)
			versionMask: 0xf0, versionIs: 0x60,
		},
	}
}

// ruleset is the table as it must be.
type ruleset struct {
	table  *nftables.Table
	sets   map[string]*nftables.Set
	chains []*nftables.Chain
	rules  map[string][][]expr.Any // by chain
}

// newRuleset is the table of an interface; errors come to offices from the first address of each family of the hub. beside
// is the interface of the same hub's other key, "" for none: what comes by it is for that one's table to judge.
func newRuleset(ifname, beside string, hub []netip.Addr) *ruleset {
	table := &nftables.Table{Name: tableName(ifname), Family: nftables.TableFamilyINet}
	r := &ruleset{table: table, sets: make(map[string]*nftables.Set)}
	for _, f := range families() {
		r.addSet("allowed"+f.suffix, f.address, f.address, nftables.TypeInetProto, nftables.TypeInetService)
		r.sets["allowed"+f.suffix].Counter = true
		r.addSet("partners"+f.suffix, f.address, f.address)
		r.addSet("hub"+f.suffix, f.address)
		r.addSet(networks+f.suffix, f.address, f.address, nftables.TypeInetProto, nftables.TypeInetService)
		r.addSet(networks+"pairs"+f.suffix, f.address, f.address)
		r.sets[networks+f.suffix].Interval, r.sets[networks+"pairs"+f.suffix].Interval = true, true
	}
	r.sets[leaseSet] = &nftables.Set{Table: table, Name: leaseSet, KeyType: nftables.TypeIFName, HasTimeout: true}
	prio, accept := priority, nftables.ChainPolicyAccept
	for name, hook := range map[string]*nftables.ChainHook{"input": nftables.ChainHookInput, "forward": nftables.ChainHookForward, "output": nftables.ChainHookOutput} {
		r.chains = append(r.chains, &nftables.Chain{Name: name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: &prio, Policy: &accept})
	}
	for _, name := range []string{"inward", "outward"} {
		r.chains = append(r.chains, &nftables.Chain{Name: name, Table: table})
	}
	r.addRules(ifname, beside, hub)
	return r
}

// addSet declares a hash set.
func (r *ruleset) addSet(name string, key ...nftables.SetDatatype) {
	r.sets[name] = &nftables.Set{Table: r.table, Name: name, KeyType: nftables.MustConcatSetType(key...), Concatenation: len(key) > 1}
}

func (r *ruleset) addRules(ifname, beside string, hub []netip.Addr) {
	v4, v6 := families()[0], families()[1]
	inTunnel, outTunnel := iface(expr.MetaKeyIIFNAME, expr.CmpOpEq, ifname), iface(expr.MetaKeyOIFNAME, expr.CmpOpEq, ifname)
	notLocal := iface(expr.MetaKeyIIFNAME, expr.CmpOpNeq, "lo")
	if beside != "" {
		notLocal = rule(notLocal, iface(expr.MetaKeyIIFNAME, expr.CmpOpNeq, beside))
	}
	r.rules = map[string][][]expr.Any{
		"input": {
			rule(inTunnel, jump("inward")),
			rule(notLocal, v4.fromPartner(), drop()),
			rule(notLocal, v6.fromPartner(), drop()),
			rule(notLocal, v4.fromNetwork(), drop()),
			rule(notLocal, v6.fromNetwork(), drop()),
			rule(notLocal, v4.in(v4.dest, "hub"), drop()),
			rule(notLocal, v6.in(v6.dest, "hub"), drop()),
		},
		"forward": {
			rule(inTunnel, clamp()),
			rule(outTunnel, clamp()),
			rule(inTunnel, outTunnel, drop()),
			rule(inTunnel, jump("inward")),
			rule(v4.fromPartner(), drop()),
			rule(v6.fromPartner(), drop()),
			rule(v4.fromNetwork(), drop()),
			rule(v6.fromNetwork(), drop()),
			rule(outTunnel, jump("outward")),
		},
		"output": {rule(outTunnel, jump("outward"))},
		"inward": {
			rule(leased(expr.MetaKeyIIFNAME), v4.permitted(v4.source, v4.dest, 2), accept()),
			rule(leased(expr.MetaKeyIIFNAME), v6.permitted(v6.source, v6.dest, 2), accept()),
			rule(leased(expr.MetaKeyIIFNAME), v4.errorAbout(v4.source, v4.dest, v4.source, 0), accept()),
			rule(leased(expr.MetaKeyIIFNAME), v6.errorAbout(v6.source, v6.dest, v6.source, 0), accept()),
			rule(leased(expr.MetaKeyIIFNAME), v4.behind().permitted(v4.source, v4.dest, 2), accept()),
			rule(leased(expr.MetaKeyIIFNAME), v6.behind().permitted(v6.source, v6.dest, 2), accept()),
			rule(leased(expr.MetaKeyIIFNAME), v4.behind().errorAbout(v4.source, v4.dest, v4.source, 0), accept()),
			rule(leased(expr.MetaKeyIIFNAME), v6.behind().errorAbout(v6.source, v6.dest, v6.source, 0), accept()),
			drop(),
		},
		"outward": {
			rule(leased(expr.MetaKeyOIFNAME), v4.permitted(v4.dest, v4.source, 0), accept()),
			rule(leased(expr.MetaKeyOIFNAME), v6.permitted(v6.dest, v6.source, 0), accept()),
			rule(leased(expr.MetaKeyOIFNAME), v4.errorAbout(v4.dest, v4.source, v4.dest, 2), v4.comesFrom(hub), accept()),
			rule(leased(expr.MetaKeyOIFNAME), v6.errorAbout(v6.dest, v6.source, v6.dest, 2), v6.comesFrom(hub), accept()),
			rule(leased(expr.MetaKeyOIFNAME), v4.behind().permitted(v4.dest, v4.source, 0), accept()),
			rule(leased(expr.MetaKeyOIFNAME), v6.behind().permitted(v6.dest, v6.source, 0), accept()),
			rule(leased(expr.MetaKeyOIFNAME), v4.behind().errorAbout(v4.dest, v4.source, v4.dest, 2), v4.comesFrom(hub), accept()),
			rule(leased(expr.MetaKeyOIFNAME), v6.behind().errorAbout(v6.dest, v6.source, v6.dest, 2), v6.comesFrom(hub), accept()),
			drop(),
		},
	}
}

// add puts the whole table into the transaction of c.
func (r *ruleset) add(c *nftables.Conn) error {
	c.AddTable(r.table)
	for _, s := range r.sets {
		s.ID = 0 // a new number in each transaction
		if err := c.AddSet(s, nil); err != nil {
			return fmt.Errorf("declare set %s: %w", s.Name, err)
		}
	}
	for _, chain := range r.chains {
		c.AddChain(chain)
	}
	for _, chain := range r.chains {
		for _, e := range r.rules[chain.Name] {
			c.AddRule(&nftables.Rule{Table: r.table, Chain: chain, Exprs: r.bind(e)})
		}
	}
	return nil
}

// bind gives lookups the number that their set has in this transaction.
func (r *ruleset) bind(exprs []expr.Any) []expr.Any {
	bound := make([]expr.Any, len(exprs))
	for i, e := range exprs {
		if l, is := e.(*expr.Lookup); is {
			withID := *l
			withID.SetID = r.sets[l.SetName].ID
			e = &withID
		}
		bound[i] = e
	}
	return bound
}

// fingerprint writes chains and rules without what the kernel counts or numbers, so that
// what was written and what is read back can be compared.
func fingerprint(chain *nftables.Chain, rules [][]expr.Any) string {
	var b strings.Builder
	fmt.Fprintf(&b, "chain %s %s", chain.Name, chain.Type)
	if chain.Hooknum != nil && chain.Priority != nil && chain.Policy != nil {
		fmt.Fprintf(&b, " hook %d priority %d policy %d", *chain.Hooknum, *chain.Priority, *chain.Policy)
	}
	for _, exprs := range rules {
		b.WriteString("\n")
		for _, e := range exprs {
			switch e := e.(type) {
			case *expr.Counter:
				b.WriteString("counter; ")
			case *expr.Rt: // the library does not read it; it permits nothing
			case *expr.Lookup:
				fmt.Fprintf(&b, "lookup %d %d %v %s %v; ", e.SourceRegister, e.DestRegister, e.IsDestRegSet, e.SetName, e.Invert)
			default:
				fmt.Fprintf(&b, "%T %+v; ", e, e)
			}
		}
	}
	return b.String()
}

func rule(parts ...[]expr.Any) (all []expr.Any) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// iface compares an interface's name.
func iface(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: padded(name)}}
}

// padded is an interface's name as the kernel keeps it (IFNAMSIZ).
func padded(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// leased looks the interface up among those whose lease lasts.
func leased(key expr.MetaKey) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Lookup{SourceRegister: 1, SetName: leaseSet}}
}

// in matches a packet of this family whose address at the offset is in the set.
func (f family) in(offset uint32, set string) []expr.Any {
	return append(f.match(), f.load(offset, 1), &expr.Lookup{SourceRegister: 1, SetName: set + f.suffix})
}

// fromPartner matches a packet whose source is the tunnel address of an office.
func (f family) fromPartner() []expr.Any {
	return append(f.match(), f.load(f.source, f.sourceRegister), f.load(f.source, f.destRegister), f.isPartner())
}

func (f family) isPartner() *expr.Lookup {
	name := "partners"
	if f.viaNetwork {
		name = networks + "pairs"
	}
	return &expr.Lookup{SourceRegister: f.sourceRegister, SetName: name + f.suffix}
}

// permitted looks the packet up among the permissions. Inward the packet's source is the
// partner; outward its destination is, and the service's port is the source port.
func (f family) permitted(partner, service, portOffset uint32) []expr.Any {
	return rule(f.match(),
		[]expr.Any{
			f.load(partner, f.sourceRegister),
			f.load(service, f.destRegister),
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: f.protoRegister},
			transport(portOffset, 2, f.serviceRegister),
			f.isPermitted(),
		})
}

func (f family) isPermitted() *expr.Lookup {
	name := "allowed"
	if f.viaNetwork {
		name = networks
	}
	return &expr.Lookup{SourceRegister: f.sourceRegister, SetName: name + f.suffix}
}

// errorAbout matches an ICMP error to or from an office, about a packet between that office and a service that it may
// reach. The offsets are those in network headers: the office's in that of the error, and the office's and the
// service's in that of the packet which the error is about.
func (f family) errorAbout(office, of, service, portOffset uint32) []expr.Any {
	const inside = 8 // of the message: there the packet begins (RFC 792, RFC 4443)
	return rule(f.match(), []expr.Any{
		// Next to the network header, without options between, and so within.
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: f.proto, Len: 1}, equal(f.icmp),
		transport(0, 1, 1), masked(f.errorMask), equal(f.errorType),
		transport(inside, 1, 1), masked(f.versionMask), equal(f.versionIs),
	},
		[]expr.Any{
			f.load(office, f.sourceRegister),
			transport(inside+of, f.addressLen, f.destRegister),
			f.isPartner(),
			transport(inside+service, f.addressLen, f.destRegister),
			transport(inside+f.proto, 1, f.protoRegister),
			transport(inside+f.headerLen+portOffset, 2, f.serviceRegister),
			f.isPermitted(),
		})
}

// comesFrom gives a packet the hub's address as its source, where the hub has one of the family.
func (f family) comesFrom(hub []netip.Addr) []expr.Any {
	i := slices.IndexFunc(hub, func(a netip.Addr) bool { return len(a.AsSlice()) == int(f.addressLen) })
	if i < 0 {
		return nil
	}
	return []expr.Any{&expr.Immediate{Register: 1, Data: hub[i].AsSlice()}, &expr.Payload{
		OperationType: expr.PayloadWrite, SourceRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: f.source,
		Len: f.addressLen, CsumType: expr.CsumTypeInet, CsumOffset: f.checksum,
	}}
}

// clamp lets a TCP connection agree on segments that fit into what carries them on both sides of the host: the kernel
// never makes them larger than was asked for.
func clamp() []expr.Any {
	const flags, syn, maxSegment = 13, 0x02, 2 // RFC 9293, 3.1 and 3.2
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal(TCP),
		transport(flags, 1, 1), masked(syn), equal(syn),
		&expr.Rt{Key: expr.RtTCPMSS, Register: 1},
		&expr.Exthdr{SourceRegister: 1, Type: maxSegment, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	}
}

func transport(offset, length, register uint32) *expr.Payload {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: length}
}

// masked leaves those bits of the byte in register 1.
func masked(bits byte) *expr.Bitwise {
	return &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{bits}, Xor: []byte{0}}
}

// equal compares the byte in register 1.
func equal(b byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{b}} }

func (f family) match() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f.nfproto}}}
}

func (f family) load(offset, register uint32) *expr.Payload {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: f.addressLen}
}

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}
func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }
func drop() []expr.Any {
	return []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}
}
