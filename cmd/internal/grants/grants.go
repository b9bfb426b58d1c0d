// Package grants keeps in memory what the registry's orders let applications use, so that a signature costs no
// statement, and takes nothing for granted that the registry has taken back.
//
// A change of this process's registry is seen at the very next question: what was read is good only while the
// registry's change signal, taken before the reading, has not come. That of another node, and one whose signal was
// lost, is seen within Confirm, by the registry's revision; when that can't be read, nobody is let in.
package grants

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
)

// Confirm is how long what was read may be used before the registry's revision is asked for again.
const Confirm = 500 * time.Millisecond

// Registry is the part of *registry.Registry that is asked.
type Registry interface {
	Changed() <-chan struct{}
	WishVersion(ctx context.Context) (epoch string, revision int64, err error)
	GrantsOf(ctx context.Context, order string) ([]registry.Grant, error)
}

// Book is what was read. It is safe for concurrent use.
type Book struct {
	registry Registry
	now      func() time.Time
	office   registry.Limits // of every office, over all its applications
	page     atomic.Pointer[page]
	turning  chan struct{} // held, by sending to it, by who reads the revision
}

// page is what was read at one revision.
type page struct {
	changed   <-chan struct{}
	epoch     string
	revision  int64
	confirmed time.Time
	lines     *sync.Map // order -> []gateway.Grant
}

// New returns an empty book. now must not go back (time.Now does not). office is what every office is held to, over all
// its applications.
func New(r Registry, now func() time.Time, office registry.Limits) *Book {
	return &Book{registry: r, now: now, office: office, turning: make(chan struct{}, 1)}
}

// Of returns what the line of an order gives or gave, as registry.GrantsOf says. The caller must not change it.
func (b *Book) Of(ctx context.Context, order string) ([]gateway.Grant, error) {
	p, err := b.current(ctx)
	if err != nil {
		return nil, err
	}
	if known, ok := p.lines.Load(order); ok {
		return known.([]gateway.Grant), nil
	}
	read, err := b.registry.GrantsOf(ctx, order)
	if err != nil {
		return nil, err
	}
	line := make([]gateway.Grant, len(read))
	for i, g := range read {
		if line[i], err = b.grant(g); err != nil {
			return nil, fmt.Errorf("limits of order %s: %w", g.Order, err)
		}
	}
	p.lines.Store(order, line)
	return line, nil
}

// grant is a right as the gateway has it. Counters of limits belong to the order that sets them: one that renews it
// counts anew. The versions of a key count together, by the name of the first: a rotation gives nobody a quota again.
func (b *Book) grant(g registry.Grant) (gateway.Grant, error) {
	to := gateway.Grant{Partner: g.Partner, Application: g.Application, KeyID: g.KeyID, NotBefore: g.NotBefore,
		NotAfter: g.NotAfter, Order: g.Order, Active: g.Active, Version: gateway.Version{Number: g.Version.Version,
			SignsOn: g.Version.SignsOn, Replaced: g.Version.Replaced, By: g.Version.By}}
	for _, m := range g.Mechanisms {
		to.Mechanisms = append(to.Mechanisms, mechanism.Mechanism(m))
	}
	for _, l := range []struct {
		scope  gateway.Scope
		name   string
		limits *registry.Limits
	}{
		{gateway.OfKey, "key " + g.Version.First + " of order " + g.Order, g.KeyLimits},
		{gateway.OfApplication, "order " + g.Order, g.Limits},
		{gateway.OfOffice, "office " + g.Partner, &b.office},
	} {
		if l.limits == nil {
			continue
		}
		from, until, err := l.limits.Day()
		if err != nil {
			return to, err
		}
		to.Limits = append(to.Limits, gateway.Limit{Scope: l.scope, Name: l.name, PerSecond: l.limits.PerSecond, PerDay: l.limits.PerDay,
			Uses: l.limits.Uses, From: from, Until: until, Documents: l.limits.Documents})
	}
	return to, nil
}

// current returns the page while it is good, else the next one.
func (b *Book) current(ctx context.Context) (*page, error) {
	if p := b.page.Load(); p.good(b.now()) {
		return p, nil
	}
	select {
	case b.turning <- struct{}{}:
		defer func() { <-b.turning }()
	case <-ctx.Done():
		return nil, fmt.Errorf("the registry's revision: %w", ctx.Err())
	}
	before := b.page.Load()
	if before.good(b.now()) {
		return before, nil // another caller has turned it
	}
	next := &page{changed: b.registry.Changed(), confirmed: b.now(), lines: new(sync.Map)}
	var err error
	if next.epoch, next.revision, err = b.registry.WishVersion(ctx); err != nil {
		return nil, err
	}
	if before.holds(next) {
		next.lines = before.lines
	}
	b.page.Store(next)
	return next, nil
}

// good reports whether the page may be used now.
func (p *page) good(now time.Time) bool {
	return p != nil && !p.stale() && now.Sub(p.confirmed) < Confirm
}

// stale reports whether the registry has changed since the page was begun.
func (p *page) stale() bool {
	select {
	case <-p.changed:
		return true
	default:
		return false
	}
}

// holds reports whether what the page has is what there is at the next one too.
func (p *page) holds(next *page) bool {
	return p != nil && !p.stale() && p.epoch == next.epoch && p.revision == next.revision
}
