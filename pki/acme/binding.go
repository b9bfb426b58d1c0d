package acme

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	step "github.com/smallstep/certificates/acme"

	"trustcore/internal/audit"
)

// Limits of keys of external account binding.
const (
	bindingLen  = 32                 // octets of a key: HMAC-SHA-256's own length
	bindingLife = 7 * 24 * time.Hour // a key that has no account by then ends
	maxBindings = 50                 // of one partner that count: as many servers as an office has, each with its account
)

// ErrBinding says that there is no such key, or that it is revoked.
var ErrBinding = errors.New("there is no such key, or it is revoked already")

// ErrTooMany says that a partner has as many keys as it may have.
var ErrTooMany = fmt.Errorf("the partner has %d keys that count: revoke some first", maxBindings)

// NewBinding is a key that was just made: what the client is configured with.
type NewBinding struct {
	ID      string    `json:"kid"`
	Secret  string    `json:"hmac_key"` // base64url; nobody can show it again
	Expires time.Time `json:"expires"`  // unless it has an account by then
}

// Binding is a key as it is listed.
type Binding struct {
	ID      string    `json:"kid"`
	Partner string    `json:"partner"`
	Line    string    `json:"line"` // of orders: the key and its account end with it
	By      string    `json:"by"`   // who had it made
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // of a key without an account
	Account string    `json:"account,omitempty"`
	State   string    `json:"state"` // waiting, bound, expired, ended (with the orders' line) or revoked
}

// Bind makes a key with which the partner's client can open one account, while the partner's order is in force. The making is in
// the audit log before. The error wraps ErrNoRule or ErrTooMany where the partner is the reason.
func (s *Server) Bind(ctx context.Context, actor audit.Actor, partner string) (*NewBinding, error) {
	rule, err := s.cfg.Rules(ctx, partner)
	if err != nil {
		return nil, fmt.Errorf("key of external account binding: %w", err)
	}
	secret := make([]byte, bindingLen)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	id, now := rand.Text(), s.cfg.Now()
	sealed, err := s.cfg.Seal(secret, id)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Audit.Act(ctx, audit.Entry{Actor: actor, Action: "acme.bind", Subject: id, Partner: partner, Order: rule.Order}, s.cfg.Now, func() error {
		return s.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
			var count int
			if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM acme_binding WHERE partner = $1 AND line = $2 AND revoked = 0
				AND (bound > 0 OR expires > $3)`, partner, rule.Line, now.Unix()).Scan(&count); err != nil {
				return err
			}
			if count >= maxBindings {
				return ErrTooMany
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO acme_binding (id, partner, line, secret, actor_kind, actor_id, created, expires)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, id, partner, rule.Line, sealed, actor.Kind, actor.ID, now.Unix(), now.Add(bindingLife).Unix())
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("key of external account binding: %w", err)
	}
	return &NewBinding{ID: id, Secret: base64.RawURLEncoding.EncodeToString(secret), Expires: now.Add(bindingLife).UTC().Truncate(time.Second)}, nil
}

// Unbind revokes a key, and with it the account that was opened by it; certificates stay as they are. partner is whose the key has
// to be, "" is anybody's.
func (s *Server) Unbind(ctx context.Context, actor audit.Actor, id, partner string) error {
	var owner string
	err := s.cfg.DB.QueryRowContext(ctx, `SELECT partner FROM acme_binding WHERE id = $1 AND revoked = 0`, id).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) || err == nil && partner != "" && owner != partner {
		err = ErrBinding
	}
	if err == nil {
		err = s.cfg.Audit.Act(ctx, audit.Entry{Actor: actor, Action: "acme.unbind", Subject: id, Partner: owner}, s.cfg.Now, func() error {
			_, err := s.cfg.DB.ExecContext(ctx, `UPDATE acme_binding SET revoked = $1, secret = '' WHERE id = $2 AND revoked = 0`,
				s.cfg.Now().Unix(), id)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("key of external account binding: %w", err)
	}
	return nil
}

// Bindings lists the keys of a partner, or of all where it is "", newest first.
func (s *Server) Bindings(ctx context.Context, partner string) ([]Binding, error) {
	rows, err := s.cfg.DB.QueryContext(ctx, `SELECT b.id, b.partner, b.line, b.actor_kind, b.actor_id, b.created, b.expires, b.bound, b.revoked,
		COALESCE(a.id, '') FROM acme_binding b LEFT JOIN acme_account a ON a.binding = b.id
		WHERE $1 = '' OR b.partner = $2 ORDER BY b.created DESC, b.id`, partner, partner)
	if err != nil {
		return nil, fmt.Errorf("keys of external account binding: %w", err)
	}
	defer rows.Close()
	list := []Binding{}
	for rows.Next() {
		var b Binding
		var by audit.Actor
		var created, expires, bound, revoked int64
		if err := rows.Scan(&b.ID, &b.Partner, &b.Line, &by.Kind, &by.ID, &created, &expires, &bound, &revoked, &b.Account); err != nil {
			return nil, fmt.Errorf("keys of external account binding: %w", err)
		}
		b.By, b.Created, b.State = by.String(), time.Unix(created, 0).UTC(), "bound"
		switch {
		case revoked != 0:
			b.State = "revoked"
		case bound == 0 && s.cfg.Now().Unix() >= expires:
			b.State = "expired"
		case bound == 0:
			b.State, b.Expires = "waiting", time.Unix(expires, 0).UTC()
		}
		list = append(list, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("keys of external account binding: %w", err)
	}
	return list, s.markEnded(ctx, list)
}

// markEnded tells of which keys the partner's line of orders is over.
func (s *Server) markEnded(ctx context.Context, list []Binding) error {
	lines := map[string]string{}
	for i := range list {
		b := &list[i]
		line, asked := lines[b.Partner]
		if !asked {
			rule, err := s.cfg.Rules(ctx, b.Partner)
			if err != nil && !errors.Is(err, ErrNoRule) {
				return err
			}
			if err == nil {
				line = rule.Line
			}
			lines[b.Partner] = line
		}
		if b.Line != line && (b.State == "bound" || b.State == "waiting") {
			b.State = "ended"
		}
	}
	return nil
}

// secretOf returns a key that waits for its account. To whoever asks, all that is amiss with one is the same.
func (s *Server) secretOf(ctx context.Context, id string) (key *step.ExternalAccountKey, partner string, err error) {
	no := step.NewError(step.ErrorUnauthorizedType, "no key %.64q waits for an account", id)
	no.Status = 403
	var line, sealed string
	var created int64
	err = s.cfg.DB.QueryRowContext(ctx, `SELECT partner, line, secret, created FROM acme_binding
		WHERE id = $1 AND revoked = 0 AND bound = 0 AND expires > $2`, id, s.cfg.Now().Unix()).Scan(&partner, &line, &sealed, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", no
	}
	if err != nil {
		return nil, "", err
	}
	rule, err := s.cfg.Rules(ctx, partner)
	if errors.Is(err, ErrNoRule) || err == nil && rule.Line != line {
		return nil, "", no
	}
	if err != nil {
		return nil, "", err
	}
	secret, err := s.cfg.Open(sealed, id)
	if err != nil {
		return nil, "", err
	}
	return &step.ExternalAccountKey{ID: id, ProvisionerID: provisionerName, HmacKey: secret, CreatedAt: time.Unix(created, 0)}, partner, nil
}
