package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

// renewal is the request for a successor of the certificate that the client shows.
type renewal struct {
	CSR string `json:"csr"` // PEM
}

// renew is the one way to a successor of a certificate over HTTP, at each listener whose clients have one.
func (d *daemon) renew(r *http.Request, who rights.Holder) (any, error) {
	var in renewal
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	request, err := requestIn(in.CSR)
	if err != nil {
		return nil, err
	}
	until, err := d.until(r.Context(), who)
	if err != nil {
		return nil, err
	}
	c, err := d.ca.Renew(r.Context(), actorOf(who), r.TLS.PeerCertificates[0], request, until)
	if err != nil {
		return nil, ofAuthority(err)
	}
	chain, err := d.chained(c)
	if err != nil {
		return nil, err
	}
	if who.Role() == rights.Office {
		if err := d.rememberRenewed(r.Context(), who, c, chain); err != nil {
			return nil, err
		}
	}
	return map[string]string{"chain": chain}, nil
}

// until is when the authorisation behind a certificate ends: that of the order in force in the line of the
// certificate's own. One that is over, or was switched off, authorises nothing.
func (d *daemon) until(ctx context.Context, who rights.Holder) (time.Time, error) {
	if who.Role() != rights.Office {
		return time.Time{}, nil
	}
	order, site := registry.CutSite(who.Order)
	rec, err := d.registry.InForce(ctx, order)
	if err != nil {
		return time.Time{}, err
	}
	if rec == nil {
		return time.Time{}, problem.Refuse(http.StatusForbidden,
			"order %q is not in force: nothing is renewed under it", who.Order)
	}
	if site != "" {
		_, err := d.registry.TunnelOf(ctx, rec.ID, site)
		return time.Time{}, problemOf(err)
	}
	on, err := d.registry.Left(ctx, rec.ID)
	if err != nil {
		return time.Time{}, err
	}
	return authorisedUntil(rec.Order, on), nil
}

func (d *daemon) rememberRenewed(ctx context.Context, who rights.Holder, c *x509.Certificate, chain string) error {
	order, _ := registry.CutSite(who.Order)
	return d.registry.AddCertificate(ctx, registry.Certificate{Serial: fmt.Sprintf("%x", c.SerialNumber), Order: order, Partner: who.Partner,
		Purpose: registry.ClientCertificate, Fingerprint: rights.Fingerprint(c), PEM: chain})
}

// renewSelf renews trustd's own certificate, by the same route.
func (d *daemon) renewSelf(ctx context.Context, der []byte) ([]byte, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	presented, err := custody.ReadCertificate(d.cfg.Identity.Certificate)
	if err != nil {
		return nil, err
	}
	c, err := d.ca.Renew(ctx, audit.Actor{Kind: "daemon", ID: presented.Subject.CommonName}, presented, request, time.Time{})
	if err != nil {
		return nil, err
	}
	chain, err := d.chained(c)
	return []byte(chain), err
}

// chained is a certificate with what stands above it, PEM.
func (d *daemon) chained(c *x509.Certificate) (string, error) {
	above, err := d.ca.Chain(c)
	return string(custody.PEM(append([][]byte{c.Raw}, above...)...)), err
}

func (d *daemon) chainedDER(der []byte) (string, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return "", err
	}
	return d.chained(c)
}
