package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"trustcore/internal/store"
)

func initCommand() *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use:   "init",
		Short: "Make the state of an appliance: keys, certificates and configuration",
		Long: `Does what the first start of trustctl up does, and starts nothing: the key ceremony, the daemons' and two officers'
certificates, and the configuration files. What it makes, systemd or trustctl up starts.

  trustctl init --state /srv/trustcore
  trustctl init --state /srv/trustcore --database 'postgres://trustcore@/trustcore?host=/run/postgresql'

The database has to be there and empty. Its password never stands in a command line: name a file in the URL
(passfile=FILE, mode 0600, lines as in ~/.pgpass), or set PGPASSFILE or PGSERVICEFILE. A server over a network has to
prove who it is: sslmode=verify-full and sslrootcert=FILE.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.init(c.Context(), c.OutOrStdout()) },
	}
	o.flags(c)
	c.Flags().StringVar(&o.plan, "plan", "", "`file` with the ceremony's plan (default: the demonstration's; see trustctl ceremony --print-plan)")
	return c
}

func (o *upOptions) init(ctx context.Context, out io.Writer) error {
	st, unlock, err := o.enter()
	if err != nil {
		return err
	}
	defer unlock()
	if there, err := st.exists("config", "trustctl.yaml"); err != nil || there {
		return errors.Join(err, fmt.Errorf("the state in %s is there already: start it by `trustctl up`", st.dir))
	}
	a := &appliance{state: st, out: out}
	if a.layout, err = o.newLayout(st); err != nil {
		return err
	}
	if err := o.found(ctx, a); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "the state is in %s: start it by `trustctl up --state %[1]s`\n", st.dir)
	return err
}

// databaseFlag adds --database to a command that makes a state.
func databaseFlag(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "database", "", "`URL` of an empty PostgreSQL database, postgres://USER@HOST/NAME?..., for several nodes (default: a SQLite file in the state)")
}

// checkDatabase refuses what must not stand in a command line.
func checkDatabase(url string) error {
	if url != "" && store.HasPassword(url) {
		return errors.New("--database: everybody on this machine may read a password in a command line: put it into a file of mode 0600 and " +
			"name that in the URL (passfile=FILE), or set PGPASSFILE or PGSERVICEFILE")
	}
	return nil
}

// keeps refuses a database for a state that has another one.
func (s state) keeps(database string) error {
	if database == "" {
		return nil
	}
	cfg, err := s.custody("")
	if err == nil && cfg.DatabaseURL() != database {
		err = fmt.Errorf("--database: this state has %s; see trustctl database migrate", store.Name(cfg.DatabaseURL()))
	}
	return err
}
