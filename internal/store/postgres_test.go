package store_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// TestLinkOfPostgres: over a network the server has to prove who it is, or the URL says that it need not.
func TestLinkOfPostgres(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for u, refused := range map[string]bool{
		"postgres://u@192.0.2.1/d":                               true,
		"postgres://u@db.example/d":                              true,
		"postgres://u@127.0.0.1,192.0.2.1/d":                     true,
		"postgres://u@db.example/d?sslmode=verify-full":          false,
		"postgres://u@192.0.2.1/d?sslmode=disable":               false,
		"postgres://u@127.0.0.1/d":                               false,
		"postgres://u@[::1]/d":                                   false,
		"postgres://u@/d?host=/run/postgresql":                   false,
		"postgres://u@localhost/d":                               false,
		"postgres://u@localhost.example/d":                       true,
		"postgres://u@127.0.0.1.example/d?application_name=x":    true,
		"postgres://u@192.0.2.1/d?sslmode=&host=/run/postgresql": false,
	} {
		err := store.CheckPostgres(u)
		if got := err != nil && strings.Contains(err.Error(), "sslmode is missing"); got != refused || err != nil && !got {
			t.Errorf("%s: %v; want it refused: %v", u, err, refused)
		}
	}
	t.Setenv("PGSSLMODE", "disable")
	if err := store.CheckPostgres("postgres://u@192.0.2.1/d"); err != nil {
		t.Errorf("PGSSLMODE says so: %v", err)
	}
}

// TestPassfile: a file of passwords that others may read, or that is not there, is told; one that is right opens the database.
func TestPassfile(t *testing.T) {
	server := storetest.PostgresWithPassword(t, "correct horse")
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pgpass")
	with := func(passfile string) string {
		q := u.Query()
		q.Set("passfile", passfile)
		return u.Scheme + "://" + u.User.String() + "@" + u.Host + u.Path + "?" + q.Encode()
	}
	fails := func(what, url, want string) {
		t.Helper()
		db, err := store.Open(t.Context(), url)
		if err == nil {
			_ = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "correct horse") {
			t.Errorf("%s: %v; want %q", what, err, want)
		}
	}
	fails("no password", server, "password")
	fails("no file", with(file), "passfile: ")
	if err := os.WriteFile(file, []byte("*:*:*:*:correct horse\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fails("others read it", with(file), "others may read")
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, with(file))
	t.Setenv("PGPASSFILE", file)
	open(t, server)
	service := filepath.Join(t.TempDir(), "service")
	text := "[core]\nhost=" + u.Query().Get("host") + "\nuser=trustcore\ndbname=postgres\npassword=correct horse\n"
	if err := os.WriteFile(service, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGPASSFILE", "")
	open(t, "postgres:///?service=core&servicefile="+url.QueryEscape(service))
}

// TestSecretsStayInside: neither an error nor the name of a database repeats its password.
func TestSecretsStayInside(t *testing.T) {
	for _, u := range []string{"postgres://u:s3cret@/d?host=/nowhere", "postgres://u:s3cret@h:port/d", "postgres://u:s3cret%zz@h/d",
		"postgres:///d?host=/nowhere&password=s3cret", "http://u:s3cret@h/"} {
		_, err := store.Open(t.Context(), u)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", u, err)
		}
		if name := store.Name(u); strings.Contains(name, "s3cret") {
			t.Errorf("%s is called %s", u, name)
		}
		if !store.HasPassword(u) {
			t.Errorf("%s: no password is seen", u)
		}
	}
	for u, name := range map[string]string{
		"postgres://core@db.example:5432/trust?sslmode=verify-full": "PostgreSQL db.example:5432 database trust",
		"postgres://core@/trust?host=/run/postgresql":               "PostgreSQL /run/postgresql database trust",
		"sqlite:///var/lib/x.db":                                    "/var/lib/x.db",
	} {
		if store.Name(u) != name || store.HasPassword(u) {
			t.Errorf("%s is called %q, has a password: %v", u, store.Name(u), store.HasPassword(u))
		}
	}
}
