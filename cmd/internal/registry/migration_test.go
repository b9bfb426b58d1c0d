package registry

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// TestStateOfTheVersionBefore opens a database that knew no renewals, with a partner that is on.
func TestStateOfTheVersionBefore(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { stateBefore(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { stateBefore(t, storetest.Postgres(t)) })
}

func stateBefore(t *testing.T, url string) {
	db := openBefore(t, url, "ALTER TABLE orders ADD COLUMN line")
	const order = `{"id":"ZU-1","kind":"activation","partner":{"id":"um","name":"Urząd"},"components":["B_HSM","P_VPN"],
		"hsm_authorization":{"application":"ezd","keys":[{"name":"seal","algorithm":"P-256","mechanisms":["ECDSA-SHA256"]}],
		"not_before":"2026-01-01T00:00:00Z","not_after":"2027-01-01T00:00:00Z"}}`
	seed(t, db,
		`INSERT INTO partners (id, name, agreement, signed) VALUES ('um', 'Urząd', 'UR/1', '2026-01-15')`,
		`INSERT INTO orders (id, kind, partner, body, state, submitted_by, submitted_at, decided_by, decided_at)
			VALUES ('ZU-1', 'activation', 'um', '`+order+`', 'active', 'officer-1', '2026-01-15',
				'officer-2', '2026-01-15')`,
		`INSERT INTO components (partner, component, order_id) VALUES ('um', 'B_HSM', 'ZU-1')`,
		`INSERT INTO components (partner, component, order_id) VALUES ('um', 'P_VPN', 'ZU-1')`,
		`INSERT INTO keys (id, order_id, name) VALUES ('k1', 'ZU-1', 'seal')`,
	)
	r := openOver(t, db, time.Now)
	on, err := r.switchedOn(t.Context(), "um")
	if err != nil || len(on) != 2 || on[slot{NetworkHSM, "ezd"}] != "ZU-1" || on[slot{VPN, ""}] != "ZU-1" {
		t.Errorf("on: %+v, %v", on, err)
	}
	grants, err := r.GrantsOf(t.Context(), "ZU-1")
	if err != nil || len(grants) != 1 || !grants[0].Active || grants[0].KeyID != "k1" {
		t.Errorf("grants: %+v, %v", grants, err)
	}
	if rec, err := r.InForce(t.Context(), "ZU-1"); err != nil || rec == nil || rec.ID != "ZU-1" {
		t.Errorf("in force: %+v, %v", rec, err)
	}
	renewalsRace(t, r)
}

// TestTunnelsOfTheVersionBefore opens a database that knew no services of tunnels.
func TestTunnelsOfTheVersionBefore(t *testing.T) {
	db := openBefore(t, storetest.SQLite(t), "ALTER TABLE tunnels ADD COLUMN services")
	seed(t, db,
		`INSERT INTO partners (id, name, agreement, signed) VALUES ('um', 'Urząd', 'UR/1', '2026-01-15')`,
		`INSERT INTO orders (id, kind, partner, body, state, submitted_by, submitted_at)
			VALUES ('ZU-1', 'activation', 'um', '{}', 'active', 'officer-1', '2026-01-15')`,
		`INSERT INTO components (partner, component, order_id) VALUES ('um', 'P_VPN', 'ZU-1')`,
		`INSERT INTO tunnels (order_id, partner, site, public_key, address) VALUES ('ZU-1', 'um', 'main', 'k', '10.64.0.2')`,
	)
	_, tunnels, err := openOver(t, db, time.Now).Wish(t.Context())
	if err != nil || len(tunnels) != 1 || tunnels[0].Order != "ZU-1" || len(tunnels[0].Services) != 0 || tunnels[0].NetworkHSM {
		t.Errorf("%+v, %v", tunnels, err)
	}
}

// renewalsRace approves where the rules were asked a moment before another one was approved, or the order ended.
func renewalsRace(t *testing.T, r *Registry) {
	t.Helper()
	insert := func(id string) error {
		return r.db.InTx(t.Context(), func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO orders (id, kind, partner, body, state,
				submitted_by, submitted_at)
				VALUES ($1, 'activation', 'um', '{}', 'approved', 'officer-1', '2026-01-15')`, id); err != nil {
				return err
			}
			return insertComponents(t.Context(), tx, Order{ID: id, Partner: Partner{ID: "um"}, Renews: "ZU-1",
				Components: []Component{VPN}})
		})
	}
	if err := insert("ZU-2"); err != nil {
		t.Fatal(err)
	}
	if err := insert("ZU-3"); !store.Taken(err) {
		t.Errorf("a second renewal: %v", err)
	}
	for _, s := range []string{
		`UPDATE components SET ended_by = 'ZZ-1'`, `UPDATE orders SET state = 'ended' WHERE id = 'ZU-1'`,
	} {
		if _, err := r.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	var no *Refusal
	if err := insert("ZU-4"); !errors.As(err, &no) || no.Reason != "renews: order ZU-1 is ended meanwhile" {
		t.Errorf("a renewal of an ended order: %v", err)
	}
}

// TestSitesOverTheVersionBefore opens a database that knew one tunnel an order, one of them ended: it is that of the main site,
// and what ended stays so, with the time of its proof.
func TestSitesOverTheVersionBefore(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { sitesBefore(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { sitesBefore(t, storetest.Postgres(t)) })
}

func sitesBefore(t *testing.T, url string) {
	db := openBefore(t, url, "CREATE TABLE site_tunnels")
	body := func(id, partner string) string {
		return `'{"id":"` + id + `","kind":"activation","partner":{"id":"` + partner + `"},"components":["P_VPN"],"vpn_request":{"site":"main"}}'`
	}
	seed(t, db,
		`INSERT INTO partners (id, name, agreement, signed) VALUES ('um', 'Urząd', 'UR/1', '2026-01-15'), ('gm', 'Gmina', 'UR/2', '2026-01-15')`,
		`INSERT INTO orders (id, kind, partner, body, state, submitted_by, submitted_at, decided_at, line)
			VALUES ('ZU-1', 'activation', 'um', `+body("ZU-1", "um")+`, 'active', 'o', '2026-01-15', '', 'ZU-1'),
			('ZU-2', 'activation', 'gm', `+body("ZU-2", "gm")+`, 'ended', 'o', '2026-01-15', '', 'ZU-2'),
			('ZZ-2', 'change', 'gm', '{}', 'carried-out', 'o', '2026-01-15', '2026-02-01T00:00:00.000000Z', 'ZZ-2')`,
		`INSERT INTO components (partner, component, order_id, ended_by) VALUES ('um', 'P_VPN', 'ZU-1', ''), ('gm', 'P_VPN', 'ZU-2', 'ZZ-2')`,
		`INSERT INTO order_steps (order_id, name, fact, done_at, seq) VALUES ('ZZ-2', 'tunnel of ZU-2', 'removed', '2026-02-02T00:00:00.000000Z', 0)`,
		`INSERT INTO tunnels (order_id, partner, site, public_key, address, services, preshared, preshared_serial)
			VALUES ('ZU-1', 'um', 'main', 'k1', '10.64.0.2', 'registry', 'sealed', 3), ('ZU-2', 'gm', 'main', 'k2', '10.64.0.3', '', '', 0)`,
		`INSERT INTO enrolments (token, order_id, expires_at, public_key, csr, used_at)
			VALUES ('d', 'ZU-1', '', 'k1', 'csr', '2026-01-16T00:00:00.000000Z')`,
	)
	r := openOver(t, db, time.Now)
	_, tunnels, err := r.Wish(t.Context())
	if err != nil || len(tunnels) != 1 || tunnels[0].Order != "ZU-1" || tunnels[0].Services[0] != "registry" || tunnels[0].Rotation.Serial != 3 {
		t.Errorf("%+v, %v", tunnels, err)
	}
	if _, err := r.TunnelOf(t.Context(), "ZU-1", ""); err != nil {
		t.Error(err)
	}
	if e, err := r.Enrolment(t.Context(), "ZU-1"); err != nil || e == nil || e.Site != "" {
		t.Errorf("%+v, %v", e, err)
	}
	if sites, gone, err := r.EndedSites(t.Context(), "ZU-2"); err != nil || !gone || len(sites) != 1 {
		t.Errorf("%v, %v, %v", sites, gone, err)
	}
}
