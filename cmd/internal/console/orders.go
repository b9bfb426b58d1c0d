package console

import (
	"context"
	"errors"
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
}

// line is one component in the view of what an order changes.
type line struct {
	Change    string // "on", "off" or "stays"
	Component registry.Component
	By        string // the order that switched it on; "" for "on"
}

// consequence is what a change order takes away.
type consequence struct {
	Tunnels      []Tunnel
	Keys         []Key
	Certificates []Certificate
}

// Minus reports whether the order switches off.
func (o order) Minus() bool { return o.Kind == registry.Change }

// decorate adds to an order what an officer needs to decide it.
func (w *world) decorate(rec registry.Record, officer string) order {
	o := order{Record: rec, Own: rec.SubmittedBy == officer, InProgress: rec.State == registry.Approved}
	if p, ok := w.partner(rec.Partner.ID); ok {
		o.Partner.Name = p.Name
	}
	if rec.Kind == registry.Activation && rec.State == registry.Submitted {
		o.Partner.Name = rec.Partner.Name // as the order has it: that is what is decided
	}
	o.AwaitsToken = rec.AwaitsOffice(w.enrolled[rec.ID])
	on := w.on[rec.Partner.ID]
	for _, c := range rec.Components {
		if o.Minus() {
			o.Lines = append(o.Lines, line{"off", c, on[c]})
		} else {
			o.Lines = append(o.Lines, line{"on", c, ""})
		}
	}
	for _, c := range w.componentsOf(rec.Partner.ID) {
		if !rec.Has(c) {
			o.Lines = append(o.Lines, line{"stays", c, on[c]})
		}
	}
	if o.Minus() && rec.State == registry.Submitted {
		o.Consequence = w.consequence(rec, on)
	}
	return o
}

// consequence finds what the orders brought whose components end.
func (w *world) consequence(rec registry.Record, on map[registry.Component]string) consequence {
	var c consequence
	ends := func(component registry.Component, order string) bool {
		return rec.Has(component) && on[component] == order && order != ""
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
		if x.State != "valid" || x.Order == "" {
			continue
		}
		// The client certificate goes when nothing is left of the order that needs it.
		keepsHSM := on[registry.NetworkHSM] == x.Order && !rec.Has(registry.NetworkHSM)
		keepsVPN := on[registry.VPN] == x.Order && !rec.Has(registry.VPN)
		touched := ends(registry.NetworkHSM, x.Order) || ends(registry.VPN, x.Order)
		if x.Profile == "seal" && ends(registry.NetworkHSM, x.Order) || touched && !keepsHSM && !keepsVPN {
			c.Certificates = append(c.Certificates, x)
		}
	}
	return c
}

func (c *Console) approve(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id := r.PostFormValue("order")
	if err := c.cfg.Registry.Approve(r.Context(), v.Actor, id); err != nil {
		c.refused(w, r, v, id, err)
		return
	}
	rec, err := c.cfg.Registry.Order(r.Context(), id)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	if rec.Kind == registry.Change || !rec.NeedsEnrolment() {
		c.tell(w, r, v, notice{Message: "notice-approved", Order: id})
		return
	}
	c.tellToken(w, r, v, id, "notice-approved-token")
}

func (c *Console) newToken(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	c.tellToken(w, r, v, r.PostFormValue("order"), "notice-token")
}

// tellToken makes the office's one-time token and shows it on the next page alone.
func (c *Console) tellToken(w http.ResponseWriter, r *http.Request, v view, id, message string) {
	token, err := c.cfg.Registry.NewToken(r.Context(), v.Actor, id)
	if err != nil {
		c.refused(w, r, v, id, err)
		return
	}
	command := "trustlink enrol --url " + c.cfg.EnrolmentURL
	if c.cfg.EnrolmentPin != "" {
		command += " --pin " + c.cfg.EnrolmentPin
	}
	c.tell(w, r, v, notice{Message: message, Order: id, Command: command + " --token " + token})
}

func (c *Console) reject(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id := r.PostFormValue("order")
	if err := c.cfg.Registry.Reject(r.Context(), v.Actor, id, r.PostFormValue("reason")); err != nil {
		c.refused(w, r, v, id, err)
		return
	}
	c.tell(w, r, v, notice{Message: "notice-rejected", Order: id})
}

// refused shows why the rules do not allow what was asked: in the officer's language where the reason is
// one that the page knows, else in the registry's words.
func (c *Console) refused(w http.ResponseWriter, r *http.Request, v view, id string, err error) {
	var no *registry.Refusal
	if !errors.As(err, &no) {
		c.fault(w, r, err)
		return
	}
	n := notice{Message: "notice-refused", Refused: true, Order: id, Detail: no.Reason}
	rec, found := c.cfg.Registry.Order(r.Context(), id)
	switch {
	case found != nil:
		n.Order = ""
	case rec.State == registry.Submitted && r.URL.Path == v.session.home()+"orders/reject":
		n.Message, n.Detail = "notice-reason", ""
	case rec.State == registry.Submitted && rec.SubmittedBy == v.Actor.ID:
		n.Message, n.Detail = "notice-own", ""
	}
	c.tell(w, r, v, n)
}

// switchedOn returns which components are on for each partner, and by which order.
func (c *Console) switchedOn(ctx context.Context, records []registry.Record) (map[string]map[registry.Component]string, error) {
	on := map[string]map[registry.Component]string{}
	for _, rec := range records {
		if rec.Kind != registry.Activation || rec.State != registry.Approved && rec.State != registry.Active {
			continue
		}
		left, err := c.cfg.Registry.Left(ctx, rec.ID)
		if err != nil {
			return nil, err
		}
		for _, component := range left {
			if on[rec.Partner.ID] == nil {
				on[rec.Partner.ID] = map[registry.Component]string{}
			}
			on[rec.Partner.ID][component] = rec.ID
		}
	}
	return on, nil
}

// componentsOf returns what is on for a partner, in alphabetical order.
func (w *world) componentsOf(partner string) []registry.Component {
	var all []registry.Component
	for component := range w.on[partner] {
		all = append(all, component)
	}
	slices.Sort(all)
	return all
}
