package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"trustcore/cmd/internal/custody"
)

// opensslChains is how many chains one process of openssl validates, so that its start weighs little.
const opensslChains = 300

// opensslChain returns how many chains a second `openssl verify` validates: one process over many
// chains, less one process over a single chain. It reads each target anew, as from_der does. Zero where
// openssl is not installed.
func opensslChain(ctx context.Context, c *benchChainCase) (perSecond float64, err error) {
	if _, err := exec.LookPath("openssl"); err != nil {
		return 0, nil // not installed
	}
	dir, err := os.MkdirTemp("", "trustctl-bench")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	target, above, anchor := filepath.Join(dir, "target.pem"), filepath.Join(dir, "above.pem"), filepath.Join(dir, "anchor.pem")
	for file, ders := range map[string][][]byte{target: c.der[:1], above: c.der[1:], anchor: c.anchor} {
		if err := os.WriteFile(file, custody.PEM(ders...), 0o600); err != nil {
			return 0, err
		}
	}
	verify := func(n int) (time.Duration, error) {
		args := []string{"verify", "-CAfile", anchor, "-untrusted", above}
		for range n {
			args = append(args, target)
		}
		started := time.Now()
		if out, err := exec.CommandContext(ctx, "openssl", args...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("openssl verify: %w: %s", err, firstLine(string(out)))
		}
		return time.Since(started), nil
	}
	one, err := verify(1)
	if err != nil {
		return 0, err
	}
	many, err := verify(1 + opensslChains)
	if err != nil || many <= one {
		return 0, err
	}
	return opensslChains / (many - one).Seconds(), nil
}
