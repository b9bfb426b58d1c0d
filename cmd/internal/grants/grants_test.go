package grants_test

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"trustcore/cmd/internal/grants"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/registry/registrytest"
	"trustcore/hsm/gateway"
	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
)

const activation = `
id: ZU-1
kind: activation
partner: {id: um, name: Urząd Miasta}
agreement: {number: UR/1, signed: 2026-01-15}
components: [B_HSM]
hsm_authorization:
  application: ezd
  limits: {hours: 07:00-18:00}
  keys: [{name: seal, algorithm: P-256, mechanisms: [ECDSA-SHA256], limits: {uses: 3}}]
  not_before: 2026-01-01T00:00:00Z
  not_after: 2027-01-01T00:00:00Z
`

const change = `
id: ZZ-1
kind: change
partner: {id: um}
components: [B_HSM]
`

var (
	one = audit.Actor{Kind: "officer", ID: "officer-1"}
	two = audit.Actor{Kind: "officer", ID: "officer-2"}
)

const keyID = "00112233445566778899aabbccddeeff"

// counted counts what a registry is asked.
type counted struct {
	grants.Registry
	versions, lines int
	away            error
}

func (c *counted) WishVersion(ctx context.Context) (string, int64, error) {
	if c.versions++; c.away != nil {
		return "", 0, c.away
	}
	return c.Registry.WishVersion(ctx)
}

func (c *counted) GrantsOf(ctx context.Context, order string) ([]registry.Grant, error) {
	c.lines++
	return c.Registry.GrantsOf(ctx, order)
}

func open(t *testing.T, url string) *registry.Registry {
	t.Helper()
	r, _ := registrytest.Open(t, url, netip.MustParsePrefix("10.64.0.0/24"), func() time.Time {
		return time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	})
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func decide(t *testing.T, r *registry.Registry, text string) {
	t.Helper()
	o, err := registry.ParseOrder([]byte(text))
	must(t, err)
	must(t, r.Submit(t.Context(), one, *o))
	must(t, r.Approve(t.Context(), two, o.ID))
}

func activate(t *testing.T, r *registry.Registry) {
	t.Helper()
	decide(t, r, activation)
	must(t, r.AddKey(t.Context(), "ZU-1", "seal", keyID))
	must(t, r.Finish(t.Context(), "ZU-1", registry.Active))
}

func active(t *testing.T, b *grants.Book, what string, want bool) {
	t.Helper()
	line, err := b.Of(t.Context(), "ZU-1")
	if err != nil || len(line) != 1 || line[0].KeyID != keyID || line[0].Application != "ezd" {
		t.Fatalf("%s: %+v, %v", what, line, err)
	}
	if line[0].Active != want {
		t.Errorf("%s: active is %v, want %v", what, line[0].Active, want)
	}
}

// A question costs no statement while nothing changes, and a change is seen by the next one.
func TestChangeIsSeenAtOnce(t *testing.T) {
	r := open(t, storetest.SQLite(t))
	activate(t, r)
	asked, now := &counted{Registry: r}, time.Now()
	b := grants.New(asked, func() time.Time { return now }, registry.Limits{PerDay: 50})
	for range 1000 {
		active(t, b, "in force", true)
	}
	if asked.versions != 1 || asked.lines != 1 {
		t.Errorf("1,000 questions cost %d and %d statements", asked.versions, asked.lines)
	}
	decide(t, r, change)
	active(t, b, "after the change order", false)
}

// A change by another node, whose signal never comes here, is seen once what was read has to be confirmed.
func TestChangeByAnotherNode(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			at := url(t)
			here, there := open(t, at), open(t, at)
			activate(t, here)
			asked, now := &counted{Registry: here}, time.Now()
			b := grants.New(asked, func() time.Time { return now }, registry.Limits{PerDay: 50})
			active(t, b, "in force", true)
			now = now.Add(grants.Confirm)
			active(t, b, "nothing has changed", true)
			if asked.versions != 2 || asked.lines != 1 {
				t.Errorf("confirming read %d revisions and %d lines", asked.versions, asked.lines)
			}
			decide(t, there, change)
			now = now.Add(grants.Confirm)
			active(t, b, "the other node's change", false)
		})
	}
}

// Where the registry can't be asked, what was read before ends.
func TestSilentRegistry(t *testing.T) {
	r := open(t, storetest.SQLite(t))
	activate(t, r)
	asked, now := &counted{Registry: r}, time.Now()
	b := grants.New(asked, func() time.Time { return now }, registry.Limits{})
	active(t, b, "in force", true)
	asked.away = errors.New("the database is away")
	active(t, b, "for a moment", true)
	now = now.Add(grants.Confirm)
	if _, err := b.Of(t.Context(), "ZU-1"); !errors.Is(err, asked.away) {
		t.Errorf("after that: %v", err)
	}
	asked.away = nil
	active(t, b, "asked again", true)
}

// What an order and the configuration set as limits arrives at the gateway, each under a name of its own.
func TestLimits(t *testing.T) {
	r := open(t, storetest.SQLite(t))
	activate(t, r)
	line, err := grants.New(r, time.Now, registry.Limits{PerDay: 50}).Of(t.Context(), "ZU-1")
	must(t, err)
	want := []gateway.Limit{
		{Scope: gateway.OfKey, Name: "key " + keyID + " of order ZU-1", Uses: 3},
		{Scope: gateway.OfApplication, Name: "order ZU-1", From: 7 * time.Hour, Until: 18 * time.Hour},
		{Scope: gateway.OfOffice, Name: "office um", PerDay: 50},
	}
	if len(line) != 1 || !reflect.DeepEqual(line[0].Limits, want) {
		t.Errorf("%+v, want %+v", line, want)
	}
}
