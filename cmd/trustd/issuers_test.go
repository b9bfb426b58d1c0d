package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// TestOfficersChangeAnIssuer: two officers bring an issuing authority into another state, on record; one can't, nor can what the table
// of states does not have be proposed.
func TestOfficersChangeAnIssuer(t *testing.T) {
	o := newInside(t, nil)
	propose := func(name string, state pki.IssuerState) (registry.Motion, answer) {
		var m registry.Motion
		a := o.ask(o.client("officer-1"), "POST", o.url("admin")+"/v1/motions",
			map[string]any{"kind": registry.ChangeIssuer, "name": name, "state": state})
		_ = json.Unmarshal(a.body, &m) // a refusal is none
		return m, a
	}
	for _, wrong := range []struct {
		name, field string
		state       pki.IssuerState
	}{{"issuing-9", "name", pki.Active}, {"issuing", "state", pki.CRLOnly}, {"issuing", "state", "asleep"}, {"issuing", "state", ""}} {
		if _, a := propose(wrong.name, wrong.state); a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), wrong.field) {
			t.Errorf("%s to %q: %d %s", wrong.name, wrong.state, a.status, a.body)
		}
	}
	state := func() pki.IssuerState {
		var all []pki.IssuerInfo
		a := o.ask(o.client("officer-2"), "GET", o.url("admin")+"/v1/issuers", nil)
		o.must(json.Unmarshal(a.body, &all))
		return all[0].State
	}
	m, a := propose("issuing", pki.Retiring)
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	approve := func(officer string) answer {
		return o.ask(o.client(officer), "POST", o.url("admin")+"/v1/motions/approve", map[string]any{"id": m.ID})
	}
	if a := approve("officer-1"); a.status != http.StatusConflict || state() != pki.Active {
		t.Errorf("who proposed it approves it: %d %s, and it is %s", a.status, a.body, state())
	}
	if a := approve("officer-2"); a.status != http.StatusOK || state() != pki.Retiring {
		t.Errorf("%d %s, and it is %s", a.status, a.body, state())
	}
	if a := o.readiness("enrolment"); a.status != http.StatusServiceUnavailable {
		t.Errorf("nobody issues for offices, and enrolment is ready: %d", a.status)
	}
	entries, err := o.custody.Audit.List(t.Context(), audit.Filter{Action: "issuer.change"})
	o.must(err)
	last := entries[len(entries)-1].Entry // the first is that of the ceremony
	if len(entries) < 2 || last.Actor.ID != "officer-2" || last.Order != m.ID || last.Details["to"] != "retiring" {
		t.Errorf("on record: %+v", entries)
	}
}
