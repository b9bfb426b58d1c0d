// Command vpnd is the gateway daemon: it makes the WireGuard device, the firewall and the
// routes of its host agree with the wish that trustd serves. It holds CAP_NET_ADMIN and
// the hub's private key, and nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"trustcore/cmd/internal/config"
	"trustcore/vpn/hub"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "vpnd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, logs io.Writer) error {
	if len(args) == 3 && args[0] == holdArgument {
		return hold(ctx, args[1], args[2])
	}
	flags := flag.NewFlagSet("vpnd", flag.ContinueOnError)
	file := flags.String("config", "/etc/trustcore/vpnd.yaml", "configuration `file`")
	check := flags.Bool("check", false, "only say whether the configuration can be used")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	cfg := Defaults()
	if err := config.Load(*file, &cfg); err != nil {
		return err
	}
	if *check {
		return nil
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(hub.GCPercent)
	}
	handler := slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: cfg.LogLevel})
	return Run(ctx, cfg, slog.New(handler).With("daemon", "vpnd"))
}
