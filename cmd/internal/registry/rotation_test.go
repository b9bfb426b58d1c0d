package registry

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

var officeActor = audit.Actor{Kind: "partner", ID: "um"}

const (
	firstKey  = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
	secondKey = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
	thirdKey  = "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M="
)

// tunnelBefore is a tunnel in a database of a version that knew no rotation.
func tunnelBefore(t *testing.T, url string) *store.DB {
	t.Helper()
	db := openBefore(t, url, "ALTER TABLE enrolments ADD COLUMN exchange")
	seed(t, db,
		`INSERT INTO partners (id, name, agreement, signed) VALUES ('um', 'Urząd', 'UR/1', '2026-01-15')`,
		`INSERT INTO orders (id, kind, partner, body, state, submitted_by, submitted_at, line)
			VALUES ('ZU-1', 'activation', 'um', '{"id":"ZU-1","vpn_request":{"site":"main"}}', 'active', 'officer-1', '2026-01-15', 'ZU-1')`,
		`INSERT INTO components (partner, component, order_id) VALUES ('um', 'P_VPN', 'ZU-1')`,
		`INSERT INTO enrolments (token, order_id, expires_at, public_key, csr, used_at)
			VALUES ('d', 'ZU-1', '', '`+firstKey+`', 'csr', '2026-01-16T00:00:00.000000Z')`,
		`INSERT INTO tunnels (order_id, partner, site, public_key, address) VALUES ('ZU-1', 'um', 'main', '`+firstKey+`', '10.64.0.2')`,
	)
	return db
}

// TestRotation rotates the secrets of a tunnel of the version before, on both databases.
func TestRotation(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { rotation(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { rotation(t, storetest.Postgres(t)) })
}

func rotation(t *testing.T, url string) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	r := openOver(t, tunnelBefore(t, url), func() time.Time { return now })
	tunnel := func() *Tunnel {
		t.Helper()
		found, err := r.TunnelOf(t.Context(), "ZU-1", "")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	start := tunnel()
	if s := start.Rotation; s.Serial != 0 || s.Preshared != "" || s.KeyAt.Format(time.DateOnly) != "2026-01-16" || !s.Wants(PresharedKey, time.Hour, now) {
		t.Fatalf("of the version before: %+v", s)
	}
	refused := func(what string, err error, part string) {
		t.Helper()
		var no *Refusal
		if err == nil || !errors.As(err, &no) && !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v; want %q", what, err, part)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.OfferPreshared(t.Context(), start, "sealed-1"))
	must(r.OfferPreshared(t.Context(), start, "sealed-2"))
	overtaken := tunnel()
	overtaken.Rotation.Offered = "sealed-1"
	refused("an offer that was overtaken", r.TakePreshared(t.Context(), officeActor, overtaken), "changed meanwhile")
	before := revision(t, r)
	must(r.TakePreshared(t.Context(), officeActor, tunnel()))
	if s := tunnel().Rotation; s.Serial != 1 || s.Preshared != "sealed-2" || s.Offered != "" || !s.RotatedAt.Equal(now) || revision(t, r) != before+1 {
		t.Errorf("taken: %+v", s)
	}
	refused("an offer for a number that is in force", r.TakePreshared(t.Context(), officeActor, overtaken), "changed meanwhile")

	refused("the own key", r.NextKey(t.Context(), officeActor, start, firstKey), "is or was a tunnel's")
	must(r.NextKey(t.Context(), officeActor, tunnel(), secondKey))
	must(r.NextKey(t.Context(), officeActor, tunnel(), secondKey))
	if s := tunnel(); s.PublicKey != firstKey || s.Rotation.NextKey != secondKey {
		t.Errorf("next: %+v", s)
	}
	refused("another within a minute", r.NextKey(t.Context(), officeActor, tunnel(), thirdKey), "wait a minute")
	must(r.TakeKey(t.Context(), officeActor, tunnel()))
	if s := tunnel(); s.PublicKey != secondKey || s.Rotation.NextKey != "" || !s.Rotation.KeyAt.Equal(now) {
		t.Errorf("taken: %+v", s)
	}
	refused("a change that was overtaken", r.TakeKey(t.Context(), officeActor, start), "changed meanwhile")
	now = now.Add(2 * time.Minute)
	refused("the key of before", r.NextKey(t.Context(), officeActor, tunnel(), firstKey), "is or was a tunnel's")
	must(r.NextKey(t.Context(), officeActor, tunnel(), thirdKey))

	for _, s := range Secrets {
		must(r.AskRotation(t.Context(), officeActor, tunnel(), s))
		if !tunnel().Rotation.Wants(s, 0, now) {
			t.Errorf("%s is not asked for", s)
		}
	}
	must(r.TakeKey(t.Context(), officeActor, tunnel()))
	if s := tunnel().Rotation; s.Wants(OfficeKey, 0, now) || !s.Wants(PresharedKey, 0, now) {
		t.Errorf("asked for: %v", s.Asked)
	}
}

func revision(t *testing.T, r *Registry) int64 {
	t.Helper()
	_, revision, err := r.WishVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// TestRenewedWithOtherKeys has the office enrol again for an order that renews: the secrets of before are gone.
func TestRenewedWithOtherKeys(t *testing.T) {
	for name, preshared := range map[string]string{"with a pre-shared key": "sealed-9", "without one": ""} {
		t.Run(name, func(t *testing.T) {
			db := tunnelBefore(t, storetest.SQLite(t))
			r := openOver(t, db, time.Now)
			start, err := r.TunnelOf(t.Context(), "ZU-1", "")
			if err == nil {
				err = r.OfferPreshared(t.Context(), start, "sealed-1")
			}
			if err == nil {
				start.Rotation.Offered = "sealed-1"
				err = r.TakePreshared(t.Context(), officeActor, start)
			}
			if err == nil {
				err = db.InTx(t.Context(), func(tx *sql.Tx) error {
					_, err := tx.ExecContext(t.Context(), `INSERT INTO enrolments (token, order_id, expires_at, public_key, csr, used_at, preshared)
						VALUES ('e', 'ZU-1', '', $1, 'csr', '2026-11-28T00:00:00.000000Z', $2)`, secondKey, preshared)
					if err == nil {
						_, err = tx.ExecContext(t.Context(), `UPDATE tunnels SET public_key = $1`, secondKey)
					}
					if err == nil {
						main := Site{Name: "main"}
						err = enrolledSecrets(t.Context(), tx, Order{ID: "ZU-1", VPNRequest: &VPNRequest{Site: "main"}}, main)
					}
					return err
				})
			}
			if err != nil {
				t.Fatal(err)
			}
			now, err := r.TunnelOf(t.Context(), "ZU-1", "")
			want := int64(0)
			if preshared != "" {
				want = 1
			}
			if err != nil || now.Rotation.Serial != want || now.Rotation.Preshared != preshared || now.Rotation.Offered != "" {
				t.Errorf("%+v, %v", now.Rotation, err)
			}
			if err := r.NextKey(t.Context(), officeActor, now, firstKey); err == nil || !strings.Contains(err.Error(), "is or was") {
				t.Errorf("the key of before: %v", err)
			}
		})
	}
}
