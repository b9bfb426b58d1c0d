package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

// Limits of what one page shows.
const (
	maxRows       = 200 // of a table; the number of all stands beside it
	auditRows     = 50
	maxFilter     = 200                 // characters of a field of the audit filter
	expiringSoon  = 30 * 24 * time.Hour // certificates that are marked
	readTimeout   = 10 * time.Second    // for everything that a page shows
	dayFilter     = "2006-01-02"
	auditFragment = "audit"
)

// world is what is known at one moment. A part that could not be read is named in failed.
type world struct {
	records      []registry.Record
	partners     []registry.Partner
	on           map[string][]service         // by partner
	ending       map[string][]registry.Ending // by the change order that would end it
	enrolled     map[string]bool              // orders whose office has enrolled
	tunnels      []Tunnel
	keys         []Key
	certificates []Certificate
	expiring     []Expiry
	motions      []Motion
	failed       map[string]bool
}

// table is rows with the number of all, of which only the first are shown.
type table[Row any] struct {
	Rows   []Row
	All    int
	Failed bool
}

func tableOf[Row any](rows []Row, failed bool) table[Row] {
	return table[Row]{Rows: rows[:min(len(rows), maxRows)], All: len(rows), Failed: failed}
}

// partnerRow is one partner with what is on.
type partnerRow struct {
	registry.Partner
	Components []registry.Component
}

// certificateRow adds whether a certificate needs attention.
type certificateRow struct {
	Certificate
	Soon bool // valid, and expires within 30 days
}

// auditView is the audit section with its filter.
type auditView struct {
	table[audit.Recorded]
	Partner, Subject, Day string
}

// Filtered reports whether a filter is set.
func (a auditView) Filtered() bool { return a.Partner != "" || a.Subject != "" || a.Day != "" }

// page is what the page template shows.
type page struct {
	view
	Notice       *notice
	Now          time.Time
	Verify       bool
	Waiting      []order
	Motions      table[motion]
	Act          table[expiryRow] // people must act on these
	Expiring     table[expiryRow] // all that ends
	Orders       table[order]
	Partners     table[partnerRow]
	Tunnels      table[Tunnel]
	Keys         table[Key]
	Certificates table[certificateRow]
	Audit        auditView

	TunnelsUp, KeysActive int
	Live                  bool // an order is being carried out: its table refreshes itself
}

// Undecided is how much waits for a decision.
func (p *page) Undecided() int { return len(p.Waiting) + p.Motions.All }

// Fragments that the script may ask for on their own; each is the template of that name.
var fragments = []string{"summary", "orders", "tunnels", auditFragment}

func (c *Console) showPage(w http.ResponseWriter, r *http.Request, v view) {
	p, err := c.page(r, v)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	p.Audit = c.readAudit(r)
	p.Notice = c.told(v.session)
	c.render(w, r, v, http.StatusOK, "page", p)
}

func (c *Console) showFragment(w http.ResponseWriter, r *http.Request, v view) {
	name := r.PathValue("name")
	if !slices.Contains(fragments, name) {
		problem.NotFound(w)
		return
	}
	p := &page{view: v, Now: c.cfg.Now()}
	if name == auditFragment {
		p.Audit = c.readAudit(r)
	} else {
		var err error
		if p, err = c.page(r, v); err != nil {
			c.fault(w, r, err)
			return
		}
	}
	c.render(w, r, v, http.StatusOK, name, p)
}

// page gathers everything. Only the registry must answer: what the other parts can't tell now is said in
// their place on the page.
func (c *Console) page(r *http.Request, v view) (*page, error) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	w, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	now := c.cfg.Now()
	p := &page{view: v, Now: now, Verify: c.cfg.Verify != nil}
	var orders []order
	for _, rec := range w.records {
		o := w.decorate(rec, v.Actor.ID)
		if rec.State == registry.Submitted {
			p.Waiting = append(p.Waiting, o)
		}
		p.Live = p.Live || o.InProgress
		orders = append(orders, o)
	}
	slices.Reverse(p.Waiting) // who waits longest comes first
	p.Orders = tableOf(orders, false)
	var partners []partnerRow
	for _, partner := range w.partners {
		partners = append(partners, partnerRow{partner, w.componentsOf(partner.ID)})
	}
	p.Partners = tableOf(partners, false)
	p.Tunnels = tableOf(w.tunnels, w.failed["tunnels"])
	p.Keys = tableOf(w.keys, w.failed["keys"])
	p.Certificates = tableOf(certificateRows(w.certificates, now), w.failed["certificates"])
	p.Motions = tableOf(motionsFor(v.Actor.ID, w.motions), w.failed["motions"])
	expiring, act := expiryRows(w.expiring, now)
	p.Expiring, p.Act = tableOf(expiring, w.failed["expiring"]), tableOf(act, false)
	p.count(w)
	return p, nil
}

func (p *page) count(w *world) {
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

func (c *Console) read(ctx context.Context) (*world, error) {
	w := &world{enrolled: map[string]bool{}, failed: map[string]bool{}}
	var err error
	if w.records, err = c.cfg.Registry.Orders(ctx); err != nil {
		return nil, err
	}
	if w.partners, err = c.cfg.Registry.Partners(ctx); err != nil {
		return nil, err
	}
	if w.on, err = c.switchedOn(ctx, w.records); err != nil {
		return nil, err
	}
	if w.ending, err = c.endings(ctx, w.records); err != nil {
		return nil, err
	}
	for _, rec := range w.records {
		if rec.State != registry.Approved {
			continue
		}
		e, err := c.cfg.Registry.Enrolment(ctx, rec.ID)
		if err != nil {
			return nil, err
		}
		w.enrolled[rec.ID] = e != nil
	}
	c.readParts(ctx, w)
	return w, nil
}

// readParts asks the parts beside the registry, and goes on when one of them can't answer.
func (c *Console) readParts(ctx context.Context, w *world) {
	var err error
	if w.tunnels, err = c.cfg.Tunnels(ctx); err != nil {
		c.missing(w, "tunnels", err)
	}
	if w.keys, err = c.cfg.Keys(ctx); err != nil {
		c.missing(w, "keys", err)
	}
	if w.certificates, err = c.cfg.Certificates(ctx); err != nil {
		c.missing(w, "certificates", err)
	}
	if w.expiring, err = c.cfg.Expiring(ctx); err != nil {
		c.missing(w, "expiring", err)
	}
	if w.motions, err = c.cfg.Motions.Waiting(ctx); err != nil {
		c.missing(w, "motions", err)
	}
	slices.SortStableFunc(w.tunnels, func(a, b Tunnel) int {
		return cmp.Or(strings.Compare(a.Partner, b.Partner), strings.Compare(a.Site, b.Site))
	})
	slices.SortStableFunc(w.keys, func(a, b Key) int {
		return cmp.Or(strings.Compare(a.Partner, b.Partner), a.Created.Compare(b.Created))
	})
}

func (c *Console) missing(w *world, part string, err error) {
	w.failed[part] = true
	c.cfg.Logger.Error("the console can't show a part", "part", part, "error", err)
}

func (w *world) partner(id string) (registry.Partner, bool) {
	for _, p := range w.partners {
		if p.ID == id {
			return p, true
		}
	}
	return registry.Partner{}, false
}

// certificateRows puts the valid ones first, those that expire first at the top; then the others, newest end first.
func certificateRows(all []Certificate, now time.Time) []certificateRow {
	rows := make([]certificateRow, len(all))
	for i, x := range all {
		rows[i] = certificateRow{x, x.State == "valid" && x.NotAfter.Sub(now) < expiringSoon}
	}
	slices.SortStableFunc(rows, func(a, b certificateRow) int {
		switch aValid, bValid := a.State == "valid", b.State == "valid"; {
		case aValid && bValid:
			return a.NotAfter.Compare(b.NotAfter)
		case aValid:
			return -1
		case bValid:
			return 1
		}
		return b.NotAfter.Compare(a.NotAfter)
	})
	return rows
}

// readAudit returns the newest entries that the filter in the address chooses, newest first.
func (c *Console) readAudit(r *http.Request) auditView {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	q := r.URL.Query()
	a := auditView{Partner: field(q.Get("partner")), Subject: field(q.Get("subject")), Day: field(q.Get("day"))}
	filter := audit.Filter{Partner: a.Partner, Subject: a.Subject, Last: auditRows}
	if a.Day != "" {
		day, err := time.ParseInLocation(dayFilter, a.Day, c.speech[languages[0]].zone)
		if err != nil {
			a.Day = ""
		} else {
			filter.From, filter.Before = day, day.AddDate(0, 0, 1)
		}
	}
	found, err := c.cfg.Audit.List(ctx, filter)
	if err != nil {
		c.cfg.Logger.Error("the console can't show a part", "part", "audit", "error", err)
	}
	slices.Reverse(found)
	a.table = table[audit.Recorded]{Rows: found, All: len(found), Failed: err != nil}
	return a
}

func field(text string) string {
	text = strings.TrimSpace(text)
	if r := []rune(text); len(r) > maxFilter {
		return string(r[:maxFilter])
	}
	return text
}
