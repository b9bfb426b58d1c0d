// Package registrytest opens registries for tests, over real databases and audit logs in folders of their own.
package registrytest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
)

// Open opens a registry over the database at url, with a pool of addresses whose first is the hub's, and an empty audit
// log. Both end with the test.
func Open(t testing.TB, url string, pool netip.Prefix, now func() time.Time) (*registry.Registry, *audit.Log) {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return OpenDB(t, db, pool, now)
}

// OpenDB is Open over a database that is open.
func OpenDB(t testing.TB, db *store.DB, pool netip.Prefix, now func() time.Time) (*registry.Registry, *audit.Log) {
	t.Helper()
	log := audittest.Open(t)
	r, err := registry.Open(t.Context(), registry.Config{DB: db, Audit: log, Now: now,
		CanCarryOut: func(context.Context, registry.Order, map[string]string) error { return nil },
		CanUse:      func(registry.Order, registry.Enrolment) error { return nil },
		Pool:        registry.AddressPool{Prefix: pool, Hub: pool.Addr().Next()}})
	if err != nil {
		t.Fatal(err)
	}
	return r, log
}
