package pki

import (
	"context"
	"fmt"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Facts lists what the inventory and the revocations in the database say was done, for an auditor to hold against the log. What the
// ceremony made itself stands in its transcript.
func Facts(ctx context.Context, db *store.DB) ([]audit.Fact, error) {
	rows, err := db.QueryContext(ctx, `
		SELECT 'certificate.issue', serial, actor_kind || ':' || actor_id, created FROM pki_certificate
			WHERE der IS NOT NULL AND NOT (actor_kind = 'officer' AND actor_id = 'ceremony')
		UNION ALL
		SELECT CASE reason WHEN 6 THEN 'certificate.suspend' WHEN 8 THEN 'certificate.release' ELSE 'certificate.revoke' END,
			serial, actor_kind || ':' || actor_id, revoked_at FROM pki_revocation`)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	defer rows.Close()
	var facts []audit.Fact
	for rows.Next() {
		var f audit.Fact
		var at int64
		if err := rows.Scan(&f.Action, &f.Subject, &f.Actor, &at); err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		f.At = time.Unix(at, 0)
		facts = append(facts, f)
	}
	return facts, rows.Err()
}
