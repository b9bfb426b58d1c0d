package main

import (
	"testing"

	"trustcore/cmd/internal/application"
)

// TestApplicationsAreTold: officers register and revoke applications, and verifyd and batchd hear of it; names of
// daemons are none.
func TestApplicationsAreTold(t *testing.T) {
	o := newInside(t, nil)
	before := o.clientList().Digest
	var made newToken
	o.as("officer-1", "POST", "/v1/applications", map[string]any{"name": "peup", "open_batches": 3}, 200, &made)
	list := o.clientList()
	if len(list.Applications) != 1 || list.Applications[0].Tokens[0].SHA256 != application.Digest(made.Token) ||
		list.Applications[0].OpenBatches != 3 ||
		list.Digest == before {
		t.Fatalf("%+v", list.Applications)
	}
	for _, name := range []string{"vpnd", "vpnd-2", "verifyd", "batchd", "trustd"} {
		o.as("officer-1", "POST", "/v1/applications", map[string]any{"name": name}, 422, nil)
	}
	o.as("officer-1", "POST", "/v1/applications", map[string]any{"name": "peup"}, 409, nil)
	o.as("officer-1", "POST", "/v1/applications/token", map[string]any{"name": "peup"}, 200, &made)
	o.as("officer-1", "POST", "/v1/applications/revoke", map[string]any{"name": "peup"}, 422, nil)
	o.as("officer-1", "POST", "/v1/applications/revoke", map[string]any{"name": "peup", "reason": "switched off"}, 204,
		nil)
	if list := o.clientList(); list.Applications[0].Revoked == nil || len(list.Applications[0].Tokens) != 0 {
		t.Errorf("%+v", list.Applications)
	}
	o.as("officer-1", "POST", "/v1/applications/token", map[string]any{"name": "peup"}, 409, nil)
}
