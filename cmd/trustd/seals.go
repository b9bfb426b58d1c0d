package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/program"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/pki"
)

// sealsEvery is how often the seal certificates are looked at; timers do not move with the clock.
const sealsEvery = time.Minute

// sealsSettle is how long after a change they are: orders come in several.
const sealsSettle = time.Second

// sealRetry is how long a seal certificate rests after a renewal that failed: each try is in the audit log.
const sealRetry = 10 * time.Minute

// keepSeals renews the certificates of HSM keys, now and whenever something changes: at two thirds of their life, and
// when the authorisation that ends them was extended. What outlives its authorisation is revoked.
func (d *daemon) keepSeals(ctx context.Context) error {
	ticker := time.NewTicker(sealsEvery)
	defer ticker.Stop()
	rests := map[string]time.Time{} // until when, by id of the key
	for {
		changed := d.registry.Changed()
		if err := d.keepSealsOnce(ctx, time.Now(), rests); err != nil && ctx.Err() == nil {
			d.cfg.Logger.Error("renewing seal certificates", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			program.Pause(ctx, sealsSettle)
		case <-ticker.C:
		}
	}
}

func (d *daemon) keepSealsOnce(ctx context.Context, now time.Time, rests map[string]time.Time) error {
	ctx, done, ok := d.custody.Leases.While(ctx, custody.Seals)
	defer done()
	if !ok {
		return nil
	}
	all, err := d.registry.Authorisations(ctx)
	if err != nil {
		return err
	}
	due, err := d.dueSeals(ctx, now)
	if err != nil {
		return err
	}
	for _, a := range all {
		if now.Before(rests[a.ID]) {
			continue
		}
		delete(rests, a.ID)
		if err := d.keepSeal(ctx, a, due, now); err != nil && ctx.Err() == nil {
			d.cfg.Logger.Error("the certificate of a key is not renewed", "order", a.Record.ID,
				"key", a.ID, "error", err)
			rests[a.ID] = now.Add(sealRetry)
		}
	}
	return d.endClients(ctx, all, now)
}

// dueSeals lists the serial numbers that the authority says are due.
func (d *daemon) dueSeals(ctx context.Context, now time.Time) (map[string]bool, error) {
	expiring, err := d.ca.Expiring(ctx)
	if err != nil {
		return nil, err
	}
	due := map[string]bool{}
	for _, e := range expiring {
		if e.Kind == string(pki.Seal) && e.Renewal == pki.ByHolder && !now.Before(e.Due) {
			due[e.Serial] = true
		}
	}
	return due, nil
}

// keepSeal sees to the certificate of one key.
func (d *daemon) keepSeal(ctx context.Context, a registry.Authorised, due map[string]bool, now time.Time) error {
	info, err := d.custody.HSM.Key(ctx, a.ID)
	if err != nil || info.State != hsm.Active {
		return err
	}
	if !now.Before(a.Until) {
		return d.revokeSeals(ctx, info.Public, a.Record.ID)
	}
	if a.Replaced {
		return nil // it signs no more, and what it has signed needs no later certificate
	}
	found, err := d.sealsOf(ctx, info.Public)
	if err != nil || len(found) == 0 {
		return err // a certificate comes with the order
	}
	c := found[0]
	switch {
	case c.State == pki.Expired && a.Until.Sub(now) > pki.MinimumLife:
		return d.certifyAgain(ctx, a, nil)
	case c.State == pki.Valid && (due[c.Serial] || extended(c, a.Until, now)):
		return d.certifyAgain(ctx, a, &c)
	case c.State == pki.Valid:
		return d.rememberSeal(ctx, a, c)
	}
	return nil // an officer revoked or suspended it
}

// extended reports whether a certificate was cut to the end of its authorisation, and a new one would live longer now.
func extended(c pki.Certificate, until, now time.Time) bool {
	if longest := now.Add(pki.Seal.Longest()); until.After(longest) {
		until = longest
	}
	return c.Cut == pki.CutByAuthorisation && until.Sub(c.NotAfter) > pki.MinimumLife
}

// certifyAgain issues a successor of the key's certificate, or a new one where before is nil.
func (d *daemon) certifyAgain(ctx context.Context, a registry.Authorised, before *pki.Certificate) error {
	key, err := d.custody.HSM.Signer(ctx, a.ID)
	if err != nil {
		return err
	}
	name := sealName(a.Record.Order, a.Name)
	if before != nil {
		name = before.CommonName
	}
	request, err := sealRequest(key, name)
	if err != nil {
		return err
	}
	if before == nil {
		c, err := d.issue(ctx, *a.Record, pki.Seal, request, name, a.Until)
		if err != nil {
			return err
		}
		_, err = d.remember(ctx, *a.Record, c, registry.SealCertificate, a.ID)
		return err
	}
	presented, err := x509.ParseCertificate(before.DER)
	if err != nil {
		return err
	}
	c, err := d.ca.Renew(ctx, carrier, presented, request, a.Until)
	if err != nil {
		return err
	}
	_, err = d.remember(ctx, *a.Record, c, registry.SealCertificate, a.ID)
	return err
}

// rememberSeal makes the gateway serve a certificate that a crash kept from it.
func (d *daemon) rememberSeal(ctx context.Context, a registry.Authorised, c pki.Certificate) error {
	chain, err := d.registry.Chain(ctx, c.Serial)
	if err != nil || chain != "" {
		return err
	}
	certificate, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return err
	}
	_, err = d.remember(ctx, *a.Record, certificate, registry.SealCertificate, a.ID)
	return err
}

// endClients revokes client certificates that outlive their authorisation, since an order made it shorter or took the
// tunnel away.
func (d *daemon) endClients(ctx context.Context, all []registry.Authorised, now time.Time) error {
	var failed error
	seen := map[string]bool{}
	for _, a := range all {
		if seen[a.Record.ID] {
			continue
		}
		seen[a.Record.ID] = true
		if err := d.endClientsOf(ctx, a.Record, now); err != nil {
			failed = errors.Join(failed, fmt.Errorf("order %s: %w", a.Record.ID, err))
		}
	}
	return failed
}

func (d *daemon) endClientsOf(ctx context.Context, rec *registry.Record, now time.Time) error {
	on, err := d.registry.Left(ctx, rec.ID)
	if err != nil {
		return err
	}
	if until := authorisedUntil(rec.Order, on); until.IsZero() || now.Before(until) {
		return nil
	}
	line, err := d.registry.Line(ctx, rec.ID)
	if err != nil {
		return err
	}
	for _, id := range line {
		_, err := d.ca.Revoke(ctx, carrier, pki.Selector{Order: id, Profile: pki.PartnerClient},
			pki.CessationOfOperation, rec.ID)
		if err != nil {
			return err
		}
	}
	return nil
}
