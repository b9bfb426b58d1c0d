package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/audit"
	"trustcore/internal/durable"
	"trustcore/internal/store"
)

func databaseCommand() *cobra.Command {
	c := &cobra.Command{Use: "database", Short: "Move trustd's database"}
	c.AddCommand(migrateCommand())
	return c
}

// migration is one run of trustctl database migrate.
type migration struct {
	state, config, to string
	asJSON            bool

	from string // URL
	cfg  custody.Config
	out  io.Writer
}

func migrateCommand() *cobra.Command {
	var m migration
	c := &cobra.Command{
		Use:   "migrate --to URL",
		Short: "Move trustd's database from SQLite to PostgreSQL",
		Long: `Copies everything that trustd has in SQLite into an empty PostgreSQL database, so that several nodes can share it, and
has trustd's configuration name that database. trustd must not run. The copy is made in one transaction and compared
with the original row by row before it counts: all of it is there, or nothing. Run again after it was interrupted, the
command goes on where it stood. The SQLite file stays beside, renamed to trustcore.db.migrated; the configuration of
before stays beside, as .bak.

  trustctl database migrate --to 'postgres://trustcore@/trustcore?host=/run/postgresql' --state /srv/trustcore

The act is in the audit log. The password stands in a file (passfile=FILE in the URL, PGPASSFILE or PGSERVICEFILE).`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			m.out = c.OutOrStdout()
			return m.run(c.Context())
		},
	}
	stateFlag(c, &m.state)
	f := c.Flags()
	f.StringVar(&m.to, "to", "", "`URL` of the empty PostgreSQL database, postgres://USER@HOST/NAME?...")
	f.StringVar(&m.config, "config", "", "trustd's configuration `file` (default config/trustd.yaml in the state)")
	f.BoolVar(&m.asJSON, "json", false, "print the tables as JSON")
	return c
}

func (m *migration) run(ctx context.Context) error {
	if !strings.HasPrefix(m.to, "postgres://") && !strings.HasPrefix(m.to, "postgresql://") {
		return errors.New("--to: write the URL of an empty PostgreSQL database: postgres://USER@HOST/NAME")
	}
	if err := checkDatabase(m.to); err != nil {
		return errors.New(strings.Replace(err.Error(), "--database", "--to", 1))
	}
	st, err := openState(m.state)
	if err != nil {
		return err
	}
	if m.config == "" {
		unlock, err := st.lock()
		if err != nil {
			return err
		}
		defer unlock()
		if _, err := st.adopt(m.out); err != nil {
			return err
		}
		m.config = st.path("config", "trustd.yaml")
	}
	if m.cfg, err = st.custody(m.config); err != nil {
		return err
	}
	m.from = m.cfg.DatabaseURL()
	file, isSQLite := strings.CutPrefix(m.from, "sqlite://")
	if !isSQLite {
		return fmt.Errorf("trustd uses %s already", store.Name(m.from))
	}
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("there is no database to move: %w", err)
	}
	return m.move(ctx, file)
}

// move copies the database, has trustd name the copy, and puts the file away.
func (m *migration) move(ctx context.Context, file string) (err error) {
	target, err := store.Open(ctx, m.to)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	source, err := store.Open(ctx, m.from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := source.Check(ctx); err != nil {
		return err
	}
	begun, err := target.Empty(ctx)
	if err == nil && begun {
		err = m.record(ctx, source, audit.Granted, "")
	}
	if err != nil {
		return err
	}
	tables, err := store.Copy(ctx, source, target, func() error {
		return errors.Join(m.nameTarget(), putAway(file))
	})
	if err != nil {
		if begun && tables == nil { // else the copy counts, and the next run takes it over
			err = errors.Join(err, m.record(context.WithoutCancel(ctx), source, audit.Failed, err.Error()))
		}
		return err
	}
	return m.tell(tables)
}

// record writes to the audit log, which a trustd that runs has to itself.
func (m *migration) record(ctx context.Context, db *store.DB, outcome, reason string) error {
	cfg := m.cfg.AuditLog()
	cfg.DB = db
	log, err := audit.Open(ctx, cfg)
	if err != nil {
		return fmt.Errorf("trustd must not run: %w", err)
	}
	actor, err := hostAccount(cfg.Dir)
	if err == nil {
		_, err = log.Append(ctx, audit.Entry{Time: time.Now(), Actor: actor, Action: "database.migrate", Subject: store.Name(m.to),
			Outcome: outcome, Reason: reason, Details: map[string]string{"from": store.Name(m.from)}})
	}
	return errors.Join(err, log.Close(ctx))
}

// nameTarget has trustd's configuration name the new database.
func (m *migration) nameTarget() error {
	text, err := os.ReadFile(m.config)
	if err != nil {
		return err
	}
	changed, err := edit(string(text), func(root *yaml.Node) error { return set(root, "database", m.to) })
	if err != nil {
		return fmt.Errorf("configuration %s: %w", m.config, err)
	}
	return errors.Join(durable.WriteFile(m.config+".bak", text, 0o600), durable.WriteFile(m.config, []byte(changed), 0o600))
}

// putAway renames SQLite's files together: nobody goes on with them by mistake, and they still belong to each other.
func putAway(file string) error {
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(file+suffix, file+".migrated"+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (m *migration) tell(tables []store.Table) error {
	if m.asJSON {
		return json.NewEncoder(m.out).Encode(tables)
	}
	rows := int64(0)
	for _, t := range tables {
		fmt.Fprintf(m.out, "%-24s %8d rows\n", t.Name, t.Rows)
		rows += t.Rows
	}
	_, err := fmt.Fprintf(m.out, "%d rows in %d tables are in %s, compared one by one; trustd uses it from its next start on\n", rows, len(tables), store.Name(m.to))
	return err
}
