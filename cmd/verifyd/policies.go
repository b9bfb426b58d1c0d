package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"trustcore/cmd/internal/httpserver"
	"trustcore/verify/policy"
)

// policies are those that verifyd judges by: an immutable list that a reload replaces as a whole. The first is for who
// names none.
type policies struct {
	names   []string // of shipped ones, or files
	log     *slog.Logger
	current atomic.Pointer[[]*policy.Policy]

	mu     sync.Mutex
	failed error // of the last reload; guarded by mu
}

func newPolicies(names []string, log *slog.Logger) (*policies, error) {
	p := &policies{names: names, log: log}
	return p, p.load(context.Background())
}

// load reads the files again. What fails is not taken: the last known good go on.
func (p *policies) load(context.Context) error {
	list, err := openPolicies(p.names)
	p.mu.Lock()
	p.failed = err
	p.mu.Unlock()
	if err != nil {
		return err
	}
	p.current.Store(&list)
	p.log.Info("policies loaded", "default", list[0].Name(), "version", list[0].Version(), "digest", list[0].Digest())
	return nil
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

// run reloads as trust.run does.
func (p *policies) run(ctx context.Context, w watch) error {
	return w.run(ctx, func() string { return stateOf(p.names) }, func(ctx context.Context) {
		if err := p.load(ctx); err != nil {
			p.log.Error("the policies were not reloaded, the last known good go on", "error", err)
		}
	})
}

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

func (p *policies) findings() []httpserver.Finding {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		return nil
	}
	return []httpserver.Finding{{State: httpserver.Amber, What: "the policies were not read again, the last known good go on: " + p.failed.Error(),
		Remedy: "put the file right (trustctl policy check), then send SIGHUP"}}
}
