package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ServerCertificates is the attachment by which B_CC lets the office's servers get certificates by ACME (zgłoszenie certyfikatów
// serwerów). B_CC without it is an entitlement alone.
type ServerCertificates struct {
	Names     []string  `json:"names" yaml:"names"`                   // DNS names of the servers, lower case, each as it stands
	Addresses []string  `json:"addresses,omitempty" yaml:"addresses"` // their addresses in the tunnel, where certificates are to have them
	Purposes  []string  `json:"purposes,omitempty" yaml:"purposes"`   // server (default), client: they are clients to their peers too
	NotAfter  time.Time `json:"not_after,omitzero" yaml:"not_after"`  // optional: end of the authorisation
}

// Purposes of certificates of servers.
const (
	ServerPurpose = "server"
	ClientPurpose = "client"
)

// maxServerNames is how many names and addresses of servers an order may list: more than an office has.
const maxServerNames = 200

// serverName is a DNS name of two labels at least, without a wildcard; the last label is not a number.
var serverName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (o *Order) checkServerCertificates() error {
	s := o.ServerCertificates
	const field = "server_certificates"
	switch {
	case s == nil:
		return nil
	case !o.Has(CertificationCentre):
		return &FieldError{field, "it belongs to B_CC: add B_CC to components or leave it out"}
	case len(s.Names)+len(s.Addresses) == 0:
		return &FieldError{field + ".names", "list the DNS names of the office's servers"}
	case len(s.Names)+len(s.Addresses) > maxServerNames:
		return &FieldError{field + ".names", fmt.Sprintf("list at most %d names and addresses", maxServerNames)}
	}
	for i, name := range s.Names {
		if len(name) > 253 || !serverName.MatchString(name) {
			return &FieldError{fmt.Sprintf("%s.names[%d]", field, i),
				fmt.Sprintf("%.253q: write the whole DNS name of one host in lower case, without a wildcard", name)}
		}
		if slices.Contains(s.Names[:i], name) {
			return &FieldError{fmt.Sprintf("%s.names[%d]", field, i), fmt.Sprintf("%q stands twice; leave one out", name)}
		}
	}
	for i, text := range s.Addresses {
		if a, err := netip.ParseAddr(text); err != nil || a.String() != text || a.Is4In6() || a.Zone() != "" || slices.Contains(s.Addresses[:i], text) {
			return &FieldError{fmt.Sprintf("%s.addresses[%d]", field, i), fmt.Sprintf("%.64q: write the address of one server, each once", text)}
		}
	}
	for i, p := range s.Purposes {
		if p != ServerPurpose && p != ClientPurpose || slices.Contains(s.Purposes[:i], p) || !slices.Contains(s.Purposes, ServerPurpose) {
			return &FieldError{fmt.Sprintf("%s.purposes[%d]", field, i), "write server, or server and client, each once"}
		}
	}
	return nil
}

// Listed is for people who decide about it.
func (s *ServerCertificates) Listed() string {
	text := strings.Join(append(slices.Clone(s.Names), s.Addresses...), ", ")
	if slices.Contains(s.Purposes, ClientPurpose) {
		text += " (" + strings.Join(s.Purposes, ", ") + ")"
	}
	return text
}

// ServerRight is what the order in force lets a partner's servers have.
type ServerRight struct {
	Record
	Line string // names the order with all that it renewed and that renewed it
}

// Servers returns the order in force of a partner that lets its servers have certificates, nil when there is none.
func (r *Registry) Servers(ctx context.Context, partner string) (*ServerRight, error) {
	records, err := r.orders(ctx, `WHERE partner = $1 AND state = $2 AND id IN (SELECT order_id FROM components
		WHERE component = $3 AND ended_by = '' AND renews = '')`, partner, string(Active), string(CertificationCentre))
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		s := rec.ServerCertificates
		if s == nil || !s.NotAfter.IsZero() && !s.NotAfter.After(r.now()) {
			continue
		}
		right := &ServerRight{Record: rec}
		err := r.db.QueryRowContext(ctx, `SELECT line FROM orders WHERE id = $1`, rec.ID).Scan(&right.Line)
		if err != nil {
			return nil, fmt.Errorf("line of order %s: %w", rec.ID, err)
		}
		return right, nil
	}
	return nil, nil
}

// TunnelsOf returns the tunnels of a partner that are to be there now: its own ends, with the networks behind them.
func (r *Registry) TunnelsOf(ctx context.Context, partner string) (ends []Tunnel, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT t.order_id, t.site, t.address, t.networks FROM tunnels t
		JOIN components c ON c.order_id = t.order_id AND c.component = $1 AND c.ended_by = ''
		WHERE t.partner = $2 AND t.ended_at = '' ORDER BY t.address`, string(VPN), partner)
	if err != nil {
		return nil, fmt.Errorf("tunnels of %s: %w", partner, err)
	}
	defer rows.Close()
	for rows.Next() {
		t := Tunnel{Partner: partner}
		var address, networks string
		if err := rows.Scan(&t.Order, &t.Site, &address, &networks); err != nil {
			return nil, fmt.Errorf("tunnels of %s: %w", partner, err)
		}
		if t.Address, err = netip.ParseAddr(address); err != nil {
			return nil, fmt.Errorf("tunnels of %s: %w", partner, err)
		}
		t.Networks = networksOf(strings.Fields(networks))
		ends = append(ends, t)
	}
	return ends, rows.Err()
}

// admissibleServers refuses names that an order in force has given to another partner: one host is one office's.
func (r *Registry) admissibleServers(ctx context.Context, o Order) error {
	if o.ServerCertificates == nil {
		return nil
	}
	others, err := r.orders(ctx, `WHERE partner <> $1 AND state IN ($2, $3) AND id IN (SELECT order_id FROM components
		WHERE component = $4 AND ended_by = '')`, o.Partner.ID, string(Approved), string(Active), string(CertificationCentre))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	for _, other := range others {
		if other.ServerCertificates == nil {
			continue
		}
		for i, name := range o.ServerCertificates.Names {
			if slices.Contains(other.ServerCertificates.Names, name) {
				return &FieldError{fmt.Sprintf("server_certificates.names[%d]", i),
					fmt.Sprintf("%q is a server of %s by order %s: leave it out", name, other.Partner.ID, other.ID)}
			}
		}
	}
	return nil
}
