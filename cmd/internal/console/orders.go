package console

import (
	"net/http"
	"slices"

	"trustcore/cmd/internal/registry"
)

// order is one order as the page shows it.
type order struct {
	registry.Record
	Lines       []line
	Consequence consequence
	Own         bool // the officer who looks has submitted it
	AwaitsToken bool // an office is to enrol and has not
	InProgress  bool

	MayApprove, MayReject, MayToken bool // the officer who looks, by the table of rights
}

// line is one component in the view of what an order changes.
type line struct {
	Change    string // "on", "off" or "stays"
	Component registry.Component
	By        string // the order that switched it on; "" for "on"

	Application string // of B_HSM that is on
}

// consequence is what a change order takes away.
type consequence struct {
	Tunnels      []Tunnel
	Keys         []Key
	Certificates []Certificate
	Unknown      []string // the parts that could not be read: more may end
}

// Empty reports whether nothing is taken away, as far as can be told.
func (c consequence) Empty() bool {
	return len(c.Tunnels)+len(c.Keys)+len(c.Certificates)+len(c.Unknown) == 0
}

// Minus reports whether the order switches off.
func (o order) Minus() bool { return o.Kind == registry.Change }

// Undecided reports whether the order waits for a decision.
func (o order) Undecided() bool { return o.State == registry.Submitted }

// endsBy reports whether a service is among what is ended.
func endsBy(s registry.Service, e registry.Ending) bool {
	return e.Order == s.Order && slices.Contains(e.Components, s.Component)
}

// decorate adds to an order what an officer needs to decide it.
func (w *world) decorate(rec registry.Record, v view) order {
	o := order{Record: rec, Own: rec.SubmittedBy == v.Actor.ID, InProgress: rec.State == registry.Approved,
		MayApprove: v.May(http.MethodPost, "orders/approve"), MayReject: v.May(http.MethodPost, "orders/reject"),
		MayToken: v.May(http.MethodPost, "orders/token")}
	if p, ok := w.partner(rec.Partner.ID); ok {
		o.Partner.Name = p.Name
	}
	if rec.Kind == registry.Activation && rec.State == registry.Submitted {
		o.Partner.Name = rec.Partner.Name // as the order has it: that is what is decided
	}
	o.AwaitsToken = rec.AwaitsOffice(w.enrolled[rec.ID])
	if o.Minus() && rec.State == registry.Submitted {
		o.Consequence = w.consequence(w.ending[rec.ID])
	}
	o.Lines = w.lines(rec)
	return o
}

// lines tells of each component what the order changes.
func (w *world) lines(rec registry.Record) (lines []line) {
	if rec.Kind == registry.Activation {
		for _, c := range rec.Components {
			lines = append(lines, line{Change: "on", Component: c})
		}
	}
	for _, s := range w.on[rec.Partner.ID] {
		change := "stays"
		if slices.ContainsFunc(w.ending[rec.ID], func(e registry.Ending) bool { return endsBy(s, e) }) {
			change = "off"
		} else if rec.Kind == registry.Activation && (s.Order == rec.ID || s.Order == rec.Renews && rec.Has(s.Component)) {
			continue // it is what this order brings, or the new one takes its place
		}
		lines = append(lines, line{change, s.Component, s.Order, s.Application})
	}
	return lines
}

// consequence finds what the orders brought whose components end.
func (w *world) consequence(endings []registry.Ending) (c consequence) {
	for _, part := range []string{partTunnels, partKeys, partCertificates} {
		if w.failed[part] {
			c.Unknown = append(c.Unknown, part)
		}
	}
	for _, e := range endings {
		ends := func(component registry.Component, order string) bool {
			return slices.Contains(e.Components, component) && slices.Contains(e.Line, order)
		}
		for _, t := range w.tunnels {
			if ends(registry.VPN, t.Order) {
				c.Tunnels = append(c.Tunnels, t)
			}
		}
		for _, k := range w.keys {
			if k.State == "active" && ends(registry.NetworkHSM, k.Order) {
				c.Keys = append(c.Keys, k)
			}
		}
		for _, x := range w.certificates {
			seal := x.Profile == "seal" && ends(registry.NetworkHSM, x.Order)
			if x.State == "valid" && (seal || slices.Contains(e.Line, x.Order) && !registry.Connects(e.Left)) {
				c.Certificates = append(c.Certificates, x)
			}
		}
	}
	return c
}

// orderRow is one order of the list.
type orderRow struct {
	registry.Head
	Components []registry.Component
}

// Minus reports whether the order switches off.
func (o orderRow) Minus() bool { return o.Kind == registry.Change }

type ordersPage struct {
	frame
	Orders    list[orderRow]
	State     string
	States    []registry.State
	MaySubmit bool
}

// showOrders lists the orders, newest first. The search looks at numbers, partners and officers.
func (c *Console) showOrders(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	heads, err := c.cfg.Registry.Heads(ctx, "")
	if err != nil {
		c.fault(w, r, err)
		return
	}
	state := field(r.URL.Query().Get("state"))
	rows := []orderRow{}
	for _, h := range heads {
		if state == "" || state == string(h.State) {
			rows = append(rows, orderRow{Head: h})
		}
	}
	p := &ordersPage{frame: c.framed(r, v, "orders", v.word("orders")), State: state, MaySubmit: v.May(http.MethodPost, "draft"),
		States: []registry.State{registry.Submitted, registry.Rejected, registry.Approved, registry.Active, registry.CarriedOut,
			registry.Ended, registry.Replaced}}
	p.Orders = listOf(r, "orders", rows, false, func(o orderRow) []string {
		return []string{o.ID, o.Partner, o.PartnerName, o.SubmittedBy, o.DecidedBy}
	}, "state")
	ids := make([]string, len(p.Orders.Rows))
	for i, o := range p.Orders.Rows {
		ids[i] = o.ID
	}
	records, err := c.cfg.Registry.OrdersNamed(ctx, ids)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	for i := range p.Orders.Rows {
		for _, rec := range records {
			if rec.ID == p.Orders.Rows[i].ID {
				p.Orders.Rows[i].Components = rec.Components
			}
		}
	}
	c.render(w, r, v, http.StatusOK, "orders", p)
}
