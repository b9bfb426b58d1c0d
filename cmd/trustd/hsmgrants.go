package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/hsm/gateway"
	"trustcore/pki"
)

// grants is what the holder of a client certificate may use: what the line of the order gives by which it was issued,
// as the authority's inventory has it. Another application of the same partner is another line. verifyd's certificate
// comes by no order: it uses what the order gives that the configuration names.
func (d *daemon) grants(ctx context.Context, client *x509.Certificate) ([]gateway.Grant, error) {
	who, err := d.ca.Standing(ctx, client)
	if err != nil {
		return nil, err
	}
	order := who.Order
	switch {
	case holder(who).Role() == rights.Verifier:
		order = d.cfg.Verifyd.Order
	case who.Profile != pki.PartnerClient:
		order = ""
	}
	if order == "" {
		return nil, nil // by no order that the registry carries out: nothing is granted
	}
	return d.granted.Of(ctx, order)
}

// forVerifyd reports whether an order gives verifyd the key of its reports: the one that the configuration names, and what
// follows it.
func (d *daemon) forVerifyd(ctx context.Context, o registry.Order) (bool, error) {
	first := d.cfg.Verifyd.Order
	if first == "" || o.ID == first {
		return first != "", nil
	}
	line, err := d.registry.Line(ctx, first)
	return slices.Contains(line, o.ID) || slices.Contains(line, o.Renews) || slices.Contains(line, o.Resume), err
}

// sealChain returns the certificates of an HSM key: of those chains that count now the one that lasts longest.
func (d *daemon) sealChain(ctx context.Context, keyID string) (newest [][]byte, err error) {
	chains, err := d.registry.SealChains(ctx, keyID)
	if err != nil {
		return nil, err
	}
	var end time.Time
	for _, text := range chains {
		chain := custody.DER([]byte(text))
		if len(chain) == 0 {
			continue
		}
		c, err := x509.ParseCertificate(chain[0])
		if err != nil {
			return nil, fmt.Errorf("certificate of key %s: %w", keyID, err)
		}
		if _, err := d.ca.Standing(ctx, c); err == nil && c.NotAfter.After(end) {
			newest, end = chain, c.NotAfter
		}
	}
	return newest, nil
}
