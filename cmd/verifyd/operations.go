package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/cmd/internal/httpserver"
	"trustcore/verify/evidence"
	"trustcore/verify/trustlist"
)

// readiness is the answer of /readyz.
type readiness struct {
	Status   string       `json:"status"` // "ready", or "degraded" when a list failed or ran out
	Loaded   time.Time    `json:"lists_loaded"`
	Age      string       `json:"lists_age"` // since they were read
	Reload   string       `json:"reload_error,omitempty"`
	Services int          `json:"services"`
	Lists    []listStatus `json:"lists"`
}

type listStatus struct {
	trustlist.Status
	Age   string `json:"age,omitempty"` // since the list was issued
	Stale bool   `json:"stale,omitempty"`
}

// ready says how old the lists are and which failed. verifyd serves with what it has: without one country's list the
// signatures of the others are judged all the same.
func (t *trust) ready(now time.Time) readiness {
	s := t.current.Load()
	r := readiness{Status: "ready", Loaded: s.loaded.UTC(), Age: now.Sub(s.loaded).Round(time.Second).String(), Services: s.Services(), Lists: []listStatus{}}
	t.mu.Lock()
	if t.failed != nil {
		r.Status, r.Reload = "degraded", t.failed.Error()
	}
	t.mu.Unlock()
	for _, l := range s.Status() {
		st := listStatus{Status: l, Stale: l.Role != "pivot" && !l.NextUpdate.IsZero() && l.NextUpdate.Before(now)}
		if !l.Issued.IsZero() {
			st.Age = now.Sub(l.Issued).Round(time.Hour).String()
		}
		if st.Stale || l.Error != "" {
			r.Status = "degraded"
		}
		r.Lists = append(r.Lists, st)
	}
	return r
}

// operations serves /readyz with the lists' state, and what every daemon serves.
func operations(t *trust, metrics *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(t.ready(time.Now())) // the client went away: nobody to tell
	})
	mux.Handle("/", httpserver.Operations(func(context.Context) error { return nil }, metrics))
	return mux
}

// figures collects what is counted elsewhere.
type figures struct {
	trust    *trust
	gatherer *evidence.Gatherer
}

var (
	descAge      = prometheus.NewDesc("verify_trustlists_loaded_timestamp_seconds", "When the trusted lists in use were read.", nil, nil)
	descNext     = prometheus.NewDesc("verify_trustlist_next_update_timestamp_seconds", "When a trusted list in use runs out.", []string{"territory"}, nil)
	descFailed   = prometheus.NewDesc("verify_trustlists_failed", "Files among the trusted lists that are not used.", nil, nil)
	descReload   = prometheus.NewDesc("verify_trustlists_reload_failed", "1 when the last reload failed and the last known good go on.", nil, nil)
	descEvidence = prometheus.NewDesc("verify_evidence_total", "Answers of sources of evidence, by where they came from.", []string{"from"}, nil)
)

// Describe is part of prometheus.Collector.
func (f figures) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descAge, descNext, descFailed, descReload, descEvidence} {
		out <- d
	}
}

// Collect is part of prometheus.Collector.
func (f figures) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := f.trust.current.Load()
	failed, next := 0, map[string]time.Time{}
	for _, l := range s.Status() {
		switch {
		case l.Error != "":
			failed++
		case l.Role != "pivot" && !l.NextUpdate.IsZero():
			next[l.Territory] = l.NextUpdate
		}
	}
	for territory, at := range next {
		gauge(descNext, float64(at.Unix()), territory)
	}
	gauge(descAge, float64(s.loaded.Unix()))
	gauge(descFailed, float64(failed))
	f.trust.mu.Lock()
	reload := 0.0
	if f.trust.failed != nil {
		reload = 1
	}
	f.trust.mu.Unlock()
	gauge(descReload, reload)
	stats := f.gatherer.Stats()
	for from, n := range map[string]uint64{"cache": stats.Cached, "keep": stats.Kept, "network": stats.Fetched, "failed": stats.Failed} {
		out <- prometheus.MustNewConstMetric(descEvidence, prometheus.CounterValue, float64(n), from)
	}
}
