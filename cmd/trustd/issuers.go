package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// issuerChange is the body of a motion to bring an issuing authority into another state.
type issuerChange struct {
	Name  string          `json:"name"`
	State pki.IssuerState `json:"state"`
}

func (d *daemon) listIssuers(*http.Request, audit.Actor) (any, error) { return d.ca.Issuers(), nil }

// takeRootList takes a root's list from its own machine.
func (d *daemon) takeRootList(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		List []byte `json:"list"`
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	return nil, ofAuthority(d.ca.TakeRootList(r.Context(), who, in.List))
}

// proposeIssuer takes a motion that could be carried out now.
func (d *daemon) proposeIssuer(ctx context.Context, who audit.Actor, body issuerChange) (any, error) {
	if err := d.ca.CheckIssuerChange(ctx, body.Name, body.State); err != nil {
		return nil, ofAuthority(err)
	}
	return d.registry.Propose(ctx, who, registry.ChangeIssuer, fmt.Sprintf("issuing authority %s: %s", body.Name, body.State), body)
}

// changeIssuer carries it out.
func (d *daemon) changeIssuer(ctx context.Context, actor audit.Actor, m registry.Motion) (string, error) {
	var body issuerChange
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is %s", body.Name, body.State), d.ca.ChangeIssuer(ctx, actor, body.Name, body.State, m.ID)
}
