package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// ErrReplaced tells that another file lies where SQLite's was opened, or that a damaged one was put right: what is in memory may
// belong to another copy. Who holds the database has to open it anew.
var ErrReplaced = errors.New("the database's file was replaced while it was open")

// ErrDamaged tells that the database's file is not whole any more.
var ErrDamaged = errors.New("the database's file is damaged")

// ErrLocked tells that another program holds a lock, so that nothing can be written.
var ErrLocked = errors.New("another program holds a lock on the database")

// condition is what Watch saw last.
type condition struct{ read, write error }

// Health says why the database can't be used now: what Watch found, and what shows at once.
func (db *DB) Health(ctx context.Context) error {
	if db.dialect == postgresDialect {
		return db.PingContext(ctx)
	}
	return db.whole()
}

// whole says why SQLite's file is not what was opened: what Watch found, and what shows at once.
func (db *DB) whole() error {
	if err := db.sameFile(); err != nil {
		return err
	}
	if seen := db.seen.Load(); seen != nil {
		return seen.read
	}
	return nil
}

// Writable says why nothing can be written now, as Watch found; with Health it says all.
func (db *DB) Writable() error {
	if seen := db.seen.Load(); seen != nil {
		return seen.write
	}
	return nil
}

func (db *DB) sameFile() error {
	if db.dialect == postgresDialect {
		return nil
	}
	switch file, err := os.Stat(db.path); {
	case err != nil:
		return fmt.Errorf("database file: %w", err)
	case !os.SameFile(file, db.file):
		return ErrReplaced
	case file.Size() == 0 && db.seen.Load() != nil:
		return damaged("it is empty")
	}
	return nil
}

// How Watch looks at the database.
const (
	watchEvery  = time.Second
	lockedAfter = 2 * time.Second // a transaction of ours takes milliseconds
	readTimes   = 20              // reading SQLite's whole file takes one part in so many of the time
)

// Watch looks at the database until ctx ends: whether all of SQLite's file can be read, from the file and not from memory, and
// whether something can be written. It returns ErrReplaced as soon as what is open is not what lies there, nil at ctx's end.
func (db *DB) Watch(ctx context.Context) error {
	var seen condition
	var next time.Time // reading of the whole file
	for {
		was := seen.read
		if begun := time.Now(); !begun.Before(next) {
			if read, err := db.check(ctx); read {
				seen.read, next = err, time.Now().Add(readTimes*time.Since(begun))
			}
		}
		if err := db.sameFile(); errors.Is(err, ErrDamaged) {
			seen.read = err
		} else if errors.Is(err, ErrReplaced) || errors.Is(was, ErrDamaged) && seen.read == nil {
			return ErrReplaced
		}
		if seen.write = seen.read; seen.read == nil { // nobody touches what is damaged
			seen.write = db.write(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		now := seen
		db.seen.Store(&now)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// Check reads all of SQLite's file, on a connection of its own, which has no pages in memory: ErrDamaged when it is not whole. It
// takes about a second for each GB. A value that was changed within its row does not show. PostgreSQL looks after itself.
func (db *DB) Check(ctx context.Context) error {
	_, err := db.check(ctx)
	return err
}

// check is Check; read is false where a lock or an absent file let nobody look, of which others tell.
func (db *DB) check(ctx context.Context) (read bool, err error) {
	if db.dialect == postgresDialect {
		return true, nil
	}
	if err := db.sameFile(); errors.Is(err, ErrDamaged) {
		return true, err // opened, an empty file becomes a database
	}
	fresh, err := db.connectSQLite(lockedAfter)
	if err != nil {
		return true, err
	}
	defer fresh.Close()
	var found string
	switch err := fresh.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&found); {
	case damage(err):
		return true, damaged(err.Error())
	case err != nil:
		return false, nil
	case found != "ok":
		return true, damaged(firstLine(found))
	}
	return true, nil
}

func damaged(how string) error {
	return fmt.Errorf("%w: end trustd and restore the database from the backup (%s)", ErrDamaged, how)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(text, "*** in database main ***\n"), "\n")
	return line
}

// write tries to get what every transaction needs, and leaves everything as it is.
func (db *DB) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockedAfter+time.Second)
	defer cancel()
	before := db.committed.Load()
	err := db.tryLock(ctx)
	if err == nil || db.dialect == sqliteDialect && db.committed.Load() != before {
		return nil // SQLite has one lock, which was ours then
	}
	if locked(err) || ctx.Err() != nil {
		return fmt.Errorf("%w, or it takes no connections: end that program, or what else uses the database (%v)", ErrLocked, err)
	}
	return err
}

func (db *DB) tryLock(ctx context.Context) error {
	if db.dialect == postgresDialect {
		return db.tryTables(ctx)
	}
	fresh, err := db.connectSQLite(lockedAfter)
	if err != nil {
		return err
	}
	defer fresh.Close()
	tx, err := fresh.BeginTx(ctx, nil) // immediate
	if err != nil {
		return err
	}
	return tx.Rollback()
}

// tryTables asks for the lock on each of our tables that a change of a row takes; it is in nobody's way who changes rows.
func (db *DB) tryTables(ctx context.Context) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it changed nothing
	const ours = `SELECT COALESCE(string_agg(quote_ident(schemaname) || '.' || quote_ident(tablename), ', '), '')
		FROM pg_tables WHERE schemaname = current_schema() AND tableowner = current_user`
	var tables string
	if err := tx.QueryRowContext(ctx, ours).Scan(&tables); err != nil || tables == "" {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockedAfter.Milliseconds())); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `LOCK TABLE `+tables+` IN ROW EXCLUSIVE MODE`)
	return err
}

// Primary result codes of SQLite (sqlite.org/rescode.html).
const (
	sqliteBusy, sqliteLocked, sqliteReadOnly, sqliteInterrupt, sqliteIO = 5, 6, 8, 9, 10
	sqliteCorrupt, sqliteFull, sqliteCannotOpen, sqliteProtocol         = 11, 13, 14, 15
	sqliteNotADatabase                                                  = 26
)

// code is SQLite's primary result code in err, 0 without.
func code(err error) int {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() & 0xff
	}
	return 0
}

// sqlState is PostgreSQL's in err, "" without.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func damage(err error) bool {
	return code(err) == sqliteCorrupt || code(err) == sqliteNotADatabase
}

func locked(err error) bool {
	const lockNotAvailable = "55P03"
	return code(err) == sqliteBusy || code(err) == sqliteLocked || sqlState(err) == lockNotAvailable
}

// Unavailable reports whether err says that the database could not be used, and nothing of what was asked of it: the same may succeed
// later.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	switch code(err) {
	case sqliteBusy, sqliteLocked, sqliteReadOnly, sqliteInterrupt, sqliteIO, sqliteCorrupt, sqliteFull, sqliteCannotOpen, sqliteProtocol,
		sqliteNotADatabase:
		return true
	}
	// Classes (PostgreSQL, appendix A): connection, transaction rollback, resources, locks, operator, system, inner.
	if state := sqlState(err); state != "" {
		for _, class := range []string{"08", "40", "53", "55", "57", "58", "XX"} {
			if strings.HasPrefix(state, class) {
				return true
			}
		}
		return false
	}
	var refused *pgconn.ConnectError
	var network net.Error
	var file *fs.PathError
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrReplaced) || errors.As(err, &file) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.As(err, &refused) || errors.As(err, &network)
}
