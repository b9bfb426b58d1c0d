package console

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"trustcore/cmd/internal/registry"
)

// act is something that is asked twice: a page says what it does, and its button does it.
type act struct {
	route   string            // of the button, below the session's home
	field   string            // of the form that names what it is about
	about   about             //
	reason  reason            // what has to be said
	two     bool              // another officer decides
	danger  bool              // something stops working
	further map[string]string // fields of the form
}

// about says what an act is about.
type about string

const (
	aboutOrder       about = "order"
	aboutMotion      about = "motion"
	aboutKey         about = "key"
	aboutCertificate about = "certificate"
	aboutTunnel      about = "tunnel"
)

// reason says what has to be said for an act.
type reason string

const (
	inWords    reason = "words"
	revocation reason = "revocation" // one of RFC 5280's
)

// acts by the names that addresses have.
var acts = map[string]act{
	"order-approve":       {route: "orders/approve", field: "order", about: aboutOrder},
	"order-reject":        {route: "orders/reject", field: "order", about: aboutOrder, reason: inWords, danger: true},
	"order-token":         {route: "orders/token", field: "order", about: aboutOrder},
	"motion-approve":      {route: "motions/approve", field: "motion", about: aboutMotion},
	"motion-reject":       {route: "motions/reject", field: "motion", about: aboutMotion, reason: inWords, danger: true},
	"key-suspend":         {route: "keys/suspend", field: "id", about: aboutKey, reason: inWords, danger: true},
	"key-resume":          {route: "keys/resume", field: "id", about: aboutKey, reason: inWords, two: true},
	"key-rotate":          {route: "keys/rotate", field: "id", about: aboutKey, reason: inWords, two: true},
	"certificate-suspend": {route: "certificates/suspend", field: "id", about: aboutCertificate, danger: true},
	"certificate-release": {route: "certificates/release", field: "id", about: aboutCertificate, two: true},
	"certificate-revoke": {route: "certificates/revoke", field: "id", about: aboutCertificate, reason: revocation,
		two: true, danger: true},
	"tunnel-key": {route: "tunnels/rotate", field: "partner", about: aboutTunnel,
		further: map[string]string{"secret": string(registry.OfficeKey)}},
	"tunnel-preshared": {route: "tunnels/rotate", field: "partner", about: aboutTunnel,
		further: map[string]string{"secret": string(registry.PresharedKey)}},
}

// revocationReasons are those of RFC 5280 5.3.1 that officers choose from.
var revocationReasons = []string{"keyCompromise", "cessationOfOperation", "superseded", "affiliationChanged",
	"privilegeWithdrawn", "unspecified"}

// confirmPage says what an act does, before it is done.
type confirmPage struct {
	frame
	Act, Route string
	Fields     map[string]string
	Words      bool // a reason in words
	Choices    []string
	Two        bool
	Danger     bool
	Back       string

	Order       *orderPage
	Motion      *motion
	Key         *keyPage
	Certificate *certificatePage
	Tunnel      *tunnelPage
}

// errNotThere says that there is nothing of the name that was asked for.
var errNotThere = errors.New("there is nothing of that name")

// answered tells what came of a page that could not be read, if it could not: there is nothing of that name, or a fault.
func (c *Console) answered(w http.ResponseWriter, r *http.Request, v view, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, errNotThere):
		c.nowhere(w, r, v)
	default:
		c.fault(w, r, err)
	}
	return true
}

// showConfirm asks whether an act is meant.
func (c *Console) showConfirm(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	q := r.URL.Query()
	name, id, site := q.Get("act"), q.Get("id"), q.Get("site")
	a, known := acts[name]
	switch {
	case !known:
		c.nowhere(w, r, v)
		return
	case !v.May(http.MethodPost, a.route):
		c.forbidden(w, r, v)
		return
	}
	p := &confirmPage{Act: name, Route: a.route, Fields: map[string]string{a.field: id}, Words: a.reason == inWords,
		Two: a.two, Danger: a.danger}
	for field, value := range a.further {
		p.Fields[field] = value
	}
	if a.reason == revocation {
		p.Choices = revocationReasons
	}
	err := c.look(ctx, p, a.about, id, site, v)
	var no *registry.Refusal
	switch {
	case errors.Is(err, errNotThere), errors.As(err, &no):
		c.nowhere(w, r, v)
	case err != nil:
		c.fault(w, r, err)
	default:
		p.frame = c.framed(r, v, "none", v.speech.term("act", name))
		c.render(w, r, v, http.StatusOK, "confirm", p)
	}
}

// look reads what the act is about.
func (c *Console) look(ctx context.Context, p *confirmPage, what about, id, site string, v view) (err error) {
	switch what {
	case aboutOrder:
		p.Back = orderPath(id)
		if p.Order, err = c.orderPage(ctx, id, v); err == nil {
			p.Fields[fieldShown] = p.Order.Order.shown()
		}
	case aboutMotion:
		p.Back = "motions"
		if p.Motion, err = c.waitingMotion(ctx, id, v); err == nil {
			p.Fields[fieldShown] = p.Motion.shown()
		}
	case aboutKey:
		p.Back = "key?id=" + query(id)
		if p.Key, err = c.keyPage(ctx, id); err == nil && p.Key.Key.Partner == "" {
			err = errNotThere // the data centre's own are nobody's here
		}
	case aboutCertificate:
		p.Back = "certificate?id=" + query(id)
		p.Certificate, err = c.certificatePage(ctx, id)
	case aboutTunnel:
		p.Back = tunnelPath(id, site)
		p.Fields["site"] = site
		p.Tunnel, err = c.tunnelPage(ctx, id, site)
	}
	return err
}

// waitingMotion is one that may be decided.
func (c *Console) waitingMotion(ctx context.Context, id string, v view) (*motion, error) {
	waiting, err := c.cfg.Motions.Waiting(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range motionsFor(v, waiting) {
		if m.ID == id {
			return &m, nil
		}
	}
	return nil, errNotThere
}

// Own reports whether the officer who looks may not decide, since it is the officer's own.
func (p *confirmPage) Own() bool {
	own := p.Order != nil && p.Order.Order.Own || p.Motion != nil && p.Motion.Own
	return own && slices.Contains([]string{"order-approve", "motion-approve"}, p.Act)
}
