package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/activation"
	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// carrier is who acts when an order is carried out: the officers decided, the daemon obeys.
var carrier = audit.Actor{Kind: "daemon", ID: "activation"}

// steps are the pillars' parts in carrying out an order.
func (d *daemon) steps() activation.Steps {
	return activation.Steps{
		Partition: d.partition, Certificate: d.certificates, Tunnel: d.tunnel,
		TunnelGone: d.tunnelGone, Revoke: d.revoke, Suspend: d.suspend,
	}
}

// partition makes the keys that the HSM authorisation names.
func (d *daemon) partition(ctx context.Context, rec registry.Record) (string, error) {
	p, err := d.custody.HSM.Partition(rec.Partner.ID)
	if err != nil {
		return "", err
	}
	var specs []hsm.KeySpec
	for _, k := range rec.HSMAuthorization.Keys {
		spec := hsm.KeySpec{Label: k.Name, Algorithm: hsm.Algorithm(k.Algorithm)}
		for _, m := range k.Mechanisms {
			spec.Mechanisms = append(spec.Mechanisms, mechanism.Mechanism(m))
		}
		specs = append(specs, spec)
	}
	keys, err := p.Ensure(ctx, carrier, rec.ID, specs)
	if err != nil {
		return "", err
	}
	var facts []string
	for i, k := range keys {
		if err := d.registry.AddKey(ctx, rec.ID, rec.HSMAuthorization.Keys[i].Name, k.ID); err != nil {
			return "", err
		}
		facts = append(facts, rec.HSMAuthorization.Keys[i].Name+"="+k.ID)
	}
	return strings.Join(facts, " "), nil
}

// certificates issues the office's client certificate from its request, and a seal certificate for each
// HSM key. What was issued before a crash is found in the authority's inventory.
func (d *daemon) certificates(ctx context.Context, rec registry.Record, e *registry.Enrolment) (string, error) {
	serial, err := d.clientCertificate(ctx, rec, e)
	if err != nil {
		return "", err
	}
	facts := []string{"client=" + serial}
	keys, err := d.registry.Keys(ctx, rec.ID)
	if err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if serial, err = d.sealCertificate(ctx, rec, name, keys[name]); err != nil {
			return "", err
		}
		facts = append(facts, name+"="+serial)
	}
	return strings.Join(facts, " "), nil
}

func (d *daemon) clientCertificate(ctx context.Context, rec registry.Record, e *registry.Enrolment) (string, error) {
	block, _ := pem.Decode([]byte(e.CSR))
	if block == nil {
		return "", errors.New("the office's certificate request is no PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("the office's certificate request: %w", err)
	}
	issued, err := d.issue(ctx, rec, pki.PartnerClient, request, clientName(rec.Order))
	if err != nil {
		return "", err
	}
	return d.remember(ctx, rec, issued, registry.ClientCertificate, "")
}

// clientName is the name in an office's client certificate.
func clientName(o registry.Order) string {
	if o.HSMAuthorization == nil {
		return o.Partner.ID
	}
	return o.Partner.ID + " " + o.HSMAuthorization.Application
}

// sealName is the name in the certificate of an HSM key.
func sealName(o registry.Order, key string) string { return o.Partner.Name + " - " + key }

// sealCertificate certifies an HSM key for sealing documents; the request is signed in the HSM.
func (d *daemon) sealCertificate(ctx context.Context, rec registry.Record, name, keyID string) (string, error) {
	key, err := d.custody.HSM.Signer(ctx, keyID)
	if err != nil {
		return "", err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: sealName(rec.Order, name)}, SignatureAlgorithm: requestAlgorithm(key.Info())}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return "", fmt.Errorf("request for the key %s: %w", name, err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return "", err
	}
	issued, err := d.issue(ctx, rec, pki.Seal, request, sealName(rec.Order, name))
	if err != nil {
		return "", err
	}
	return d.remember(ctx, rec, issued, registry.SealCertificate, keyID)
}

// issue returns the order's certificate of the profile for the request's key, a new one or the one that was issued before a crash.
// It doesn't outlive the authorisation.
func (d *daemon) issue(ctx context.Context, rec registry.Record, profile pki.Profile, request *x509.CertificateRequest, name string) (*x509.Certificate, error) {
	return d.ca.Issue(ctx, carrier, profile, request,
		pki.Subject{Partner: rec.Partner.ID, CommonName: name, NotAfter: authorisedUntil(rec.Order)}, rec.ID)
}

// authorisedUntil is when what an order gives ends by itself; zero when it doesn't.
func authorisedUntil(o registry.Order) time.Time {
	if o.HSMAuthorization == nil || o.Has(registry.VPN) {
		return time.Time{} // the tunnel has no end of its own
	}
	return o.HSMAuthorization.NotAfter
}

// requestAlgorithms are how a key may sign its own request, best first.
var requestAlgorithms = []struct {
	mechanism mechanism.Mechanism
	algorithm x509.SignatureAlgorithm
}{
	{"ECDSA-SHA256", x509.ECDSAWithSHA256}, {"ECDSA-SHA384", x509.ECDSAWithSHA384},
	{"RSA-PSS-SHA256", x509.SHA256WithRSAPSS}, {"RSA-PSS-SHA384", x509.SHA384WithRSAPSS}, {"RSA-PSS-SHA512", x509.SHA512WithRSAPSS},
	{"RSA-PKCS1-SHA256", x509.SHA256WithRSA}, {"RSA-PKCS1-SHA384", x509.SHA384WithRSA}, {"RSA-PKCS1-SHA512", x509.SHA512WithRSA},
}

// requestAlgorithm is the best that the key is allowed: one that is allowed PSS alone does not do PKCS #1.
func requestAlgorithm(k hsm.KeyInfo) x509.SignatureAlgorithm {
	for _, r := range requestAlgorithms {
		if k.Allows(r.mechanism) {
			return r.algorithm
		}
	}
	return x509.UnknownSignatureAlgorithm
}

func (d *daemon) remember(ctx context.Context, rec registry.Record, c *x509.Certificate, purpose, keyID string) (string, error) {
	chain, err := d.custody.Chain()
	if err != nil {
		return "", err
	}
	serial := fmt.Sprintf("%x", c.SerialNumber)
	return serial, d.registry.AddCertificate(ctx, registry.Certificate{
		Serial: serial, Order: rec.ID, Partner: rec.Partner.ID, Purpose: purpose, KeyID: keyID,
		Fingerprint: rights.Fingerprint(c), PEM: string(custody.PEM(c.Raw)) + chain,
	})
}

func (d *daemon) tunnel(ctx context.Context, rec registry.Record, e *registry.Enrolment) (string, error) {
	address, err := d.registry.GrantTunnel(ctx, rec, e.PublicKey)
	if err != nil {
		return "", err
	}
	if err := d.audited(ctx, "tunnel.grant", address.String(), rec.Partner.ID, rec.ID); err != nil {
		return "", err
	}
	return address.String(), nil
}

// tunnelGone returns when it is proved that no gateway lets the order's partner in any more; see gateways.missing.
func (d *daemon) tunnelGone(ctx context.Context, order string) error {
	wait, cancel := context.WithTimeout(ctx, goneWait)
	defer cancel()
	how, err := d.awaitGone(wait, order)
	if err != nil {
		return err
	}
	rec, err := d.registry.Order(ctx, order)
	if err != nil {
		return err
	}
	_, err = d.custody.Audit.Append(ctx, audit.Entry{Time: time.Now(), Actor: carrier, Action: "tunnel.remove", Subject: order,
		Partner: rec.Partner.ID, Order: order, Outcome: audit.Granted, Reason: how})
	return err
}

// revoke revokes the order's certificates, all that the authority's inventory has: the seal certificates when the HSM goes, every
// one when nothing is left that needs one.
func (d *daemon) revoke(ctx context.Context, order string, ended []registry.Component, all bool, by string) error {
	which := pki.Selector{Order: order}
	switch {
	case all:
	case slices.Contains(ended, registry.NetworkHSM):
		which.Profile = pki.Seal
	default:
		return nil
	}
	_, err := d.ca.Revoke(ctx, carrier, which, pki.CessationOfOperation, by)
	return err
}

func (d *daemon) suspend(ctx context.Context, order, _ string) error {
	rec, err := d.registry.Order(ctx, order)
	if err != nil {
		return err
	}
	p, err := d.custody.HSM.Partition(rec.Partner.ID)
	if err != nil {
		return err
	}
	return p.Suspend(ctx, carrier, order)
}

func (d *daemon) audited(ctx context.Context, action, subject, partner, order string) error {
	_, err := d.custody.Audit.Append(ctx, audit.Entry{Time: time.Now(), Actor: carrier, Action: action, Subject: subject,
		Partner: partner, Order: order, Outcome: audit.Granted})
	return err
}

// grants is what the holder of a client certificate may use, as the registry has it.
func (d *daemon) grants(ctx context.Context, client *x509.Certificate) ([]gateway.Grant, error) {
	held, err := d.registry.GrantsOf(ctx, rights.Fingerprint(client))
	var nobody *registry.Refusal
	if errors.As(err, &nobody) {
		return nil, nil // issued, but by no order that the registry carries out: nothing is granted
	}
	if err != nil {
		return nil, err
	}
	grants := make([]gateway.Grant, len(held))
	for i, g := range held {
		grants[i] = gateway.Grant{Partner: g.Partner, Application: g.Application, KeyID: g.KeyID,
			NotBefore: g.NotBefore, NotAfter: g.NotAfter, Order: g.Order, Active: g.Active}
		for _, m := range g.Mechanisms {
			grants[i].Mechanisms = append(grants[i].Mechanisms, mechanism.Mechanism(m))
		}
		if grants[i].Chain, err = d.sealChain(ctx, g.KeyID); err != nil {
			return nil, err
		}
	}
	return grants, nil
}

// sealChain returns the certificates of an HSM key.
func (d *daemon) sealChain(ctx context.Context, keyID string) ([][]byte, error) {
	text, err := d.registry.SealChain(ctx, keyID)
	if err != nil {
		return nil, err
	}
	return custody.DER([]byte(text)), nil
}
