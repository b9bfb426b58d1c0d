package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"trustcore/hsm/remote"
	"trustcore/hsm/seal"
	"trustcore/internal/problem"
	"trustcore/verify/keep"
)

// Seal says by what reports are sealed: a key in the HSM that an order gives verifyd. Without it they have no seal.
type Seal struct {
	Gateway    string `koanf:"gateway"`    // https URL of the HSM gateway; empty: no report is sealed
	Key        string `koanf:"key"`        // name of the key in the order, default reports
	Timestamps string `koanf:"timestamps"` // URL of the authority that stamps the seals (RFC 3161)
}

const (
	defaultSealKey = "reports"
	// sealedDocument is the type of document that the gateway is told, to which the order may narrow the key.
	sealedDocument = "verification-report"
	sealTimeout    = 10 * time.Second // the signature and the time-stamp together
	sealAgain      = 5                // seconds after which one whose report can't be sealed may ask again
)

func (c *Seal) check(judge string) error {
	switch {
	case c.Gateway == "" && (c.Key != "" || c.Timestamps != ""):
		return errors.New("reports.seal.gateway: write the https URL of the HSM gateway, or leave out reports.seal")
	case c.Gateway == "":
		return nil
	case judge == "":
		return errors.New("reports.judge: write who seals the reports, such as the name of the data centre")
	}
	if u, err := url.Parse(c.Gateway); err != nil || u.Host == "" || u.Scheme != "https" {
		return fmt.Errorf("reports.seal.gateway: %q is not an https URL, such as https://10.64.0.1:9443", c.Gateway)
	}
	if u, err := url.Parse(c.Timestamps); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("reports.seal.timestamps: %q is not a URL, such as http://10.64.0.1:8080/pki/tsa", c.Timestamps)
	}
	return nil
}

// sealer seals reports. It holds no key: the gateway signs digests for verifyd's certificate.
type sealer struct {
	gateway *remote.Client
	key     string
	tsa     seal.TSA
	log     *slog.Logger
}

// newSealer returns the Seal of an api.Config, nil where reports have none.
func (c *Config) newSealer(log *slog.Logger) (func(context.Context, string, []byte) ([]byte, error), error) {
	own := c.Reports.Seal
	if own.Gateway == "" {
		return nil, nil
	}
	client, err := c.Identity.HTTP(sealTimeout)
	if err != nil {
		return nil, err
	}
	gateway, err := remote.NewClient(own.Gateway, client)
	if err != nil {
		return nil, fmt.Errorf("reports.seal.gateway: %w", err)
	}
	tsa, err := seal.NewTSA(own.Timestamps, &http.Client{Timeout: sealTimeout})
	if err != nil {
		return nil, fmt.Errorf("reports.seal.timestamps: %w", err)
	}
	s := &sealer{gateway: gateway, key: cmp.Or(own.Key, defaultSealKey), tsa: tsa, log: log}
	return s.seal, nil
}

// seal seals a report. Why one has no seal is in the log: it is no stranger's business.
func (s *sealer) seal(ctx context.Context, form string, report []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, sealTimeout)
	defer cancel()
	sealed, err := s.sealed(ctx, form, report)
	if err == nil {
		return sealed, nil
	}
	s.log.Error("a report is not sealed", "error", err)
	p := problem.Refuse(http.StatusServiceUnavailable,
		"the report can't be sealed now; try again in a moment, or ask for one without a seal by seal=false")
	p.RetryAfter = sealAgain
	return nil, p
}

func (s *sealer) sealed(ctx context.Context, form string, report []byte) ([]byte, error) {
	signer, err := s.signer(ctx)
	if err != nil {
		return nil, err
	}
	if keep.Forms[form].Media == "application/pdf" {
		return seal.PAdES(ctx, report, signer, seal.PDFOptions{Time: time.Now(), TSA: s.tsa})
	}
	return seal.XAdES(ctx, report, signer, seal.XMLOptions{Time: time.Now(), TSA: s.tsa})
}

// signer asks for the key with each report: its certificate is renewed, and the order may have ended.
func (s *sealer) signer(ctx context.Context) (seal.Signer, error) {
	keys, err := s.gateway.Keys(ctx)
	if err != nil {
		return seal.Signer{}, err
	}
	i := slices.IndexFunc(keys, func(k remote.KeyInfo) bool { return k.Label == s.key && k.Usable })
	if i < 0 {
		return seal.Signer{}, fmt.Errorf("no order gives verifyd a key %q that may be used now", s.key)
	}
	chain, err := keys[i].Certificates()
	if err != nil {
		return seal.Signer{}, err
	}
	key, err := s.gateway.Listed(keys[i])
	if err != nil {
		return seal.Signer{}, err
	}
	return seal.Signer{Key: key.For(sealedDocument), Certificate: chain[0], Chain: chain[1:max(1, len(chain)-1)]}, nil
}
