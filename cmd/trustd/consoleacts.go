package main

import (
	"context"
	"net/http"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

// consoleActs are what the console has done: the functions behind the routes of the admin interface, which check, decide
// and record there too.
func (d *daemon) consoleActs() console.Acts {
	return console.Acts{
		SuspendKey: func(ctx context.Context, who audit.Actor, key, reason string) error {
			_, err := d.suspendOne(ctx, who, key, reason)
			return err
		},
		SuspendCertificate: d.suspendCertificate,
		RotateTunnel:       d.askOffice,
		Propose:            d.proposeOne,
	}
}

// suspendCertificate takes one certificate out of use at once.
func (d *daemon) suspendCertificate(ctx context.Context, who audit.Actor, serial string) error {
	_, err := d.ca.Suspend(ctx, who, selector{Serial: serial}.which(), "")
	return ofAuthority(err)
}

// askOffice has the office of one tunnel asked to rotate a secret: the site has to be named, for all is not meant here.
func (d *daemon) askOffice(ctx context.Context, who audit.Actor, partner, site string, secret registry.Secret) error {
	if partner == "" || site == "" {
		return problem.RefuseField(http.StatusUnprocessableEntity, "partner", "no tunnel in force is meant")
	}
	_, err := d.askOffices(ctx, who, rotationRequest{Secret: secret, Partner: partner, Site: site})
	return err
}

// proposeOne files a motion about one key or one certificate.
func (d *daemon) proposeOne(ctx context.Context, who audit.Actor, p console.Proposal) (*registry.Motion, error) {
	switch p.Kind {
	case registry.RevokeCertificates, registry.ReleaseCertificates:
		return d.proposeForCertificates(ctx, who, p.Kind, marking{selector{Serial: p.Serial}, p.Reason})
	case registry.ResumeKeys, registry.RotateKeys:
		return d.proposeForKeys(ctx, who, p.Kind, keysAct{Keys: []string{p.Key}, Reason: p.Reason})
	}
	return nil, problem.RefuseField(http.StatusUnprocessableEntity, "kind", "%q is not proposed in the console", p.Kind)
}
