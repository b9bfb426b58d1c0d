package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/verify/api"
	"trustcore/verify/evidence"
	"trustcore/verify/trustlist"
)

// details is what /health tells.
type details struct {
	Policies []policyStatus `json:"policies"` // that callers may choose; the first is for who names none
	lists
}

// lists is what /health tells of whom verifyd trusts.
type lists struct {
	Loaded   time.Time    `json:"lists_loaded"`
	Age      string       `json:"lists_age"` // since they were read
	Services int          `json:"services"`
	Lists    []listStatus `json:"lists"`
}

type listStatus struct {
	trustlist.Status
	Age   string `json:"age,omitempty"` // since the list was issued
	Stale bool   `json:"stale,omitempty"`
}

// details says how old the lists are and which failed.
func (t *trust) details(now time.Time) lists {
	s := t.current.Load()
	d := lists{Loaded: s.loaded.UTC(), Age: now.Sub(s.loaded).Round(time.Second).String(), Services: s.Services(), Lists: []listStatus{}}
	for _, l := range s.Status() {
		st := listStatus{Status: l, Stale: l.Role != "pivot" && !l.NextUpdate.IsZero() && l.NextUpdate.Before(now)}
		if !l.Issued.IsZero() {
			st.Age = now.Sub(l.Issued).Round(time.Hour).String()
		}
		d.Lists = append(d.Lists, st)
	}
	return d
}

// findings names what is not as it should be though verifyd serves with what it has: without one country's list the
// signatures of the others are judged all the same.
func (t *trust) findings(now time.Time) []httpserver.Finding {
	var found []httpserver.Finding
	t.mu.Lock()
	if t.failed != nil {
		found = append(found, httpserver.Finding{State: httpserver.Amber, What: "the trusted lists were not read again, the last known good go on: " + t.failed.Error(),
			Remedy: "put the files right, then send SIGHUP"})
	}
	t.mu.Unlock()
	for _, l := range t.details(now).Lists {
		name := strings.TrimSpace(l.Territory + " " + l.File)
		switch {
		case l.Error != "":
			found = append(found, httpserver.Finding{State: httpserver.Amber, What: "the list " + name + " is not used: " + l.Error, Remedy: "fetch it again, then send SIGHUP"})
		case l.Stale:
			found = append(found, httpserver.Finding{State: httpserver.Amber, What: "the list " + name + " has run out", Remedy: "fetch its successor, then send SIGHUP"})
		}
	}
	return found
}

// ready says why nobody can be served by the lists. That lists fail is for /health, but when lists are configured and none
// of them names a service, every signature would be judged as a stranger's: another verifyd should be asked. With anchors
// alone there are no lists to miss.
func (t *trust) ready() error {
	if t.sources.Dir == "" && len(t.sources.Extra) == 0 {
		return nil
	}
	if s := t.current.Load(); s.Services() == 0 {
		return errors.New("none of the configured trusted lists is in use: fetch them again, then send SIGHUP; /health says why")
	}
	return nil
}

// operations tells of the one service, verify.
func operations(j *judge, own *identity.Renewal, known *clients, validation *api.Server, metrics *prometheus.Registry) httpserver.Operations {
	t := j.trust
	return httpserver.Operations{Metrics: metrics,
		Services: map[string]func(context.Context) error{"verify": func(context.Context) error {
			return errors.Join(validation.Ready(time.Now()), t.ready(), known.ready())
		}},
		Findings: func(context.Context) []httpserver.Finding {
			return slices.Concat(t.findings(time.Now()), j.policies.findings(), own.Findings("verifyd"), known.findings(), hostFindings(j.gatherer))
		},
		Details: func() any { return details{j.policies.details(), t.details(time.Now())} },
	}
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
	descHosts    = prometheus.NewDesc("verify_evidence_hosts_open", "Hosts that are left alone since they gave no evidence.", nil, nil)
	descEvidence = prometheus.NewDesc("verify_evidence_total", "Answers of sources of evidence, by where they came from.", []string{"from"}, nil)
)

// Describe is part of prometheus.Collector.
func (f figures) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descAge, descNext, descFailed, descReload, descHosts, descEvidence} {
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
	gauge(descHosts, float64(len(f.gatherer.Hosts())))
	stats := f.gatherer.Stats()
	for from, n := range map[string]uint64{"cache": stats.Cached, "keep": stats.Kept, "network": stats.Fetched, "failed": stats.Failed} {
		out <- prometheus.MustNewConstMetric(descEvidence, prometheus.CounterValue, float64(n), from)
	}
}
