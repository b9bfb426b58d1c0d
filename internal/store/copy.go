package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"
)

// Table is what a table holds: how many rows, and a digest that does not depend on their order.
type Table struct {
	Name   string
	Rows   int64
	Digest string // SHA-256 of each row, added up modulo 2^256, hex
}

// ErrNotEmpty tells that the database to be filled has tables with something else in them than what would be copied.
var ErrNotEmpty = errors.New("the database to be filled is not empty, and is no copy of this one")

// copyRows is how many rows one statement inserts at most, and copyParameters how many values: PostgreSQL takes 65,535.
const copyRows, copyParameters = 500, 30_000

// Copy fills the empty PostgreSQL database to with the schema and all rows of the SQLite database from, in one transaction, and compares
// what arrived, row by row, before it commits: all or nothing. Nobody can write into from meanwhile. Where to holds this very copy
// already, nothing is done; where it holds anything else, the error is ErrNotEmpty. finish runs when the copy is there, while from is
// still locked.
func Copy(ctx context.Context, from, to *DB, finish func() error) ([]Table, error) {
	if from.dialect != sqliteDialect || to.dialect != postgresDialect {
		return nil, errors.New("a database is copied from SQLite to PostgreSQL, no other way")
	}
	source, err := from.BeginTx(ctx, nil) // immediate: it has the lock that every writer needs
	if err != nil {
		return nil, fmt.Errorf("locking the database to be copied: %w", err)
	}
	defer func() { _ = source.Rollback() }() // nothing was written
	objects, err := readSchema(ctx, source)
	if err != nil {
		return nil, err
	}
	var copied []Table
	err = to.InTx(ctx, func(tx *sql.Tx) (err error) {
		if err := to.lockMigrations(ctx, tx); err != nil {
			return err
		}
		copied, err = fill(ctx, source, tx, objects)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("copying the database: %w", err)
	}
	return copied, finish()
}

// Empty reports whether a PostgreSQL database has no table yet.
func (db *DB) Empty(ctx context.Context) (bool, error) {
	there, err := countTables(ctx, db)
	return there == 0, err
}

func countTables(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (count int, err error) {
	const query = `SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()`
	err = db.QueryRowContext(ctx, query).Scan(&count)
	return count, err
}

// object is a table or an index of SQLite's, with the columns of a table.
type object struct {
	name, statement string
	columns         []column // nil for an index
}

// column has one of the types that our schemas write.
type column struct{ name, kind string }

// readSchema reads tables and indexes in the order in which they were made: what a table refers to comes before it.
func readSchema(ctx context.Context, source *sql.Tx) (all []object, err error) {
	rows, err := source.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid`)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	defer rows.Close()
	var tables []int
	for rows.Next() {
		var kind string
		var o object
		if err := rows.Scan(&kind, &o.name, &o.statement); err != nil {
			return nil, fmt.Errorf("reading the schema: %w", err)
		}
		switch kind {
		case "table":
			tables = append(tables, len(all))
		case "index":
		default:
			return nil, fmt.Errorf("the schema has a %s, %s, which can't be copied", kind, o.name)
		}
		all = append(all, o)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	for _, i := range tables {
		if all[i].columns, err = readColumns(ctx, source, all[i].name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func readColumns(ctx context.Context, source *sql.Tx, table string) (all []column, err error) {
	rows, err := source.QueryContext(ctx, `SELECT name, type FROM pragma_table_info($1) ORDER BY cid`, table)
	if err != nil {
		return nil, fmt.Errorf("columns of %s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.kind); err != nil {
			return nil, fmt.Errorf("columns of %s: %w", table, err)
		}
		if !slices.Contains([]string{"TEXT", "BIGINT", "BLOB"}, c.kind) {
			return nil, fmt.Errorf("column %s.%s is of type %s, which can't be copied", table, c.name, c.kind)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// fill makes the schema and copies the rows, unless they are there already.
func fill(ctx context.Context, source, target *sql.Tx, objects []object) (copied []Table, err error) {
	there, err := countTables(ctx, target)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if there > 0 {
			break
		}
		// As Migrate does: in a step, BLOB is written as the engine calls it.
		if _, err := target.ExecContext(ctx, strings.ReplaceAll(o.statement, " BLOB", " BYTEA")); err != nil {
			return nil, fmt.Errorf("making %s: %w", o.name, err)
		}
	}
	tables := 0
	for _, o := range objects {
		if o.columns == nil {
			continue
		}
		tables++
		t, err := copyTable(ctx, source, target, o, there == 0)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", o.name, err)
		}
		copied = append(copied, t)
	}
	if there > 0 && there != tables {
		return nil, fmt.Errorf("%w: it has %d tables, this one has %d", ErrNotEmpty, there, tables)
	}
	return copied, nil
}

// copyTable copies the rows, where they are not there yet, and compares both sides.
func copyTable(ctx context.Context, source, target *sql.Tx, o object, empty bool) (Table, error) {
	into := &inserter{ctx: ctx, tx: target, object: o}
	put := into.put
	if !empty {
		put = func([]any) error { return nil }
	}
	sent, err := digestTable(ctx, source, o, put)
	if err == nil {
		err = into.flush()
	}
	if err != nil {
		return Table{}, err
	}
	arrived, err := digestTable(ctx, target, o, func([]any) error { return nil })
	switch {
	case err != nil && !empty:
		return Table{}, fmt.Errorf("%w: %w", ErrNotEmpty, err)
	case err != nil:
		return Table{}, err
	case arrived != sent && !empty:
		return Table{}, fmt.Errorf("%w: %d rows are there, %d here, or they differ", ErrNotEmpty, arrived.Rows, sent.Rows)
	case arrived != sent:
		return Table{}, fmt.Errorf("what arrived is not what was sent: %d rows of %d, or they differ", arrived.Rows, sent.Rows)
	}
	return sent, nil
}

// digestTable reads a table and hands each row on.
func digestTable(ctx context.Context, tx *sql.Tx, o object, each func(values []any) error) (Table, error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+o.list()+` FROM `+quoted(o.name))
	if err != nil {
		return Table{}, err
	}
	defer rows.Close()
	t, sum := Table{Name: o.name}, new(big.Int)
	values := make([]any, len(o.columns))
	pointers := make([]any, len(o.columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return Table{}, err
		}
		row := make([]any, len(values))
		for i, c := range o.columns {
			if row[i], err = c.value(values[i]); err != nil {
				return Table{}, err
			}
		}
		digest := digestRow(row)
		sum.Add(sum, new(big.Int).SetBytes(digest[:]))
		t.Rows++
		if err := each(row); err != nil {
			return Table{}, err
		}
	}
	total := make([]byte, sha256.Size)
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 8*sha256.Size)).FillBytes(total)
	t.Digest = hex.EncodeToString(total)
	return t, rows.Err()
}

// value is a value as its column has it: SQLite keeps each as it was written.
func (c column) value(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case int64:
		if c.kind == "BIGINT" {
			return v, nil
		}
	case string:
		switch {
		case c.kind == "BLOB":
			return []byte(v), nil
		case c.kind == "TEXT" && utf8.ValidString(v) && !strings.ContainsRune(v, 0):
			return v, nil
		}
	case []byte:
		switch c.kind {
		case "BLOB":
			return append([]byte{}, v...), nil // an empty one is not NULL
		case "TEXT":
			return c.value(string(v))
		}
	}
	return nil, fmt.Errorf("column %s holds a value that is no %s of PostgreSQL's: %T", c.name, c.kind, v)
}

// digestRow names the values of a row: each with its kind and length, so that no two rows are written alike.
func digestRow(row []any) [sha256.Size]byte {
	var text []byte
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			text = append(text, 'n')
		case int64:
			text = binary.BigEndian.AppendUint64(append(text, 'i'), uint64(v))
		case string:
			text = append(binary.BigEndian.AppendUint64(append(text, 's'), uint64(len(v))), v...)
		case []byte:
			text = append(binary.BigEndian.AppendUint64(append(text, 'b'), uint64(len(v))), v...)
		}
	}
	return sha256.Sum256(text)
}

// inserter collects rows into statements.
type inserter struct {
	ctx    context.Context // of the one copy that it belongs to
	tx     *sql.Tx
	object object
	values []any
}

func (i *inserter) put(row []any) error {
	i.values = append(i.values, row...)
	if n := len(i.values); n/len(row) >= copyRows || n+len(row) > copyParameters {
		return i.flush()
	}
	return nil
}

func (i *inserter) flush() error {
	if len(i.values) == 0 {
		return nil
	}
	var statement strings.Builder
	fmt.Fprintf(&statement, `INSERT INTO %s (%s) VALUES `, quoted(i.object.name), i.object.list())
	for n := range i.values {
		separator := ", "
		switch {
		case n == 0:
			separator = "("
		case n%len(i.object.columns) == 0:
			separator = "), ("
		}
		fmt.Fprintf(&statement, "%s$%d", separator, n+1)
	}
	statement.WriteString(")")
	_, err := i.tx.ExecContext(i.ctx, statement.String(), i.values...)
	i.values = i.values[:0]
	return err
}

// list is the columns' names, as both engines take them.
func (o object) list() string {
	names := make([]string, len(o.columns))
	for i, c := range o.columns {
		names[i] = quoted(c.name)
	}
	return strings.Join(names, ", ")
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
