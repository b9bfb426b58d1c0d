package console

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/registry"
)

// readTimeout bounds everything that one page reads.
const readTimeout = 10 * time.Second

// world is what a page needs to know at one moment. A part that could not be read is named in failed.
type world struct {
	partners     []registry.Partner
	on           map[string][]registry.Service // by partner
	ending       map[string][]registry.Ending  // by the change order that would end it
	enrolled     map[string]bool               // orders whose office has enrolled
	tunnels      []Tunnel
	keys         []Key
	certificates []Certificate
	expiring     []Expiry
	motions      []Motion
	failed       map[string]bool
}

// The parts that a page may ask for beside the registry.
const (
	partTunnels      = "tunnels"
	partKeys         = "keys"
	partCertificates = "certificates"
	partExpiring     = "expiring"
	partMotions      = "motions"
)

// read asks the parts, of one partner where that is not "". Only the registry must answer: what the other parts can't tell
// now is said in their place on the page.
func (c *Console) read(ctx context.Context, partner string, parts ...string) *world {
	w := &world{failed: map[string]bool{}}
	of := Choice{Partner: partner}
	for _, part := range parts {
		var err error
		switch part {
		case partTunnels:
			w.tunnels, err = c.tunnels(ctx, partner)
		case partKeys:
			w.keys, err = c.cfg.Keys(ctx, of)
			slices.SortStableFunc(w.keys, func(a, b Key) int {
				return cmp.Or(strings.Compare(a.Partner, b.Partner), a.Created.Compare(b.Created))
			})
		case partCertificates:
			w.certificates, err = c.cfg.Certificates(ctx, of)
		case partExpiring:
			w.expiring, err = c.cfg.Expiring(ctx)
		case partMotions:
			w.motions, err = c.cfg.Motions.Waiting(ctx)
		}
		if err != nil {
			w.failed[part] = true
			c.cfg.Logger.Error("the console can't show a part", "part", part, "error", err)
		}
	}
	return w
}

// tunnels are those of a partner, or all.
func (c *Console) tunnels(ctx context.Context, partner string) ([]Tunnel, error) {
	all, err := c.cfg.Tunnels(ctx)
	all = slices.DeleteFunc(slices.Clone(all), func(t Tunnel) bool { return partner != "" && t.Partner != partner })
	slices.SortStableFunc(all, func(a, b Tunnel) int {
		return cmp.Or(strings.Compare(a.Partner, b.Partner), strings.Compare(a.Site, b.Site))
	})
	return all, err
}

// learn adds what the registry knows beside the orders: what is on, for a partner or for all.
func (w *world) learn(ctx context.Context, r *registry.Registry, partner string) error {
	on, err := r.On(ctx, partner)
	if err != nil {
		return err
	}
	w.on = map[string][]registry.Service{}
	for _, s := range on {
		w.on[s.Partner] = append(w.on[s.Partner], s)
	}
	if w.enrolled, err = r.Enrolled(ctx); err != nil {
		return err
	}
	w.partners, err = r.Partners(ctx)
	return err
}

// foresee adds what each change order that waits for a decision would end.
func (w *world) foresee(ctx context.Context, r *registry.Registry, records []registry.Record) (err error) {
	w.ending = map[string][]registry.Ending{}
	for _, rec := range records {
		if rec.Kind != registry.Change || rec.State != registry.Submitted {
			continue
		}
		if w.ending[rec.ID], err = r.Ending(ctx, rec.Order); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) partner(id string) (registry.Partner, bool) {
	i := slices.IndexFunc(w.partners, func(p registry.Partner) bool { return p.ID == id })
	if i < 0 {
		return registry.Partner{}, false
	}
	return w.partners[i], true
}

// componentsOf returns what is on for a partner, each once.
func (w *world) componentsOf(partner string) (all []registry.Component) {
	for _, s := range w.on[partner] {
		if !slices.Contains(all, s.Component) {
			all = append(all, s.Component)
		}
	}
	return all
}

// names are the partners' names by their ids, for lists of what partners have.
func (c *Console) names(ctx context.Context) (map[string]string, error) {
	partners, err := c.cfg.Registry.Partners(ctx)
	names := make(map[string]string, len(partners))
	for _, p := range partners {
		names[p.ID] = p.Name
	}
	return names, err
}
