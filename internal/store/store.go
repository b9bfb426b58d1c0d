// Package store opens the one database of a node: SQLite inside the process by default, PostgreSQL
// where several nodes share it. Both speak the same SQL here: $1, $2 placeholders in order of
// appearance, TEXT, BIGINT, BYTEA or BLOB columns written as BLOB by the caller's schema through Blob.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// DB is an open database. Its methods are safe for concurrent use.
type DB struct {
	*sql.DB
	dialect dialect
	path    string      // of SQLite's file
	file    os.FileInfo // as it was opened

	committed atomic.Int64              // transactions of this process, so that it does not take its own for another's
	seen      atomic.Pointer[condition] // by Watch; nil before
}

type dialect string

const (
	sqliteDialect   dialect = "sqlite"
	postgresDialect dialect = "postgres"
)

// busyTimeout is how long a writer waits for a lock that another holds; a transaction that lost races is tried again as long.
const busyTimeout = 5 * time.Second

// maxTries bounds the repetitions of a transaction that lost a race.
const maxTries = 20

// Open opens "sqlite:///absolute/path.db" or "postgres://user@host/database". The folder of a SQLite file is made with mode 0700, the
// file with 0600. PostgreSQL's password comes from a file (passfile in the URL, PGPASSFILE, a service file) as well as from the URL, and
// a server over a network has to prove who it is, unless sslmode says otherwise. The caller closes the DB.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	var db *DB
	switch u.Scheme {
	case "sqlite":
		if u.Host != "" {
			return nil, fmt.Errorf("database URL: write sqlite:///absolute/path.db, with three slashes")
		}
		db, err = openSQLite(u.Path)
	case "postgres", "postgresql":
		db, err = openPostgres(u, rawURL)
	default:
		return nil, fmt.Errorf("database URL: scheme %q is neither sqlite nor postgres", u.Scheme)
	}
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		if damage(err) {
			err = damaged(err.Error())
		}
		return nil, errors.Join(fmt.Errorf("opening the database: %w", err), db.Close())
	}
	return db, nil
}

func openSQLite(path string) (*DB, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("database URL: %q is not an absolute path (write sqlite:///path/file.db)", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("database folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	info, err := f.Stat()
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	db := &DB{dialect: sqliteDialect, path: path, file: info}
	db.DB, err = db.connectSQLite(busyTimeout)
	return db, err
}

// connectSQLite opens connections that wait so long for another writer. They never make a file (mode=rw): moved away between a look
// and the opening, its name and its log would be taken by an empty one.
func (db *DB) connectSQLite(wait time.Duration) (*sql.DB, error) {
	q := url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
	}}
	base, err := sqlite.NewConnector("file:" + (&url.URL{Path: db.path}).EscapedPath() + "?" + q.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", db.path, err)
	}
	return sql.OpenDB(sameFile{base, db}), nil
}

// sameFile connects to the file that was opened first, and to no other that lies in its place for a while: a connection is kept.
type sameFile struct {
	driver.Connector
	db *DB
}

func (c sameFile) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.db.sameFile(); err != nil {
		return nil, err
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.db.sameFile(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Blob is the engine's type for bytes, for use in CREATE TABLE.
func (db *DB) Blob() string {
	if db.dialect == postgresDialect {
		return "BYTEA"
	}
	return "BLOB"
}

// Migrated reports whether the database has any step of the schema.
func (db *DB) Migrated(ctx context.Context, schema string) (bool, error) {
	query := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_steps'`
	if db.dialect == postgresDialect {
		query = `SELECT COUNT(*) FROM pg_tables WHERE tablename = 'schema_steps' AND schemaname = ANY (current_schemas(false))`
	}
	var count int
	if err := db.QueryRowContext(ctx, query).Scan(&count); err != nil || count == 0 {
		return false, err
	}
	err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM schema_steps WHERE name = $1`, schema).Scan(&count)
	return count > 0, err
}

// Migrate brings one schema up to date: each step runs once, in order, and is remembered under the
// schema's name and its index. Steps are only ever appended. In a step, BLOB is written as the engine
// calls it. Several nodes may migrate at once.
func (db *DB) Migrate(ctx context.Context, schema string, steps []string) error {
	const table = `CREATE TABLE IF NOT EXISTS schema_steps (name TEXT NOT NULL, step BIGINT NOT NULL, PRIMARY KEY (name, step))`
	return db.InTx(ctx, func(tx *sql.Tx) error {
		if err := db.lockMigrations(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, table); err != nil {
			return fmt.Errorf("schema table: %w", err)
		}
		var done int
		row := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM schema_steps WHERE name = $1`, schema)
		if err := row.Scan(&done); err != nil {
			return fmt.Errorf("schema %s: %w", schema, err)
		}
		if done > len(steps) {
			return fmt.Errorf("schema %s is at step %d, this program knows %d: it is older than its database", schema, done, len(steps))
		}
		for i := done; i < len(steps); i++ {
			if _, err := tx.ExecContext(ctx, strings.ReplaceAll(steps[i], " BLOB", " "+db.Blob())); err != nil {
				return fmt.Errorf("schema %s step %d: %w", schema, i, err)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO schema_steps (name, step) VALUES ($1, $2)`, schema, i); err != nil {
				return fmt.Errorf("schema %s step %d: %w", schema, i, err)
			}
		}
		return nil
	})
}

// lockMigrations lets one node migrate at a time; a SQLite write transaction is exclusive already.
func (db *DB) lockMigrations(ctx context.Context, tx *sql.Tx) error {
	if db.dialect != postgresDialect {
		return nil
	}
	const key = 0x7472757374 // "trust"
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, key); err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	return nil
}

// InTx runs do in one serialisable transaction: committed when do returns nil, rolled back otherwise.
// A transaction that lost a race against another is run again, so do must have no effect outside tx.
func (db *DB) InTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	begun := time.Now()
	for try := 1; ; try++ {
		err := db.once(ctx, do)
		if err == nil || try == maxTries || !lostRace(err) || ctx.Err() != nil || time.Since(begun) >= busyTimeout {
			return err
		}
	}
}

func (db *DB) once(ctx context.Context, do func(tx *sql.Tx) error) error {
	if err := db.whole(); err != nil {
		return err // what is written into a damaged file damages more, into one that was moved away is lost
	}
	tx, err := db.BeginTx(ctx, db.txOptions())
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	if err := do(tx); err != nil {
		if back := tx.Rollback(); back != nil && !errors.Is(back, sql.ErrTxDone) {
			return errors.Join(err, fmt.Errorf("rolling back: %w", back))
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	db.committed.Add(1)
	return nil
}

// txOptions asks PostgreSQL for what SQLite's immediate transactions give by themselves.
func (db *DB) txOptions() *sql.TxOptions {
	if db.dialect == postgresDialect {
		return &sql.TxOptions{Isolation: sql.LevelSerializable}
	}
	return nil
}

// lostRace tells a transaction that may succeed when it is run again.
func lostRace(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		const busy = 5 // SQLITE_BUSY and its extended codes
		return lite.Code()&0xff == busy
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization_failure, deadlock_detected
	}
	return false
}

// Taken reports whether err says that a unique or primary key is already there.
func Taken(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == 1555 || lite.Code() == 2067 // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" // unique_violation
}

// Clock is the SQL expression of the database's own time, in Unix milliseconds: the one clock that all nodes share.
func (db *DB) Clock() string {
	if db.dialect == postgresDialect {
		return `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`
	}
	return `CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)`
}
