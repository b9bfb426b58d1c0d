package main

import (
	"context"
	"strings"
	"testing"

	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/pki"
)

// TestWhatNobodyAllowedIsFound holds the database of a world against its log: all is allowed, until somebody writes a key, a
// certificate, a revocation or a decision into the database that no entry knows.
func TestWhatNobodyAllowedIsFound(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	o, err := registry.ParseOrder([]byte(`{id: ZU-1, kind: activation, partner: {id: um-nowe, name: Urząd}, agreement: {number: "1", signed: 2026-01-15}, components: [B_LMS]}`))
	w.must(err)
	w.must(w.registry.Submit(ctx, audit.Actor{Kind: "officer", ID: "officer-1"}, *o))
	w.must(w.registry.Approve(ctx, audit.Actor{Kind: "officer", ID: "officer-2"}, o.ID))
	_, err = w.ca.Suspend(ctx, audit.Actor{Kind: "officer", ID: "officer-1"}, pki.Selector{Serial: w.serial("ezd")}, "")
	w.must(err)
	_, err = w.ca.Revoke(ctx, audit.Actor{Kind: "officer", ID: "officer-1"}, pki.Selector{Serial: w.serial("ezd")}, pki.Superseded, "")
	w.must(err)
	if held, err := w.facts(ctx); err != nil || held < 10 {
		t.Fatalf("%d facts, %v", held, err)
	}
	for _, forged := range []struct{ statement, want string }{
		{`UPDATE orders SET decided_by = 'officer-3'`, "order.approve of ZU-1 by officer:officer-3"},
		{`UPDATE orders SET decided_by = 'officer-2', submitted_by = 'officer-3'`, "order.submit of ZU-1 by officer:officer-3"},
		{`INSERT INTO hsm_keys (id, partner, order_id, label, algorithm, mechanisms, state, attestation, created_at)
			VALUES ('00', '', '', 'x', 'P-256', '[]', 'active', '{}', '2026-01-01T00:00:00Z')`, "hsm.key.generate of 00"},
		{`UPDATE pki_certificate SET serial = 'abc' WHERE common_name = 'officer-2'`, "certificate.issue of abc"},
		{`INSERT INTO pki_revocation SELECT issuer, 'abc', 1000, revoked_at, 1, order_id, actor_kind, actor_id, audit_index FROM pki_revocation`, "certificate.revoke of abc"},
	} {
		w.once(forged.statement, forged.want)
	}
}

// once does a statement in a copy of the database and holds that against the log.
func (w *world) once(statement, want string) {
	w.t.Helper()
	path := w.t.TempDir() + "/copy.db"
	_, err := w.custody.DB.ExecContext(w.t.Context(), `VACUUM INTO '`+path+`'`)
	w.must(err)
	db, err := store.Open(w.t.Context(), "sqlite://"+path)
	w.must(err)
	defer db.Close()
	_, err = db.ExecContext(w.t.Context(), statement)
	w.must(err)
	if _, err := w.factsOf(w.t.Context(), db); err == nil || !strings.Contains(err.Error(), want) {
		w.t.Errorf("%s: %v, want %q", statement, err, want)
	}
}

func (w *world) facts(ctx context.Context) (int, error) { return w.factsOf(ctx, w.custody.DB) }

func (w *world) factsOf(ctx context.Context, db *store.DB) (int, error) {
	w.t.Helper()
	var all []audit.Fact
	for _, of := range []func(context.Context, *store.DB) ([]audit.Fact, error){registry.Facts, pki.Facts, hsm.Facts} {
		some, err := of(ctx, db)
		w.must(err)
		all = append(all, some...)
	}
	facts := audit.NewFacts(all)
	_, err := w.custody.Audit.Verify(ctx, audit.Against{Each: facts.Each})
	w.must(err)
	return facts.Missing()
}
