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

// applicationCertificate certifies a key of an application, by its registered name. Who shows the certificate is the
// application, as who shows its token; it is revoked as every certificate, and ends with the application.
func (d *daemon) applicationCertificate(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Name string `json:"name"`
		CSR  string `json:"csr"` // PEM
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	a, err := d.registry.Application(r.Context(), in.Name)
	if err != nil {
		return nil, err
	}
	request, err := requestIn(in.CSR)
	if err != nil {
		return nil, err
	}
	subject := pki.Subject{CommonName: a.Name, Partner: a.Partner}
	c, err := d.ca.Issue(r.Context(), who, pki.DaemonClient, request, subject, "")
	if err != nil {
		return nil, ofAuthority(err)
	}
	chain, err := d.chained(c)
	return map[string]string{"chain": chain}, err
}
