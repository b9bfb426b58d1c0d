package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"trustcore/internal/audit"
)

// tokenLife is how long an office has to enrol with its one-time token.
const tokenLife = 7 * 24 * time.Hour

// Enrolment is what an office sent: public parts only, its private keys were born there and stay there.
type Enrolment struct {
	Order     string
	Site      string // of a further site, by name; "" is the order's own office
	PublicKey string // WireGuard, base64 of 32 bytes
	CSR       string // PEM PKCS #10 request for the client certificate
	Exchange  string // the office's half of an agreement on a pre-shared key, base64; "" when it makes none

	// Encapsulated answers Exchange, and Preshared is the key, enciphered. They are of whoever takes the enrolment, and
	// those that count are the first.
	Encapsulated, Preshared string
}

// sent is what the office sent.
func (e Enrolment) sent() Enrolment {
	e.Encapsulated, e.Preshared = "", ""
	return e
}

// NewToken makes the one-time token with which the office of an approved activation order enrols. An order that renews
// another one may wait for it too: where the office's certificate is no more, or the order brings the first tunnel. An
// earlier token that was not used is void from now on. The token itself is not kept, its digest is.
func (r *Registry) NewToken(ctx context.Context, actor audit.Actor, order string) (string, error) {
	return r.newToken(ctx, actor, order, "")
}

func (r *Registry) newToken(ctx context.Context, actor audit.Actor, order, site string) (string, error) {
	rec, err := r.Order(ctx, order)
	if err != nil {
		return "", err
	}
	if !rec.takesToken(site) {
		return "", r.refused(ctx, actor, "enrolment.token", rec.Order,
			refuse("order %s (%s, %s) does not wait for an office to enrol", order, rec.Kind, rec.State))
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(secret)
	err = r.act(ctx, actor, "enrolment.token", rec.Order, "", func() error {
		return r.db.InTx(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `DELETE FROM enrolments WHERE order_id = $1 AND used_at = '' AND site = $2`, order, site); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO enrolments (token, order_id, expires_at, site) VALUES ($1, $2, $3, $4)`,
				digest(token), order, r.now().UTC().Add(tokenLife).Format(timeFormat), site)
			return err
		})
	})
	if err != nil {
		return "", fmt.Errorf("token for order %s: %w", order, err)
	}
	return token, nil
}

// NeedsEnrolment reports whether the order's components need something from the office at any rate. For an order that
// renews another one it does not, as a rule.
func (o Order) NeedsEnrolment() bool { return o.Renews == "" && o.concernsOffice() }

// WaitsForOffice is what an order waits for whose office is to enrol, an order that renews another one too.
const WaitsForOffice = "waits for the office to enrol with its token"

// AwaitsOffice reports whether the order waits for an office that has not enrolled.
func (rec *Record) AwaitsOffice(enrolled bool) bool {
	return rec.Kind == Activation && rec.State == Approved && !enrolled &&
		(rec.NeedsEnrolment() || strings.Contains(rec.Waiting, WaitsForOffice))
}

func (o Order) concernsOffice() bool { return o.Has(VPN) || o.Has(NetworkHSM) }

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// ErrToken refuses a token that is nobody's. What it was once is not said: who guesses learns nothing.
var ErrToken error = &Refusal{"token: it is unknown, void or expired; ask the data centre for a new one"}

// Enrol takes the office's public parts for the order that the token stands for, once. The same parts
// sent again with the same token are taken as a repetition; other parts are refused.
func (r *Registry) Enrol(ctx context.Context, token string, e Enrolment) (*Record, error) {
	if err := checkPublicKey(e.PublicKey); err != nil {
		return nil, err
	}
	var used, expires string
	var before Enrolment
	row := r.db.QueryRowContext(ctx, `SELECT order_id, expires_at, used_at, public_key, csr, exchange, site FROM enrolments
		WHERE token = $1`, digest(token))
	if err := row.Scan(&before.Order, &expires, &used, &before.PublicKey, &before.CSR, &before.Exchange, &before.Site); errors.Is(err, sql.ErrNoRows) {
		return nil, ErrToken
	} else if err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	rec, err := r.Order(ctx, before.Order)
	if err != nil {
		return nil, err
	}
	actor := audit.Actor{Kind: "partner", ID: rec.Partner.ID}
	e.Order, e.Site = before.Order, before.Site
	switch {
	case used != "" && e.sent() == before:
		return rec, nil
	case used != "":
		return nil, r.refused(ctx, actor, "enrolment.use", rec.Order, refuse("token: it was used already with other keys"))
	case r.now().After(parseTime(expires)) || !rec.takesToken(e.Site):
		return nil, r.refused(ctx, actor, "enrolment.use", rec.Order, ErrToken)
	}
	if err := r.canUse(rec.Order, e); err != nil {
		return nil, errors.Join(err, r.record(ctx, actor, "enrolment.use", rec.Order, audit.Refused, err.Error()))
	}
	return rec, r.act(ctx, actor, "enrolment.use", rec.Order, "", func() error {
		return r.change(ctx, func(tx *sql.Tx) error { return r.useToken(ctx, tx, token, e) })
	})
}

// useToken marks the token used; of two that come at once, one wins. One request that came twice at once, to two nodes, has won.
func (r *Registry) useToken(ctx context.Context, tx *sql.Tx, token string, e Enrolment) error {
	done, err := tx.ExecContext(ctx, `UPDATE enrolments SET used_at = $1, public_key = $2, csr = $3, exchange = $4, encapsulated = $5,
		preshared = $6 WHERE token = $7 AND used_at = ''`,
		r.stamp(), e.PublicKey, e.CSR, e.Exchange, e.Encapsulated, e.Preshared, digest(token))
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return errors.Join(err, isNew(ctx, tx, e.PublicKey))
	}
	var same int
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM enrolments WHERE token = $1 AND public_key = $2 AND csr = $3 AND exchange = $4`,
		digest(token), e.PublicKey, e.CSR, e.Exchange).Scan(&same)
	if err == nil && same == 0 {
		err = refuse("token: it was used already with other keys")
	}
	return err
}

// isNew refuses a key that is or was a tunnel's.
func isNew(ctx context.Context, tx *sql.Tx, key string) error {
	var others int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM tunnel_keys WHERE public_key = $1`, key).Scan(&others)
	if err == nil && others > 0 {
		err = refuse("wireguard_public_key: it is or was another tunnel's; make a new key")
	}
	return err
}

// enrolledSecrets gives the tunnel of a site what its office enrolled with: the key is on record, and the pre-shared key
// is that of the enrolment, or none where that made none.
func enrolledSecrets(ctx context.Context, tx *sql.Tx, o Order, site Site) error {
	_, err := tx.ExecContext(ctx, `UPDATE tunnels SET (preshared, preshared_serial, preshared_at, preshared_offer, next_key, key_at) =
		(SELECT e.preshared, CASE WHEN e.preshared = '' THEN 0 ELSE 1 END, e.used_at, '', '', e.used_at
			FROM enrolments e WHERE e.order_id = tunnels.order_id AND e.site = $1 AND e.used_at <> '' ORDER BY e.used_at DESC LIMIT 1)
		WHERE order_id = $2 AND site = $3
		AND EXISTS (SELECT 1 FROM enrolments e WHERE e.order_id = tunnels.order_id AND e.site = $4 AND e.used_at <> '')`,
		o.enrols(site), o.ID, site.Name, o.enrols(site))
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO tunnel_keys (public_key, address, since)
			SELECT public_key, address, '' FROM tunnels WHERE order_id = $1 AND site = $2 ON CONFLICT DO NOTHING`, o.ID, site.Name)
	}
	return err
}

func checkPublicKey(key string) error {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != 32 {
		return refuse("wireguard_public_key: write the base64 of 32 bytes, as `wg pubkey` prints it")
	}
	for _, b := range raw {
		if b != 0 {
			return nil
		}
	}
	return refuse("wireguard_public_key: it is all zero; make a real key")
}

// Enrolment returns what the office of an order sent, or nil when it has not enrolled yet.
func (r *Registry) Enrolment(ctx context.Context, order string) (*Enrolment, error) {
	return r.EnrolmentOf(ctx, order, "")
}

// EnrolmentOf is Enrolment for a further site of the order; "" is the order's own office.
func (r *Registry) EnrolmentOf(ctx context.Context, order, site string) (*Enrolment, error) {
	e := Enrolment{Order: order, Site: site}
	row := r.db.QueryRowContext(ctx, `SELECT public_key, csr, exchange, encapsulated, preshared FROM enrolments
		WHERE order_id = $1 AND site = $2 AND used_at <> '' ORDER BY used_at DESC LIMIT 1`, order, site)
	if err := row.Scan(&e.PublicKey, &e.CSR, &e.Exchange, &e.Encapsulated, &e.Preshared); errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("enrolment of order %s: %w", order, err)
	}
	return &e, nil
}
