package main

import (
	"fmt"
	"log/slog"
	"slices"

	"trustcore/verify/policy"
)

// policies are those that verifyd judges by. The first is for who names none.
type policies struct {
	reloaded[[]*policy.Policy]
}

// newPolicies reads policies by names of shipped ones, or files.
func newPolicies(names []string, log *slog.Logger) (*policies, error) {
	p := &policies{reloaded[[]*policy.Policy]{what: "the policies", remedy: "put the file right (trustctl policy check)",
		paths: names,
		read:  func() ([]*policy.Policy, error) { return openPolicies(names) }, log: log}}
	return p, p.start()
}

// openPolicies reads policies, each once. Two of one name are refused: a caller could not tell which it chooses.
func openPolicies(names []string) ([]*policy.Policy, error) {
	var list []*policy.Policy
	for _, name := range names {
		p, err := policy.Open(name)
		if err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
		i := slices.IndexFunc(list, func(other *policy.Policy) bool { return other.Name() == p.Name() })
		switch {
		case i < 0:
			list = append(list, p)
		case list[i].Digest() != p.Digest():
			return nil, fmt.Errorf("policies: %s: another policy is named %q too: give it its own name", name, p.Name())
		}
	}
	return list, nil
}

// all are those that callers may choose.
func (p *policies) all() []*policy.Policy { return *p.current.Load() }

// standard is the one for who names none.
func (p *policies) standard() *policy.Policy { return p.all()[0] }

// policyStatus is what /health tells of a policy.
type policyStatus struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"` // as reports have it
}

// details are the policies, the one for who names none first.
func (p *policies) details() []policyStatus {
	var list []policyStatus
	for _, one := range p.all() {
		list = append(list, policyStatus{one.Name(), one.Version(), one.Digest()})
	}
	return list
}
