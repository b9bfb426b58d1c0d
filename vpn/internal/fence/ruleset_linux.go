package fence

import (
	"fmt"
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
//	               iifname != lo  saddr @partners  drop    # the tunnel's sources come by the tunnel alone
//	               iifname != lo  daddr @hub       drop    # the tunnel's services are reached by the tunnel alone
//	chain forward  iifname IF oifname IF           drop    # never from partner to partner
//	               iifname IF goto inward
//	               saddr @partners                 drop
//	               oifname IF goto outward
//	chain output   oifname IF goto outward
//	chain inward   iifname @lease saddr . daddr . l4proto . dport @allowed accept;  drop
//	chain outward  oifname @lease daddr . saddr . l4proto . sport @allowed accept;  drop
//
// The set lease holds the interface, with a timeout: the kernel itself ends what this process may not live to end.
//
// Each tunnel has a table of its own, so that two beside each other do not open each other's firewall.
func tableName(ifname string) string { return oldTable + "-" + ifname }

const leaseSet = "lease"

// oldTable is the one table that versions before had, for whatever interface.
const oldTable = "trustcore"

// priority puts our chains before those of the host at the usual priority 0. A drop
// is final in nftables, so the order is a matter of cost only.
const priority = nftables.ChainPriority(-10)

// family is what differs between IPv4 and IPv6.
type family struct {
	suffix          string
	nfproto         byte
	addressLen      uint32
	source, dest    uint32 // offsets in the network header
	address         nftables.SetDatatype
	sourceRegister  uint32 // registers of a concatenated key, as the kernel lists them
	destRegister    uint32
	protoRegister   uint32
	serviceRegister uint32
}

// families returns both; the registers are of 16 bytes (1 to 4) or of 4 (8 to 23).
func families() [2]family {
	return [2]family{
		{"4", unix.NFPROTO_IPV4, 4, 12, 16, nftables.TypeIPAddr, 1, 9, 10, 11},
		{"6", unix.NFPROTO_IPV6, 16, 8, 24, nftables.TypeIP6Addr, 1, 2, 3, 17},
	}
}

// ruleset is the table as it must be.
type ruleset struct {
	table  *nftables.Table
	sets   map[string]*nftables.Set
	chains []*nftables.Chain
	rules  map[string][][]expr.Any // by chain
}

func newRuleset(ifname string) *ruleset {
	table := &nftables.Table{Name: tableName(ifname), Family: nftables.TableFamilyINet}
	r := &ruleset{table: table, sets: make(map[string]*nftables.Set)}
	for _, f := range families() {
		r.addSet("allowed"+f.suffix, nftables.MustConcatSetType(f.address, f.address, nftables.TypeInetProto, nftables.TypeInetService), true)
		r.addSet("partners"+f.suffix, f.address, false)
		r.addSet("hub"+f.suffix, f.address, false)
	}
	r.sets[leaseSet] = &nftables.Set{Table: table, Name: leaseSet, KeyType: nftables.TypeIFName, HasTimeout: true}
	prio, accept := priority, nftables.ChainPolicyAccept
	for name, hook := range map[string]*nftables.ChainHook{"input": nftables.ChainHookInput, "forward": nftables.ChainHookForward, "output": nftables.ChainHookOutput} {
		r.chains = append(r.chains, &nftables.Chain{Name: name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: &prio, Policy: &accept})
	}
	for _, name := range []string{"inward", "outward"} {
		r.chains = append(r.chains, &nftables.Chain{Name: name, Table: table})
	}
	r.addRules(ifname)
	return r
}

// addSet declares a hash set. Those with counters are keyed by a whole permission.
func (r *ruleset) addSet(name string, key nftables.SetDatatype, concatenated bool) {
	r.sets[name] = &nftables.Set{Table: r.table, Name: name, KeyType: key, Concatenation: concatenated, Counter: concatenated}
}

func (r *ruleset) addRules(ifname string) {
	v4, v6 := families()[0], families()[1]
	inTunnel, outTunnel := iface(expr.MetaKeyIIFNAME, expr.CmpOpEq, ifname), iface(expr.MetaKeyOIFNAME, expr.CmpOpEq, ifname)
	notLocal := iface(expr.MetaKeyIIFNAME, expr.CmpOpNeq, "lo")
	r.rules = map[string][][]expr.Any{
		"input": {
			rule(inTunnel, jump("inward")),
			rule(notLocal, v4.in(v4.source, "partners"), drop()),
			rule(notLocal, v6.in(v6.source, "partners"), drop()),
			rule(notLocal, v4.in(v4.dest, "hub"), drop()),
			rule(notLocal, v6.in(v6.dest, "hub"), drop()),
		},
		"forward": {
			rule(inTunnel, outTunnel, drop()),
			rule(inTunnel, jump("inward")),
			rule(v4.in(v4.source, "partners"), drop()),
			rule(v6.in(v6.source, "partners"), drop()),
			rule(outTunnel, jump("outward")),
		},
		"output": {rule(outTunnel, jump("outward"))},
		"inward": {
			rule(leased(expr.MetaKeyIIFNAME), v4.permitted(v4.source, v4.dest, 2), accept()),
			rule(leased(expr.MetaKeyIIFNAME), v6.permitted(v6.source, v6.dest, 2), accept()),
			drop(),
		},
		"outward": {
			rule(leased(expr.MetaKeyOIFNAME), v4.permitted(v4.dest, v4.source, 0), accept()),
			rule(leased(expr.MetaKeyOIFNAME), v6.permitted(v6.dest, v6.source, 0), accept()),
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
			case *expr.Lookup:
				fmt.Fprintf(&b, "lookup %d %s %v; ", e.SourceRegister, e.SetName, e.Invert)
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

// permitted looks the packet up among the permissions. Inward the packet's source is the
// partner; outward its destination is, and the service's port is the source port.
func (f family) permitted(partner, service, portOffset uint32) []expr.Any {
	return append(f.match(),
		f.load(partner, f.sourceRegister),
		f.load(service, f.destRegister),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: f.protoRegister},
		&expr.Payload{DestRegister: f.serviceRegister, Base: expr.PayloadBaseTransportHeader, Offset: portOffset, Len: 2},
		&expr.Lookup{SourceRegister: f.sourceRegister, SetName: "allowed" + f.suffix})
}

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
