package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
)

// renewal sees to verifyd's own certificate, by trustd where the configuration names it.
type renewal struct{ *identity.Renewal }

func newRenewal(cfg Config, log *slog.Logger) (renewal, error) {
	r := renewal{&identity.Renewal{Identity: cfg.Identity, Now: time.Now, Logger: log}}
	if cfg.Trustd == "" {
		return r, nil
	}
	settings, err := cfg.Identity.Client()
	if err != nil {
		return r, err
	}
	transport := &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	r.Ask = identity.AskTrustd(&http.Client{Transport: transport}, cfg.Trustd)
	return r, nil
}

// run renews until ctx ends.
func (r renewal) run(ctx context.Context) error {
	if r.Ask == nil {
		return nil
	}
	return r.Run(ctx)
}

// lastDay is when a certificate that is not renewed is red.
const lastDay = 24 * time.Hour

// findings tells of a certificate that nobody renews, and of a renewal that failed.
func (r renewal) findings(now time.Time) []httpserver.Finding {
	end, failed := r.State()
	f := httpserver.Finding{State: httpserver.Amber}
	if end.Sub(now) < lastDay {
		f.State = httpserver.Red
	}
	day := end.UTC().Format(time.DateOnly)
	switch {
	case end.IsZero():
		f.What, f.Remedy = fmt.Sprintf("verifyd's own certificate can't be read: %v", failed), "put it back, or make a new one: trustctl break-glass --daemon verifyd"
	case failed != nil:
		f.What = fmt.Sprintf("verifyd's own certificate, which ends %s, was not renewed: %v", day, failed)
		f.Remedy = "look whether trustd runs and is reached; it is tried again every five minutes"
	case r.Ask == nil:
		f.What, f.Remedy = "verifyd's own certificate ends "+day+" and is not renewed by itself", "name trustd in the configuration"
	default:
		return nil
	}
	return []httpserver.Finding{f}
}
