package registry

import (
	"context"
	"database/sql"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Quarantine is how long an address rests after it is proven that no gateway carries its tunnel any more, before it may be
// another office's: firewall logs of services name it, and so do rules that somebody forgot.
const Quarantine = 90 * 24 * time.Hour

// freeAddress returns the address for another tunnel.
func (r *Registry) freeAddress(ctx context.Context, tx *sql.Tx) (netip.Addr, error) {
	free, err := r.freeAddresses(ctx, tx, 1)
	if err != nil {
		return netip.Addr{}, err
	}
	return free[0], nil
}

// freeAddresses returns n addresses of the pool: the first that were never given, then those that have rested for longest.
func (r *Registry) freeAddresses(ctx context.Context, tx *sql.Tx, n int) (free []netip.Addr, err error) {
	given, err := givenAddresses(ctx, tx)
	if err != nil {
		return nil, err
	}
	for a := r.pool.Prefix.Masked().Addr().Next(); r.pool.Prefix.Contains(a.Next()) && len(free) < n; a = a.Next() {
		if _, was := given[a.String()]; !was && a != r.pool.Hub {
			free = append(free, a)
		}
	}
	for _, a := range rested(given, r.now().Add(-Quarantine).UTC().Format(timeFormat)) {
		if address, err := netip.ParseAddr(a); err == nil && len(free) < n && r.pool.Prefix.Contains(address) && address != r.pool.Hub {
			free = append(free, address)
		}
	}
	if len(free) < n {
		return nil, refuse("the address pool %s is used up: configure a larger one", r.pool.Prefix)
	}
	return free, nil
}

// givenAddresses are all that were ever given, with when the last of their tunnels was gone; "" while one is not.
func givenAddresses(ctx context.Context, tx *sql.Tx) (map[string]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT address, CASE WHEN MIN(gone_at) = '' THEN '' ELSE MAX(gone_at) END FROM tunnels GROUP BY address`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	given := map[string]string{}
	for rows.Next() {
		var address, gone string
		if err := rows.Scan(&address, &gone); err != nil {
			return nil, err
		}
		given[address] = gone
	}
	return given, rows.Err()
}

// rested are the addresses that were gone by then, longest first.
func rested(given map[string]string, by string) (all []string) {
	for address, gone := range given {
		if gone != "" && gone <= by {
			all = append(all, address)
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		if c := strings.Compare(given[a], given[b]); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return all
}
