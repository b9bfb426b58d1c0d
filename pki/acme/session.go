package acme

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	step "github.com/smallstep/certificates/acme"
	"go.step.sm/crypto/jose"

	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/pki"
)

// Kinds of identifiers.
const (
	kindDNS = string(step.DNS)
	kindIP  = string(step.IP) // RFC 8738
)

// revoked is the status of an account whose key, or the orders behind it, ended (RFC 8555 7.1.6).
const revoked step.Status = "revoked"

// Limits of an account.
const (
	maxContacts = 10
	maxContact  = 320 // characters: the longest address of mail and its scheme
)

// session is smallstep's database for one request. What belongs together is collected in it and written in one transaction: a
// request that fails on its way leaves nothing behind.
type session struct {
	*Server
	caller netip.Addr

	account *step.Account // whose request it is
	partner string        // whose account it is
	rule    *Rule         // what the partner may ask for; nil when nothing

	opening    *step.Account // an account that is waiting for its binding
	opener     string        // the partner of that binding
	collected  []*step.Authorization
	challenges []*step.Challenge // of the authorization that comes next

	order  *step.Order              // the one that was read last
	claim  string                   // names the claim to sign for order
	csr    *x509.CertificateRequest // that it is signed for
	cause  error                    // why a certificate was not issued
	after  int                      // seconds after which a limit lets the client in again
	detail string                   // what to tell of a refusal
}

var _ step.DB = (*session)(nil)

// refuse is an error for the client, with all that it is told.
func refuse(kind step.ProblemType, status int, detail string, a ...any) *step.Error {
	e := step.NewError(kind, "%s", fmt.Sprintf(detail, a...))
	e.Detail, e.Status = fmt.Sprintf(detail, a...), status
	return e
}

func notFound(what string) *step.Error {
	return refuse(step.ErrorMalformedType, http.StatusNotFound, "there is no such %s", what)
}

// GetAccount reads an account as the orders in force leave it.
func (s *session) GetAccount(ctx context.Context, id string) (*step.Account, error) {
	return s.readAccount(ctx, `a.id = $1`, id)
}

// GetAccountByKeyID takes the thumbprint of the account's key.
func (s *session) GetAccountByKeyID(ctx context.Context, thumbprint string) (*step.Account, error) {
	return s.readAccount(ctx, `a.thumbprint = $1`, thumbprint)
}

func (s *session) readAccount(ctx context.Context, where, value string) (*step.Account, error) {
	acc := &step.Account{ProvisionerID: provisionerName, ProvisionerName: provisionerName}
	var jwk, contact, line string
	var ended int64
	err := s.cfg.DB.QueryRowContext(ctx, `SELECT a.id, a.jwk, a.contact, a.status, b.partner, b.line, b.revoked
		FROM acme_account a JOIN acme_binding b ON b.id = a.binding WHERE `+where, value).
		Scan(&acc.ID, &jwk, &contact, &acc.Status, &s.partner, &line, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, step.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading an account: %w", err)
	}
	acc.Key = new(jose.JSONWebKey)
	if err := errors.Join(json.Unmarshal([]byte(jwk), acc.Key), json.Unmarshal([]byte(contact), &acc.Contact)); err != nil {
		return nil, fmt.Errorf("account %s: %w", acc.ID, err)
	}
	acc.LocationPrefix = s.links.GetLink(step.NewProvisionerContext(ctx, s.offices), step.AccountLinkType, "")
	s.rule, err = s.cfg.Rules(ctx, s.partner)
	switch {
	case err != nil && !errors.Is(err, ErrNoRule):
		return nil, fmt.Errorf("what partner %s may ask for: %w", s.partner, err)
	case err != nil || s.rule.Line != line:
		acc.Status, s.rule = revoked, nil
		s.detail = "the order by which this account was opened has ended: ask the data centre for a new key"
	case ended != 0:
		acc.Status, s.rule = revoked, nil
		s.detail = "the key by which this account was opened is revoked: ask the data centre for a new one"
	}
	s.account = acc
	return acc, nil
}

// CreateAccount only collects: UpdateExternalAccountKey opens the account with its binding.
func (s *session) CreateAccount(_ context.Context, acc *step.Account) error {
	if err := checkContacts(acc.Contact); err != nil {
		return err
	}
	acc.ID, s.opening = rand.Text(), acc
	return nil
}

func checkContacts(contacts []string) error {
	if len(contacts) > maxContacts {
		return refuse(step.ErrorInvalidContactType, http.StatusBadRequest, "an account has at most %d contacts", maxContacts)
	}
	for _, c := range contacts {
		if len(c) > maxContact {
			return refuse(step.ErrorInvalidContactType, http.StatusBadRequest, "a contact has at most %d characters", maxContact)
		}
	}
	return nil
}

// UpdateAccount takes new contacts, or deactivates the account for good (RFC 8555 7.3.6).
func (s *session) UpdateAccount(ctx context.Context, acc *step.Account) error {
	if err := checkContacts(acc.Contact); err != nil {
		return err
	}
	contact, err := json.Marshal(acc.Contact)
	if err != nil {
		return err
	}
	entry := audit.Entry{Actor: s.actor(), Action: "acme.account-update", Subject: acc.ID, Partner: s.partner,
		Details: map[string]string{"status": string(acc.Status)}}
	return s.cfg.Audit.Act(ctx, entry, s.cfg.Now, func() error {
		_, err := s.cfg.DB.ExecContext(ctx, `UPDATE acme_account SET contact = $1, status = $2 WHERE id = $3 AND status = 'valid'`,
			string(contact), string(acc.Status), acc.ID)
		return err
	})
}

// actor is the partner, by whichever of its programs.
func (s *session) actor() audit.Actor { return audit.Actor{Kind: "partner", ID: s.partner} }

// GetExternalAccountKey returns a key that waits for its account.
func (s *session) GetExternalAccountKey(ctx context.Context, _, id string) (*step.ExternalAccountKey, error) {
	key, partner, err := s.secretOf(ctx, id)
	s.opener = partner
	return key, err
}

// UpdateExternalAccountKey opens the account that was collected: of several that come with one key at once, one.
func (s *session) UpdateExternalAccountKey(ctx context.Context, _ string, key *step.ExternalAccountKey) error {
	acc := s.opening
	if acc == nil || acc.ID != key.AccountID {
		return errors.New("a key is bound to an account that was not opened with it")
	}
	if err := s.checkAccountKey(ctx, acc.Key); err != nil {
		return err
	}
	thumbprint, err := step.KeyToID(acc.Key)
	if err != nil {
		return err
	}
	jwk, err := json.Marshal(acc.Key)
	if err != nil {
		return err
	}
	contact, err := json.Marshal(acc.Contact)
	if err != nil {
		return err
	}
	now := s.cfg.Now().Unix()
	entry := audit.Entry{Actor: audit.Actor{Kind: "partner", ID: s.opener}, Action: "acme.account", Subject: acc.ID, Partner: s.opener,
		Details: map[string]string{"binding": key.ID, "key_thumbprint": thumbprint}}
	err = s.cfg.Audit.Act(ctx, entry, s.cfg.Now, func() error {
		return s.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, `UPDATE acme_binding SET bound = $1, secret = ''
				WHERE id = $2 AND bound = 0 AND revoked = 0 AND expires > $3`, now, key.ID, now)
			if err != nil {
				return err
			}
			if count, err := result.RowsAffected(); err != nil || count != 1 {
				return errors.Join(refuse(step.ErrorUnauthorizedType, http.StatusForbidden, "the key for external account binding has its account"), err)
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO acme_account (id, binding, thumbprint, jwk, contact, status, created)
				VALUES ($1, $2, $3, $4, $5, 'valid', $6)`, acc.ID, key.ID, thumbprint, string(jwk), string(contact), now)
			return err
		})
	})
	if store.Taken(err) {
		return refuse(step.ErrorMalformedType, http.StatusConflict, "the account's key is another account's")
	}
	return err
}

// checkAccountKey refuses keys that certificates have or had (RFC 8555 11.1).
func (s *Server) checkAccountKey(ctx context.Context, key *jose.JSONWebKey) error {
	if key == nil || !key.IsPublic() || !key.Valid() {
		return refuse(step.ErrorBadPublicKeyType, http.StatusBadRequest, "the account's key is no public key")
	}
	digest, err := keyDigest(key.Key)
	if err != nil {
		return refuse(step.ErrorBadPublicKeyType, http.StatusBadRequest, "the account's key can't be used")
	}
	found, err := s.cfg.CA.Certificates(ctx, pki.Filter{PublicKey: digest, Limit: 1})
	if err == nil && len(found) > 0 {
		err = refuse(step.ErrorBadPublicKeyType, http.StatusBadRequest, "the account's key is that of a certificate: make one for the account alone")
	}
	return err
}

// isAccountKey reports whether an account has this public key.
func (s *Server) isAccountKey(ctx context.Context, public any) (bool, error) {
	thumbprint, err := step.KeyToID(&jose.JSONWebKey{Key: public})
	if err != nil {
		return false, err
	}
	var count int
	err = s.cfg.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM acme_account WHERE thumbprint = $1`, thumbprint).Scan(&count)
	return count > 0, err
}

// GetExternalAccountKeyByAccountID is asked before an order; what is allowed is judged by CreateAuthorization.
func (s *session) GetExternalAccountKeyByAccountID(ctx context.Context, _, account string) (*step.ExternalAccountKey, error) {
	key := &step.ExternalAccountKey{ProvisionerID: provisionerName, AccountID: account}
	err := s.cfg.DB.QueryRowContext(ctx, `SELECT binding FROM acme_account WHERE id = $1`, account).Scan(&key.ID)
	return key, err
}

// errElsewhere answers for what smallstep's own administration does: Server.Bind and its like are ours.
var errElsewhere = errors.New("not done by this server")

// CreateExternalAccountKey is refused: Bind is the way.
func (s *session) CreateExternalAccountKey(context.Context, string, string) (*step.ExternalAccountKey, error) {
	return nil, errElsewhere
}

// GetExternalAccountKeys is refused: Bindings is the way.
func (s *session) GetExternalAccountKeys(context.Context, string, string, int) ([]*step.ExternalAccountKey, string, error) {
	return nil, "", errElsewhere
}

// GetExternalAccountKeyByReference is refused: keys have no references.
func (s *session) GetExternalAccountKeyByReference(context.Context, string, string) (*step.ExternalAccountKey, error) {
	return nil, errElsewhere
}

// DeleteExternalAccountKey is refused: Unbind is the way.
func (s *session) DeleteExternalAccountKey(context.Context, string, string) error {
	return errElsewhere
}

// Nonces.
const (
	nonceLen  = 16   // octets
	nonceLife = 3600 // seconds: a client that slept asks for another one
)

// CreateNonce makes one that any node takes once.
func (s *session) CreateNonce(ctx context.Context) (step.Nonce, error) {
	random := make([]byte, nonceLen)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	nonce := base64.RawURLEncoding.EncodeToString(random)
	_, err := s.cfg.DB.ExecContext(ctx, `INSERT INTO acme_nonce (nonce, expires) VALUES ($1, $2)`, nonce, s.cfg.Now().Unix()+nonceLife)
	if err != nil {
		return "", fmt.Errorf("recording a nonce: %w", err)
	}
	return step.Nonce(nonce), nil
}

// DeleteNonce takes a nonce, once and in its time.
func (s *session) DeleteNonce(ctx context.Context, nonce step.Nonce) error {
	result, err := s.cfg.DB.ExecContext(ctx, `DELETE FROM acme_nonce WHERE nonce = $1 AND expires > $2`, string(nonce), s.cfg.Now().Unix())
	if err != nil {
		return fmt.Errorf("taking a nonce: %w", err)
	}
	count, err := result.RowsAffected()
	if err == nil && count != 1 {
		err = refuse(step.ErrorBadNonceType, http.StatusBadRequest, "the nonce is unknown, used or old: take the one that comes with this answer")
	}
	return err
}

// sweep deletes what has expired, with what belongs to it.
func (s *Server) sweep(ctx context.Context) error {
	now := s.cfg.Now().Unix()
	return s.cfg.DB.InTx(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{
			`DELETE FROM acme_nonce WHERE expires <= $1`,
			`DELETE FROM acme_challenge WHERE order_id IN (SELECT id FROM acme_order WHERE ends <= $1)`,
			`DELETE FROM acme_authorization WHERE order_id IN (SELECT id FROM acme_order WHERE ends <= $1)`,
			`DELETE FROM acme_order WHERE ends <= $1`,
			fmt.Sprintf(`DELETE FROM acme_quota WHERE began + %d <= $1`, int64(longestWindow.Seconds())),
		} {
			if _, err := tx.ExecContext(ctx, statement, now); err != nil {
				return err
			}
		}
		return nil
	})
}
