package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	hsmbench "trustcore/hsm/bench"
)

// hsmCallers are the callers at a time that a gateway is measured with.
const hsmCallers = 16

func hsmFlags(c *cobra.Command, s *benchSettings) {
	c.Flags().StringVar(&s.keyID, "key", "P-256", "`key` of the benchmark's token that the headline is about: P-256 or RSA-2048")
}

// benchHSM measures signing through the gateway against PKCS#11 in this process.
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
	s.note("two tokens, two kinds of keys, three ways to each")
	work := filepath.Join(dir, "hsm")
	if err := os.Mkdir(work, 0o700); err != nil {
		return nil, err
	}
	all, err := hsmbench.Run(ctx, hsmbench.Config{Worker: []string{trustd, "hsm-worker"}, ModulePath: custody.SoftHSM, Dir: work,
		Duration: s.duration(), Concurrency: s.workers(hsmCallers)})
	if err != nil {
		return nil, err
	}
	m = &measurement{Unit: "signatures", Details: map[string]any{"clients": s.workers(hsmCallers)}}
	for _, f := range all {
		direct, worker, gateway := hsmRate(f.Direct), hsmRate(f.Worker), hsmRate(f.Gateway)
		if string(f.Algorithm) == s.keyID {
			m.set(gateway, "the same kind of key by PKCS#11 directly", direct)
		}
		m.Details[string(f.Algorithm)] = map[string]any{
			"direct": direct.figures(rate{}), "worker": worker.figures(direct), "gateway": gateway.figures(direct)}
	}
	if m.Limit.What == "" {
		return nil, fmt.Errorf("--key: %q is neither P-256 nor RSA-2048", s.keyID)
	}
	return m, nil
}

func hsmRate(r hsmbench.Rate) rate { return rate{perSecond: r.PerSecond, p50: r.P50, p99: r.P99} }
