// Command verifyd judges signed documents over HTTP. It parses what strangers send, so it holds no key but
// its own TLS key, no registry, and stores no document.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"trustcore/cmd/internal/config"
)

const usage = `verifyd judges signed documents over HTTP.

usage:
  verifyd --config FILE          serve until SIGTERM or SIGINT
  verifyd --check --config FILE  say whether the configuration can be used
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "verifyd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg := Defaults()
	switch {
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		_, err := fmt.Print(usage)
		return err
	case len(args) == 3 && args[0] == "--check" && args[1] == "--config":
		if err := config.Load(args[2], &cfg); err != nil {
			return err
		}
		_, err := openPolicies(cfg.policies())
		_, wrong := readCards(cfg.ServiceCards)
		return errors.Join(err, wrong)
	case len(args) == 2 && args[0] == "--config":
		if err := config.Load(args[1], &cfg); err != nil {
			return err
		}
		log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: cfg.LogLevel})).With("daemon", "verifyd")
		return serve(ctx, cfg, log)
	}
	return errors.New("usage: verifyd --config FILE (see verifyd --help)")
}
