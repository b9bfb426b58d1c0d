package acme

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	step "github.com/smallstep/certificates/acme"
)

// Limits of orders.
const (
	maxIdentifiers = 32
	keepUnused     = 24 * time.Hour      // an order without a certificate, after it has expired
	keepIssued     = 30 * 24 * time.Hour // one whose certificate has expired
	maxOrdersShown = 200                 // in an account's list
)

// CreateChallenge only collects, as CreateAuthorization does: CreateOrder writes all of an order.
func (s *session) CreateChallenge(_ context.Context, ch *step.Challenge) error {
	ch.ID = rand.Text()
	s.challenges = append(s.challenges, ch)
	return nil
}

// CreateAuthorization refuses what the partner's order does not have.
func (s *session) CreateAuthorization(_ context.Context, az *step.Authorization) error {
	kind, value := string(az.Identifier.Type), az.Identifier.Value
	switch {
	case s.rule == nil:
		return refuse(step.ErrorUnauthorizedType, http.StatusForbidden, "no order in force allows the office certificates")
	case len(s.collected) == maxIdentifiers:
		return refuse(step.ErrorMalformedType, http.StatusBadRequest, "an order has at most %d names", maxIdentifiers)
	case kind != kindDNS && kind != kindIP:
		return refuse(step.ErrorUnsupportedIdentifierType, http.StatusBadRequest, "identifiers are of type dns or ip")
	case az.Wildcard:
		return refuse(step.ErrorRejectedIdentifierType, http.StatusForbidden, "no certificate has a wildcard: name each host")
	case !s.rule.allows(kind, value):
		return refuse(step.ErrorRejectedIdentifierType, http.StatusForbidden,
			"%.253q is not a name of the office's order %s, as the order writes it", value, s.rule.Order)
	}
	if a, err := netip.ParseAddr(value); kind == kindIP && (err != nil || a.String() != value) {
		return refuse(step.ErrorMalformedType, http.StatusBadRequest, "write the address as RFC 8738 has it")
	}
	for _, other := range s.collected {
		if other.Identifier == az.Identifier {
			return refuse(step.ErrorMalformedType, http.StatusBadRequest, "%.253q stands twice", value)
		}
	}
	az.ID, az.Challenges = rand.Text(), s.challenges
	s.collected, s.challenges = append(s.collected, az), nil
	return nil
}

// CreateOrder writes the order with its authorizations and challenges, within the partner's limit.
func (s *session) CreateOrder(ctx context.Context, o *step.Order) error {
	if len(s.collected) != len(o.Identifiers) || s.account == nil {
		return errors.New("an order without its authorizations")
	}
	if asked := o.NotAfter.Sub(o.NotBefore) - backdate; asked != s.rule.Profile.Longest() || o.NotBefore.After(s.cfg.Now()) {
		return refuse(step.ErrorMalformedType, http.StatusBadRequest, "leave notBefore and notAfter out: the data centre says how long certificates hold")
	}
	identifiers, err := json.Marshal(o.Identifiers)
	if err != nil {
		return err
	}
	ids, err := json.Marshal(o.AuthorizationIDs)
	if err != nil {
		return err
	}
	o.ID = rand.Text()
	return s.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		if err := s.use(ctx, tx, limitOrders); err != nil {
			return err
		}
		for _, az := range s.collected {
			if err := s.mayTry(ctx, tx, az.Identifier.Value); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO acme_order (id, account, status, identifiers, authorizations, not_before, not_after, expires,
			created, ends) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, o.ID, o.AccountID, string(o.Status), string(identifiers), string(ids),
			o.NotBefore.Unix(), o.NotAfter.Unix(), o.ExpiresAt.Unix(), s.cfg.Now().Unix(), o.ExpiresAt.Add(keepUnused).Unix()); err != nil {
			return err
		}
		for _, az := range s.collected {
			if err := insertAuthorization(ctx, tx, o, az); err != nil {
				return err
			}
		}
		return nil
	})
}

func insertAuthorization(ctx context.Context, tx *sql.Tx, o *step.Order, az *step.Authorization) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO acme_authorization (id, order_id, account, kind, value, status, token, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, az.ID, o.ID, o.AccountID, string(az.Identifier.Type), az.Identifier.Value, string(az.Status),
		az.Token, az.ExpiresAt.Unix()); err != nil {
		return err
	}
	for _, ch := range az.Challenges {
		if _, err := tx.ExecContext(ctx, `INSERT INTO acme_challenge (id, authorization_id, order_id, account, kind, value, token, status)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, ch.ID, az.ID, o.ID, o.AccountID, string(ch.Type), ch.Value, ch.Token, string(ch.Status)); err != nil {
			return err
		}
	}
	return nil
}

// orderRow is a row of acme_order.
type orderRow struct {
	step.Order
	certificate, claim, claimant, publicKey string
	claimed                                 int64
}

func (s *Server) readOrder(ctx context.Context, id string) (*orderRow, error) {
	o := &orderRow{}
	var identifiers, ids, problem string
	var notBefore, notAfter, expires int64
	err := s.cfg.DB.QueryRowContext(ctx, `SELECT id, account, status, identifiers, authorizations, not_before, not_after, expires, problem,
		certificate, claim, claimant, claimed, public_key FROM acme_order WHERE id = $1`, id).Scan(&o.ID, &o.AccountID, &o.Status, &identifiers, &ids,
		&notBefore, &notAfter, &expires, &problem, &o.certificate, &o.claim, &o.claimant, &o.claimed, &o.publicKey)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("order")
	}
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(identifiers), &o.Identifiers), json.Unmarshal([]byte(ids), &o.AuthorizationIDs))
	}
	if err == nil && problem != "" {
		o.Error = new(step.Error)
		err = json.Unmarshal([]byte(problem), o.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("reading an order: %w", err)
	}
	o.ProvisionerID, o.CertificateID = provisionerName, o.certificate
	o.NotBefore, o.NotAfter, o.ExpiresAt = time.Unix(notBefore, 0).UTC(), time.Unix(notAfter, 0).UTC(), time.Unix(expires, 0).UTC()
	return o, nil
}

// GetOrder waits for a signature that is under way: smallstep's server knows no order that is being processed.
func (s *session) GetOrder(ctx context.Context, id string) (*step.Order, error) {
	o, err := s.settled(ctx, id)
	if err != nil {
		return nil, err
	}
	s.order = &o.Order
	return s.order, nil
}

// UpdateOrder moves an order on that is not being signed for. CreateCertificate has written what is valid.
func (s *session) UpdateOrder(ctx context.Context, o *step.Order) error {
	if o.Status == step.StatusValid {
		return nil
	}
	problem, err := problemText(o.Error)
	if err != nil {
		return err
	}
	_, err = s.cfg.DB.ExecContext(ctx, `UPDATE acme_order SET status = $1, problem = $2 WHERE id = $3 AND status IN ('pending', 'ready')`,
		string(o.Status), problem, o.ID)
	return err
}

func problemText(e *step.Error) (string, error) {
	if e == nil {
		return "", nil
	}
	text, err := json.Marshal(e)
	return string(text), err
}

// GetOrdersByAccountID lists the newest orders of an account that are of use (RFC 8555 7.1.2.1).
func (s *session) GetOrdersByAccountID(ctx context.Context, account string) (ids []string, err error) {
	rows, err := s.cfg.DB.QueryContext(ctx, `SELECT id FROM acme_order WHERE account = $1 AND status <> 'invalid'
		ORDER BY created DESC, id LIMIT $2`, account, maxOrdersShown)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ids = []string{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// GetAuthorization reads an authorization with its challenges.
func (s *session) GetAuthorization(ctx context.Context, id string) (*step.Authorization, error) {
	az := &step.Authorization{ID: id}
	var expires int64
	err := s.cfg.DB.QueryRowContext(ctx, `SELECT account, kind, value, status, token, expires FROM acme_authorization WHERE id = $1`, id).
		Scan(&az.AccountID, &az.Identifier.Type, &az.Identifier.Value, &az.Status, &az.Token, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("authorization")
	}
	if err != nil {
		return nil, fmt.Errorf("reading an authorization: %w", err)
	}
	az.ExpiresAt = time.Unix(expires, 0).UTC()
	az.Challenges, err = s.readChallenges(ctx, `authorization_id = $1 ORDER BY kind`, id)
	return az, err
}

func (s *Server) readChallenges(ctx context.Context, where string, args ...any) (list []*step.Challenge, err error) {
	rows, err := s.cfg.DB.QueryContext(ctx, `SELECT id, authorization_id, account, kind, value, token, status, validated, problem
		FROM acme_challenge WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("reading challenges: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		ch, problem := &step.Challenge{}, ""
		if err := rows.Scan(&ch.ID, &ch.AuthorizationID, &ch.AccountID, &ch.Type, &ch.Value, &ch.Token, &ch.Status, &ch.ValidatedAt,
			&problem); err != nil {
			return nil, fmt.Errorf("reading challenges: %w", err)
		}
		if problem != "" {
			ch.Error = new(step.Error)
			if err := json.Unmarshal([]byte(problem), ch.Error); err != nil {
				return nil, fmt.Errorf("challenge %s: %w", ch.ID, err)
			}
		}
		list = append(list, ch)
	}
	return list, rows.Err()
}

// UpdateAuthorization moves an authorization on that waits.
func (s *session) UpdateAuthorization(ctx context.Context, az *step.Authorization) error {
	_, err := s.cfg.DB.ExecContext(ctx, `UPDATE acme_authorization SET status = $1 WHERE id = $2 AND status = 'pending'`, string(az.Status), az.ID)
	return err
}

// GetAuthorizationsByAccountID is not asked by the server.
func (s *session) GetAuthorizationsByAccountID(context.Context, string) ([]*step.Authorization, error) {
	return nil, errElsewhere
}

// GetChallenge reads a challenge; one whose authorization is over is not tried any more.
func (s *session) GetChallenge(ctx context.Context, id, authorization string) (*step.Challenge, error) {
	found, err := s.readChallenges(ctx, `id = $1 AND authorization_id = $2`, id, authorization)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("challenge")
	}
	az, err := s.GetAuthorization(ctx, authorization)
	if err != nil {
		return nil, err
	}
	if ch := found[0]; ch.Status == step.StatusPending && (az.Status != step.StatusPending || s.cfg.Now().After(az.ExpiresAt)) {
		ch.Status = step.StatusInvalid
	}
	if ch := found[0]; ch.Status == step.StatusPending && s.account != nil && s.account.ID == ch.AccountID {
		return ch, s.tries(ctx, ch) // smallstep's server looks at it next
	}
	return found[0], nil
}

// UpdateChallenge records how the one attempt at a challenge ended, and its authorization with it (RFC 8555 7.1.6).
func (s *session) UpdateChallenge(ctx context.Context, ch *step.Challenge) error {
	if ch.Error != nil {
		ch.Status = step.StatusInvalid
		if s.detail != "" {
			ch.Error.Detail = s.detail
		}
	}
	problem, err := problemText(ch.Error)
	if err != nil {
		return err
	}
	return s.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE acme_challenge SET status = $1, validated = $2, problem = $3 WHERE id = $4 AND status = 'pending'`,
			string(ch.Status), ch.ValidatedAt, problem, ch.ID)
		if err != nil {
			return err
		}
		if count, err := result.RowsAffected(); err != nil || count != 1 {
			return err // another attempt was first
		}
		if ch.Status == step.StatusValid {
			if err := s.proved(ctx, tx, ch); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE acme_authorization SET status = $1 WHERE id = $2 AND status = 'pending'`,
			string(ch.Status), ch.AuthorizationID)
		return err
	})
}
