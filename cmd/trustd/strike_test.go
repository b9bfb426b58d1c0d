package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/vpn"
)

// TestStrikeAGateway takes a gateway off the list that is gone for ever: not while it may carry tunnels, by two officers, on record;
// nothing waits for it any more, its key stays nobody else's, and when it speaks again it is back.
func TestStrikeAGateway(t *testing.T) {
	o := newInside(t, nil)
	lost := registry.Gateway{Name: "vpnd-2", PublicKey: "BwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", Lease: 15 * time.Minute}
	o.must(o.registry.GatewayReported(t.Context(), lost))
	propose := func(name string) (registry.Motion, answer) {
		var m registry.Motion
		a := o.ask(o.client("officer-1"), "POST", o.url("admin")+"/v1/motions", map[string]any{"kind": registry.StrikeGateway, "name": name})
		_ = json.Unmarshal(a.body, &m) // a refusal is none
		return m, a
	}
	if _, a := propose("vpnd-2"); a.status != http.StatusConflict || !strings.Contains(a.detail(), "may still carry tunnels") {
		t.Errorf("a gateway within its lease: %d %s", a.status, a.body)
	}
	if _, a := propose("nobody"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a gateway that is not listed: %d %s", a.status, a.body)
	}
	o.gateways.mu.Lock()
	s := o.gateways.silent["vpnd-2"]
	s.since -= outlasts(lost.Lease)
	o.gateways.silent["vpnd-2"] = s
	o.gateways.mu.Unlock()
	m, a := propose("vpnd-2")
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	approve := func(officer string) answer {
		return o.ask(o.client(officer), "POST", o.url("admin")+"/v1/motions/approve", map[string]any{"id": m.ID})
	}
	if a := approve("officer-1"); a.status != http.StatusConflict {
		t.Errorf("who proposed it approves it: %d %s", a.status, a.body)
	}
	if a := approve("officer-2"); a.status != http.StatusOK || !strings.Contains(string(a.body), "off the list") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if o.isListed("vpnd-2") {
		t.Error("it is still listed")
	}
	keys, err := o.hubKeys()
	if err != nil || !slices.ContainsFunc(keys, func(k vpn.Key) bool { return k.String() == lost.PublicKey }) {
		t.Errorf("its key is anybody's: %v, %v", keys, err)
	}
	entries, err := o.custody.Audit.List(t.Context(), audit.Filter{Subject: "vpnd-2"})
	o.must(err)
	if len(entries) == 0 || entries[0].Entry.Action != "gateway.strike" || entries[0].Entry.Actor.ID != "officer-2" || entries[0].Entry.Order != m.ID {
		t.Errorf("on record: %+v", entries)
	}
	o.must(o.registry.GatewayReported(t.Context(), lost))
	if !o.isListed("vpnd-2") {
		t.Error("it speaks again and is not listed")
	}
	if outcome, err := o.strike(t.Context(), audit.Actor{Kind: "officer", ID: "officer-2"}, "vpnd-2", m.ID); err != nil || !o.isListed("vpnd-2") {
		t.Errorf("struck though it speaks: %s, %v", outcome, err)
	}
}

func (o *outside) isListed(name string) bool {
	o.t.Helper()
	listed, err := o.registry.Gateways(o.t.Context())
	o.must(err)
	for _, g := range listed {
		if g.Name == name {
			return true
		}
	}
	return false
}

// TestLapsedMotionsLeaveThePage: what nobody may approve any more waits for nobody.
func TestLapsedMotionsLeaveThePage(t *testing.T) {
	o := newInside(t, nil)
	var m registry.Motion
	o.must(json.Unmarshal(o.ask(o.client("officer-1"), "POST", o.url("admin")+"/v1/motions", map[string]any{
		"kind": registry.RevokeCertificates, "reason": "superseded", "which": map[string]string{"serial": o.serial("ezd")}}).body, &m))
	wait := func(want int) {
		t.Helper()
		if views, err := o.motionViews(t.Context()); err != nil || len(views) != want {
			t.Errorf("%d motions wait, %v; want %d", len(views), err, want)
		}
	}
	wait(1)
	old := time.Now().AddDate(0, 0, -8).UTC().Format("2006-01-02T15:04:05.000000000Z07:00")
	_, err := o.custody.DB.ExecContext(t.Context(), `UPDATE motions SET proposed_at = $1 WHERE id = $2`, old, m.ID)
	o.must(err)
	wait(0)
}
