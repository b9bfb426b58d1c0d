package store_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// onEach runs the conformance suite of a test on both engines.
func onEach(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, storetest.Postgres(t)) })
}

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

var steps = []string{
	`CREATE TABLE thing (id TEXT PRIMARY KEY, n BIGINT NOT NULL, body BLOB)`,
	`INSERT INTO thing (id, n) VALUES ('counter', 0)`,
}

func TestMigrateRunsEachStepOnce(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		for range 2 {
			db := open(t, url)
			if err := db.Migrate(t.Context(), "things", steps); err != nil {
				t.Fatal(err)
			}
		}
		db := open(t, url)
		more := append(steps[:2:2], `UPDATE thing SET n = n + 1`)
		if err := db.Migrate(t.Context(), "things", more); err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context(), "things", steps); err == nil || !strings.Contains(err.Error(), "older") {
			t.Errorf("a program older than its database went on: %v", err)
		}
		var n int
		if err := db.QueryRow(`SELECT n FROM thing WHERE id = $1`, "counter").Scan(&n); err != nil || n != 1 {
			t.Errorf("n = %d, %v; want 1", n, err)
		}
	})
}

func TestInTxLosesNoUpdate(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		if err := db.Migrate(t.Context(), "things", steps); err != nil {
			t.Fatal(err)
		}
		const writers, each = 4, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					if err := db.InTx(context.Background(), increment); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n int
		if err := db.QueryRow(`SELECT n FROM thing`).Scan(&n); err != nil || n != writers*each {
			t.Errorf("n = %d, %v; want %d", n, err, writers*each)
		}
	})
}

// increment reads and writes in two statements, so that a lost update would show.
func increment(tx *sql.Tx) error {
	var n int
	if err := tx.QueryRow(`SELECT n FROM thing WHERE id = $1`, "counter").Scan(&n); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE thing SET n = $1 WHERE id = $2`, n+1, "counter")
	return err
}

func TestInTxRollsBack(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		if err := db.Migrate(t.Context(), "things", steps); err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		err := db.InTx(t.Context(), func(tx *sql.Tx) error {
			if err := increment(tx); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatalf("got %v", err)
		}
		var n int
		if err := db.QueryRow(`SELECT n FROM thing`).Scan(&n); err != nil || n != 0 {
			t.Errorf("n = %d, %v; want 0", n, err)
		}
	})
}

func TestTaken(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		if err := db.Migrate(t.Context(), "things", steps); err != nil {
			t.Fatal(err)
		}
		_, err := db.Exec(`INSERT INTO thing (id, n, body) VALUES ($1, $2, $3)`, "counter", 1, []byte{0, 1})
		if !store.Taken(err) {
			t.Errorf("Taken(%v) = false", err)
		}
		if _, err := db.Exec(`INSERT INTO nowhere (id) VALUES ('x')`); store.Taken(err) {
			t.Errorf("Taken(%v) = true", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"mysql://host/db":         "neither sqlite nor postgres",
		"sqlite://relative/x.db":  "three slashes",
		"sqlite:relative.db":      "absolute",
		"postgres://%zz":          "URL",
		"sqlite:///proc/no/x.db":  "folder",
		"postgres:///?host=/none": "opening",
	} {
		if db, err := store.Open(t.Context(), url); err == nil {
			t.Errorf("%s: opened", url)
			_ = db.Close()
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", url, err, want)
		}
	}
}

func TestSQLiteFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "x.db")
	open(t, "sqlite://"+path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want 0600", info.Mode(), err)
	}
}

// TestHealthOfTheFile moves SQLite's file away and back, and puts another one in its place.
func TestHealthOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := store.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "things", steps); err != nil {
		t.Fatal(err)
	}
	check := func(step string, want error) {
		t.Helper()
		if err := db.Health(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", step, err, want)
		}
		if err := db.InTx(t.Context(), increment); !errors.Is(err, want) || err != nil && !store.Unavailable(err) {
			t.Errorf("%s: a change: %v, want %v", step, err, want)
		}
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	check("opened", nil)
	move(path, path+".away")
	check("away", fs.ErrNotExist)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("another in its place", store.ErrReplaced)
	move(path+".away", path)
	check("back", nil)
	watched(t, db)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	check("emptied", store.ErrDamaged) // at once, not when somebody looks next
}

// TestConnectionsAreToTheFileThatWasOpened asks for a connection more while the file is away, and while another lies in its place:
// none is made, and none is left for later.
func TestConnectionsAreToTheFileThatWasOpened(t *testing.T) {
	for place, another := range map[string]func(path string) error{
		"nothing":       func(string) error { return nil },
		"an empty file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"another database": func(path string) error {
			other, err := store.Open(t.Context(), "sqlite://"+path)
			if err != nil {
				return err
			}
			return errors.Join(other.Migrate(t.Context(), "others", []string{`CREATE TABLE other (id TEXT)`}), other.Close())
		},
	} {
		t.Run(place, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			db := open(t, "sqlite://"+path)
			if err := db.Migrate(t.Context(), "things", steps); err != nil {
				t.Fatal(err)
			}
			busy, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer busy.Close()
			for _, name := range []string{path, path + "-wal", path + "-shm"} {
				if err := os.Rename(name, name+".away"); err != nil {
					t.Fatal(err)
				}
			}
			if err := another(path); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := db.QueryRow(`SELECT n FROM thing`).Scan(&n); !store.Unavailable(err) {
				t.Errorf("away: %d, %v", n, err)
			}
			if _, err := os.Stat(path); place == "nothing" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file was made in the place of the one that was moved: %v", err)
			}
			for _, name := range []string{path, path + "-wal", path + "-shm"} {
				if err := os.Rename(name+".away", name); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.QueryRow(`SELECT n FROM thing`).Scan(&n); err != nil {
				t.Errorf("back: %v", err)
			}
		})
	}
}

// watched has Watch look at the database.
func watched(t *testing.T, db *store.DB) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Watch(ctx) }()
	for !db.Watched() {
		<-time.After(time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestMigrated(t *testing.T) {
	for name, url := range map[string]string{"sqlite": storetest.SQLite(t), "postgres": storetest.Postgres(t)} {
		db, err := store.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for step, want := range []bool{false, true, true} {
			if there, err := db.Migrated(t.Context(), "a"); err != nil || there != want {
				t.Errorf("%s, after %d migrations: %v, %v", name, step, there, err)
			}
			if err := db.Migrate(t.Context(), "a", []string{`CREATE TABLE a (b TEXT)`}); err != nil {
				t.Fatal(err)
			}
		}
		if there, err := db.Migrated(t.Context(), "b"); err != nil || there {
			t.Errorf("%s: a schema that was never made: %v, %v", name, there, err)
		}
	}
}

// TestInTxIsBounded has another writer keep SQLite's lock: a transaction gives up, and says that it may succeed later.
func TestInTxIsBounded(t *testing.T) {
	url := storetest.SQLite(t)
	db, other := open(t, url), open(t, url)
	if err := db.Migrate(t.Context(), "things", steps); err != nil {
		t.Fatal(err)
	}
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	begun := time.Now()
	if err := db.InTx(t.Context(), increment); !store.Unavailable(err) {
		t.Errorf("a transaction under another's lock: %v", err)
	}
	if took := time.Since(begun); took > 12*time.Second {
		t.Errorf("it gave up after %v", took)
	}
}

// TestUnavailable tells what ends from what stays wrong.
func TestUnavailable(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		if err := db.Migrate(t.Context(), "things", steps); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{`INSERT INTO nowhere (id) VALUES ('x')`, `INSERT INTO thing (id, n) VALUES ('counter', 0)`, `NONSENSE`} {
			if _, err := db.Exec(text); err == nil || store.Unavailable(err) {
				t.Errorf("%s: Unavailable(%v) = true", text, err)
			}
		}
	})
	if store.Unavailable(nil) || store.Unavailable(sql.ErrNoRows) || !store.Unavailable(store.ErrDamaged) {
		t.Error("no error, no row or damage")
	}
}

// TestNothingIsWrittenIntoADamagedFile damages the file so that the pages in memory still serve: a change would make it worse.
func TestNothingIsWrittenIntoADamagedFile(t *testing.T) {
	url := storetest.SQLite(t)
	db := open(t, url)
	if err := db.Migrate(t.Context(), "things", steps); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(url, "sqlite://")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Watch(ctx) }()
	// Of the last page, which is of a table that the change does not touch.
	if err := os.WriteFile(path, append(good[:len(good)-4096:len(good)-4096], make([]byte, 4096)...), 0o600); err != nil {
		t.Fatal(err)
	}
	for db.Writable() == nil {
		<-time.After(10 * time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := db.InTx(t.Context(), func(*sql.Tx) error { return nil }); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("written into a damaged file: %v", err)
	}
}
