// Package storetest gives tests a real, empty database: a SQLite file, or a schema in a PostgreSQL
// server that it starts in a temporary folder on a local socket.
package storetest

import (
	"errors"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// SQLite returns the URL of a new database file.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
}

// Postgres starts a PostgreSQL server for this test and returns the URL of its database. The test is
// skipped where Debian's postgresql package is not installed.
func Postgres(t testing.TB) string {
	t.Helper()
	return start(t, []string{"-A", "trust"})
}

// PostgresWithPassword is Postgres, whose one user has to give this password; the URL does not have it.
func PostgresWithPassword(t testing.TB, password string) string {
	t.Helper()
	file, err := os.CreateTemp("", "pw") // the server's account has to read it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(password)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		t.Fatal(err)
	}
	return start(t, []string{"-A", "scram-sha-256", "--pwfile", file.Name()})
}

// start makes a database with initdb's options and serves it at a socket.
func start(t testing.TB, options []string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Skip("PostgreSQL is not installed (apt-get install postgresql)")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := unprivileged(t, dir)
	data := filepath.Join(dir, "data")
	run(t, attr, filepath.Join(bin, "initdb"), append([]string{"-D", data, "-U", "trustcore", "--no-sync"}, options...)...)
	settings := "-c listen_addresses='' -c fsync=off -c unix_socket_directories=" + dir
	run(t, attr, filepath.Join(bin, "pg_ctl"), "-D", data, "-l", filepath.Join(dir, "log"), "-o", settings, "-w", "start")
	t.Cleanup(func() {
		run(t, attr, filepath.Join(bin, "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
	})
	return "postgres://trustcore@/postgres?host=" + url.QueryEscape(dir)
}

// unprivileged hands dir to the account postgres when the test runs as root, whom PostgreSQL refuses.
func unprivileged(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("the account postgres is missing (apt-get install postgresql)")
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func run(t testing.TB, attr *syscall.SysProcAttr, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	// A file, not a pipe: the server inherits it and would keep a pipe open for ever.
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, text)
	}
}
