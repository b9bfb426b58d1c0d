package main

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// settings are the signed settings of a tunnel's office, "" while no gateway carries it: the gateway that does says where it
// is.
func (d *daemon) settings(ctx context.Context, t *registry.Tunnel) (string, error) {
	hub, known := d.gateways.carrier(t)
	if !known {
		return "", nil
	}
	endpoint, err := d.endpoint(hub)
	if err != nil {
		return "", err
	}
	s := office.Settings{Partner: t.Partner, Site: t.Site, Address: d.cfg.Tunnel.addresses(*t),
		PublicKey: hub.PublicKey, Endpoint: endpoint, Addresses: hub.Addresses, MTU: d.cfg.Tunnel.MTU,
		Services: []office.Service{}, Networks: t.Networks}
	if next := hub.Next; next != nil && d.gateways.bothHave(hub) {
		s.Next = &office.NextHub{PublicKey: next.PublicKey}
		if s.Next.Endpoint, err = d.endpoint(vpn.Status{Second: !hub.Second, ListenPort: next.ListenPort}); err != nil {
			return "", err
		}
	}
	for _, service := range d.cfg.Tunnel.services(*t) {
		s.Services = append(s.Services, d.cfg.Tunnel.told(service))
	}
	content, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	if s.Serial, err = d.registry.SettingsSerial(ctx, t, fmt.Sprintf("%x", sha256.Sum256(content))); err != nil {
		return "", err
	}
	return d.sign(s)
}

// sign signs settings with trustd's own certificate.
func (d *daemon) sign(s office.Settings) (string, error) {
	shown, err := d.shown()
	if err != nil {
		return "", err
	}
	key, is := shown.PrivateKey.(crypto.Signer)
	if !is {
		return "", errors.New("trustd's own key can't sign")
	}
	var chain []*x509.Certificate
	for _, der := range shown.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return "", err
		}
		chain = append(chain, c)
	}
	return s.Sign(key, chain)
}

// carrier is the gateway that heard the tunnel's office last.
func (g *gateways) carrier(t *registry.Tunnel) (carrier vpn.Status, known bool) {
	var keys []vpn.Key
	for _, text := range []string{t.PublicKey, t.Rotation.NextKey} {
		if key, err := vpn.ParseKey(text); err == nil {
			keys = append(keys, key)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var last time.Time
	for _, r := range g.reports {
		if r.status.Standby() {
			continue
		}
		for _, p := range r.status.Peers {
			if p.LastHandshake.After(last) && slices.Contains(keys, p.PublicKey) {
				carrier, known, last = r.status, true, p.LastHandshake
			}
		}
	}
	return carrier, known
}
