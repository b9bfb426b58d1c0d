package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"trustcore/cmd/internal/registry"
)

// orderPage is all of an order.
type orderPage struct {
	frame
	Order        order
	Keys         table[keyRow]
	Tunnels      table[tunnelRow]
	Certificates table[certificateRow]
	EndedHere    []endedLine // of a change order that was approved: what it ended
}

// endedLine is an activation order with what a change order ended of it.
type endedLine struct {
	Order      string
	Components []registry.Component
}

// showOrder shows the fields of an order, its steps, what it gave, and the way to decide it.
func (c *Console) showOrder(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	p, err := c.orderPage(ctx, r.URL.Query().Get("id"), v)
	var no *registry.Refusal
	switch {
	case errors.As(err, &no):
		c.nowhere(w, r, v)
	case err != nil:
		c.fault(w, r, err)
	default:
		p.frame = c.framed(r, v, "orders", v.word("order-title", "Order", p.Order.ID))
		c.render(w, r, v, http.StatusOK, "order", p)
	}
}

// orderPage reads an order with all that belongs to it. A *registry.Refusal says that there is none.
func (c *Console) orderPage(ctx context.Context, id string, v view) (*orderPage, error) {
	rec, err := c.cfg.Registry.Order(ctx, id)
	if err != nil {
		return nil, err
	}
	world := c.read(ctx, rec.Partner.ID, partTunnels, partKeys, partCertificates)
	if err := world.learn(ctx, c.cfg.Registry, rec.Partner.ID); err != nil {
		return nil, err
	}
	if err := world.foresee(ctx, c.cfg.Registry, []registry.Record{*rec}); err != nil {
		return nil, err
	}
	p := &orderPage{Order: world.decorate(*rec, v)}
	line, err := c.cfg.Registry.Line(ctx, id)
	if err != nil {
		return nil, err
	}
	names := map[string]string{rec.Partner.ID: p.Order.Partner.Name}
	gave := func(order string) bool { return rec.Kind == registry.Activation && slices.Contains(line, order) }
	p.Keys = tableOf(keyRows(keep(world.keys, func(k Key) bool { return gave(k.Order) }), names), world.failed[partKeys])
	p.Tunnels = tableOf(tunnelRows(keep(world.tunnels, func(t Tunnel) bool { return gave(t.Order) }), names), world.failed[partTunnels])
	certificates := keep(world.certificates, func(x Certificate) bool { return gave(x.Order) })
	p.Certificates = tableOf(certificateRows(certificates, names, c.cfg.Now()), world.failed[partCertificates])
	if rec.Kind == registry.Change {
		ended, err := c.cfg.Registry.EndedBy(ctx, id)
		if err != nil {
			return nil, err
		}
		for order, components := range ended {
			p.EndedHere = append(p.EndedHere, endedLine{order, components})
		}
		slices.SortFunc(p.EndedHere, func(a, b endedLine) int { return strings.Compare(a.Order, b.Order) })
	}
	return p, nil
}

// keep returns the rows that are chosen.
func keep[Row any](rows []Row, chosen func(Row) bool) (kept []Row) {
	for _, row := range rows {
		if chosen(row) {
			kept = append(kept, row)
		}
	}
	return kept
}
