package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// expiry is one thing that ends, as people and programs read it.
type expiry struct {
	Kind     string    `json:"kind"` // a certificate's profile, "crl", "authorisation", "mechanism" or "enrolment-token"
	Subject  string    `json:"subject"`
	Partner  string    `json:"partner,omitempty"`
	Order    string    `json:"order,omitempty"`
	Serial   string    `json:"serial,omitempty"`
	NotAfter time.Time `json:"not_after"`
	Renewed  string    `json:"renewed"` // "by itself", or "by people"
	Due      time.Time `json:"due"`     // when its renewal is due, or people have to hear of the end
	Cut      string    `json:"cut,omitempty"`
	Remedy   string    `json:"remedy,omitempty"`
	Failure  string    `json:"failure,omitempty"` // why the last renewal failed
}

// renewed says who sees to the successor.
const byItself, byPeople = "by itself", "by people"

// announced is how many days before an end people are told for the first time.
const announced = 60

// lateDays is after how many days a renewal that should have happened by itself is told: it is tried again all the time.
const lateDays = 3

// expiring lists all that ends, what ends first first.
func (d *daemon) expiring(ctx context.Context) ([]expiry, error) {
	found, err := d.ca.Expiring(ctx)
	if err != nil {
		return nil, err
	}
	list := []expiry{}
	for _, e := range found {
		renewed := byItself
		if e.Renewal == pki.ByPeople {
			renewed = byPeople
		}
		list = append(list, expiry{Kind: e.Kind, Subject: e.Subject, Partner: e.Partner, Order: e.Order, Serial: e.Serial, NotAfter: e.NotAfter,
			Renewed: renewed, Due: e.Due, Cut: string(e.Cut), Remedy: e.Remedy, Failure: e.Failure})
	}
	ends, err := d.registry.Ends(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range ends {
		list = append(append(list, expiryOf(e)), mechanismEnds(e)...)
	}
	slices.SortStableFunc(list, func(a, b expiry) int { return a.NotAfter.Compare(b.NotAfter) })
	return list, nil
}

func expiryOf(e registry.End) expiry {
	x := expiry{Kind: e.Kind, Subject: e.Subject, Partner: e.Partner, Order: e.Order, NotAfter: e.At, Renewed: byPeople,
		Due: e.At.AddDate(0, 0, -announced)}
	switch e.Kind {
	case registry.EndOfAuthorisation:
		x.Remedy = "have the office extend the authorisation by an order"
	case registry.EndOfToken:
		x.Due = e.At.AddDate(0, 0, -1)
		x.Remedy = "ask the office to enrol, or make a new token: trustctl order token"
	}
	return x
}

// endOfMechanism is the kind of a way of signing that is not relied on as long as an authorisation lets it be used.
const endOfMechanism = "mechanism"

// mechanismEnds lists the mechanisms of an authorisation that end before the keys which may use them.
func mechanismEnds(e registry.End) (list []expiry) {
	seen := map[string]bool{}
	for _, k := range e.Keys {
		for _, name := range k.Mechanisms {
			until := e.At
			if !k.NotAfter.IsZero() && k.NotAfter.Before(until) {
				until = k.NotAfter
			}
			end, known := mechanism.Mechanism(name).End()
			if !known || !end.Before(until) || seen[name] {
				continue
			}
			seen[name] = true
			list = append(list, expiry{Kind: endOfMechanism, Subject: e.Subject + " " + name, Partner: e.Partner, Order: e.Order, NotAfter: end,
				Renewed: byPeople, Due: end.AddDate(0, 0, -announced),
				Remedy: "have the office renew the order with keys of another mechanism: signatures of this one are not relied on after it (" +
					mechanism.EndsSource + ")"})
		}
	}
	return list
}

func (d *daemon) listExpiring(r *http.Request, _ audit.Actor) (any, error) {
	return d.expiring(r.Context())
}

// expiryFindings announces ends: what people renew in steps, what renews itself when it doesn't.
func (d *daemon) expiryFindings(ctx context.Context, now time.Time) []httpserver.Finding {
	list, err := d.expiring(ctx)
	if err != nil {
		return []httpserver.Finding{{State: httpserver.Amber, What: "what expires can't be told: the database does not answer", Remedy: "look at the database"}}
	}
	var found []httpserver.Finding
	for _, e := range list {
		if f, told := e.finding(now); told {
			found = append(found, f)
		}
	}
	return found
}

func (e expiry) finding(now time.Time) (httpserver.Finding, bool) {
	left := e.NotAfter.Sub(now)
	days := int(left / (24 * time.Hour))
	f := httpserver.Finding{State: httpserver.Amber, Remedy: e.Remedy,
		What: fmt.Sprintf("%s of %s ends on %s, in %d days", e.Kind, e.Subject, e.NotAfter.UTC().Format(time.DateOnly), days)}
	if left < 0 {
		f.What = fmt.Sprintf("%s of %s ended on %s", e.Kind, e.Subject, e.NotAfter.UTC().Format(time.DateOnly))
	}
	if step(left) <= lastStep {
		f.State = httpserver.Red
	}
	if e.Failure != "" {
		f.What += "; the last renewal failed: " + e.Failure
	}
	switch {
	case e.Renewed == byPeople && !now.Before(e.Due):
		return f, true
	case e.Renewed == byItself && now.After(e.Due.AddDate(0, 0, lateDays)):
		f.What += "; it should have been renewed by itself on " + e.Due.UTC().Format(time.DateOnly)
		if f.Remedy == "" {
			f.Remedy = "look whether its holder runs and reaches trustd"
		}
		return f, true
	}
	return f, false
}

// steps are the days before an end at which it is announced anew, in the log too. From the last one on it is red.
var steps = []int{lastStep, 7, 14, 30, announced}

const lastStep = 1

// step is the announcement that is due: the fewest days of steps that are left at most, 0 after the end.
func step(left time.Duration) int {
	if left < 0 {
		return 0
	}
	for _, days := range steps {
		if left <= time.Duration(days)*24*time.Hour {
			return days
		}
	}
	return announced
}

// announceEvery is how often the log looks for a step.
const announceEvery = time.Minute

// announce writes each announcement into the log once.
func (d *daemon) announce(ctx context.Context) error {
	ticker := time.NewTicker(announceEvery)
	defer ticker.Stop()
	said := map[string]int{}
	for {
		list, err := d.expiring(ctx)
		if err != nil && ctx.Err() == nil {
			d.cfg.Logger.Error("what expires can't be told", "error", err)
		}
		now := time.Now()
		for _, e := range list {
			f, told := e.finding(now)
			key, days := e.Kind+" "+e.Subject+" "+e.Order+" "+e.Serial, step(e.NotAfter.Sub(now))
			if before, known := said[key]; told && (!known || days < before) {
				d.cfg.Logger.Warn("expires", "what", f.What, "remedy", f.Remedy, "days", days)
				said[key] = days
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
