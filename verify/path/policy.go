package path

import (
	"slices"

	"trustcore/verify/certificate"
)

// policyGraph is the valid_policy_graph of RFC 9618. Each depth holds at most one node per policy, so it grows with the
// size of the certificates and never exponentially. The node of anyPolicy is the flag any.
type policyGraph struct {
	levels []policyLevel // closed depths, the anchor's side first
	open   policyLevel   // the depth that the next certificate is matched against
}

type policyLevel struct {
	any   bool
	nodes map[certificate.OID]*policyNode
}

type policyNode struct {
	parents   []certificate.OID // nodes of the depth before; empty: the parent is anyPolicy
	mapped    bool
	reachable bool
}

func newPolicyGraph() policyGraph { return policyGraph{open: policyLevel{any: true}} }

// null reports whether the graph is NULL: no node is left at the last depth.
func (g *policyGraph) null() bool { return !g.open.any && len(g.open.nodes) == 0 }

// clear makes the graph NULL (6.1.3 (e)).
func (g *policyGraph) clear() { *g = policyGraph{} }

func (l *policyLevel) add(policy certificate.OID, parents ...certificate.OID) {
	if l.nodes == nil {
		l.nodes = make(map[certificate.OID]*policyNode, 4)
	}
	if n := l.nodes[policy]; n != nil {
		n.parents = append(n.parents, parents...)
		return
	}
	l.nodes[policy] = &policyNode{parents: parents}
}

// match takes the policies of a certificate (6.1.3 (d)). anyAllowed says whether anyPolicy in it counts.
func (g *policyGraph) match(policies []certificate.PolicyInformation, anyAllowed bool) {
	if len(policies) == 0 || g.null() {
		g.clear()
		return
	}
	hasAny := false
	listed := make(map[certificate.OID]bool, len(policies))
	for i := range policies {
		if policies[i].Policy == certificate.AnyPolicy {
			hasAny = anyAllowed
			continue
		}
		listed[policies[i].Policy] = true
	}
	if !hasAny {
		for policy := range g.open.nodes {
			if !listed[policy] {
				delete(g.open.nodes, policy)
			}
		}
	}
	if g.open.any {
		for policy := range listed {
			if g.open.nodes[policy] == nil {
				g.open.add(policy)
			}
		}
	}
	g.open.any = g.open.any && hasAny
}

// next closes the depth and opens the following one by the certificate's mappings (6.1.4 (b)); inhibited says that
// policy_mapping is 0. False means that anyPolicy is mapped, which makes the path invalid (6.1.4 (a)).
func (g *policyGraph) next(mappings []certificate.PolicyMapping, inhibited bool) bool {
	closed := &g.open
	following := policyLevel{any: closed.any}
	for _, m := range mappings {
		if m.IssuerDomain == certificate.AnyPolicy || m.SubjectDomain == certificate.AnyPolicy {
			return false
		}
		if inhibited {
			delete(closed.nodes, m.IssuerDomain)
			continue
		}
		node := closed.nodes[m.IssuerDomain]
		if node == nil {
			if !closed.any {
				continue
			}
			closed.add(m.IssuerDomain)
			node = closed.nodes[m.IssuerDomain]
		}
		node.mapped = true
		following.add(m.SubjectDomain, m.IssuerDomain)
	}
	for policy, node := range closed.nodes {
		if !node.mapped {
			following.add(policy, policy)
		}
	}
	g.levels = append(g.levels, *closed)
	g.open = following
	return true
}

// authority returns the authority-constrained policy set: the policies, in terms of the anchor, that lead to a node of
// the last depth (RFC 9618 6.1.5 (g)). The last depth is the open one: the target's mappings are never processed.
func (g *policyGraph) authority() []certificate.OID {
	if g.null() {
		return nil
	}
	var set []certificate.OID
	if g.open.any {
		set = append(set, certificate.AnyPolicy)
	}
	for _, n := range g.open.nodes {
		n.reachable = true
	}
	for depth := len(g.levels); depth >= 0; depth-- {
		level := &g.open
		if depth < len(g.levels) {
			level = &g.levels[depth]
		}
		for policy, n := range level.nodes {
			if !n.reachable {
				continue
			}
			if len(n.parents) == 0 {
				set = append(set, policy)
			}
			for _, parent := range n.parents {
				if above := g.levels[depth-1].nodes[parent]; above != nil {
					above.reachable = true
				}
			}
		}
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// userConstrained intersects the authority's set with what the caller accepts; nil accepts any policy. Where the
// authority's set holds anyPolicy, everything that the caller accepts is in (RFC 9618 6.1.5 (g)(5)).
func userConstrained(authority, initial []certificate.OID) []certificate.OID {
	if len(authority) == 0 || initial == nil || slices.Contains(initial, certificate.AnyPolicy) {
		return authority
	}
	hasAny := slices.Contains(authority, certificate.AnyPolicy)
	var set []certificate.OID
	for _, policy := range initial {
		if hasAny || slices.Contains(authority, policy) {
			set = append(set, policy)
		}
	}
	slices.Sort(set)
	return slices.Compact(set)
}
