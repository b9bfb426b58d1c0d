package main

import (
	"net/http"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/pki"
)

func (d *daemon) listApplications(r *http.Request, _ audit.Actor) (any, error) {
	return d.registry.Applications(r.Context())
}

// newToken is an application's token, told once.
type newToken struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

func (d *daemon) addApplication(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Name    string `json:"name"`
		Partner string `json:"partner"`
		application.Terms
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	if holder := (rights.Holder{Profile: string(pki.DaemonClient), Name: in.Name}); holder.Role() != rights.Application {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "name",
			"%q is the name of a daemon: choose another", in.Name)
	}
	token, err := d.registry.AddApplication(r.Context(), who,
		application.Application{Name: in.Name, Partner: in.Partner, Terms: in.Terms})
	if err != nil {
		return nil, err
	}
	return newToken{in.Name, token}, nil
}

func (d *daemon) applicationToken(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	token, err := d.registry.NewApplicationToken(r.Context(), who, in.Name)
	if err != nil {
		return nil, err
	}
	return newToken{in.Name, token}, nil
}

func (d *daemon) revokeApplication(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	return nil, d.registry.RevokeApplication(r.Context(), who, in.Name, in.Reason)
}
