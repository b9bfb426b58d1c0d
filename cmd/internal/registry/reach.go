package registry

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Offered is a service that the configuration has for offices.
type Offered struct {
	Name, Proto, Addr string
	GivenBy           string // P_VPN, B_HSM, or "order"
}

// ByOrder is what Offered.GivenBy has of a service that orders name.
const ByOrder = "order"

// Reach is a time in which a site could reach a service.
type Reach struct {
	Order    string    `json:"order"` // by which
	Partner  string    `json:"partner"`
	Site     string    `json:"site"`
	Unit     string    `json:"unit,omitempty"`
	Address  string    `json:"address"`            // of the site in the tunnel
	Networks []string  `json:"networks,omitempty"` // behind the site, which could too
	Service  string    `json:"service"`
	Proto    string    `json:"proto"`
	Addr     string    `json:"addr"`
	GivenBy  string    `json:"given_by"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // zero: still
}

// beginReach enters what the tunnels of an order reach from now on, where that is not entered yet.
func (r *Registry) beginReach(ctx context.Context, tx *sql.Tx, order string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO tunnel_reach (order_id, partner, site, unit, address, services, networks, since)
		SELECT order_id, partner, site, unit, address, services, networks, $1 FROM tunnels t WHERE order_id = $2 AND ended_at = ''
		AND NOT EXISTS (SELECT 1 FROM tunnel_reach h WHERE h.order_id = t.order_id AND h.site = t.site AND h.until = '')`,
		r.stamp(), order)
	return err
}

// endReach ends it for the chosen tunnels that have not ended; where begins with argument $2.
func (r *Registry) endReach(ctx context.Context, tx *sql.Tx, where string, args ...any) error {
	_, err := tx.ExecContext(ctx, `UPDATE tunnel_reach SET until = $1 WHERE until = '' AND `+where, append([]any{r.stamp()}, args...)...)
	return err
}

// Offer remembers which services the configuration has from now on, so that what a site could reach is known later.
func (r *Registry) Offer(ctx context.Context, services []Offered) error {
	err := r.db.InTx(ctx, func(tx *sql.Tx) error {
		if err := lockWish(ctx, tx); err != nil {
			return err
		}
		before, err := offered(tx.QueryContext(ctx, `SELECT name, proto, addr, given_by, since, until FROM offered_services WHERE until = ''`))
		if err != nil {
			return err
		}
		for _, b := range before {
			if slices.Contains(services, b.Offered) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `UPDATE offered_services SET until = $1 WHERE until = '' AND name = $2 AND proto = $3
				AND addr = $4 AND given_by = $5`, r.stamp(), b.Name, b.Proto, b.Addr, b.GivenBy); err != nil {
				return err
			}
		}
		for _, s := range services {
			if slices.ContainsFunc(before, func(b offer) bool { return b.Offered == s }) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO offered_services (name, proto, addr, given_by, since) VALUES ($1, $2, $3, $4, $5)`,
				s.Name, s.Proto, s.Addr, s.GivenBy, r.stamp()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("services of the configuration: %w", err)
	}
	return nil
}

// offer is a service with when it was offered.
type offer struct {
	Offered
	span
}

// span is a time; until is "" while it goes on.
type span struct{ since, until string }

// and is the time that both have in common.
func (s span) and(o span) (common span, ok bool) {
	common = span{max(s.since, o.since), s.until}
	if s.until == "" || o.until != "" && o.until < s.until {
		common.until = o.until
	}
	return common, common.until == "" || common.since < common.until
}

func offered(rows *sql.Rows, err error) (all []offer, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var o offer
		if err := rows.Scan(&o.Name, &o.Proto, &o.Addr, &o.GivenBy, &o.since, &o.until); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

// Reaches returns who could reach what, from when to when, by which order: of a partner, or of all where that is "". The
// times are those of the wish; that a gateway carried it out until then is proven by the audit log (tunnel.remove).
func (r *Registry) Reaches(ctx context.Context, partner string) (all []Reach, err error) {
	offers, err := offered(r.db.QueryContext(ctx, `SELECT name, proto, addr, given_by, since, until FROM offered_services ORDER BY since`))
	if err != nil {
		return nil, fmt.Errorf("reach: %w", err)
	}
	hsm, err := r.hsmSpans(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach: %w", err)
	}
	rows, err := r.db.QueryContext(ctx, `SELECT order_id, partner, site, unit, address, services, networks, since, until
		FROM tunnel_reach WHERE $1 = '' OR partner = $2 ORDER BY since`, partner, partner)
	if err != nil {
		return nil, fmt.Errorf("reach: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var one Reach
		var services, networks string
		var at span
		if err := rows.Scan(&one.Order, &one.Partner, &one.Site, &one.Unit, &one.Address, &services, &networks, &at.since, &at.until); err != nil {
			return nil, fmt.Errorf("reach: %w", err)
		}
		one.Networks = strings.Fields(networks)
		all = append(all, one.through(at, strings.Fields(services), offers, hsm[one.Partner])...)
	}
	slices.SortStableFunc(all, func(a, b Reach) int {
		return cmp.Or(strings.Compare(a.Partner, b.Partner), strings.Compare(a.Site, b.Site), a.Since.Compare(b.Since), strings.Compare(a.Service, b.Service))
	})
	return all, rows.Err()
}

// through are the services that a tunnel reached, whose order names some.
func (one Reach) through(at span, named []string, offers []offer, hsm []span) (all []Reach) {
	add := func(o offer, when span) {
		both, ok := at.and(when)
		if both, ok2 := both.and(o.span); ok && ok2 {
			r := one
			r.Service, r.Proto, r.Addr, r.GivenBy = o.Name, o.Proto, o.Addr, o.GivenBy
			r.Since, r.Until = parseTime(both.since), parseTime(both.until)
			all = append(all, r)
		}
	}
	for _, o := range offers {
		switch o.GivenBy {
		case string(NetworkHSM):
			for _, when := range hsm {
				add(o, when)
			}
		case ByOrder:
			if slices.Contains(named, o.Name) {
				add(o, span{})
			}
		default:
			add(o, span{})
		}
	}
	return all
}

// hsmSpans are when B_HSM was on, by partner: from the approval of an order to that of the one that ended it. Times that
// meet are one.
func (r *Registry) hsmSpans(ctx context.Context) (map[string][]span, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT c.partner, o.decided_at, COALESCE(e.decided_at, '') FROM components c
		JOIN orders o ON o.id = c.order_id LEFT JOIN orders e ON e.id = c.ended_by
		WHERE c.component = $1 ORDER BY o.decided_at`, string(NetworkHSM))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string][]span{}
	for rows.Next() {
		var partner string
		var s span
		if err := rows.Scan(&partner, &s.since, &s.until); err != nil {
			return nil, err
		}
		of := all[partner]
		if n := len(of); n > 0 && (of[n-1].until == "" || of[n-1].until >= s.since) {
			if last := &of[n-1]; last.until != "" && (s.until == "" || s.until > last.until) {
				last.until = s.until
			}
			continue
		}
		all[partner] = append(of, s)
	}
	return all, rows.Err()
}
