package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
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
	Unit                 string // the subordinate unit whose site it is; "" is the partner's own
	PublicKey            string // WireGuard, base64
	Address              netip.Addr

	Services   []string       // that the order names for the site
	Networks   []netip.Prefix // behind the site
	NetworkHSM bool           // B_HSM is on for the partner
	Rotation   Rotation
}

// GrantTunnel enters the tunnel of an order's main site, see GrantSite.
func (r *Registry) GrantTunnel(ctx context.Context, rec Record, publicKey string) (netip.Addr, error) {
	return r.GrantSite(ctx, rec, "", publicKey)
}

// GrantSite enters the tunnel of a site of an order and chooses its address; an order that renews one with a tunnel there
// keeps that, and needs no key. A further site that enrols anew keeps its address, too, with its other key. An address rests for [Quarantine] after the end of its tunnel is proven.
func (r *Registry) GrantSite(ctx context.Context, rec Record, name, publicKey string) (netip.Addr, error) {
	site, ok := rec.SiteNamed(name)
	if !ok {
		return netip.Addr{}, fmt.Errorf("tunnel of order %s: %w", rec.ID, noSite(name))
	}
	var given netip.Addr
	err := r.change(ctx, func(tx *sql.Tx) error {
		if err := lockWish(ctx, tx); err != nil {
			return err
		}
		var text string
		err := tx.QueryRowContext(ctx, `SELECT address FROM tunnels WHERE site = $1 AND ended_at = '' AND (order_id = $2 OR order_id = $3
			AND EXISTS (SELECT 1 FROM components WHERE order_id = $4 AND component = $5 AND renews <> ''))`,
			site.Name, rec.ID, rec.Renews, rec.ID, string(VPN)).Scan(&text)
		if err == nil {
			if given, err = netip.ParseAddr(text); err == nil {
				err = rekeySite(ctx, tx, rec.Order, site, publicKey)
			}
			return err
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		given, err = r.insertTunnel(ctx, tx, rec.Order, site, publicKey)
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

// insertTunnel enters a new tunnel of an order that has P_VPN on.
func (r *Registry) insertTunnel(ctx context.Context, tx *sql.Tx, o Order, site Site, publicKey string) (given netip.Addr, err error) {
	var on int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM components WHERE order_id = $1 AND component = $2 AND ended_by = ''`,
		o.ID, string(VPN)).Scan(&on); err != nil {
		return given, err
	}
	switch {
	case on == 0:
		return given, refuse("P_VPN of order %s is off meanwhile", o.ID)
	case publicKey == "":
		return given, refuse("order %s brings the first tunnel of site %s: its office has to enrol", o.ID, site.Name)
	}
	if given, err = r.freeAddress(ctx, tx); err != nil {
		return given, err
	}
	if err := isNew(ctx, tx, publicKey); err != nil {
		return given, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO tunnels (order_id, partner, site, unit, public_key, address, services, networks)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, o.ID, o.Partner.ID, site.Name, site.Unit, publicKey, given.String(),
		strings.Join(site.Services, " "), strings.Join(site.Networks, " "))
	if err == nil {
		err = enrolledSecrets(ctx, tx, o, site)
	}
	if err == nil {
		err = r.beginReach(ctx, tx, o.ID)
	}
	return given, err
}

// Wish returns the tunnels that are to be there now, and the wish's revision.
func (r *Registry) Wish(ctx context.Context) (revision int64, tunnels []Tunnel, err error) {
	err = r.db.InTx(ctx, func(tx *sql.Tx) error {
		tunnels = nil
		if err := tx.QueryRowContext(ctx, `SELECT value FROM revision WHERE name = 'wish'`).Scan(&revision); err != nil {
			return err
		}
		tunnels, err = scanTunnels(tx.QueryContext(ctx, `SELECT t.order_id, t.partner, t.site, t.unit, t.public_key, t.address,
			t.services, t.networks, EXISTS (SELECT 1 FROM components h
				WHERE h.partner = t.partner AND h.component = $1 AND h.ended_by = '' AND h.renews = ''), `+rotationColumns+`
			FROM tunnels t JOIN components c ON c.order_id = t.order_id AND c.component = $2 AND c.ended_by = ''
			WHERE t.ended_at = '' ORDER BY t.address`, string(NetworkHSM), string(VPN)))
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
		var address, services, networks string
		into, finish := t.Rotation.scan()
		err := rows.Scan(append([]any{&t.Order, &t.Partner, &t.Site, &t.Unit, &t.PublicKey, &address, &services, &networks,
			&t.NetworkHSM}, into...)...)
		if err != nil {
			return nil, err
		}
		finish()
		t.Services, t.Networks = strings.Fields(services), networksOf(strings.Fields(networks))
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

// AddCertificate remembers the chain with which a certificate was handed out. Remembering it twice changes nothing.
// Which certificates there are and which count, the authority's inventory says.
func (r *Registry) AddCertificate(ctx context.Context, c Certificate) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO certificates (serial, order_id, partner, purpose, key_id, fingerprint, pem)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`, c.Serial, c.Order, c.Partner, c.Purpose, c.KeyID, c.Fingerprint, c.PEM)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.Serial, err)
	}
	return nil
}

// Chain returns the chain in PEM with which a certificate was handed out, "" when it was not.
func (r *Registry) Chain(ctx context.Context, serial string) (string, error) {
	var chain string
	err := r.db.QueryRowContext(ctx, `SELECT pem FROM certificates WHERE serial = $1`, serial).Scan(&chain)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("certificate %s: %w", serial, err)
	}
	return chain, nil
}

// SealChains returns all chains in PEM that were ever handed out for an HSM key.
func (r *Registry) SealChains(ctx context.Context, keyID string) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT pem FROM certificates WHERE key_id = $1 AND purpose = $2`, keyID,
		SealCertificate)
	if err != nil {
		return nil, fmt.Errorf("certificates of key %s: %w", keyID, err)
	}
	defer rows.Close()
	var chains []string
	for rows.Next() {
		var chain string
		if err := rows.Scan(&chain); err != nil {
			return nil, fmt.Errorf("certificates of key %s: %w", keyID, err)
		}
		chains = append(chains, chain)
	}
	return chains, rows.Err()
}

// Grant is the right of one application to use one key, as the partner's HSM authorisation gives it.
type Grant struct {
	Partner, Application, Order, KeyID string
	Mechanisms                         []string
	NotBefore, NotAfter                time.Time
	Active                             bool // false before the order is carried out and after another one ended it
	Limits, KeyLimits                  *Limits
	Version                            KeyVersion // of the key, and when it signs
}

// GrantsOf returns every right that the line of an order gives or gave, one for each key: by the order that gives it
// now, else by the last one that did.
func (r *Registry) GrantsOf(ctx context.Context, order string) ([]Grant, error) {
	records, err := r.authorisationsOf(ctx, order)
	if err != nil {
		return nil, err
	}
	keys, err := r.keysOfLine(ctx, order)
	if err != nil {
		return nil, err
	}
	var grants []Grant
	place := map[string]int{} // of a key's grant
	for _, rec := range records {
		for _, g := range rec.grants(keys[rec.ID], rec.on) {
			i, there := place[g.KeyID]
			switch {
			case !there:
				place[g.KeyID] = len(grants)
				grants = append(grants, g)
			case g.Active || !grants[i].Active:
				grants[i] = g
			}
		}
	}
	return grants, nil
}

// authorisation is an activation order with B_HSM and whether that is on by it.
type authorisation struct {
	Order
	on bool
}

// authorisationsOf returns those of an order's line that were approved, the first one first.
func (r *Registry) authorisationsOf(ctx context.Context, order string) ([]authorisation, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT o.body, o.state, c.ended_by FROM orders o
		JOIN components c ON c.order_id = o.id AND c.component = $1
		WHERE o.line = (SELECT line FROM orders WHERE id = $2) ORDER BY o.decided_at`, string(NetworkHSM), order)
	if err != nil {
		return nil, fmt.Errorf("authorisations of order %s: %w", order, err)
	}
	defer rows.Close()
	var all []authorisation
	for rows.Next() {
		var a authorisation
		var body, ended string
		var state State
		if err := rows.Scan(&body, &state, &ended); err != nil {
			return nil, fmt.Errorf("authorisations of order %s: %w", order, err)
		}
		if err := json.Unmarshal([]byte(body), &a.Order); err != nil {
			return nil, fmt.Errorf("authorisations of order %s: %w", order, err)
		}
		a.on = state == Active && ended == ""
		all = append(all, a)
	}
	return all, rows.Err()
}

// grants makes one grant for each key of the order's HSM authorisation that exists, in each of its versions.
func (o *Order) grants(keys []KeyVersion, active bool) []Grant {
	a := o.HSMAuthorization
	var grants []Grant
	for _, k := range a.Keys {
		for _, v := range keys {
			if v.Name == k.Name {
				grants = append(grants, Grant{Partner: o.Partner.ID, Application: a.Application, Order: o.ID, KeyID: v.ID,
					Mechanisms: k.Mechanisms, NotBefore: a.NotBefore, NotAfter: a.until(k), Active: active,
					Limits: a.Limits, KeyLimits: k.Limits, Version: v})
			}
		}
	}
	return grants
}
