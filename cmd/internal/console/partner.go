package console

import (
	"database/sql"
	"errors"
	"net/http"
	"slices"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/registry"
)

// partnerPage is all of a partner.
type partnerPage struct {
	frame
	Partner      registry.Partner
	On           []registry.Service
	Waiting      []order
	Motions      table[motion]
	Orders       table[order]
	Keys         table[keyRow]
	Tunnels      table[tunnelRow]
	Certificates table[certificateRow]
	Applications []application.Application
	Grants       []grantRow
	Units        list[registry.SubordinateUnit]
}

// grantRow is what an authorisation gives, with its limits.
type grantRow struct {
	Order string
	registry.HSMAuthorization
}

func (c *Console) showPartner(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	id := r.URL.Query().Get("id")
	partner, err := c.cfg.Registry.Partner(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		c.nowhere(w, r, v)
		return
	}
	if err != nil {
		c.fault(w, r, err)
		return
	}
	records, err := c.cfg.Registry.OrdersOf(ctx, id)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	world := c.read(ctx, id, partTunnels, partKeys, partCertificates, partMotions)
	if err = world.learn(ctx, c.cfg.Registry, id); err == nil {
		err = world.foresee(ctx, c.cfg.Registry, records)
	}
	if err != nil {
		c.fault(w, r, err)
		return
	}
	apps, err := c.cfg.Registry.Applications(ctx)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	p := &partnerPage{frame: c.framed(r, v, "partners", partner.Name), Partner: *partner, On: world.on[id]}
	p.Applications = slices.DeleteFunc(apps, func(a application.Application) bool { return a.Partner != id })
	p.fill(r, world, records, v)
	c.render(w, r, v, http.StatusOK, "partner", p)
}

// fill adds the partner's orders and what they brought.
func (p *partnerPage) fill(r *http.Request, w *world, records []registry.Record, v view) {
	var rows []order
	for _, rec := range records {
		o := w.decorate(rec, v)
		if rows = append(rows, o); rec.State == registry.Submitted {
			p.Waiting = append(p.Waiting, o)
		}
		inForce := rec.HSMAuthorization != nil && slices.ContainsFunc(p.On, func(s registry.Service) bool {
			return s.Order == rec.ID && s.Component == registry.NetworkHSM
		})
		if inForce {
			p.Grants = append(p.Grants, grantRow{rec.ID, *rec.HSMAuthorization})
		}
	}
	names := map[string]string{p.Partner.ID: p.Partner.Name}
	p.Orders = table[order]{Rows: rows[:min(len(rows), rowsAPage)], All: len(rows)}
	p.Units = listOf(r, "partner", p.Partner.Units, false,
		func(u registry.SubordinateUnit) []string { return []string{u.ID, u.Name} }, "id")
	p.Keys = tableOf(keyRows(w.keys, names), w.failed[partKeys])
	p.Tunnels = tableOf(tunnelRows(w.tunnels, names), w.failed[partTunnels])
	p.Certificates = tableOf(certificateRows(w.certificates, names, p.Now), w.failed[partCertificates])
	mine := keep(motionsFor(v, w.motions), func(m motion) bool { return slices.Contains(m.Partners, p.Partner.ID) })
	p.Motions = tableOf(mine, w.failed[partMotions])
}
