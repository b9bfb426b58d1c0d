package registry_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
)

// deskOrder is an activation order of the nth partner, with units.
func deskOrder(n, units int) registry.Order {
	o := registry.Order{ID: fmt.Sprintf("ZU/%d/2026", n), Kind: registry.Activation, Components: []registry.Component{registry.VPN, registry.PeUP},
		Partner:    registry.Partner{ID: fmt.Sprintf("ug-%d", n), Name: fmt.Sprintf("Urząd Gminy %d", n)},
		Agreement:  &registry.FrameworkAgreement{Number: fmt.Sprintf("UR/%d/2026", n), Signed: "2026-01-15"},
		VPNRequest: &registry.VPNRequest{Site: "main"}}
	for u := range units {
		o.Units = append(o.Units, registry.SubordinateUnit{ID: fmt.Sprintf("j-%d", u), Name: fmt.Sprintf("Jednostka %d", u)})
	}
	return o
}

// TestDeskQuestions asks what the officers' desk asks, on both databases.
func TestDeskQuestions(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
			r, _ := registrytest.Open(t, url(t), netip.MustParsePrefix("10.64.0.0/24"), func() time.Time { return now })
			askDesk(t, r, &now)
		})
	}
}

func askDesk(t *testing.T, r *registry.Registry, now *time.Time) {
	first, second := audit.Actor{Kind: "officer", ID: "officer-1"}, audit.Actor{Kind: "officer", ID: "officer-2"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= 3; n++ {
		must(r.Submit(t.Context(), first, deskOrder(n, n)))
		*now = now.Add(time.Minute)
	}
	must(r.Approve(t.Context(), second, "ZU/1/2026"))
	must(r.StepDone(t.Context(), "ZU/1/2026", "partition", "a"))
	must(r.StepDone(t.Context(), "ZU/1/2026", "tunnel", "b"))

	heads, err := r.Heads(t.Context(), "")
	must(err)
	var said []string
	for _, h := range heads {
		said = append(said, h.ID+" "+h.PartnerName+" "+string(h.State))
	}
	want := []string{"ZU/3/2026 Urząd Gminy 3 submitted", "ZU/2/2026 Urząd Gminy 2 submitted", "ZU/1/2026 Urząd Gminy 1 approved"}
	if !slices.Equal(said, want) {
		t.Errorf("heads %q", said)
	}
	if of, err := r.Heads(t.Context(), "ug-2"); err != nil || len(of) != 1 || of[0].ID != "ZU/2/2026" {
		t.Errorf("of one partner: %+v, %v", of, err)
	}
	named, err := r.OrdersNamed(t.Context(), []string{"ZU/1/2026", "no", "ZU/3/2026"})
	if err != nil || len(named) != 2 || named[1].ID != "ZU/1/2026" || len(named[1].Steps) != 2 || named[1].Steps[1].Fact != "b" {
		t.Errorf("named: %+v, %v", named, err)
	}
	waiting, err := r.Undecided(t.Context(), "")
	if err != nil || len(waiting) != 2 || waiting[0].ID != "ZU/2/2026" || len(waiting[0].Units) != 2 {
		t.Errorf("undecided: %+v, %v", waiting, err)
	}
	on, err := r.On(t.Context(), "")
	if err != nil || len(on) != 2 || on[0] != (registry.Service{Partner: "ug-1", Component: registry.PeUP, Order: "ZU/1/2026"}) {
		t.Errorf("on: %+v, %v", on, err)
	}
	if enrolled, err := r.Enrolled(t.Context()); err != nil || enrolled["ZU/1/2026"] {
		t.Errorf("enrolled: %v, %v", enrolled, err)
	}
	var no *registry.Refusal
	twice := deskOrder(1, 0)
	twice.ID = "ZU/9/2026"
	if err := r.Admissible(t.Context(), twice); !errors.As(err, &no) || !strings.Contains(err.Error(), "already switched on") {
		t.Errorf("what is on already is admissible: %v", err)
	}
	if err := r.Admissible(t.Context(), deskOrder(4, 0)); err != nil {
		t.Errorf("a good order is not: %v", err)
	}
}

// TestDeskStatements: what a list costs does not grow with what is in it.
func TestDeskStatements(t *testing.T) {
	db, counter := storetest.Counted(t, storetest.SQLite(t))
	now := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	r, _ := registrytest.OpenDB(t, db, netip.MustParsePrefix("10.64.0.0/16"), func() time.Time { return now })
	cost := func() int64 {
		return counter.During(func() {
			for _, ask := range []func() error{
				func() error { _, err := r.Heads(t.Context(), ""); return err },
				func() error { _, err := r.Orders(t.Context()); return err },
				func() error { _, err := r.Partners(t.Context()); return err },
				func() error { _, err := r.On(t.Context(), ""); return err },
				func() error { _, err := r.Enrolled(t.Context()); return err },
			} {
				if err := ask(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	add := func(from, to int) {
		for n := from; n < to; n++ {
			if err := r.Submit(t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, deskOrder(n, 9)); err != nil {
				t.Fatal(err)
			}
			if err := r.Approve(t.Context(), audit.Actor{Kind: "officer", ID: "officer-2"}, fmt.Sprintf("ZU/%d/2026", n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(0, 2)
	few := cost()
	add(2, 20)
	if many := cost(); many != few || few == 0 {
		t.Errorf("lists of 2 partners cost %d statements, of 20 %d", few, many)
	}
}
