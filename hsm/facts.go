package hsm

import (
	"context"
	"fmt"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Facts lists the keys that the database has, for an auditor to hold against the log.
func Facts(ctx context.Context, db *store.DB) ([]audit.Fact, error) {
	rows, err := db.QueryContext(ctx, `SELECT id, created_at FROM hsm_keys`)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer rows.Close()
	var facts []audit.Fact
	for rows.Next() {
		f := audit.Fact{Action: "hsm.key.generate"}
		var at string
		if err := rows.Scan(&f.Subject, &at); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		if f.At, err = time.Parse(time.RFC3339Nano, at); err != nil {
			return nil, fmt.Errorf("key %s: %w", f.Subject, err)
		}
		facts = append(facts, f)
	}
	return facts, rows.Err()
}
