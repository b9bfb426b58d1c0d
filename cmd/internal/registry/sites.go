package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"trustcore/internal/audit"
)

// Limits of the sites of one order.
const (
	maxSites    = 100 // beside the main one
	maxNetworks = 16  // behind one site
)

// AllSites are the sites of a request, the main one first.
func (v *VPNRequest) AllSites() []Site {
	if v == nil {
		return nil
	}
	return append([]Site{{Name: v.Site, Services: v.Services, Networks: v.Networks}}, v.Sites...)
}

// SiteNamed returns the site of the order that has the name; "" is the main one. ok is false when there is none.
func (o *Order) SiteNamed(name string) (s Site, ok bool) {
	for i, site := range o.VPNRequest.AllSites() {
		if site.Name == name || i == 0 && name == "" {
			return site, true
		}
	}
	return Site{}, false
}

// field is where the nth of AllSites stands in an order file.
func (v *VPNRequest) field(n int) string {
	if n == 0 {
		return "vpn_request"
	}
	return fmt.Sprintf("vpn_request.sites[%d]", n-1)
}

// SiteField is where a site's attribute, such as networks[0], stands in an order file.
func (v *VPNRequest) SiteField(n int, attribute string) string { return v.field(n) + "." + attribute }

func (o *Order) checkSites() error {
	v := o.VPNRequest
	if !partnerID.MatchString(v.Site) {
		return &FieldError{"vpn_request.site", fmt.Sprintf("%q: lower-case letters, digits and hyphens, such as main", v.Site)}
	}
	if len(v.Sites) > maxSites {
		return &FieldError{"vpn_request.sites", fmt.Sprintf("%d sites; at most %d are taken", len(v.Sites), maxSites)}
	}
	seen := map[string]bool{v.Site: true}
	for i, s := range v.Sites {
		field := v.SiteField(i+1, "name")
		if !partnerID.MatchString(s.Name) {
			return &FieldError{field, fmt.Sprintf("%q: lower-case letters, digits and hyphens, such as branch", s.Name)}
		}
		if seen[s.Name] {
			return &FieldError{field, fmt.Sprintf("%q stands twice; give each site a name of its own", s.Name)}
		}
		seen[s.Name] = true
		isUnits := func(u SubordinateUnit) bool { return u.ID == s.Unit }
		if s.Unit != "" && !slices.ContainsFunc(o.Units, isUnits) {
			return &FieldError{v.SiteField(i+1, "unit"), fmt.Sprintf("%q is none of the order's units: list it there, or leave it out", s.Unit)}
		}
	}
	return v.checkLists()
}

// checkLists checks the services and the networks of each site, and the networks against each other.
func (v *VPNRequest) checkLists() error {
	var all []netip.Prefix
	for n, s := range v.AllSites() {
		if err := checkServices(v.SiteField(n, "services"), s.Services); err != nil {
			return err
		}
		if len(s.Networks) > maxNetworks {
			return &FieldError{v.SiteField(n, "networks"), fmt.Sprintf("list at most %d", maxNetworks)}
		}
		for i, text := range s.Networks {
			field := v.SiteField(n, fmt.Sprintf("networks[%d]", i))
			p, err := parseNetwork(text)
			if err != nil {
				return &FieldError{field, err.Error()}
			}
			if j := slices.IndexFunc(all, p.Overlaps); j >= 0 {
				return &FieldError{field, fmt.Sprintf("%s meets %s of the same order; each network is behind one site", p, all[j])}
			}
			all = append(all, p)
		}
	}
	return nil
}

// parseNetwork reads a prefix that has one text alone: no bits of a host, no address of one family in the clothes of the
// other, no zone. Which prefixes may lie behind a site is for the package vpn to say.
func parseNetwork(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, fmt.Errorf("%.60q is no network: write it as 192.168.10.0/24 or fd12:3456::/48", text)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%s is an IPv4 address within IPv6: write it as IPv4", p)
	case p != p.Masked():
		return p, fmt.Errorf("%s has bits of a host: write %s", p, p.Masked())
	case p.String() != text:
		return p, fmt.Errorf("%.60q: write %s", text, p)
	}
	return p, nil
}

// networksOf are the prefixes of a list that was checked.
func networksOf(texts []string) (all []netip.Prefix) {
	for _, text := range texts {
		if p, err := parseNetwork(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// freeNetworks refuses networks that meet those of another order which is in force or is being carried out, or of a tunnel
// whose end is not proven yet. Two that are approved at once are asked one after the other: the caller has the lock.
func (r *Registry) freeNetworks(ctx context.Context, tx *sql.Tx, o Order) error {
	if o.VPNRequest == nil {
		return nil
	}
	taken, err := takenNetworks(ctx, tx, o)
	if err != nil {
		return err
	}
	for n, s := range o.VPNRequest.AllSites() {
		for i, p := range networksOf(s.Networks) {
			for _, t := range taken {
				if !p.Overlaps(t.network) || t.isLeft && t.partner == o.Partner.ID && t.site == s.Name {
					continue
				}
				whose := "another partner's"
				if t.partner == o.Partner.ID {
					whose = fmt.Sprintf("those of site %s, order %s", t.site, t.order)
				}
				return &FieldError{o.VPNRequest.SiteField(n, fmt.Sprintf("networks[%d]", i)), fmt.Sprintf(
					"%s meets addresses that are %s: leave it out, and have the site's router translate them to its tunnel address", p, whose)}
			}
		}
	}
	return nil
}

// takenNetwork is a network that an order or a tunnel has.
type takenNetwork struct {
	network              netip.Prefix
	partner, order, site string

	isLeft bool // by an order that was replaced, and not proven to be gone from every gateway
}

// takenNetworks are those that an order has to leave alone; its own, and those of the order that it renews, are not among them.
func takenNetworks(ctx context.Context, tx *sql.Tx, o Order) (taken []takenNetwork, err error) {
	for _, from := range []struct {
		where  string
		args   []any
		isLeft bool
	}{
		{`EXISTS (SELECT 1 FROM components c WHERE c.order_id = o.id AND c.component = $1 AND c.ended_by = '') AND o.id NOT IN ($2, $3)`,
			[]any{string(VPN), o.ID, o.Renews}, false},
		{`o.state = $1 AND NOT EXISTS (SELECT 1 FROM order_steps s WHERE s.order_id = o.id AND s.name = $2)`,
			[]any{string(Replaced), Retired}, true},
	} {
		orders, err := ordersIn(tx.QueryContext(ctx, `SELECT o.body FROM orders o WHERE `+from.where, from.args...))
		if err != nil {
			return nil, err
		}
		for _, other := range orders {
			for _, s := range other.VPNRequest.AllSites() {
				for _, p := range networksOf(s.Networks) {
					taken = append(taken, takenNetwork{p, other.Partner.ID, other.ID, s.Name, from.isLeft})
				}
			}
		}
	}
	ended, err := tx.QueryContext(ctx, `SELECT partner, order_id, site, networks FROM tunnels
		WHERE ended_at <> '' AND gone_at = '' AND networks <> ''`)
	if err != nil {
		return nil, err
	}
	defer ended.Close()
	for ended.Next() {
		var t takenNetwork
		var networks string
		if err := ended.Scan(&t.partner, &t.order, &t.site, &networks); err != nil {
			return nil, err
		}
		for _, t.network = range networksOf(strings.Fields(networks)) {
			taken = append(taken, t)
		}
	}
	return taken, ended.Err()
}

// ordersIn reads the bodies of orders, and closes the rows.
func ordersIn(rows *sql.Rows, err error) (orders []Order, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var body string
		var o Order
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &o); err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, rows.Err()
}

// lockWish has other transactions that take it wait: what they looked for may not be there any more when this one ends.
func lockWish(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE revision SET value = value WHERE name = 'wish'`)
	return err
}

// roomForSites refuses an order for whose sites there are not enough addresses, or whose networks are another's.
func (r *Registry) roomForSites(ctx context.Context, tx *sql.Tx, o Order) error {
	if !o.Has(VPN) {
		return nil
	}
	if err := lockWish(ctx, tx); err != nil {
		return err
	}
	var have int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM tunnels WHERE order_id = $1 AND ended_at = ''`, o.Renews).Scan(&have); err != nil {
		return err
	}
	if need := len(o.VPNRequest.AllSites()) - have; need > 0 {
		if _, err := r.freeAddresses(ctx, tx, need); err != nil {
			return err
		}
	}
	return r.freeNetworks(ctx, tx, o)
}

func noSite(name string) error { return refuse("site: the order has no site %q", name) }

// enrols is the name by which a site stands in the table of enrolments.
func (o *Order) enrols(s Site) string {
	if main, _ := o.SiteNamed(""); s.Name == main.Name {
		return ""
	}
	return s.Name
}

// takesToken says whether an office may enrol now: the order's own until the order is carried out, that of a further site
// from then on.
func (rec *Record) takesToken(site string) bool {
	if site == "" {
		return rec.Kind == Activation && rec.State == Approved && rec.concernsOffice()
	}
	named, ok := rec.SiteNamed(site)
	return ok && rec.enrols(named) == site && rec.Kind == Activation && rec.State == Active && rec.Has(VPN)
}

// NewSiteToken is NewToken for a site of the order. A further site enrols when the order is carried out, with a token of
// its own.
func (r *Registry) NewSiteToken(ctx context.Context, actor audit.Actor, order, site string) (string, error) {
	rec, err := r.Order(ctx, order)
	if err != nil {
		return "", err
	}
	if site == "" {
		return r.newToken(ctx, actor, order, "")
	}
	named, ok := rec.SiteNamed(site)
	if !ok {
		return "", r.refused(ctx, actor, "enrolment.token", rec.Order, noSite(site))
	}
	return r.newToken(ctx, actor, order, rec.enrols(named))
}

// endTunnels ends the chosen tunnels that have not ended; where begins with argument $2.
func (r *Registry) endTunnels(ctx context.Context, tx *sql.Tx, where string, args ...any) error {
	if err := r.endReach(ctx, tx, where, args...); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE tunnels SET ended_at = $1 WHERE ended_at = '' AND `+where, append([]any{r.stamp()}, args...)...)
	return err
}

// EndedSites returns the sites of an order whose tunnels have ended, and whether all of them are gone.
func (r *Registry) EndedSites(ctx context.Context, order string) (sites []string, gone bool, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT site, gone_at FROM tunnels WHERE order_id = $1 AND ended_at <> '' ORDER BY site`, order)
	if err != nil {
		return nil, false, fmt.Errorf("sites of order %s: %w", order, err)
	}
	defer rows.Close()
	gone = true
	for rows.Next() {
		var site, at string
		if err := rows.Scan(&site, &at); err != nil {
			return nil, false, fmt.Errorf("sites of order %s: %w", order, err)
		}
		sites, gone = append(sites, site), gone && at != ""
	}
	return sites, gone, rows.Err()
}

// TunnelsGone remembers that no gateway carries the ended tunnels of an order any more: their addresses rest from now on.
func (r *Registry) TunnelsGone(ctx context.Context, order string) error {
	_, err := r.db.ExecContext(ctx, `UPDATE tunnels SET gone_at = $1 WHERE order_id = $2 AND ended_at <> '' AND gone_at = ''`, r.stamp(), order)
	if err != nil {
		return fmt.Errorf("tunnels of order %s: %w", order, err)
	}
	return nil
}

// siteMark stands between an order's number, in which it can't stand, and the name of a further site.
const siteMark = "#"

// SiteOrder is the name under which a further site's certificate is issued: it is no order's number, so that the certificate
// opens nothing that the order gives its own office, such as keys. "" is the order's own office.
func SiteOrder(order, site string) string {
	if site == "" {
		return order
	}
	return order + siteMark + site
}

// CutSite takes apart what SiteOrder made.
func CutSite(name string) (order, site string) {
	order, site, _ = strings.Cut(name, siteMark)
	return order, site
}

// FurtherSites are the names of an order's sites beside the main one.
func (o *Order) FurtherSites() (names []string) {
	if o.VPNRequest != nil {
		for _, s := range o.VPNRequest.Sites {
			names = append(names, s.Name)
		}
	}
	return names
}

// SiteOfToken returns the further site that a token enrols, "" for the order's own office. It is asked after Enrol took the
// token.
func (r *Registry) SiteOfToken(ctx context.Context, token string) (site string, err error) {
	if err := r.db.QueryRowContext(ctx, `SELECT site FROM enrolments WHERE token = $1`, digest(token)).Scan(&site); err != nil {
		return "", fmt.Errorf("enrolment: %w", err)
	}
	return site, nil
}

// rekeySite gives the tunnel of a further site the key with which its office enrolled anew; the one before is nobody's.
func rekeySite(ctx context.Context, tx *sql.Tx, o Order, site Site, publicKey string) error {
	if o.enrols(site) == "" || publicKey == "" {
		return nil // the main site's changes by the order that renews
	}
	done, err := tx.ExecContext(ctx, `UPDATE tunnels SET public_key = $1 WHERE order_id = $2 AND site = $3 AND public_key <> $4
		AND NOT EXISTS (SELECT 1 FROM tunnel_keys WHERE public_key = $5)`, publicKey, o.ID, site.Name, publicKey, publicKey)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return enrolledSecrets(ctx, tx, o, site)
}

// WasTunnelKey says whether a key is or was a tunnel's.
func (r *Registry) WasTunnelKey(ctx context.Context, key string) (bool, error) {
	var n int
	if err := r.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM tunnel_keys WHERE public_key = $1`, key).Scan(&n); err != nil {
		return false, fmt.Errorf("keys of tunnels: %w", err)
	}
	return n > 0, nil
}

// HasNetworks says whether there is a network behind a site of the request.
func (v *VPNRequest) HasNetworks() bool {
	return slices.ContainsFunc(v.AllSites(), func(s Site) bool { return len(s.Networks) > 0 })
}
