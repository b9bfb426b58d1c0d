package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/cmd/internal/httpserver"
	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/pki"
)

// operations tells of the services: each can't serve while something that it needs now can't. What is for people to mend in days
// is a finding.
func (d *daemon) operations(metrics *prometheus.Registry) httpserver.Operations {
	type need = func(context.Context) error
	all := func(needs ...need) need {
		return func(ctx context.Context) error {
			var why []error
			for _, n := range needs {
				why = append(why, n(ctx))
			}
			return errors.Join(why...)
		}
	}
	authority := func(service string) need {
		return func(context.Context) error { return d.ca.Serves(service) }
	}
	return httpserver.Operations{Metrics: metrics, Findings: d.findings, Services: map[string]need{
		"admin":     all(d.databaseWritable, d.auditReady),
		"console":   all(d.databaseWritable, d.auditReady),
		"enrolment": all(d.databaseWritable, d.auditReady, func(context.Context) error { return d.custody.CanIssue(d.ca.IssuesFor(pki.Offices)) }),
		"gateway":   all(d.databaseReady, d.auditReady, func(context.Context) error { return d.custody.HSM.Health() }),
		"ocsp":      authority("ocsp"), // answers that were signed before go on without token, log and database
		"crl":       authority("crl"),
		"tsa":       all(d.databaseReady, authority("tsa")),
	}}
}

// auditReady: nothing is done that can't be recorded.
func (d *daemon) auditReady(context.Context) error {
	if err := d.custody.Audit.Health(); err != nil && !errors.Is(err, audit.ErrBehind) {
		return err
	}
	return nil
}

// databaseReady reads a row that every database of ours has: a connection alone says nothing of a file that is gone or damaged.
func (d *daemon) databaseReady(ctx context.Context) error {
	if err := d.custody.DB.Health(ctx); err != nil {
		return err
	}
	if _, _, err := d.registry.WishVersion(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}

// databaseWritable: what changes something needs more than to read.
func (d *daemon) databaseWritable(ctx context.Context) error {
	if err := d.databaseReady(ctx); err != nil {
		return err
	}
	return d.custody.DB.Writable()
}

// away tells clients of a database that can't be used now from what is a fault.
func away(err error) string {
	if store.Unavailable(err) {
		return "the database can't be used now: ask again in a while; /health tells the operator why"
	}
	return ""
}

// findingsTime bounds what the database is asked for findings: that it does not answer is one that has to be told soon.
const findingsTime = time.Second

// findings is what people should know.
func (d *daemon) findings(ctx context.Context) []httpserver.Finding {
	ctx, cancel := context.WithTimeout(ctx, findingsTime)
	defer cancel()
	found := d.expiryFindings(ctx, time.Now())
	for _, f := range d.ca.Findings() {
		state := httpserver.Amber
		if f.Red {
			state = httpserver.Red
		}
		found = append(found, httpserver.Finding{State: state, What: f.What, Remedy: f.Remedy})
	}
	if err := d.custody.Audit.Health(); errors.Is(err, audit.ErrBehind) {
		found = append(found, httpserver.Finding{State: httpserver.Amber, What: err.Error(), Remedy: "look at the disk of the audit log and at the database"})
	}
	if err := d.custody.HSM.Health(); err != nil {
		found = append(found, httpserver.Finding{State: httpserver.Red, What: "HSM: " + err.Error(), Remedy: "see 'The HSM's faults' in docs/operations.md"})
	}
	found = append(found, d.inventoryFindings()...)
	found = append(found, d.self.Findings("trustd")...)
	found = append(found, d.nodeFindings(ctx, time.Now())...)
	return append(found, d.gatewayFindings(ctx)...)
}

// acceptClock takes the clock as it is for right: time-stamps go on after a step that an officer has looked into.
func (d *daemon) acceptClock(r *http.Request, who audit.Actor) (any, error) {
	return nil, d.ca.AcceptClock(r.Context(), who)
}
