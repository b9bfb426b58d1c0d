package registry

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
)

// openBefore opens a database as a version made it that did not know the step of the schema which begins so.
func openBefore(t *testing.T, url, step string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	before := slices.IndexFunc(schema, func(s string) bool { return strings.HasPrefix(s, step) })
	if err := db.Migrate(t.Context(), "registry", schema[:before]); err != nil {
		t.Fatal(err)
	}
	return db
}

// seed puts rows into a database, by one statement each.
func seed(t *testing.T, db *store.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%v: %s", err, s)
		}
	}
}

// openOver opens the registry of this version over a database.
func openOver(t *testing.T, db *store.DB, now func() time.Time) *Registry {
	t.Helper()
	pool := netip.MustParsePrefix("10.64.0.0/24")
	r, err := Open(t.Context(), Config{DB: db, Audit: audittest.Open(t), Now: now, Pool: AddressPool{Prefix: pool, Hub: pool.Addr().Next()},
		CanCarryOut: func(context.Context, Order, map[string]string) error { return nil },
		CanUse:      func(Order, Enrolment) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
