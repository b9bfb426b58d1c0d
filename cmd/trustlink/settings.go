package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

// settingsFile holds the settings that the core set since the enrolment.
const settingsFile = "settings.json"

// settingsOf are settings with the enrolment that they belong to.
type settingsOf struct {
	TokenSHA256 string          `json:"token_sha256"`
	Settings    office.Settings `json:"settings"`
	Hub         vpn.Key         `json:"hub,omitzero"` // the hub's key that the office followed to; zero is that of the enrolment
}

// follow changes an enrolment to the settings that the core set since.
func (s state) follow(r *record) error {
	var kept settingsOf
	there, err := s.readJSON(settingsFile, &kept)
	if err != nil || !there || kept.TokenSHA256 != r.TokenSHA256 {
		return err
	}
	r.settings = kept.Settings
	if (kept.Hub != vpn.Key{}) {
		r.Enrolment.Hub.PublicKey = kept.Hub
	}
	return kept.Settings.Apply(&r.Enrolment)
}

// adopt takes signed settings over while the tunnel is up, and keeps them when the core is reached by them.
func (f *follower) adopt(ctx context.Context, signed string) error {
	if signed == "" {
		return nil
	}
	roots := x509.NewCertPool()
	text, err := os.ReadFile(f.state.path(caFile))
	if err != nil {
		return err
	}
	if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no PEM certificate", f.state.path(caFile))
	}
	s, err := office.OpenSettings(signed, f.record.Enrolment, f.record.settings.Serial, roots, time.Now())
	if err != nil {
		return err
	}
	if s.Serial != f.record.settings.Serial {
		if err := f.take(ctx, s); err != nil {
			return err
		}
	}
	return f.followHub(ctx)
}

// take changes the tunnel over to settings, and keeps them when the core is reached by them.
func (f *follower) take(ctx context.Context, s office.Settings) error {
	before := f.record
	after := before
	if err := s.Apply(&after.Enrolment); err != nil {
		return err
	}
	after.settings = s
	if err := f.tryOut(ctx, after); err != nil {
		return errors.Join(fmt.Errorf("number %d of the tunnel's settings does not lead to the core: %w", s.Serial, err),
			f.end.Adopt(ctx, before.Enrolment, before.settings.MTU))
	}
	if err := f.keep(after); err != nil {
		return err
	}
	f.log.Info("the tunnel has other settings", "number", s.Serial, "endpoint", s.Endpoint, "services", len(s.Services), "mtu", s.MTU)
	return nil
}

// keep keeps the settings of a record, and the hub's key that is in use.
func (f *follower) keep(r record) error {
	if err := f.state.writeJSON(settingsFile, settingsOf{r.TokenSHA256, r.settings, r.Enrolment.Hub.PublicKey}); err != nil {
		return err
	}
	f.record = r
	return nil
}

// followHub changes over to the hub's next key where there is one. The gateways look out for the office then, so that
// its addresses follow it at once.
func (f *follower) followHub(ctx context.Context) error {
	next := f.record.settings.Next
	if next == nil || next.PublicKey == f.record.Enrolment.Hub.PublicKey {
		return nil
	}
	if err := f.carried(ctx, office.HubRoute, office.KeyChange{PublicKey: next.PublicKey.String()}); err != nil {
		return err
	}
	moving, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	if err := f.end.MoveTo(moving, next.PublicKey, next.Endpoint); err != nil {
		return err
	}
	after := f.record
	after.Enrolment.Hub.PublicKey, after.Enrolment.Hub.Endpoint = next.PublicKey, next.Endpoint
	f.log.Info("the office follows the hub to its next key", "public_key", next.PublicKey.String(), "endpoint", next.Endpoint)
	return f.keep(after)
}

// tryOut changes the tunnel over and asks the core through it.
func (f *follower) tryOut(ctx context.Context, r record) error {
	if err := f.end.Adopt(ctx, r.Enrolment, r.settings.MTU); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	var s office.Standing
	err := f.call(ctx, http.MethodGet, office.StandingRoute, nil, &s)
	if err == nil && r.Enrolment.Hub.Endpoint != f.record.Enrolment.Hub.Endpoint {
		err = f.end.Stays()
	}
	return err
}
