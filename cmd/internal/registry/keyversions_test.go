package registry

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// keysBefore is an order with a key in a database of a version that knew one key a name.
func keysBefore(t *testing.T, url string) *store.DB {
	t.Helper()
	db := openBefore(t, url, "CREATE TABLE key_versions")
	const order = `{"id":"ZU-1","kind":"activation","partner":{"id":"um","name":"Urząd"},"components":["B_HSM"],
		"hsm_authorization":{"application":"ezd","keys":[{"name":"seal","algorithm":"P-256","mechanisms":["ECDSA-SHA256"]}],
		"not_before":"2026-01-01T00:00:00Z","not_after":"2027-01-01T00:00:00Z"}}`
	seed(t, db,
		`INSERT INTO partners (id, name, agreement, signed) VALUES ('um', 'Urząd', 'UR/1', '2026-01-15')`,
		`INSERT INTO orders (id, kind, partner, body, state, submitted_by, submitted_at, decided_at, line)
			VALUES ('ZU-1', 'activation', 'um', '`+order+`', 'active', 'o', '2026-01-15', '2026-01-15', 'ZU-1')`,
		`INSERT INTO components (partner, component, order_id, application) VALUES ('um', 'B_HSM', 'ZU-1', 'ezd')`,
		`INSERT INTO order_keys (order_id, name, id) VALUES ('ZU-1', 'seal', 'k1')`,
	)
	return db
}

// TestVersionsOverTheVersionBefore rotates a key that was made when names had one each, on both databases.
func TestVersionsOverTheVersionBefore(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { versionsBefore(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { versionsBefore(t, storetest.Postgres(t)) })
}

func versionsBefore(t *testing.T, url string) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	r := openOver(t, keysBefore(t, url), func() time.Time { return now })
	grants := func() map[string]KeyVersion {
		t.Helper()
		found, err := r.GrantsOf(t.Context(), "ZU-1")
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]KeyVersion{}
		for _, g := range found {
			by[g.KeyID] = g.Version
		}
		return by
	}
	if g := grants(); len(g) != 1 || g["k1"] != (KeyVersion{Name: "seal", Version: 1, ID: "k1", First: "k1"}) {
		t.Fatalf("%+v", g)
	}
	officer := audit.Actor{Kind: "officer", ID: "officer-2"}
	add := func(replaced, id string, number int, on time.Time) error {
		t.Helper()
		rec, _, err := r.Newest(t.Context(), replaced)
		if err != nil {
			return err
		}
		return r.AddVersion(t.Context(), officer, rec, replaced, KeyVersion{Name: "seal", Version: number, ID: id, SignsOn: on})
	}
	if err := add("k1", "k2", 2, now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var no *Refusal
	if err := add("k1", "k9", 2, now); !errors.As(err, &no) || !strings.Contains(no.Reason, "followed by version 2 already: name that one, k2") {
		t.Errorf("a second version 2: %v", err)
	}
	rec, err := r.Order(t.Context(), "ZU-1")
	if err != nil {
		t.Fatal(err)
	}
	err = r.AddVersion(t.Context(), officer, rec, "k1", KeyVersion{Name: "seal", Version: 2, ID: "k9", SignsOn: now})
	if !errors.As(err, &no) || !strings.Contains(no.Reason, "is not the newest version of seal") {
		t.Errorf("two officers at once: %v", err)
	}
	if err := add("k2", "k3", 3, now.Add(time.Hour)); err != nil { // before the second's moment, which never comes
		t.Fatal(err)
	}
	for at, want := range map[time.Time]string{now: "k1", now.Add(time.Hour): "k3", now.Add(3 * time.Hour): "k3"} {
		for id, v := range grants() {
			if v.SignsAt(at) != (id == want) || v.First != "k1" {
				t.Errorf("at %s %s signs: %v (%+v); want %s", at, id, v.SignsAt(at), v, want)
			}
		}
	}
}

// An order that renews one takes over every version, and what came between asking and taking.
func TestVersionsAreTakenOver(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	r := openOver(t, keysBefore(t, storetest.SQLite(t)), func() time.Time { return now })
	for _, s := range []string{
		`INSERT INTO orders (id, kind, partner, body, state, submitted_by, submitted_at, line)
			SELECT 'ZU-2', kind, partner, body, 'approved', 'o', '2026-11-28', line FROM orders WHERE id = 'ZU-1'`,
		`INSERT INTO components (partner, component, order_id, application, renews) VALUES ('um', 'B_HSM', 'ZU-2', 'ezd', 'ZU-1')`,
	} {
		if _, err := r.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	rec, err := r.Order(t.Context(), "ZU-1")
	if err != nil {
		t.Fatal(err)
	}
	next := rec.Order
	next.ID, next.Renews = "ZU-2", "ZU-1"
	keep := func() {
		t.Helper()
		if err := r.KeepKeys(t.Context(), next); err != nil {
			t.Fatal(err)
		}
	}
	keep()
	err = r.AddVersion(t.Context(), carrier, rec, "k1", KeyVersion{Name: "seal", Version: 2, ID: "k2", SignsOn: now})
	if err != nil {
		t.Fatal(err)
	}
	keep()
	for _, order := range []string{"ZU-1", "ZU-2"} {
		v, err := r.Versions(t.Context(), order)
		if err != nil || len(v) != 2 || v[1].ID != "k2" || !v[0].Replaced.Equal(now) {
			t.Errorf("%s: %+v, %v", order, v, err)
		}
	}
	if on, err := r.KeysOn(t.Context(), "um"); err != nil || len(on) != 2 {
		t.Errorf("%v, %v", on, err)
	}
}
