package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

var copySteps = []string{
	`CREATE TABLE partner (id TEXT PRIMARY KEY, name TEXT NOT NULL)`,
	`CREATE TABLE paper (partner TEXT NOT NULL REFERENCES partner(id), n BIGINT NOT NULL, body BLOB, PRIMARY KEY (partner, n))`,
	`ALTER TABLE paper ADD COLUMN note TEXT NOT NULL DEFAULT 'none'`,
	`CREATE TABLE gone (id TEXT PRIMARY KEY)`,
	`DROP TABLE gone`,
	`CREATE UNIQUE INDEX paper_note ON paper (note) WHERE note <> 'none'`,
}

// filled is a SQLite database with rows of every kind.
func filled(t *testing.T, papers int) *store.DB {
	t.Helper()
	db := open(t, storetest.SQLite(t))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(db.Migrate(t.Context(), "papers", copySteps))
	for _, name := range []string{"Urząd Miasta „Łódź” 𝕏", ""} {
		_, err := db.Exec(`INSERT INTO partner (id, name) VALUES ($1, $2)`, "id of "+name, name)
		must(err)
	}
	tx, err := db.Begin()
	must(err)
	for i := range papers {
		body := []byte{byte(i), 0, 0xff, 0x27}
		switch i % 3 {
		case 1:
			body = nil
		case 2:
			body = []byte{}
		}
		_, err := tx.Exec(`INSERT INTO paper (partner, n, body) VALUES ('id of ', $1, $2)`, int64(i)-1<<62, body)
		must(err)
	}
	must(tx.Commit())
	return db
}

func nothing() error { return nil }

// TestCopy fills PostgreSQL with a SQLite database: the same rows, the same rules, and the schema goes on from there.
func TestCopy(t *testing.T) {
	const papers = 2*500 + 7 // several statements
	from, to := filled(t, papers), open(t, storetest.Postgres(t))
	finished := 0
	finish := func() error { finished++; return nil }
	copied, err := store.Copy(t.Context(), from, to, finish)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int64{}
	for _, c := range copied {
		rows[c.Name] = c.Rows
	}
	if len(copied) != 3 || rows["paper"] != papers || rows["partner"] != 2 || rows["schema_steps"] != int64(len(copySteps)) {
		t.Errorf("copied: %+v", copied)
	}
	var name, note string
	var body []byte
	if err := to.QueryRow(`SELECT r.name, p.note, p.body FROM paper p JOIN partner r ON r.id = p.partner WHERE p.n = $1`, int64(3)-1<<62).
		Scan(&name, &note, &body); err != nil || name != "" || note != "none" || string(body) != "\x03\x00\xff\x27" {
		t.Errorf("%q %q %x %v", name, note, body, err)
	}
	if _, err := to.Exec(`INSERT INTO paper (partner, n) VALUES ('nobody', 1)`); err == nil {
		t.Error("what refers to nobody is taken")
	}
	if _, err := to.Exec(`UPDATE paper SET note = 'one'`); !store.Taken(err) {
		t.Errorf("the index is not there: %v", err)
	}
	if err := to.Migrate(t.Context(), "papers", append(slices.Clone(copySteps), `CREATE TABLE later (id TEXT PRIMARY KEY)`)); err != nil {
		t.Errorf("the next version's schema: %v", err)
	}
	if finished != 1 {
		t.Errorf("finished %d times", finished)
	}
}

// TestCopyAgain: what is there already is found, and anything else is left alone.
func TestCopyAgain(t *testing.T) {
	server := storetest.Postgres(t)
	admin := open(t, server)
	for i, change := range []struct {
		here      bool // or there
		statement string
	}{
		{false, ""},
		{false, `UPDATE partner SET name = 'another' WHERE name = ''`},
		{true, `INSERT INTO partner (id, name) VALUES ('p', 'new')`},
		{false, `CREATE TABLE other (id TEXT PRIMARY KEY)`},
		{false, `DROP TABLE paper`},
	} {
		database := fmt.Sprint("again", i)
		if _, err := admin.Exec(`CREATE DATABASE ` + database); err != nil {
			t.Fatal(err)
		}
		from, to := filled(t, 10), open(t, strings.Replace(server, "/postgres?", "/"+database+"?", 1))
		first, err := store.Copy(t.Context(), from, to, nothing)
		if err != nil {
			t.Fatal(err)
		}
		db := to
		if change.here {
			db = from
		}
		if _, err := db.Exec(change.statement); err != nil {
			t.Fatal(err)
		}
		again, err := store.Copy(t.Context(), from, to, nothing)
		if change.statement == "" {
			if err != nil || !slices.Equal(again, first) {
				t.Errorf("copied again: %+v, %v", again, err)
			}
		} else if !errors.Is(err, store.ErrNotEmpty) {
			t.Errorf("after %q: %v", change.statement, err)
		}
	}
}

// TestCopyIsAllOrNothing: what PostgreSQL can't hold stops the copy, and nothing of it is left; so does a way that is none.
func TestCopyIsAllOrNothing(t *testing.T) {
	server := storetest.Postgres(t)
	to := open(t, server)
	for i, bad := range []string{"a\x00b", "\xff"} {
		from := filled(t, 5)
		if _, err := from.Exec(`INSERT INTO partner (id, name) VALUES ('p', $1)`, bad); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Copy(t.Context(), from, to, nothing); err == nil || !strings.Contains(err.Error(), "table partner: column name") {
			t.Errorf("%q: %v", bad, err)
		}
		var left int
		if err := to.QueryRow(`SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d: %d tables are left, %v", i, left, err)
		}
	}
	for _, way := range [][2]*store.DB{{to, to}, {filled(t, 1), filled(t, 1)}} {
		if _, err := store.Copy(t.Context(), way[0], way[1], nothing); err == nil || !strings.Contains(err.Error(), "no other way") {
			t.Error(err)
		}
	}
}

// TestCopyIsCompared: a server that keeps something else than it was given is found, and nothing of the copy stays.
func TestCopyIsCompared(t *testing.T) {
	from, to := filled(t, 5), open(t, storetest.Postgres(t))
	for _, statement := range []string{
		`CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name || '!'; RETURN NEW; END $$`,
		`CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
			IF EXISTS (SELECT 1 FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.partner') THEN
				EXECUTE 'CREATE TRIGGER bend BEFORE INSERT ON partner FOR EACH ROW EXECUTE FUNCTION bend()';
			END IF; END $$`,
		`CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION watch()`,
	} {
		if _, err := to.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	_, err := store.Copy(t.Context(), from, to, func() error { t.Error("it counts"); return nil })
	if err == nil || !strings.Contains(err.Error(), "table partner: what arrived is not what was sent") {
		t.Errorf("bent rows: %v", err)
	}
	if empty, err := to.Empty(t.Context()); err != nil || !empty {
		t.Errorf("tables are left: %v", err)
	}
}

// TestNobodyWritesWhileCopied: the database is locked until finish has run, so that no act is lost between copy and take-over.
func TestNobodyWritesWhileCopied(t *testing.T) {
	from, to := filled(t, 5), open(t, storetest.Postgres(t))
	_, err := store.Copy(t.Context(), from, to, func() error {
		_, err := from.ExecContext(t.Context(), `PRAGMA busy_timeout = 1`)
		if err == nil {
			_, err = from.ExecContext(t.Context(), `UPDATE partner SET name = 'late'`)
		}
		if !store.Unavailable(err) {
			return fmt.Errorf("a late write: %w", errors.Join(err, errors.New("not refused")))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
