package main

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// guard stands at one of the listeners that ask for client certificates.
func (d *daemon) guard(at rights.Listener) rights.Guard {
	return rights.Guard{Listener: at, Standing: d.standing, Refused: func(ctx context.Context, who rights.Holder, route, why string) {
		d.recordRefusal(ctx, at, who, route, why)
	}}
}

// standing asks the authority's inventory whose certificate it is.
func (d *daemon) standing(ctx context.Context, presented *x509.Certificate) (rights.Holder, error) {
	c, err := d.ca.Standing(ctx, presented)
	if err == nil {
		return holder(c), nil
	}
	for theirs, ours := range map[error]error{pki.ErrUnknownCertificate: rights.ErrUnknown, pki.ErrRevoked: rights.ErrRevoked,
		pki.ErrSuspended: rights.ErrHeld, pki.ErrNotInTime: rights.ErrOutdated} {
		if errors.Is(err, theirs) {
			return holder(c), ours
		}
	}
	d.cfg.Logger.Error("whose certificate it is can't be told", "error", err)
	return rights.Holder{}, err
}

// owner names partner and order of an office's certificate, for the gateway's refusals.
func (d *daemon) owner(ctx context.Context, client *x509.Certificate) (partner, order string) {
	who, err := d.standing(ctx, client)
	if err != nil {
		return "", ""
	}
	return who.Partner, who.Order
}

func holder(c pki.Certificate) rights.Holder {
	return rights.Holder{Profile: string(c.Profile), Name: c.CommonName, Partner: c.Partner, Order: c.Order, Serial: c.Serial}
}

// actorOf names the holder as the audit log does.
func actorOf(who rights.Holder) audit.Actor {
	switch who.Role() {
	case rights.Officer:
		return audit.Actor{Kind: "officer", ID: who.Name}
	case rights.Auditor:
		return audit.Actor{Kind: "auditor", ID: who.Name}
	case rights.Office:
		return audit.Actor{Kind: "partner", ID: who.Partner}
	case rights.Application:
		return audit.Actor{Kind: "application", ID: who.Name}
	case "":
		return audit.Actor{Kind: "unknown", ID: "unknown"}
	}
	return audit.Actor{Kind: "daemon", ID: who.Name}
}

// refusalEvery is how often one refusal, asked for again and again, is recorded: who is refused must not fill the log.
const refusalEvery = time.Minute

// refusals remembers what was recorded lately.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time // guarded by mu
}

// maxRefusals bounds the memory; beyond it everything is recorded again.
const maxRefusals = 4096

// due reports whether the refusal is to be recorded.
func (f *refusals) due(key string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, found := f.last[key]; found && now.Sub(last) < refusalEvery && !now.Before(last) {
		return false
	}
	if f.last == nil || len(f.last) >= maxRefusals {
		f.last = map[string]time.Time{}
	}
	f.last[key] = now
	return true
}

// recordRefusal writes that somebody was not let in. A certificate that is nobody's has no place in the log: anyone can show one
// of an authority of the same name.
func (d *daemon) recordRefusal(ctx context.Context, at rights.Listener, who rights.Holder, route, why string) {
	now := time.Now()
	if who.Serial == "" || !d.refused.due(string(at)+" "+route+" "+who.Serial+" "+why, now) {
		return
	}
	if _, err := d.custody.Audit.Append(ctx, audit.Entry{Time: now, Actor: actorOf(who), Action: "access", Subject: string(at) + " " + route,
		Partner: who.Partner, Order: who.Order, Outcome: audit.Refused, Reason: why, Details: map[string]string{"certificate": who.Serial}}); err != nil {
		d.cfg.Logger.Error("a refusal is not in the audit log", "error", err, "refusal", why, "certificate", who.Serial)
	}
}
