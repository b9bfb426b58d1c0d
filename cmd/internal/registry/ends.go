package registry

import (
	"context"
	"fmt"
	"time"
)

// Kinds of ends.
const (
	EndOfAuthorisation = "authorisation"
	EndOfToken         = "enrolment-token"
)

// End is when something that the registry gave ends by itself.
type End struct {
	Kind, Subject, Partner, Order string
	At                            time.Time
	Keys                          []HSMKey // of an authorisation
}

// Ends lists the authorisations that are in force and the enrolment tokens that wait.
func (r *Registry) Ends(ctx context.Context) ([]End, error) {
	active, err := r.orders(ctx, `WHERE kind = $1 AND state IN ($2, $3)`, string(Activation), string(Approved), string(Active))
	if err != nil {
		return nil, err
	}
	ends := []End{}
	for _, rec := range active {
		left, err := r.Left(ctx, rec.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range left {
			if c == NetworkHSM && rec.HSMAuthorization != nil {
				ends = append(ends, End{EndOfAuthorisation, rec.Partner.ID + " " + rec.HSMAuthorization.Application, rec.Partner.ID, rec.ID,
					rec.HSMAuthorization.NotAfter, rec.HSMAuthorization.Keys})
			}
		}
	}
	rows, err := r.db.QueryContext(ctx, `SELECT e.order_id, o.partner, e.expires_at FROM enrolments e JOIN orders o ON o.id = e.order_id
		WHERE e.used_at = '' AND (e.site = '' AND o.state = $1 OR e.site <> '' AND o.state = $2)`, string(Approved), string(Active))
	if err != nil {
		return nil, fmt.Errorf("enrolment tokens: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e := End{Kind: EndOfToken}
		var at string
		if err := rows.Scan(&e.Order, &e.Partner, &at); err != nil {
			return nil, fmt.Errorf("enrolment tokens: %w", err)
		}
		e.Subject, e.At = e.Partner, parseTime(at)
		ends = append(ends, e)
	}
	return ends, rows.Err()
}
