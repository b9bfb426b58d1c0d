package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"trustcore/internal/store"
)

// AddressPool is where tunnel addresses come from.
type AddressPool struct {
	Prefix netip.Prefix // such as 10.64.0.0/16
	Hub    netip.Addr   // the hub's own address, never given to a partner
}

// Tunnel is one office's end as the wish has it.
type Tunnel struct {
	Order, Partner, Site string
	PublicKey            string // WireGuard, base64
	Address              netip.Addr
}

// GrantTunnel enters the tunnel of an order and chooses its address. An address is never given twice,
// not even after its tunnel ended: firewall logs name it for ever.
func (r *Registry) GrantTunnel(ctx context.Context, rec Record, publicKey string) (netip.Addr, error) {
	var given netip.Addr
	err := r.change(ctx, func(tx *sql.Tx) error {
		var text string
		err := tx.QueryRowContext(ctx, `SELECT address FROM tunnels WHERE order_id = $1`, rec.ID).Scan(&text)
		if err == nil {
			given, err = netip.ParseAddr(text)
			return err
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if given, err = r.freeAddress(ctx, tx); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO tunnels (order_id, partner, site, public_key, address) VALUES ($1, $2, $3, $4, $5)`,
			rec.ID, rec.Partner.ID, rec.VPNRequest.Site, publicKey, given.String())
		return err
	})
	if store.Taken(err) {
		err = refuse("wireguard_public_key: it is or was another tunnel's; the office must enrol with a new key")
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("tunnel of order %s: %w", rec.ID, err)
	}
	return given, nil
}

// freeAddress returns the first address of the pool that was never given.
func (r *Registry) freeAddress(ctx context.Context, tx *sql.Tx) (netip.Addr, error) {
	rows, err := tx.QueryContext(ctx, `SELECT address FROM tunnels`)
	if err != nil {
		return netip.Addr{}, err
	}
	defer rows.Close()
	used := map[string]bool{r.pool.Hub.String(): true}
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			return netip.Addr{}, err
		}
		used[a] = true
	}
	if err := rows.Err(); err != nil {
		return netip.Addr{}, err
	}
	for a := r.pool.Prefix.Masked().Addr().Next(); r.pool.Prefix.Contains(a.Next()); a = a.Next() {
		if !used[a.String()] {
			return a, nil
		}
	}
	return netip.Addr{}, refuse("the address pool %s is used up: configure a larger one", r.pool.Prefix)
}

// Wish returns the tunnels that are to be there now, and the wish's revision.
func (r *Registry) Wish(ctx context.Context) (revision int64, tunnels []Tunnel, err error) {
	err = r.db.InTx(ctx, func(tx *sql.Tx) error {
		tunnels = nil
		if err := tx.QueryRowContext(ctx, `SELECT value FROM revision WHERE name = 'wish'`).Scan(&revision); err != nil {
			return err
		}
		tunnels, err = scanTunnels(tx.QueryContext(ctx, `SELECT t.order_id, t.partner, t.site, t.public_key, t.address FROM tunnels t
			JOIN components c ON c.order_id = t.order_id AND c.component = $1 AND c.ended_by = '' ORDER BY t.address`, string(VPN)))
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("tunnels: %w", err)
	}
	return revision, tunnels, nil
}

func scanTunnels(rows *sql.Rows, err error) ([]Tunnel, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tunnels []Tunnel
	for rows.Next() {
		var t Tunnel
		var address string
		if err := rows.Scan(&t.Order, &t.Partner, &t.Site, &t.PublicKey, &address); err != nil {
			return nil, err
		}
		if t.Address, err = netip.ParseAddr(address); err != nil {
			return nil, err
		}
		tunnels = append(tunnels, t)
	}
	return tunnels, rows.Err()
}

// Purposes of certificates that an order brings.
const (
	ClientCertificate = "client" // the office's program at the gateway
	SealCertificate   = "seal"   // of an HSM key, for documents
)

// Certificate is a certificate that was issued for an order.
type Certificate struct {
	Serial      string // hex, as pki writes it
	Order       string
	Partner     string
	Purpose     string // ClientCertificate or SealCertificate
	KeyID       string // of a seal certificate
	Fingerprint string // SHA-256 of the DER, hex
	PEM         string // chain, the certificate first
}

// AddCertificate remembers a certificate. Remembering it twice changes nothing.
func (r *Registry) AddCertificate(ctx context.Context, c Certificate) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO certificates (serial, order_id, partner, purpose, key_id, fingerprint, pem)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`, c.Serial, c.Order, c.Partner, c.Purpose, c.KeyID, c.Fingerprint, c.PEM)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.Serial, err)
	}
	return nil
}

// Certificates returns the certificates of an order.
func (r *Registry) Certificates(ctx context.Context, order string) ([]Certificate, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT serial, order_id, partner, purpose, key_id, fingerprint, pem FROM certificates WHERE order_id = $1`, order)
	if err != nil {
		return nil, fmt.Errorf("certificates of order %s: %w", order, err)
	}
	defer rows.Close()
	var certificates []Certificate
	for rows.Next() {
		var c Certificate
		if err := rows.Scan(&c.Serial, &c.Order, &c.Partner, &c.Purpose, &c.KeyID, &c.Fingerprint, &c.PEM); err != nil {
			return nil, fmt.Errorf("certificates of order %s: %w", order, err)
		}
		certificates = append(certificates, c)
	}
	return certificates, rows.Err()
}

// Grant is the right of one application to use one key, as the partner's HSM authorisation gives it.
type Grant struct {
	Partner, Application, Order, KeyID string
	Mechanisms                         []string
	NotBefore, NotAfter                time.Time
	Active                             bool // false before the order is carried out and after a change order ended it
}

// GrantsOf returns every right that the holder of a client certificate has or had. The error is a
// *Refusal when the certificate is not a partner's.
func (r *Registry) GrantsOf(ctx context.Context, fingerprint string) ([]Grant, error) {
	partner, err := r.holder(ctx, fingerprint)
	if err != nil {
		return nil, err
	}
	on, err := r.componentsOn(ctx, partner)
	if err != nil {
		return nil, err
	}
	records, err := r.orders(ctx, `WHERE partner = $1 AND kind = $2 AND decided_by <> '' ORDER BY decided_at`, partner, string(Activation))
	if err != nil {
		return nil, err
	}
	var grants []Grant
	for _, rec := range records {
		if rec.HSMAuthorization == nil || rec.State == Rejected {
			continue
		}
		keys, err := r.Keys(ctx, rec.ID)
		if err != nil {
			return nil, err
		}
		active := rec.State == Active && on[NetworkHSM] == rec.ID
		grants = append(grants, rec.grants(keys, active)...)
	}
	return grants, nil
}

// grants makes one grant for each key of the order's HSM authorisation that exists.
func (rec *Record) grants(keys map[string]string, active bool) []Grant {
	a := rec.HSMAuthorization
	var grants []Grant
	for _, k := range a.Keys {
		if id := keys[k.Name]; id != "" {
			grants = append(grants, Grant{Partner: rec.Partner.ID, Application: a.Application, Order: rec.ID, KeyID: id,
				Mechanisms: k.Mechanisms, NotBefore: a.NotBefore, NotAfter: a.NotAfter, Active: active})
		}
	}
	return grants
}

// holder returns the partner whose client certificate has this fingerprint.
func (r *Registry) holder(ctx context.Context, fingerprint string) (string, error) {
	var partner string
	row := r.db.QueryRowContext(ctx, `SELECT partner FROM certificates WHERE fingerprint = $1 AND purpose = $2`, fingerprint, ClientCertificate)
	if err := row.Scan(&partner); errors.Is(err, sql.ErrNoRows) {
		return "", refuse("this client certificate is not a partner's")
	} else if err != nil {
		return "", fmt.Errorf("client certificate: %w", err)
	}
	return partner, nil
}

// SealChain returns the certificate chain of an HSM key in PEM, "" when it has none.
func (r *Registry) SealChain(ctx context.Context, keyID string) (string, error) {
	var chain string
	row := r.db.QueryRowContext(ctx, `SELECT pem FROM certificates WHERE key_id = $1 AND purpose = $2`, keyID, SealCertificate)
	if err := row.Scan(&chain); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("certificate of key %s: %w", keyID, err)
	}
	return chain, nil
}
