package console

import (
	"net/http"
	"slices"

	"trustcore/cmd/internal/registry"
)

// startPage is the first page: what waits, what is being carried out, what needs people.
type startPage struct {
	frame
	Verify     bool
	Waiting    []order
	Motions    table[motion]
	Running    []order          // being carried out
	Act        table[expiryRow] // people must act on these
	Expiring   table[expiryRow] // all that ends
	Tunnels    table[Tunnel]
	Keys       table[Key]
	Partners   int
	TunnelsUp  int
	KeysActive int
	Live       bool // an order is being carried out: the page refreshes its table
}

// Undecided is how much waits for a decision.
func (p *startPage) Undecided() int { return len(p.Waiting) + p.Motions.All }

func (c *Console) showStart(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	undecided, err := c.cfg.Registry.Undecided(ctx, "")
	if err != nil {
		c.fault(w, r, err)
		return
	}
	unfinished, err := c.cfg.Registry.Unfinished(ctx)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	parts := []string{partTunnels, partKeys, partExpiring, partMotions}
	if slices.ContainsFunc(undecided, func(rec registry.Record) bool { return rec.Kind == registry.Change }) {
		parts = append(parts, partCertificates) // which it would end
	}
	world := c.read(ctx, "", parts...)
	if err = world.learn(ctx, c.cfg.Registry, ""); err == nil {
		err = world.foresee(ctx, c.cfg.Registry, undecided)
	}
	if err != nil {
		c.fault(w, r, err)
		return
	}
	p := &startPage{frame: c.framed(r, v, "", v.word("nav-start")), Verify: c.cfg.Verify != nil, Partners: len(world.partners)}
	for _, rec := range undecided {
		p.Waiting = append(p.Waiting, world.decorate(rec, v))
	}
	for _, rec := range unfinished {
		if rec.State == registry.Approved {
			p.Running = append(p.Running, world.decorate(rec, v))
		}
	}
	p.Live = len(p.Running) > 0
	p.fill(world, v)
	c.render(w, r, v, http.StatusOK, "start", p)
}

// fill adds what the parts beside the registry say.
func (p *startPage) fill(w *world, v view) {
	p.Tunnels, p.Keys = tableOf(w.tunnels, w.failed[partTunnels]), tableOf(w.keys, w.failed[partKeys])
	p.Motions = tableOf(motionsFor(v, w.motions), w.failed[partMotions])
	expiring, act := expiryRows(w.expiring, p.Now)
	p.Expiring, p.Act = tableOf(expiring, w.failed[partExpiring]), tableOf(act, false)
	for _, t := range w.tunnels {
		if t.State == "up" {
			p.TunnelsUp++
		}
	}
	for _, k := range w.keys {
		if k.State == "active" {
			p.KeysActive++
		}
	}
}
