package console

import (
	"cmp"
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

	Application string // of B_HSM that is on
}

// service is a component that is on for a partner: B_HSM once for each application.
type service struct {
	component   registry.Component
	application string
	order       string // that switched it on
}

func (s service) endsBy(e registry.Ending) bool {
	return e.Order == s.order && slices.Contains(e.Components, s.component)
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
		if slices.ContainsFunc(w.ending[rec.ID], s.endsBy) {
			change = "off"
		} else if rec.Kind == registry.Activation && s.order == rec.Renews && rec.Has(s.component) {
			continue // the new one takes its place
		}
		lines = append(lines, line{change, s.component, s.order, s.application})
	}
	return lines
}

// consequence finds what the orders brought whose components end.
func (w *world) consequence(endings []registry.Ending) (c consequence) {
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

// switchedOn returns what is on for each partner, in alphabetical order.
func (c *Console) switchedOn(ctx context.Context, records []registry.Record) (map[string][]service, error) {
	on := map[string][]service{}
	for _, rec := range records {
		if rec.Kind != registry.Activation || rec.State != registry.Approved && rec.State != registry.Active {
			continue
		}
		left, err := c.cfg.Registry.Left(ctx, rec.ID)
		if err != nil {
			return nil, err
		}
		for _, component := range left {
			s := service{component: component, order: rec.ID}
			if component == registry.NetworkHSM {
				s.application = rec.HSMAuthorization.Application
			}
			on[rec.Partner.ID] = append(on[rec.Partner.ID], s)
		}
	}
	for _, all := range on {
		slices.SortFunc(all, func(a, b service) int {
			return cmp.Or(cmp.Compare(a.component, b.component), cmp.Compare(a.application, b.application), cmp.Compare(a.order, b.order))
		})
	}
	return on, nil
}

// endings returns what each change order that waits for a decision would end.
func (c *Console) endings(ctx context.Context, records []registry.Record) (map[string][]registry.Ending, error) {
	ending := map[string][]registry.Ending{}
	for _, rec := range records {
		if rec.Kind != registry.Change || rec.State != registry.Submitted {
			continue
		}
		var err error
		if ending[rec.ID], err = c.cfg.Registry.Ending(ctx, rec.Order); err != nil {
			return nil, err
		}
	}
	return ending, nil
}

// componentsOf returns what is on for a partner, each once.
func (w *world) componentsOf(partner string) (all []registry.Component) {
	for _, s := range w.on[partner] {
		if !slices.Contains(all, s.component) {
			all = append(all, s.component)
		}
	}
	return all
}
