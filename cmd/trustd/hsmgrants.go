package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/hsm/gateway"
	"trustcore/pki"
)

// grants is what the holder of a client certificate may use: what the line of the order gives by which it was issued,
// as the authority's inventory has it. Another application of the same partner is another line.
func (d *daemon) grants(ctx context.Context, client *x509.Certificate) ([]gateway.Grant, error) {
	who, err := d.ca.Standing(ctx, client)
	if err != nil {
		return nil, err
	}
	if who.Profile != pki.PartnerClient || who.Order == "" {
		return nil, nil // issued, but by no order that the registry carries out: nothing is granted
	}
	return d.granted.Of(ctx, who.Order)
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
