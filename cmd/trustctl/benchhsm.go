package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/grants"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	hsmbench "trustcore/hsm/bench"
	"trustcore/hsm/gateway"
	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// hsmCallers are the callers at a time that a gateway is measured with; the headline is about the last.
var hsmCallers = []int{1, 8, 64}

func hsmFlags(c *cobra.Command, s *benchSettings) {
	c.Flags().StringVar(&s.keyID, "key", "P-256", "`key` of the benchmark's token that the headline is about: P-256 or RSA-3072")
}

// benchHSM measures signing through the gateway against PKCS#11 in this process. Registry, grants and audit log are the
// real ones.
func benchHSM(ctx context.Context, s *benchSettings) (m *measurement, err error) {
	if _, err := os.Stat(custody.SoftHSM); err != nil {
		return nil, fmt.Errorf("%w: install SoftHSM2 (apt-get install softhsm2)", err)
	}
	trustd, err := sibling("trustd")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "trustctl-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s.note("two tokens, two kinds of keys, five ways to each")
	work := filepath.Join(dir, "hsm")
	if err := os.Mkdir(work, 0o700); err != nil {
		return nil, err
	}
	callers := hsmCallers
	if s.concurrency > 0 {
		callers = []int{s.concurrency}
	}
	all, err := hsmbench.Run(ctx, hsmbench.Config{Worker: []string{trustd, "hsm-worker"}, ModulePath: custody.SoftHSM, Dir: work,
		Duration: s.duration(), Callers: callers, Authorise: authorise})
	if err != nil {
		return nil, err
	}
	m = &measurement{Unit: "signatures", Details: map[string]any{}}
	for _, f := range all {
		direct := hsmRate(f.Ways[hsmbench.Direct])
		if string(f.Algorithm) == s.keyID {
			m.set(hsmRate(f.Ways[hsmbench.Batch]), "the same kind of key by PKCS#11 directly", direct)
		}
		of, _ := m.Details[string(f.Algorithm)].(map[string]any)
		if of == nil {
			of = map[string]any{}
			m.Details[string(f.Algorithm)] = of
		}
		of[fmt.Sprintf("callers_%d", f.Callers)] = hsmDetails(f)
	}
	if m.Limit.What == "" {
		return nil, fmt.Errorf("--key: %q is neither P-256 nor RSA-3072", s.keyID)
	}
	return m, nil
}

// hsmDetails is what was measured with one number of callers: ratios are to PKCS#11 directly, but where they say of
// what; those of the processor count what clients and servers use together.
func hsmDetails(f hsmbench.Figures) map[string]any {
	direct, floor := f.Ways[hsmbench.Direct], f.Ways[hsmbench.Floor]
	details := map[string]any{}
	for name, way := range f.Ways {
		details[name] = hsmRate(way).figures(hsmRate(direct))
		details[name+"_processor_us"] = microseconds(way.Processor)
	}
	single, batch := f.Ways[hsmbench.Single], f.Ways[hsmbench.Batch]
	details["single_of_floor"] = ratio(hsmRate(single), hsmRate(floor))
	if single.Processor > 0 && batch.Processor > 0 {
		details["single_of_floor_processor"] = float64(floor.Processor) / float64(single.Processor)
		details["batch_of_direct_processor"] = float64(direct.Processor) / float64(batch.Processor)
	}
	details["single_written"], details["batch_written"] = single.Written, batch.Written
	return details
}

func hsmRate(r hsmbench.Rate) rate { return rate{perSecond: r.PerSecond, p50: r.P50, p99: r.P99} }

// authorise carries an order out over the keys, as far as the registry knows it.
func authorise(ctx context.Context, db *store.DB, log *audit.Log, partner string, keys []hsm.KeyInfo) (hsmbench.Grants, error) {
	pool := netip.MustParsePrefix("10.64.0.0/24")
	r, err := registry.Open(ctx, registry.Config{DB: db, Audit: log, Now: time.Now,
		CanCarryOut: func(context.Context, registry.Order, map[string]string) error { return nil },
		CanUse:      func(registry.Order, registry.Enrolment) error { return nil },
		Pool:        registry.AddressPool{Prefix: pool, Hub: pool.Addr().Next()}})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	o := registry.Order{ID: "benchmark", Kind: registry.Activation, Partner: registry.Partner{ID: partner, Name: partner},
		Agreement:  &registry.FrameworkAgreement{Number: "1", Signed: now.Format(time.DateOnly)},
		Components: []registry.Component{registry.NetworkHSM},
		HSMAuthorization: &registry.HSMAuthorization{Application: "ezd", NotBefore: now.Add(-time.Hour),
			NotAfter: now.Add(24 * time.Hour)}}
	for _, k := range keys { // the first mechanism is the one with SHA-256
		o.HSMAuthorization.Keys = append(o.HSMAuthorization.Keys, registry.HSMKey{Name: strings.ToLower(k.Label),
			Algorithm: string(k.Algorithm), Mechanisms: []string{string(k.Mechanisms[0])}})
	}
	officer := func(name string) audit.Actor { return audit.Actor{Kind: "officer", ID: name} }
	err = errors.Join(r.Submit(ctx, officer("officer-1"), o), r.Approve(ctx, officer("officer-2"), o.ID))
	for i, k := range keys {
		err = errors.Join(err, r.AddKey(ctx, o.ID, o.HSMAuthorization.Keys[i].Name, k.ID))
	}
	if err := errors.Join(err, r.Finish(ctx, o.ID, registry.Active)); err != nil {
		return nil, err
	}
	book := grants.New(r, time.Now, registry.Limits{})
	return func(ctx context.Context, _ *x509.Certificate) ([]gateway.Grant, error) { return book.Of(ctx, o.ID) }, nil
}
