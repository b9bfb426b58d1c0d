package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// motionViews lists the motions that wait, oldest first.
func (d *daemon) motionViews(ctx context.Context) ([]console.Motion, error) {
	open, err := d.registry.OpenMotions(ctx)
	if err != nil {
		return nil, err
	}
	var views []console.Motion
	for _, m := range open {
		view, err := d.motionView(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("motion %s: %w", m.ID, err)
		}
		views = append(views, view)
	}
	return views, nil
}

// motionView shows what a motion is about: the key that it certifies, or the certificates that it changes.
func (d *daemon) motionView(ctx context.Context, m registry.Motion) (console.Motion, error) {
	view := console.Motion{Motion: m}
	switch m.Kind {
	case registry.StrikeGateway, registry.EndHubKey, registry.ShareHubKeys, registry.ChangeIssuer: // its subject names it
		return view, nil
	case registry.ResumeKeys, registry.DestroyKeys, registry.RotateKeys:
		partners, err := d.partnersOf(ctx, m)
		view.Partners = partners
		return view, err
	case registry.CertifyOfficer:
		var body certifying
		if err := json.Unmarshal(m.Body, &body); err != nil {
			return view, err
		}
		request, err := requestIn(body.CSR)
		if err != nil {
			return view, err
		}
		sum := sha256.Sum256(request.RawSubjectPublicKeyInfo)
		view.Key = hex.EncodeToString(sum[:])
		return view, nil
	}
	var body marking
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return view, err
	}
	view.Reason = body.Reason
	reason := reasons[body.Reason]
	if m.Kind == registry.ReleaseCertificates {
		reason = pki.RemoveFromCRL
	}
	found, err := d.ca.Preview(ctx, body.Which.which(), reason)
	if errors.Is(err, pki.ErrUnknownCertificate) {
		return view, nil // it touches none, which the page says
	}
	for _, c := range found {
		view.Certificates = append(view.Certificates, certificateView(c))
		if c.Partner != "" && !slices.Contains(view.Partners, c.Partner) {
			view.Partners = append(view.Partners, c.Partner)
		}
	}
	return view, err
}

// partnersOf are the offices whose keys a motion is about.
func (d *daemon) partnersOf(ctx context.Context, m registry.Motion) (partners []string, err error) {
	var act keysAct
	if err := json.Unmarshal(m.Body, &act); err != nil {
		return nil, err
	}
	for _, id := range act.Keys {
		k, err := d.custody.HSM.Key(ctx, id)
		if errors.Is(err, hsm.ErrUnknownKey) {
			continue // it was destroyed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(partners, k.Partner) {
			partners = append(partners, k.Partner)
		}
	}
	return partners, nil
}

// approveAndCarry decides for a motion, and carries it out.
func (d *daemon) approveAndCarry(ctx context.Context, who audit.Actor, id string) (*registry.Motion, error) {
	m, err := d.registry.ApproveMotion(ctx, who, id)
	if err != nil {
		return nil, err
	}
	d.carryMotion(context.WithoutCancel(ctx), *m)
	return d.registry.Motion(ctx, id)
}

// keyViews lists the keys of the HSM, with their versions by orders.
func (d *daemon) keyViews(ctx context.Context, of console.Choice) ([]console.Key, error) {
	found, err := d.keysMeant(ctx, of)
	if err != nil {
		return nil, err
	}
	versions, err := d.registry.AllVersions(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]console.Key, len(found))
	for i, k := range found {
		views[i] = console.Key{ID: k.ID, Partner: k.Partner, Order: k.Order, Label: k.Name(), Algorithm: string(k.Algorithm), State: string(k.State),
			NeverExtractable: k.Attestation.NeverExtractable && !k.Attestation.Extractable, Created: k.Created,
			SignsOn: versions[k.ID].SignsOn, Replaced: versions[k.ID].Replaced}
		for _, m := range k.Mechanisms {
			views[i].Mechanisms = append(views[i].Mechanisms, string(m))
		}
		if len(k.SPKI) > 0 {
			sum := sha256.Sum256(k.SPKI)
			views[i].PublicKey = hex.EncodeToString(sum[:])
		}
	}
	return views, nil
}

// keysMeant are the chosen keys: none where no key has the id.
func (d *daemon) keysMeant(ctx context.Context, of console.Choice) ([]hsm.KeyInfo, error) {
	if of.ID == "" {
		return d.custody.HSM.Keys(ctx, hsm.Filter{Partner: of.Partner})
	}
	k, err := d.custody.HSM.Key(ctx, of.ID)
	if errors.Is(err, hsm.ErrUnknownKey) || err == nil && of.Partner != "" && k.Partner != of.Partner {
		return nil, nil
	}
	return []hsm.KeyInfo{k}, err
}

// certificateViews lists the inventory.
func (d *daemon) certificateViews(ctx context.Context, of console.Choice) ([]console.Certificate, error) {
	found, err := d.ca.Certificates(ctx, pki.Filter{Partner: of.Partner, Serial: of.ID})
	if err != nil {
		return nil, err
	}
	views := make([]console.Certificate, len(found))
	for i, c := range found {
		views[i] = certificateView(c)
	}
	return views, nil
}

func certificateView(c pki.Certificate) console.Certificate {
	return console.Certificate{Serial: c.Serial, Subject: c.CommonName, Profile: string(c.Profile), Partner: c.Partner, Order: c.Order,
		State: string(c.State), NotBefore: c.NotBefore, NotAfter: c.NotAfter, RevokedAt: c.RevokedAt, Issuer: c.Issuer, Renews: c.Renews,
		Names: c.Names, PublicKey: c.PublicKey, Fingerprint: c.Fingerprint}
}

// tunnelViews joins the wish with what the VPN gateways report: a tunnel that no gateway speaks of
// lately is unknown, one that a gateway still has without a wish is being removed.
func (d *daemon) tunnelViews(ctx context.Context) ([]console.Tunnel, error) {
	_, wished, err := d.registry.Wish(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	peers := d.gateways.peers(now)
	var views []console.Tunnel
	for _, t := range wished {
		view := console.Tunnel{Partner: t.Partner, Site: t.Site, Order: t.Order, Address: t.Address.String(), State: "unknown",
			Unit: t.Unit, Services: t.Services, PresharedAt: t.Rotation.RotatedAt, KeyAt: t.Rotation.KeyAt,
			Due: append(d.due(&t, now), d.gateways.hubKeyDue(&t)...)}
		for _, n := range t.Networks {
			view.Networks = append(view.Networks, n.String())
		}
		if p, reported := peers[t.PublicKey]; reported {
			view.State, view.LastHandshake, view.Received, view.Sent = string(p.State), p.LastHandshake, p.Received, p.Sent
			delete(peers, t.PublicKey)
		}
		views = append(views, view)
	}
	for _, p := range peers {
		views = append(views, console.Tunnel{Partner: p.Partner, Site: p.Site, State: "removing", LastHandshake: p.LastHandshake, Received: p.Received, Sent: p.Sent})
	}
	return views, nil
}
