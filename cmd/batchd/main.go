// Command batchd has batches of many documents verified: it takes them in, hands them to verifyd and keeps the
// results. It parses no document, so it may hold a database, an audit log and the secrets of webhooks; verifyd,
// which parses, holds none of them.
package main

import (
	"context"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/program"
)

const usage = `batchd has batches of many documents verified by verifyd.

usage:
  batchd --config FILE          serve until SIGTERM or SIGINT
  batchd --check --config FILE  say whether the configuration can be used
`

func command() program.Daemon {
	return program.Daemon{Name: "batchd", Usage: usage,
		Check: func(file string) error {
			cfg := Defaults()
			return config.Load(file, &cfg)
		},
		Serve: func(ctx context.Context, file string) error {
			cfg := Defaults()
			if err := config.Load(file, &cfg); err != nil {
				return err
			}
			return serve(ctx, cfg, program.Logger("batchd", cfg.LogLevel))
		}}
}

func main() { program.Main(command().Name, command().Run) }
