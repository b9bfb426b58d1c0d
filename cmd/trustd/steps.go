package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/activation"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/hsm"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// carrier is who acts when an order is carried out: the officers decided, the daemon obeys.
var carrier = audit.Actor{Kind: "daemon", ID: "activation"}

// steps are the pillars' parts in carrying out an order.
func (d *daemon) steps() activation.Steps {
	return activation.Steps{
		Resume: d.resume, Partition: d.partition, Certificate: d.certificates, Tunnel: d.tunnel,
		TunnelGone: d.tunnelGone, LeaveSites: d.leaveSites, Revoke: d.revoke, Suspend: d.suspend,
	}
}

// resume puts keys of an ended order into force again.
func (d *daemon) resume(ctx context.Context, rec registry.Record) (string, error) {
	kept, err := d.keptVersions(ctx, rec.Order)
	if err != nil {
		return "", err
	}
	p, err := d.custody.HSM.Partition(rec.Partner.ID)
	if err != nil {
		return "", err
	}
	keys, err := p.Resume(ctx, carrier, rec.ID, kept)
	if err != nil {
		return "", err
	}
	var facts []string
	for _, k := range keys {
		facts = append(facts, k.Label+"="+k.ID)
	}
	return strings.Join(facts, " "), nil
}

// keptVersions are the keys of the ended order that sign, or will: what signs no more stays suspended, and verifies.
func (d *daemon) keptVersions(ctx context.Context, o registry.Order) (ids []string, err error) {
	versions, err := d.registry.Versions(ctx, o.Resume)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if (v.By == "" || time.Now().Before(v.Replaced)) && o.HSMAuthorization.Names(v.Name) {
			ids = append(ids, v.ID)
		}
	}
	return ids, nil
}

// partition makes the keys that the HSM authorisation names and the order does not take over from an earlier one.
func (d *daemon) partition(ctx context.Context, rec registry.Record) (string, error) {
	keys, err := d.registry.KeptKeys(ctx, rec.Order)
	if err != nil {
		return "", err
	}
	p, err := d.custody.HSM.Partition(rec.Partner.ID)
	if err != nil {
		return "", err
	}
	var specs []hsm.KeySpec
	for _, k := range rec.HSMAuthorization.Keys {
		if keys[k.Name] == "" {
			specs = append(specs, specOf(k))
		}
	}
	made, err := p.Ensure(ctx, carrier, rec.ID, specs)
	if err != nil {
		return "", err
	}
	for i, k := range made {
		keys[specs[i].Label] = k.ID
	}
	if err := d.registry.KeepKeys(ctx, rec.Order); err != nil {
		return "", err
	}
	var facts []string
	for _, k := range rec.HSMAuthorization.Keys {
		if err := d.registry.AddKey(ctx, rec.ID, k.Name, keys[k.Name]); err != nil {
			return "", err
		}
		facts = append(facts, k.Name+"="+keys[k.Name])
	}
	return strings.Join(facts, " "), nil
}

func specOf(k registry.HSMKey) hsm.KeySpec {
	spec := hsm.KeySpec{Label: k.Name, Algorithm: hsm.Algorithm(k.Algorithm)}
	for _, m := range k.Mechanisms {
		spec.Mechanisms = append(spec.Mechanisms, mechanism.Mechanism(m))
	}
	return spec
}

// certificates issues the office's client certificate from its request, and a seal certificate for each HSM key that
// has none. What was issued before a crash is found in the authority's inventory.
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
		if rec.HSMAuthorization.ToDecrypt(name) {
			continue
		}
		if serial, err = d.sealCertificate(ctx, rec, name, keys[name]); err != nil {
			return "", err
		}
		facts = append(facts, name+"="+serial)
	}
	return strings.Join(facts, " "), nil
}

// clientCertificate issues the office's certificate; without an enrolment the office goes on with one of an earlier
// order. verifyd, which has one of its own, needs none.
func (d *daemon) clientCertificate(ctx context.Context, rec registry.Record, e *registry.Enrolment) (string, error) {
	if e == nil {
		if own, err := d.forVerifyd(ctx, rec.Order); own || err != nil {
			return rights.VerifierName, err
		}
		held, err := d.heldBy(ctx, rec.ID, "")
		if err == nil && len(held) == 0 {
			err = activation.ErrNotEnrolled
		}
		if err != nil {
			return "", err
		}
		return held[0].Serial, nil
	}
	request, err := requestOf(e)
	if err != nil {
		return "", err
	}
	issued, err := d.issue(ctx, rec, pki.PartnerClient, request, clientName(rec.Order),
		authorisedUntil(rec.Order, rec.Components))
	if err != nil {
		return "", err
	}
	return d.remember(ctx, rec, issued, registry.ClientCertificate, "")
}

// heldBy lists the client certificates of an order's line that count, as the authority's inventory has them, newest
// first: of a further site, or of the order's own office where that is "".
func (d *daemon) heldBy(ctx context.Context, order, site string) ([]pki.Certificate, error) {
	line, err := d.registry.Line(ctx, order)
	if err != nil {
		return nil, err
	}
	var held []pki.Certificate
	for _, id := range line {
		found, err := d.ca.Certificates(ctx, pki.Filter{Order: registry.SiteOrder(id, site), Profile: pki.PartnerClient, State: pki.Valid})
		if err != nil {
			return nil, err
		}
		held = append(held, found...)
	}
	slices.SortStableFunc(held, func(a, b pki.Certificate) int { return b.NotBefore.Compare(a.NotBefore) })
	return held, nil
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

// sealCertificate certifies an HSM key for sealing documents, unless it has a certificate that counts.
func (d *daemon) sealCertificate(ctx context.Context, rec registry.Record, name, keyID string) (string, error) {
	key, err := d.custody.HSM.Signer(ctx, keyID)
	if err != nil {
		return "", err
	}
	there, err := d.sealsOf(ctx, key.Public())
	if err != nil {
		return "", err
	}
	if len(there) > 0 && there[0].State == pki.Valid {
		return there[0].Serial, nil
	}
	request, err := sealRequest(key, sealName(rec.Order, name))
	if err != nil {
		return "", err
	}
	issued, err := d.issue(ctx, rec, pki.Seal, request, sealName(rec.Order, name), rec.HSMAuthorization.Until(name))
	if err != nil {
		return "", err
	}
	return d.remember(ctx, rec, issued, registry.SealCertificate, keyID)
}

// sealsOf lists the seal certificates of a public key, as the authority's inventory has them: the one that lasts
// longest first.
func (d *daemon) sealsOf(ctx context.Context, public any) ([]pki.Certificate, error) {
	digest, err := keyDigest(public)
	if err != nil {
		return nil, err
	}
	found, err := d.ca.Certificates(ctx, pki.Filter{PublicKey: digest, Profile: pki.Seal})
	slices.SortStableFunc(found, func(a, b pki.Certificate) int { return b.NotAfter.Compare(a.NotAfter) })
	return found, err
}

// keyDigest names a public key as the inventory does.
func keyDigest(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// sealRequest asks for a certificate; it is signed in the HSM.
func sealRequest(key *hsm.Key, name string) (*x509.CertificateRequest, error) {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name},
		SignatureAlgorithm: requestAlgorithm(key.Info())}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("request for the certificate %s: %w", name, err)
	}
	return x509.ParseCertificateRequest(der)
}

// issue returns the order's certificate of the profile for the request's key, a new one or the one that was issued before a crash.
// It does not outlive the authorisation, which ends with until.
func (d *daemon) issue(ctx context.Context, rec registry.Record, profile pki.Profile,
	request *x509.CertificateRequest, name string,
	until time.Time) (*x509.Certificate, error) {
	return d.ca.Issue(ctx, carrier, profile, request, pki.Subject{Partner: rec.Partner.ID, CommonName: name, NotAfter: until},
		rec.ID)
}

// authorisedUntil is when the right of an office to a client certificate ends by itself, while these components of its
// order are on; zero when it does not.
func authorisedUntil(o registry.Order, on []registry.Component) time.Time {
	if o.HSMAuthorization == nil || slices.Contains(on, registry.VPN) {
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
	chain, err := d.chained(c)
	if err != nil {
		return "", err
	}
	serial := fmt.Sprintf("%x", c.SerialNumber)
	return serial, d.registry.AddCertificate(ctx, registry.Certificate{
		Serial: serial, Order: rec.ID, Partner: rec.Partner.ID, Purpose: purpose, KeyID: keyID,
		Fingerprint: rights.Fingerprint(c), PEM: chain,
	})
}

func (d *daemon) tunnel(ctx context.Context, rec registry.Record, e *registry.Enrolment) (string, error) {
	key := ""
	if e != nil {
		key = e.PublicKey
	}
	address, err := d.registry.GrantTunnel(ctx, rec, key)
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
	if err != nil {
		return err
	}
	return d.registry.TunnelsGone(ctx, order)
}

// revoke revokes the certificates of the order's line, all that the authority's inventory has: the seal certificates
// when the HSM goes, every one when nothing is left that needs one.
func (d *daemon) revoke(ctx context.Context, order string, ended []registry.Component, all bool, by string) error {
	line, err := d.registry.Line(ctx, order)
	if err != nil {
		return err
	}
	if slices.Contains(ended, registry.VPN) {
		sites, err := d.sitesOfLine(ctx, line)
		if err != nil {
			return err
		}
		for _, id := range line {
			if err := d.revokeSites(ctx, id, sites[id], by); err != nil {
				return err
			}
		}
	}
	profiles, err := d.endingProfiles(ctx, order, ended, all)
	if err != nil {
		return err
	}
	which := pki.Selector{}
	for _, which.Order = range line {
		for _, which.Profile = range profiles {
			if _, err := d.ca.Revoke(ctx, carrier, which, pki.CessationOfOperation, by); err != nil {
				return err
			}
		}
	}
	return nil
}

// endingProfiles are the profiles of an order's certificates that end with components of it; "" is every one.
func (d *daemon) endingProfiles(ctx context.Context, order string, ended []registry.Component, all bool) (profiles []pki.Profile, err error) {
	left, err := d.registry.LineLeft(ctx, order)
	if err != nil {
		return nil, err
	}
	servers := slices.Contains(left, registry.CertificationCentre)
	switch {
	case all && servers: // those of the office go on
		return []pki.Profile{pki.PartnerClient, pki.Seal}, nil
	case all:
		return []pki.Profile{""}, nil
	case slices.Contains(ended, registry.NetworkHSM):
		profiles = append(profiles, pki.Seal)
	}
	if slices.Contains(ended, registry.CertificationCentre) {
		profiles = append(profiles, pki.PartnerServer, pki.PartnerPeer)
	}
	return profiles, nil
}

// suspend ends the use of the keys that the HSM has for the order's line, and their certificates, but of those that an
// order in force names.
func (d *daemon) suspend(ctx context.Context, order, by string) error {
	rec, err := d.registry.Order(ctx, order)
	if err != nil {
		return err
	}
	p, err := d.custody.HSM.Partition(rec.Partner.ID)
	if err != nil {
		return err
	}
	keys, err := p.Keys(ctx)
	if err != nil {
		return err
	}
	line, err := d.registry.Line(ctx, order)
	if err != nil {
		return err
	}
	on, err := d.registry.KeysOn(ctx, rec.Partner.ID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if !slices.Contains(line, k.Order) || slices.Contains(on, k.ID) ||
			k.State != hsm.Active && k.State != hsm.Suspended {
			continue
		}
		if err := d.custody.HSM.Suspend(ctx, carrier, k.ID); err != nil {
			return err
		}
		if err := d.revokeSeals(ctx, k.Public, by); err != nil {
			return err
		}
	}
	return nil
}

// revokeSeals revokes what seal certificates a public key has.
func (d *daemon) revokeSeals(ctx context.Context, public any, by string) error {
	digest, err := keyDigest(public)
	if err != nil {
		return err
	}
	_, err = d.ca.Revoke(ctx, carrier, pki.Selector{PublicKey: digest, Profile: pki.Seal}, pki.CessationOfOperation, by)
	return err
}

func (d *daemon) audited(ctx context.Context, action, subject, partner, order string) error {
	_, err := d.custody.Audit.Append(ctx, audit.Entry{Time: time.Now(), Actor: carrier, Action: action, Subject: subject,
		Partner: partner, Order: order, Outcome: audit.Granted})
	return err
}
