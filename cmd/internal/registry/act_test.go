package registry_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

// bench is a registry whose checks the test chooses and whose database it can break.
type bench struct {
	*registry.Registry
	db  *store.DB
	log *audit.Log
}

func newBench(t *testing.T, carry func(context.Context, registry.Order, map[string]string) error,
	use func(registry.Order, registry.Enrolment) error) *bench {
	t.Helper()
	db, err := store.Open(t.Context(), storetest.SQLite(t))
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	log := audittest.Open(t)
	r, err := registry.Open(t.Context(), registry.Config{DB: db, Audit: log, Now: func() time.Time { return now }, CanCarryOut: carry, CanUse: use,
		Pool: registry.AddressPool{Prefix: netip.MustParsePrefix("10.64.0.0/24"), Hub: netip.MustParseAddr("10.64.0.1")}})
	must(t, err)
	return &bench{r, db, log}
}

func anyOrder(context.Context, registry.Order, map[string]string) error { return nil }
func anyEnrolment(registry.Order, registry.Enrolment) error             { return nil }

// outcomes lists what the log has of an action, oldest first.
func (b *bench) outcomes(t *testing.T, action string) []string {
	t.Helper()
	must(t, b.log.Close(t.Context()))
	entries, err := b.log.List(t.Context(), audit.Filter{Action: action})
	must(t, err)
	var found []string
	for _, e := range entries {
		if e.Partner == "" || e.Order == "" {
			t.Errorf("%s without partner or order: %+v", action, e)
		}
		found = append(found, e.Outcome)
	}
	return found
}

// TestActsThatComeToNothingAreRecorded breaks the database under each act that was granted: its second entry says that it failed.
func TestActsThatComeToNothingAreRecorded(t *testing.T) {
	approved := func(t *testing.T, b *bench, o registry.Order) {
		t.Helper()
		must(t, b.Submit(t.Context(), one, o))
		must(t, b.Approve(t.Context(), two, o.ID))
	}
	var token string
	for _, c := range []struct {
		action, table, verb string
		before              func(t *testing.T, b *bench, o registry.Order)
		act                 func(ctx context.Context, b *bench, o registry.Order) error
	}{
		{"order.submit", "orders", "INSERT", nil, func(ctx context.Context, b *bench, o registry.Order) error { return b.Submit(ctx, one, o) }},
		{"order.approve", "components", "INSERT", func(t *testing.T, b *bench, o registry.Order) { must(t, b.Submit(t.Context(), one, o)) },
			func(ctx context.Context, b *bench, o registry.Order) error { return b.Approve(ctx, two, o.ID) }},
		{"order.reject", "orders", "UPDATE", func(t *testing.T, b *bench, o registry.Order) { must(t, b.Submit(t.Context(), one, o)) },
			func(ctx context.Context, b *bench, o registry.Order) error {
				return b.Reject(ctx, two, o.ID, "units are missing")
			}},
		{"enrolment.token", "enrolments", "INSERT", approved, func(ctx context.Context, b *bench, o registry.Order) error {
			_, err := b.NewToken(ctx, two, o.ID)
			return err
		}},
		{"enrolment.use", "enrolments", "UPDATE", func(t *testing.T, b *bench, o registry.Order) {
			approved(t, b, o)
			var err error
			token, err = b.NewToken(t.Context(), two, o.ID)
			must(t, err)
		}, func(ctx context.Context, b *bench, _ registry.Order) error {
			_, err := b.Enrol(ctx, token, registry.Enrolment{PublicKey: publicKey('a'), CSR: "csr"})
			return err
		}},
	} {
		t.Run(c.action, func(t *testing.T) {
			b, o := newBench(t, anyOrder, anyEnrolment), parse(t, orderYAML)
			if c.before != nil {
				c.before(t, b, o)
			}
			_, err := b.db.ExecContext(t.Context(), `CREATE TRIGGER broken BEFORE `+c.verb+` ON `+c.table+` BEGIN SELECT RAISE(ABORT, 'broken'); END`)
			must(t, err)
			if err := c.act(t.Context(), b, o); err == nil {
				t.Error("it was done over a broken database")
			}
			if got := b.outcomes(t, c.action); len(got) != 2 || got[0] != audit.Granted || got[1] != audit.Failed {
				t.Errorf("the log has %v, want granted and failed", got)
			}
		})
	}
}

// TestWhatCannotBeMadeIsNotTaken refuses an order before anything of it is there.
func TestWhatCannotBeMadeIsNotTaken(t *testing.T) {
	wrong := &registry.FieldError{Field: "partner.name", Remedy: "shorten it"}
	b := newBench(t, func(context.Context, registry.Order, map[string]string) error { return wrong }, anyEnrolment)
	o := parse(t, orderYAML)
	if err := b.Submit(t.Context(), one, o); !errors.Is(err, error(wrong)) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Order(t.Context(), o.ID); err == nil {
		t.Error("the order is there")
	}
}

// TestWrongEnrolmentBurnsNoToken sends what is of no use, then what is: the token holds.
func TestWrongEnrolmentBurnsNoToken(t *testing.T) {
	wrong := &registry.FieldError{Field: "csr", Remedy: "send a PKCS #10 request"}
	b := newBench(t, anyOrder, func(_ registry.Order, e registry.Enrolment) error {
		if e.CSR != "good" {
			return wrong
		}
		return nil
	})
	o := parse(t, orderYAML)
	secret := token(t, b.Registry, o)
	for _, csr := range []string{"bad", "bad", "good"} {
		_, err := b.Enrol(t.Context(), secret, registry.Enrolment{PublicKey: publicKey('a'), CSR: csr})
		if (csr == "good") != (err == nil) || err != nil && !errors.Is(err, error(wrong)) {
			t.Errorf("%s: %v", csr, err)
		}
	}
	if got := b.outcomes(t, "enrolment.use"); len(got) != 3 || got[0] != audit.Refused || got[1] != audit.Refused || got[2] != audit.Granted {
		t.Errorf("the log has %v", got)
	}
}
