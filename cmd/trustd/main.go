// Command trustd holds what must never leave the data centre: the HSM session, the registry of partners
// and orders, the certification authority with OCSP, CRLs and time-stamps, the HSM gateway and the
// console. It parses no documents.
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
	"trustcore/cmd/internal/httpserver"
	"trustcore/hsm/worker"
)

const usage = `trustd keeps keys, registry, certification authority, HSM gateway and console.

usage:
  trustd --config FILE          serve until SIGTERM or SIGINT
  trustd --check --config FILE  say whether the configuration can be used
  trustd hsm-worker             internal: the process that loads the PKCS#11 module
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "trustd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "hsm-worker":
		return worker.Main(ctx)
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		_, err := fmt.Print(usage)
		return err
	case len(args) == 2 && args[0] == "--config":
		return serve(ctx, args[1])
	case len(args) == 3 && args[0] == "--check" && args[1] == "--config":
		cfg := Defaults()
		return config.Load(args[2], &cfg)
	}
	return errors.New("usage: trustd --config FILE (see trustd --help)")
}

func serve(ctx context.Context, file string) error {
	cfg := Defaults()
	if err := config.Load(file, &cfg); err != nil {
		return err
	}
	httpserver.KeepInherited() // from the HSM worker, which starts before the listeners are opened
	cfg.Logger = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: cfg.LogLevel})).With("daemon", "trustd")
	d, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(d.run(ctx), d.close())
}
