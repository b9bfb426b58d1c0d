package fence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"trustcore/vpn/internal/nl"
)

const (
	socketBuffer = 16 << 20              // bytes: 10,000 elements in one transaction do not fit the default
	chunk        = 1000                  // elements a message: an attribute ends at 65,535 bytes, an element takes 52
	tickOfKernel = 20 * time.Millisecond // it counts timeouts in jiffies and rounds up
)

// The reasons for which the firewall cannot be built. The message of the error says what to do.
var (
	ErrPrivilege  = errors.New("the firewall needs root or CAP_NET_ADMIN (start as root, or use mode netstack)")
	ErrTableTaken = errors.New("somebody else has a firewall table of this name (choose another interface name, or delete it)")
	ErrNoNftables = errors.New("the kernel has no nftables (load the module nf_tables, or use mode netstack)")
)

// Nftables is the fence around a tunnel interface of the kernel: a table of that interface.
// Not for concurrent use.
type Nftables struct {
	ifname string
	want   *ruleset
	hub    []netip.Addr
	lease  func() time.Duration // how much longer anything may be permitted; nil is without end

	raw    *nl.Socket
	events *nl.Events

	missing map[string][]nftables.SetElement // by set, as the last Restrict found them
}

// OpenNftables builds the table without a single permission, reads it back and compares. A table of that name that is
// not ours stays as it is. The interface need not exist yet, and should not; the caller has the lock of its name. What
// is left of the lease is asked at each Permit; nil stands for one without end. With keep a table of ours that is whole stays,
// with what it permits: the caller compares it with its policy at once.
func OpenNftables(ifname, beside string, hub []netip.Addr, lease func() time.Duration, keep bool) (*Nftables, error) {
	n := &Nftables{ifname: ifname, want: newRuleset(ifname, beside, hub), hub: hub, lease: lease}
	c, err := open()
	if err != nil {
		return nil, err
	}
	if err := n.lookBefore(c); err != nil {
		return nil, err
	}
	if n.raw, err = nl.Open(unix.NETLINK_NETFILTER); err != nil {
		return nil, err
	}
	if n.events, err = nl.Listen(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES); err != nil {
		return nil, errors.Join(err, n.raw.Close())
	}
	if keep {
		problem, err := n.inspect(c)
		keep = err == nil && problem == ""
	}
	if !keep {
		if err := n.rebuild(); err != nil {
			return nil, errors.Join(err, n.events.Close(), n.raw.Close())
		}
	}
	if err := n.removeOld(c); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// lookBefore refuses a table of our name that lacks our sets.
func (n *Nftables) lookBefore(c *nftables.Conn) error {
	there, ours, err := n.look(c, n.want.table)
	if err == nil && there && !ours {
		err = fmt.Errorf("table inet %s: %w", n.want.table.Name, ErrTableTaken)
	}
	return err
}

// look says whether there is such a table, and whether it is one of ours: it has our sets, also those of a version
// before.
func (n *Nftables) look(c *nftables.Conn, table *nftables.Table) (there, ours bool, err error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, false, fmt.Errorf("read the firewall: %w", classify(err))
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == table.Name }) {
		return false, false, nil
	}
	sets, err := c.GetSets(table)
	if err != nil {
		return true, false, fmt.Errorf("read the sets: %w", err)
	}
	found := 0
	for _, s := range sets {
		want := n.want.sets[s.Name]
		if want != nil && !isYounger(s.Name) && (s.KeyType.GetNFTMagic() == want.KeyType.GetNFTMagic() || isPartnersOfBefore(s)) {
			found++
		}
	}
	needed := 0
	for name := range n.want.sets {
		if !isYounger(name) {
			needed++
		}
	}
	return true, found == needed, nil
}

// isYounger says whether a table that a version before left may lack the set.
func isYounger(name string) bool { return name == leaseSet || isNetworks(name) }

// isPartnersOfBefore says whether a set holds the addresses of offices as versions before had them, each once.
func isPartnersOfBefore(s *nftables.Set) bool {
	for _, f := range families() {
		if s.Name == "partners"+f.suffix {
			return s.KeyType.GetNFTMagic() == f.address.GetNFTMagic()
		}
	}
	return false
}

// removeOld takes away the table that a version before left, if it was for our interface.
func (n *Nftables) removeOld(c *nftables.Conn) error {
	old := &nftables.Table{Name: oldTable, Family: nftables.TableFamilyINet}
	_, ours, err := n.look(c, old)
	if err != nil || !ours {
		return err
	}
	rules, err := c.GetRules(old, &nftables.Chain{Name: "input", Table: old})
	if err != nil || len(rules) == 0 || len(rules[0].Exprs) < 2 {
		return nil // it was changed: it is nobody's business but the administrator's
	}
	if first := iface(expr.MetaKeyIIFNAME, expr.CmpOpEq, n.ifname); fmt.Sprintf("%+v", rules[0].Exprs[1]) != fmt.Sprintf("%+v", first[1]) {
		return nil
	}
	c.DelTable(old)
	if err := c.Flush(); err != nil && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("take away the firewall that a version before left: %w", err)
	}
	return nil
}

// Strict names the host's own base chains on the way of the tunnel's packets that drop what they do not permit. What
// they permit is not looked at.
func (n *Nftables) Strict() (named []string, err error) {
	c, err := open()
	if err != nil {
		return nil, err
	}
	chains, err := c.ListChains()
	if err != nil {
		return nil, fmt.Errorf("read the chains: %w", err)
	}
	for _, chain := range chains {
		if chain.Policy == nil || *chain.Policy != nftables.ChainPolicyDrop || chain.Hooknum == nil {
			continue
		}
		input := *chain.Hooknum == *nftables.ChainHookInput
		if families := chain.Table.Family; (input || *chain.Hooknum == *nftables.ChainHookForward) &&
			(families == nftables.TableFamilyINet || families == nftables.TableFamilyIPv4 || families == nftables.TableFamilyIPv6) {
			named = append(named, fmt.Sprintf("table %s, chain %s", chain.Table.Name, chain.Name))
		}
	}
	return named, nil
}

// rebuild replaces the table in one transaction: there is no moment without it.
func (n *Nftables) rebuild() error {
	c, err := open()
	if err != nil {
		return err
	}
	c.AddTable(n.want.table) // so that there is one to delete
	c.DelTable(n.want.table)
	if err := n.want.add(c); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("build the firewall: %w", classify(err))
	}
	problem, err := n.inspect(c)
	if err == nil && problem != "" {
		err = fmt.Errorf("the firewall does not read back as it was written: %s", problem)
	}
	return err
}

// inspect compares the table in the kernel with the wanted one and names the first
// difference, or "".
func (n *Nftables) inspect(c *nftables.Conn) (problem string, err error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return "", fmt.Errorf("read the firewall: %w", classify(err))
	}
	i := slices.IndexFunc(tables, func(t *nftables.Table) bool { return t.Name == n.want.table.Name })
	if i < 0 {
		return "table " + n.want.table.Name + " is missing", nil
	}
	if tables[i].Flags != 0 {
		return "table " + n.want.table.Name + " sleeps", nil
	}
	if problem, err = n.inspectSets(c); problem != "" || err != nil {
		return problem, err
	}
	all, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return "", fmt.Errorf("read the chains: %w", err)
	}
	found := make(map[string]*nftables.Chain)
	for _, chain := range all {
		if chain.Table.Name == n.want.table.Name {
			found[chain.Name] = chain
		}
	}
	if len(found) != len(n.want.chains) {
		return fmt.Sprintf("it has %d chains, not %d", len(found), len(n.want.chains)), nil
	}
	for _, want := range n.want.chains {
		if problem, err = n.inspectChain(c, want, found[want.Name]); problem != "" || err != nil {
			return problem, err
		}
	}
	return "", nil
}

func (n *Nftables) inspectSets(c *nftables.Conn) (problem string, err error) {
	sets, err := c.GetSets(n.want.table)
	if err != nil {
		return "", fmt.Errorf("read the sets: %w", err)
	}
	if len(sets) != len(n.want.sets) {
		return fmt.Sprintf("it has %d sets, not %d", len(sets), len(n.want.sets)), nil
	}
	for _, s := range sets {
		want := n.want.sets[s.Name]
		if want == nil || s.KeyType.GetNFTMagic() != want.KeyType.GetNFTMagic() || s.Interval != want.Interval || s.IsMap != want.IsMap || s.Dynamic || s.HasTimeout != want.HasTimeout {
			return "set " + s.Name + " is not ours", nil
		}
	}
	return "", nil
}

func (n *Nftables) inspectChain(c *nftables.Conn, want, found *nftables.Chain) (problem string, err error) {
	if found == nil {
		return "chain " + want.Name + " is missing", nil
	}
	rules, err := c.GetRules(n.want.table, want)
	if errors.Is(err, fs.ErrNotExist) {
		return "chain " + want.Name + " is missing", nil
	}
	if err != nil {
		return "", fmt.Errorf("read chain %s: %w", want.Name, err)
	}
	exprs := make([][]expr.Any, len(rules))
	for i, r := range rules {
		exprs[i] = r.Exprs
	}
	if fingerprint(found, exprs) != fingerprint(want, n.want.rules[want.Name]) {
		return "chain " + want.Name + " was changed", nil
	}
	return "", nil
}

// Restrict implements [Fence].
func (n *Nftables) Restrict(p Policy) (changed int, err error) {
	c, err := open()
	if err != nil {
		return 0, err
	}
	problem, err := n.inspect(c)
	if problem != "" || err != nil { // also when it cannot be read: writing it anew is the cure
		if err := n.rebuild(); err != nil {
			return 0, err
		}
		changed++
	}
	n.missing = make(map[string][]nftables.SetElement)
	for name, set := range n.want.sets {
		if isYounger(name) {
			continue
		}
		surplus, err := n.compare(name, p)
		if err != nil {
			return changed, err
		}
		changed += len(surplus)
		for part := range slices.Chunk(surplus, chunk) {
			if err := c.SetDeleteElements(byName(set), part); err != nil {
				return changed, fmt.Errorf("take from set %s: %w", name, err)
			}
		}
	}
	taken, err := n.narrowNetworks(c, p)
	if err != nil {
		return changed, err
	}
	if err := c.Flush(); err != nil {
		return changed, fmt.Errorf("take permissions away: %w", classify(err))
	}
	return changed + taken, nil
}

// compare reads a set, returns what it must not hold, and keeps what it lacks for Permit.
func (n *Nftables) compare(name string, p Policy) (surplus []nftables.SetElement, err error) {
	wanted, found := n.wants(name, p), 0
	err = n.each(name, func() { found, surplus = 0, nil }, func(key, _ []byte) {
		if wanted.has(key) {
			found++
		} else {
			surplus = append(surplus, nftables.SetElement{Key: slices.Clone(key)})
		}
	})
	if err != nil || found == wanted.size() {
		return surplus, err
	}
	present := make(map[string]struct{}, found)
	err = n.each(name, func() { clear(present) }, func(key, _ []byte) { present[string(key)] = struct{}{} })
	for key := range wanted.keys {
		if _, is := present[string(key)]; !is {
			n.missing[name] = append(n.missing[name], nftables.SetElement{Key: key})
		}
	}
	return surplus, err
}

// Permit implements [Fence].
func (n *Nftables) Permit(p Policy) (changed int, err error) {
	c, err := open()
	if err != nil {
		return 0, err
	}
	if changed, err = n.widenNetworks(c, p); err != nil {
		return 0, err
	}
	for name, missing := range n.missing {
		changed += len(missing)
		for part := range slices.Chunk(missing, chunk) {
			if err := c.SetAddElements(byName(n.want.sets[name]), part); err != nil {
				return 0, fmt.Errorf("add to set %s: %w", name, err)
			}
		}
	}
	n.missing = nil
	if err := n.extend(c); err != nil {
		return 0, err
	}
	if err := c.Flush(); err != nil {
		return 0, fmt.Errorf("permit: %w", classify(err))
	}
	return changed, nil
}

// Extend implements [Fence].
func (n *Nftables) Extend() error {
	c, err := open()
	if err != nil {
		return err
	}
	if err := n.extend(c); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("extend the lease: %w", classify(err))
	}
	return nil
}

// extend makes the kernel permit for as long as the lease lasts, a twentieth less at most. It adds to the transaction
// of c.
func (n *Nftables) extend(c *nftables.Conn) error {
	set := n.want.sets[leaseSet]
	present, err := c.GetSetElements(set)
	if err != nil {
		return fmt.Errorf("read the lease: %w", err)
	}
	var left time.Duration
	if n.lease != nil {
		left = n.lease()
	}
	if len(present) == 1 && fits(present[0].Expires, left, n.lease == nil) {
		return nil
	}
	c.FlushSet(byName(set))
	if n.lease != nil && left < time.Millisecond { // which is what the kernel counts in; 0 would be for ever
		return nil
	}
	if err := c.SetAddElements(byName(set), []nftables.SetElement{{Key: padded(n.ifname), Timeout: left}}); err != nil {
		return fmt.Errorf("extend the lease: %w", err)
	}
	return nil
}

// fits says whether the kernel ends the lease when it should: never too late, and hardly too early.
func fits(have, left time.Duration, endless bool) bool {
	if endless {
		return have == 0
	}
	return have > left-left/20 && have <= left+tickOfKernel
}

// Counters implements [Fence].
func (n *Nftables) Counters() (Counters, error) {
	counters := Counters{Flows: make(map[Flow]Traffic)}
	c, err := open()
	if err != nil {
		return counters, err
	}
	for _, f := range families() {
		err := n.each("allowed"+f.suffix, func() {}, func(key, count []byte) {
			if flow, ok := decodeFlow(key, int(f.addressLen)); ok {
				counters.Flows[flow] = decodeCounter(count)
			}
		})
		if err != nil {
			return counters, err
		}
	}
	for _, chain := range n.want.chains {
		if chain.Name == "outward" {
			continue // what the host itself may not send is no attempt of a partner
		}
		rules, err := c.GetRules(n.want.table, chain)
		if err != nil {
			return counters, fmt.Errorf("read the counters: %w", err)
		}
		for _, r := range rules {
			for _, e := range r.Exprs {
				if counter, is := e.(*expr.Counter); is {
					counters.Denied += counter.Packets
				}
			}
		}
	}
	return counters, nil
}

// Close implements [Fence].
func (n *Nftables) Close() error {
	c, err := open()
	if err != nil {
		return err
	}
	c.DelTable(n.want.table)
	if err = c.Flush(); err != nil && !errors.Is(err, syscall.ENOENT) {
		err = fmt.Errorf("take the firewall away: %w", err)
	} else {
		err = nil
	}
	return errors.Join(err, n.events.Close(), n.raw.Close())
}

// encodeFlow is the key of a permission: source . destination . protocol . port, each
// padded to four bytes.
func encodeFlow(f Flow) []byte {
	key := append(f.Source.AsSlice(), f.Dest.Addr().AsSlice()...)
	key = append(key, f.Proto, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(key, f.Dest.Port()), 0, 0)
}

// encodeSource is the key of an office's address, which is there twice.
func encodeSource(a netip.Addr) []byte { return append(a.AsSlice(), a.AsSlice()...) }

func decodeSource(key []byte, addressLen int) (a netip.Addr, ok bool) {
	if len(key) != 2*addressLen || !bytes.Equal(key[:addressLen], key[addressLen:]) {
		return a, false
	}
	return netip.AddrFromSlice(key[:addressLen])
}

func decodeFlow(key []byte, addressLen int) (f Flow, ok bool) {
	if len(key) != 2*addressLen+8 {
		return f, false
	}
	source, _ := netip.AddrFromSlice(key[:addressLen])
	dest, _ := netip.AddrFromSlice(key[addressLen : 2*addressLen])
	rest := key[2*addressLen:]
	return Flow{Source: source, Dest: netip.AddrPortFrom(dest, binary.BigEndian.Uint16(rest[4:])), Proto: rest[0]}, true
}

// byName refers to a set by its name, since numbers hold within one transaction only.
func byName(s *nftables.Set) *nftables.Set {
	named := *s
	named.ID = 0
	return &named
}

func open() (*nftables.Conn, error) {
	c, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(socketBuffer), c.SetReadBuffer(socketBuffer))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", classify(err))
	}
	return c, nil
}

func classify(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrPrivilege, err)
	case errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.EOPNOTSUPP):
		return fmt.Errorf("%w: %w", ErrNoNftables, err)
	}
	return err
}
