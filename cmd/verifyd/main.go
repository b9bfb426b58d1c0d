// Command verifyd judges signed documents over HTTP. It parses what strangers send, so it holds no key but
// its own TLS key, no registry, and stores no document.
package main

import (
	"context"
	"errors"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/program"
)

const usage = `verifyd judges signed documents over HTTP.

usage:
  verifyd --config FILE          serve until SIGTERM or SIGINT
  verifyd --check --config FILE  say whether the configuration can be used
`

func command() program.Daemon {
	return program.Daemon{Name: "verifyd", Usage: usage,
		Check: func(file string) error {
			cfg := Defaults()
			if err := config.Load(file, &cfg); err != nil {
				return err
			}
			_, err := openPolicies(cfg.policies())
			_, wrong := readCards(cfg.ServiceCards)
			return errors.Join(err, wrong)
		},
		Serve: func(ctx context.Context, file string) error {
			cfg := Defaults()
			if err := config.Load(file, &cfg); err != nil {
				return err
			}
			return serve(ctx, cfg, program.Logger("verifyd", cfg.LogLevel))
		}}
}

func main() { program.Main(command().Name, command().Run) }
