// Command trustd holds what must never leave the data centre: the HSM session, the registry of partners
// and orders, the certification authority with OCSP, CRLs and time-stamps, the HSM gateway and the
// console. It parses no documents.
package main

import (
	"context"
	"errors"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/program"
	"trustcore/hsm/worker"
)

const usage = `trustd keeps keys, registry, certification authority, HSM gateway and console.

usage:
  trustd --config FILE          serve until SIGTERM or SIGINT
  trustd --check --config FILE  say whether the configuration can be used
  trustd hsm-worker             internal: the process that loads the PKCS#11 module
`

func command() program.Daemon {
	return program.Daemon{Name: "trustd", Usage: usage, Serve: serve,
		Check: func(file string) error {
			cfg := Defaults()
			return config.Load(file, &cfg)
		}}
}

func main() { program.Main(command().Name, run) }

func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "hsm-worker" {
		return worker.Main(ctx)
	}
	return command().Run(ctx, args)
}

func serve(ctx context.Context, file string) error {
	cfg := Defaults()
	if err := config.Load(file, &cfg); err != nil {
		return err
	}
	httpserver.KeepInherited() // from the HSM worker, which starts before the listeners are opened
	cfg.Logger = program.Logger("trustd", cfg.LogLevel)
	d, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(d.run(ctx), d.close())
}
