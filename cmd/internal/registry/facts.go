package registry

import (
	"context"
	"fmt"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Facts lists the orders that were submitted and decided and the applications that were registered, for an auditor to hold against the log.
func Facts(ctx context.Context, db *store.DB) ([]audit.Fact, error) {
	rows, err := db.QueryContext(ctx, `
		SELECT 'order.submit', id, submitted_by, submitted_at FROM orders
		UNION ALL
		SELECT CASE state WHEN 'rejected' THEN 'order.reject' ELSE 'order.approve' END, id, decided_by, decided_at FROM orders WHERE decided_by <> ''
		UNION ALL
		SELECT 'application.add', name, created_by, created_at FROM applications`)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	defer rows.Close()
	var facts []audit.Fact
	for rows.Next() {
		var f audit.Fact
		var officer, at string
		if err := rows.Scan(&f.Action, &f.Subject, &officer, &at); err != nil {
			return nil, fmt.Errorf("orders: %w", err)
		}
		f.Actor, f.At = audit.Actor{Kind: "officer", ID: officer}.String(), parseTime(at)
		facts = append(facts, f)
	}
	return facts, rows.Err()
}
