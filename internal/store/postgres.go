package store

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Bounds of PostgreSQL's that hold unless the URL says others: a lock that an operator's program holds, a server that takes no
// connections and one that does not answer must end a call, not hang it.
var postgresBounds = map[string]string{"lock_timeout": "5s", "statement_timeout": "30s"}

const connectTimeout = 5 * time.Second

// maxConnections bounds the connections of one process; PostgreSQL gives 100 to all, as it comes.
const maxConnections = 16

func openPostgres(u *url.URL, rawURL string) (*DB, error) {
	cfg, err := postgresConfig(u, rawURL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(maxConnections)
	return &DB{DB: db, dialect: postgresDialect}, nil
}

// postgresConfig reads the URL and, as libpq does, the environment (PGPASSFILE, PGSERVICEFILE, PGSSLMODE and so on), and refuses what
// would show the password or the registry to others.
func postgresConfig(u *url.URL, rawURL string) (*pgx.ConnConfig, error) {
	if err := checkPassfile(Passfile(rawURL)); err != nil {
		return nil, err
	}
	cfg, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return nil, err
	}
	if u.Query().Get("sslmode") == "" && os.Getenv("PGSSLMODE") == "" && !authenticated(cfg) {
		return nil, fmt.Errorf("sslmode is missing, and %s is reached over a network: write sslmode=verify-full&sslrootcert=FILE, so that "+
			"the server has to prove who it is and nobody reads along; a Unix socket (host=/var/run/postgresql) needs none", cfg.Host)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	for name, value := range postgresBounds {
		if _, set := cfg.RuntimeParams[name]; !set {
			cfg.RuntimeParams[name] = value
		}
	}
	return cfg, nil
}

// Shared reports whether several nodes can use the database: SQLite's file serves one.
func (db *DB) Shared() bool { return db.dialect == postgresDialect }

// authenticated reports whether each way to the server stays on this machine or has the server prove who it is.
func authenticated(cfg *pgx.ConnConfig) bool {
	if !onThisMachine(cfg.Host) && (cfg.TLSConfig == nil || cfg.TLSConfig.InsecureSkipVerify) {
		return false
	}
	return !slices.ContainsFunc(cfg.Fallbacks, func(f *pgconn.FallbackConfig) bool {
		return !onThisMachine(f.Host) && (f.TLSConfig == nil || f.TLSConfig.InsecureSkipVerify)
	})
}

func onThisMachine(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Passfile is the file of passwords (libpq, 34.16) that a database URL or PGPASSFILE names, "" for none.
func Passfile(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "sqlite" {
		return ""
	}
	return cmp.Or(u.Query().Get("passfile"), os.Getenv("PGPASSFILE"))
}

// checkPassfile refuses a file of passwords that is not there or that others read; libpq leaves such a file out without a word.
func checkPassfile(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("passfile: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("passfile: others may read %s: chmod 600 it", path)
	}
	return nil
}

// HasPassword reports whether a database URL carries a password: fit for a file that only its reader opens, never for a command line.
func HasPassword(rawURL string) bool {
	u, err := url.Parse(rawURL)
	if err != nil {
		return true // who can't tell takes it for one
	}
	_, there := u.User.Password()
	return there || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// Name is a database URL for people, logs and the audit log: without password and settings.
func Name(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "a database whose URL can't be read"
	}
	host := u.Host
	if host == "" {
		host = u.Query().Get("host")
	}
	if u.Scheme == "sqlite" {
		return u.Path
	}
	return strings.TrimSuffix("PostgreSQL "+host, " ") + " database " + strings.TrimPrefix(u.Path, "/")
}

// parseURL reads a database URL. Its error does not repeat the URL, which may hold a password.
func parseURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	var told *url.Error
	if errors.As(err, &told) {
		err = told.Err
	}
	return u, err
}
