package path

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"trustcore/verify/certificate"
)

// A treeNode is a node of the valid_policy_tree of RFC 5280 6.1.2, which may grow exponentially: the oracle of the graph.
type treeNode struct {
	policy   certificate.OID
	expected []certificate.OID
	children []*treeNode
}

// A level holds what one certificate says about policies.
type level struct {
	policies   []certificate.OID
	mappings   []certificate.PolicyMapping
	anyAllowed bool
	inhibited  bool
}

// treePolicies runs RFC 5280 6.1.3 (d) to 6.1.5 (g) on the tree and returns the authority-constrained set.
func treePolicies(levels []level) []certificate.OID {
	root := &treeNode{policy: certificate.AnyPolicy, expected: []certificate.OID{certificate.AnyPolicy}}
	for depth, l := range levels {
		if len(l.policies) == 0 {
			return nil
		}
		leaves := nodesAt(root, depth)
		for _, p := range l.policies {
			if p == certificate.AnyPolicy {
				continue
			}
			matched := false
			for _, n := range leaves {
				if slices.Contains(n.expected, p) {
					n.children = append(n.children, &treeNode{policy: p, expected: []certificate.OID{p}})
					matched = true
				}
			}
			for _, n := range leaves {
				if !matched && n.policy == certificate.AnyPolicy {
					n.children = append(n.children, &treeNode{policy: p, expected: []certificate.OID{p}})
				}
			}
		}
		if slices.Contains(l.policies, certificate.AnyPolicy) && l.anyAllowed {
			for _, n := range leaves {
				for _, e := range n.expected {
					if !slices.ContainsFunc(n.children, func(c *treeNode) bool { return c.policy == e }) {
						n.children = append(n.children, &treeNode{policy: e, expected: []certificate.OID{e}})
					}
				}
			}
		}
		prune(root, depth+1)
		if depth+1 == len(levels) {
			break
		}
		applyMappings(root, depth+1, l)
		prune(root, depth+1)
	}
	return treeAuthority(root, len(levels))
}

func applyMappings(root *treeNode, depth int, l level) {
	targets := map[certificate.OID][]certificate.OID{}
	for _, m := range l.mappings {
		targets[m.IssuerDomain] = append(targets[m.IssuerDomain], m.SubjectDomain)
	}
	for _, from := range slices.Sorted(maps.Keys(targets)) {
		to := targets[from]
		if l.inhibited {
			for _, parent := range nodesAt(root, depth-1) {
				parent.children = slices.DeleteFunc(parent.children, func(n *treeNode) bool { return n.policy == from })
			}
			continue
		}
		found := false
		for _, n := range nodesAt(root, depth) {
			if n.policy == from {
				n.expected, found = to, true
			}
		}
		if found {
			continue
		}
		for _, parent := range nodesAt(root, depth-1) {
			if slices.ContainsFunc(parent.children, func(n *treeNode) bool { return n.policy == certificate.AnyPolicy }) {
				parent.children = append(parent.children, &treeNode{policy: from, expected: to})
			}
		}
	}
}

func nodesAt(n *treeNode, depth int) []*treeNode {
	if depth == 0 {
		return []*treeNode{n}
	}
	var list []*treeNode
	for _, c := range n.children {
		list = append(list, nodesAt(c, depth-1)...)
	}
	return list
}

// prune removes nodes above the depth that have no children.
func prune(n *treeNode, depth int) bool {
	if depth == 0 {
		return true
	}
	n.children = slices.DeleteFunc(n.children, func(c *treeNode) bool { return !prune(c, depth-1) })
	return len(n.children) > 0
}

// treeAuthority collects the nodes whose parent is anyPolicy, and anyPolicy when it is at the last depth.
func treeAuthority(root *treeNode, depth int) []certificate.OID {
	set := map[certificate.OID]bool{}
	var walk func(n *treeNode, left int)
	walk = func(n *treeNode, left int) {
		for _, c := range n.children {
			switch {
			case c.policy != certificate.AnyPolicy:
				set[c.policy] = true
			case left == 1:
				set[certificate.AnyPolicy] = true
			default:
				walk(c, left-1)
			}
		}
	}
	walk(root, depth)
	return slices.Sorted(maps.Keys(set))
}

func graphPolicies(levels []level) []certificate.OID {
	g := newPolicyGraph()
	for i, l := range levels {
		var info []certificate.PolicyInformation
		for _, p := range l.policies {
			info = append(info, certificate.PolicyInformation{Policy: p})
		}
		g.match(info, l.anyAllowed)
		if i+1 < len(levels) {
			g.next(l.mappings, l.inhibited)
		}
	}
	return g.authority()
}

func TestTheGraphSaysWhatTheTreeSays(t *testing.T) {
	random := rand.New(rand.NewPCG(9618, 5280))
	policies := []certificate.OID{"\x2a\x01", "\x2a\x02", "\x2a\x03", "\x2a\x04", certificate.AnyPolicy}
	nonEmpty := 0
	for range 20_000 {
		levels := make([]level, 1+random.IntN(4))
		for i := range levels {
			l := &levels[i]
			l.anyAllowed, l.inhibited = random.IntN(4) > 0, random.IntN(5) == 0
			for _, p := range policies {
				if random.IntN(2) == 0 {
					l.policies = append(l.policies, p)
				}
			}
			for range random.IntN(4) {
				l.mappings = append(l.mappings, certificate.PolicyMapping{IssuerDomain: policies[random.IntN(4)], SubjectDomain: policies[random.IntN(4)]})
			}
		}
		tree, graph := treePolicies(levels), graphPolicies(levels)
		if !slices.Equal(tree, graph) {
			t.Fatalf("levels %+v: tree %v, graph %v", levels, tree, graph)
		}
		if len(tree) > 0 {
			nonEmpty++
		}
	}
	if nonEmpty < 5000 {
		t.Errorf("only %d cases with an outcome", nonEmpty)
	}
}

func TestAPolicyMappingBombIsLinear(t *testing.T) {
	const width = 200
	var l level
	l.anyAllowed = true
	for i := range width {
		p := certificate.OID(fmt.Sprintf("\x2a\x03%c%c", 1+i/100, 1+i%100))
		l.policies = append(l.policies, p)
		for k := range 10 {
			q := certificate.OID(fmt.Sprintf("\x2a\x03%c%c", 1+(i+k)%width/100, 1+(i+k)%width%100))
			l.mappings = append(l.mappings, certificate.PolicyMapping{IssuerDomain: p, SubjectDomain: q})
		}
	}
	levels := slices.Repeat([]level{l}, 60)
	start := time.Now()
	if set := graphPolicies(levels); len(set) != width {
		t.Errorf("%d policies", len(set))
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestUserConstrainedSet(t *testing.T) {
	a, b := certificate.OID("\x2a\x01"), certificate.OID("\x2a\x02")
	list := func(ids ...certificate.OID) []certificate.OID { return ids }
	for _, test := range []struct{ authority, initial, want []certificate.OID }{
		{nil, nil, nil}, {list(a), nil, list(a)}, {list(a, b), list(b), list(b)}, {list(a), list(b), nil},
		{list(certificate.AnyPolicy), list(b), list(b)}, {list(a), list(certificate.AnyPolicy), list(a)},
		{list(a, certificate.AnyPolicy), list(b), list(b)}, {list(a), []certificate.OID{}, nil}, {nil, list(a), nil},
	} {
		if got := userConstrained(test.authority, test.initial); !slices.Equal(got, test.want) {
			t.Errorf("authority %v, initial %v: %v, want %v", test.authority, test.initial, got, test.want)
		}
	}
}
