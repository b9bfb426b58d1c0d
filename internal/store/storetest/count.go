package storetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"trustcore/internal/store"
)

// Counter counts the statements that a database was given.
type Counter struct{ n atomic.Int64 }

// During returns how many statements do had carried out.
func (c *Counter) During(do func()) int64 {
	before := c.n.Load()
	do()
	return c.n.Load() - before
}

// Counted opens the SQLite database at url, whose statements are counted from now on. It ends with the test.
func Counted(t testing.TB, address string) (*store.DB, *Counter) {
	t.Helper()
	db, err := store.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	c := new(Counter)
	q := url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(ON)"}}
	name := "file:" + strings.TrimPrefix(address, "sqlite://") + "?" + q.Encode()
	plain := db.DB
	db.DB = sql.OpenDB(counting{plain.Driver(), name, c})
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), plain.Close()); err != nil {
			t.Error(err)
		}
	})
	return db, c
}

// counting connects to a database and counts.
type counting struct {
	base driver.Driver
	name string
	c    *Counter
}

func (c counting) Driver() driver.Driver { return c.base }

func (c counting) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.base.Open(c.name)
	if err != nil {
		return nil, err
	}
	return countingConn{conn, c.c}, nil
}

// countingConn has no more than database/sql needs: every statement is asked of QueryContext or ExecContext.
type countingConn struct {
	driver.Conn
	c *Counter
}

func (c countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.c.n.Add(1)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c countingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.c.n.Add(1)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c countingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}
