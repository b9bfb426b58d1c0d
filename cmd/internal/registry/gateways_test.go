package registry

import (
	"slices"
	"testing"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
)

// TestGateways keeps gateways in a database that the version before made.
func TestGateways(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { gatewaysOf(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { gatewaysOf(t, storetest.Postgres(t)) })
}

func gatewaysOf(t *testing.T, url string) {
	db := openBefore(t, url, "CREATE TABLE gateways")
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	r := openOver(t, db, func() time.Time { return now })
	want := func(want ...Gateway) {
		t.Helper()
		if got, err := r.Gateways(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want()
	do(r.GatewayAnswered(t.Context(), "b", time.Hour))
	b := Gateway{Name: "b", Lease: time.Hour, HeardAt: now}
	want(b)
	now = now.Add(time.Second)
	do(r.GatewayAnswered(t.Context(), "b", time.Minute)) // the longer one may still be held
	b.HeardAt = now
	a := Gateway{Name: "a", Epoch: "e", Revision: 7, Digest: "d", PublicKey: "k", Lease: 1500 * time.Millisecond}
	do(r.GatewayReported(t.Context(), a))
	a.HeardAt, a.Lease, a.KeySince = now, 2*time.Second, now // never shorter than it is
	want(a, b)
	b.Epoch, b.Lease = "e", time.Minute
	do(r.GatewayReported(t.Context(), b))
	b.KeySince = now
	want(a, b)
	epochs(t, r)
	hubKey(t, r, a, func() { now = now.Add(time.Minute) })
}

// hubKey has the hub of a gateway change its key, which only what stands in its reports ends.
func hubKey(t *testing.T, r *Registry, g Gateway, later func()) {
	t.Helper()
	since, actor := g.KeySince, audit.Actor{Kind: "officer", ID: "one"}
	want := func(what string, want Gateway) {
		t.Helper()
		all, err := r.Gateways(t.Context())
		if err != nil || len(all) == 0 || all[0].PublicKey != want.PublicKey || all[0].NextKey != want.NextKey ||
			all[0].AskedKey != want.AskedKey || all[0].EndKey != want.EndKey || !all[0].KeySince.Equal(want.KeySince) {
			t.Errorf("%s: %+v, %v; want %+v", what, all[0], err, want)
		}
	}
	report := func(key, next string) {
		t.Helper()
		later()
		g.PublicKey, g.NextKey = key, next
		if err := r.GatewayReported(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.EndHubKey(t.Context(), actor, g.Name, "k", "M-1"); err == nil {
		t.Error("the key of a hub that has no other was ended")
	}
	if err := r.AskHubKey(t.Context(), actor, g.Name); err != nil {
		t.Fatal(err)
	}
	report("k", "")
	want("asked", Gateway{PublicKey: "k", AskedKey: true, KeySince: since})
	report("k", "n")
	want("begun", Gateway{PublicKey: "k", NextKey: "n", KeySince: since})
	if err := r.AskHubKey(t.Context(), actor, g.Name); err == nil {
		t.Error("a third key was asked for")
	}
	if err := r.EndHubKey(t.Context(), actor, g.Name, "n", "M-1"); err == nil {
		t.Error("the next key was ended")
	}
	if err := r.EndHubKey(t.Context(), actor, g.Name, "k", "M-1"); err != nil {
		t.Fatal(err)
	}
	report("k", "n")
	want("to be ended", Gateway{PublicKey: "k", NextKey: "n", EndKey: "k", KeySince: since})
	report("n", "")
	all, err := r.Gateways(t.Context())
	if err != nil || all[0].EndKey != "" || all[0].PublicKey != "n" || !all[0].KeySince.After(since) {
		t.Errorf("ended: %+v, %v", all[0], err)
	}
}

// epochs wants one epoch for ever, but for a database that was found to be older than what a gateway has seen.
func epochs(t *testing.T, r *Registry) {
	t.Helper()
	version := func() (string, int64) {
		t.Helper()
		epoch, revision, err := r.WishVersion(t.Context())
		if err != nil || len(epoch) != 16 {
			t.Fatal(epoch, err)
		}
		return epoch, revision
	}
	first, revision := version()
	if again, _ := version(); again != first {
		t.Errorf("the epoch %s became %s", first, again)
	}
	changed := r.Changed()
	if err := r.NewEpoch(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second, after := version()
	if second == first || after <= revision {
		t.Errorf("epoch %s revision %d became %s, %d", first, revision, second, after)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the new epoch")
	}
	if err := r.NewEpoch(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if third, _ := version(); third != second {
		t.Errorf("an epoch that was no more made %s of %s", third, second)
	}
}
