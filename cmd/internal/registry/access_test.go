package registry_test

import (
	"net/netip"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/internal/store/storetest"
)

// openAt is open with a clock that the test turns.
func openAt(t *testing.T, clock *time.Time) *registry.Registry {
	t.Helper()
	r, _ := registrytest.Open(t, storetest.SQLite(t), netip.MustParsePrefix("10.64.0.0/24"), func() time.Time { return *clock })
	return r
}

// token brings an order to where its office may enrol.
func token(t *testing.T, r *registry.Registry, o registry.Order) string {
	t.Helper()
	must(t, r.Submit(t.Context(), one, o))
	must(t, r.Approve(t.Context(), two, o.ID))
	token, err := r.NewToken(t.Context(), two, o.ID)
	must(t, err)
	return token
}

// TestTokensEnd holds that a token serves for a week, once, and only until there is a new one or the order is over.
func TestTokensEnd(t *testing.T) {
	sent := registry.Enrolment{PublicKey: publicKey('a'), CSR: "csr"}
	for _, c := range []struct {
		name  string
		after time.Duration
		end   func(t *testing.T, r *registry.Registry, o registry.Order)
		why   string
	}{
		{"at its last moment", 7 * 24 * time.Hour, nil, ""},
		{"too late", 7*24*time.Hour + time.Microsecond, nil, "token: it is unknown, void or expired"},
		{"a new one made", 0, func(t *testing.T, r *registry.Registry, o registry.Order) {
			_, err := r.NewToken(t.Context(), two, o.ID)
			must(t, err)
		}, "token: it is unknown, void or expired"},
		{"order finished", 0, func(t *testing.T, r *registry.Registry, o registry.Order) {
			must(t, r.Finish(t.Context(), o.ID, registry.Active))
		}, "token: it is unknown, void or expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := now
			r := openAt(t, &clock)
			o := parse(t, orderYAML)
			secret := token(t, r, o)
			if c.end != nil {
				c.end(t, r, o)
			}
			clock = clock.Add(c.after)
			_, err := r.Enrol(t.Context(), secret, sent)
			if c.why == "" {
				must(t, err)
				return
			}
			wantRefusal(t, err, c.why)
			if e, err := r.Enrolment(t.Context(), o.ID); err != nil || e != nil {
				t.Errorf("enrolled all the same: %+v, %v", e, err)
			}
		})
	}
}
