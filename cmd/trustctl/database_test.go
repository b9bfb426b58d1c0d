package main

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// submit submits an order that makes a key, and approves it.
func (w *world) submit(t *testing.T, dir, id string) {
	t.Helper()
	file := filepath.Join(dir, id+".yaml")
	office := strings.ToLower(id)
	text := strings.NewReplacer("ZU-KILL", id, "um-kill", office, "Urząd", "Urząd Łódź", "RSA-3072", "P-256", "RSA-PKCS1-SHA256", "ECDSA-SHA256").
		Replace(killOrder)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must(t, "order", "submit", file, "--state", dir)
	w.must(t, "order", "approve", id, "--as", "officer-2", "--state", dir)
}

// TestInitOverPostgres makes an appliance whose first ceremony is over PostgreSQL, with the password in a file: the keys are
// registered there, trustd starts and carries an order out. A second authority over that database is refused.
func TestInitOverPostgres(t *testing.T) {
	w := newWorld(t, 0)
	dir := w.folder(t)
	server := storetest.PostgresWithPassword(t, "correct horse")
	passfile := filepath.Join(dir, "pgpass")
	if err := os.WriteFile(passfile, []byte("*:*:*:*:correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	database := server + "&passfile=" + url.QueryEscape(passfile)
	open := strings.Replace(server, "trustcore@", "trustcore:correct%20horse@", 1)
	for _, command := range []string{"init", "up", "ceremony"} {
		out, err := w.trustctl(t, command, "--database", open, "--state", dir)
		if command == "ceremony" {
			out, err = w.trustctl(t, command, "--database", open, "--plan", passfile, "--state", dir)
		}
		want(t, out, err, "may read a password in a command line")
	}
	out, err := w.trustctl(t, "init", "--database", server, "--state", dir)
	want(t, out, err, "password")
	w.must(t, "init", "--database", database, "--state", dir)
	out, err = w.trustctl(t, "init", "--database", database, "--state", dir)
	want(t, out, err, "is there already")
	if _, err := os.Stat(filepath.Join(dir, "trustd", "trustcore.db")); err == nil {
		t.Error("there is a SQLite file beside")
	}
	var keys int
	if err := ask(t, database).QueryRow(`SELECT COUNT(*) FROM hsm_keys WHERE state = 'active'`).Scan(&keys); err != nil || keys != 4 {
		t.Errorf("%d keys are registered, %v; want those of root, issuing authority, responder and time-stamping unit", keys, err)
	}
	trustd := w.daemon(t, dir, "trustd", "8450")
	w.submit(t, dir, "ZU-1")
	w.joins(t, dir, trustd)
	other := w.folder(t)
	out, err = w.trustctl(t, "init", "--database", database, "--state", other)
	want(t, out, err, "the database has an authority")
	out, err = w.trustctl(t, "up", "--database", "postgres://trustcore@/other?host=/nowhere", "--state", dir)
	want(t, out, err, "this state has PostgreSQL")
}

// joins adds a node, which serves on when the first one is killed.
func (w *world) joins(t *testing.T, dir string, first *running) {
	t.Helper()
	b := filepath.Join(w.folder(t), "b")
	for _, name := range []string{"B!", ""} {
		out, err := w.trustctl(t, "node", "add", name, "--to", b, "--state", dir)
		want(t, out, err, "name")
	}
	w.must(t, "node", "add", "b", "--to", b, "--state", dir)
	out, err := w.trustctl(t, "node", "add", "c", "--to", b, "--state", dir)
	want(t, out, err, "is there already")
	for _, absent := range []string{"trustd/audit", "trustd/pki/recovery.json", "officers", "trustd/hsm-officer"} {
		if _, err := os.Lstat(filepath.Join(b, absent)); err == nil {
			t.Errorf("the node has %s", absent)
		}
	}
	// Both run on one machine here: the second listens elsewhere.
	config := filepath.Join(b, "config", "trustd.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.NewReplacer("127.0.0.1:84", "127.0.0.1:94", "10.64.0.1:9443", "10.64.0.1:9543", "10.64.0.1:8080", "10.64.0.1:8180")
	if err := os.WriteFile(config, []byte(elsewhere.Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	second := w.daemon(t, b, "trustd", "9450")
	first.kill(t)
	for _, service := range []string{"enrolment", "gateway", "tsa", "ocsp"} {
		if status := w.get("9450", "/readyz?service="+service); status != 200 {
			t.Errorf("%s on the node that is left: %d", service, status)
		}
	}
	second.end(t)
	w.daemon(t, dir, "trustd", "8450").end(t) // so that nothing holds its log
}

func ask(t *testing.T, database string) *sql.DB {
	t.Helper()
	db, err := store.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // it was read only
	return db.DB
}

// TestMigrate moves an appliance with orders, keys and an audit log from SQLite to PostgreSQL: not while trustd runs, all or nothing, and
// it goes on where it was.
func TestMigrate(t *testing.T) {
	w := newWorld(t, 0)
	dir := w.folder(t)
	server := storetest.Postgres(t)
	file := filepath.Join(dir, "trustd", "trustcore.db")
	w.must(t, "init", "--state", dir)
	trustd := w.daemon(t, dir, "trustd", "8450")
	w.submit(t, dir, "ZU-1")
	out, err := w.trustctl(t, "database", "migrate", "--to", server, "--state", dir)
	want(t, out, err, "trustd must not run")
	out, err = w.trustctl(t, "node", "add", "b", "--to", filepath.Join(dir, "b"), "--state", dir)
	want(t, out, err, "SQLite serves one node")
	trustd.kill(t)
	db := ask(t, server)
	if _, err := db.Exec(`CREATE TABLE somebody (id TEXT PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	out, err = w.trustctl(t, "database", "migrate", "--to", server, "--state", dir)
	want(t, out, err, "is not empty")
	if _, err := db.Exec(`DROP TABLE somebody`); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"", "sqlite:///tmp/x.db", strings.Replace(server, "trustcore@", "trustcore:secret@", 1)} {
		out, err = w.trustctl(t, "database", "migrate", "--to", to, "--state", dir)
		want(t, out, err, "--to: ")
	}
	config := filepath.Join(dir, "config", "trustd.yaml")
	before, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	told := w.must(t, "database", "migrate", "--to", server, "--state", dir)
	if !strings.Contains(told, "compared one by one") || !strings.Contains(told, "hsm_keys") {
		t.Error(told)
	}
	// As if it had been interrupted before the configuration was written: it goes on.
	if err := os.WriteFile(config, before, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Rename(file+".migrated"+suffix, file+suffix) // some may not be there
	}
	if again := w.must(t, "database", "migrate", "--to", server, "--state", dir); again != told {
		t.Errorf("again:\n%s\nat first:\n%s", again, told)
	}
	out, err = w.trustctl(t, "database", "migrate", "--to", server, "--state", dir)
	want(t, out, err, "already")
	if _, err := os.Stat(file); err == nil {
		t.Error("SQLite's file is still there")
	}
	trustd = w.daemon(t, dir, "trustd", "8450")
	w.submit(t, dir, "ZU-2")
	if shown := w.must(t, "order", "show", "ZU-1", "--json", "--state", dir); !strings.Contains(shown, "Łódź") {
		t.Error(shown)
	}
	w.must(t, "audit", "verify", "--state", dir)
	if list := w.must(t, "audit", "list", "--action", "database.migrate", "--state", dir); !strings.Contains(list, "granted") {
		t.Error(list)
	}
	trustd.kill(t)
}
