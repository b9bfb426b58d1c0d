// Command batchd has batches of many documents verified: it takes them in, hands them to verifyd one by one and keeps
// the results. It parses no document, so it may hold a database, an audit log and the secrets of webhooks; verifyd,
// which parses, holds none of them.
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

const usage = `batchd has batches of many documents verified by verifyd.

usage:
  batchd --config FILE          serve until SIGTERM or SIGINT
  batchd --check --config FILE  say whether the configuration can be used
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "batchd:", err)
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
		return config.Load(args[2], &cfg)
	case len(args) == 2 && args[0] == "--config":
		if err := config.Load(args[1], &cfg); err != nil {
			return err
		}
		log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: cfg.LogLevel})).With("daemon", "batchd")
		return serve(ctx, cfg, log)
	}
	return errors.New("usage: batchd --config FILE (see batchd --help)")
}
