package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/identity"
	"trustcore/verify/api"
	"trustcore/verify/evidence"
	"trustcore/verify/trustlist/upkeep"
)

// details is what /health tells.
type details struct {
	Policies []policyStatus `json:"policies"` // that callers may choose; the first is for who names none
	Cards    int            `json:"service_cards"`
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
	upkeep.Status
	Age   string `json:"age,omitempty"` // since the list was issued
	Stale bool   `json:"stale,omitempty"`
}

// details says how old the lists are and which failed. What changed in each, GET /v1/trust/status tells.
func (t *trust) details(now time.Time) lists {
	s := t.current.Load()
	d := lists{Loaded: s.loaded.UTC(), Age: now.Sub(s.loaded).Round(time.Second).String(), Services: s.Services(), Lists: []listStatus{}}
	for _, l := range t.lists(now) {
		l.Changes = nil
		st := listStatus{Status: l, Stale: l.PastNext}
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
	amber := func(remedy, what string, args ...any) {
		found = append(found, httpserver.Finding{State: httpserver.Amber, What: fmt.Sprintf(what, args...), Remedy: remedy})
	}
	t.mu.Lock()
	failed := t.failed
	t.mu.Unlock()
	if failed != nil {
		amber("put the files right, then send SIGHUP", "the trusted lists were not read again, the last known good go on: %v", failed)
	}
	if t.keeper != nil && t.keeper.Trouble() != "" {
		amber("look at the folder lists of state_dir and its disk", "the kept trusted lists can't be kept or read: %s", t.keeper.Trouble())
	}
	all := t.lists(now)
	if len(all) == 0 {
		amber(t.remedy("fetch"), "no trusted list is loaded: no signature is found to be qualified, and only what the configured anchors issued is trusted")
	}
	for _, kind := range troubles {
		kind.tell(all, amber, t.remedy)
	}
	return found
}

// trouble is one kind of thing that can be wrong with a list.
type trouble struct {
	plural string                      // what is wrong with several
	of     func(*upkeep.Status) string // what is wrong with one, "" for nothing
	remedy func(func(string) string) string
}

var troubles = []trouble{
	{"are not used", func(l *upkeep.Status) string {
		if l.Error == "" {
			return ""
		}
		return "is not used: " + l.Error
	}, func(remedy func(string) string) string { return remedy("fetch it again") }},
	{"have run out", func(l *upkeep.Status) string {
		if l.Error != "" || !l.PastNext {
			return ""
		}
		return "has run out: its next update was due on " + l.NextUpdate.Format(time.DateOnly)
	}, func(remedy func(string) string) string { return remedy("fetch its successor") }},
	{"could not be fetched", func(l *upkeep.Status) string {
		if l.Reason == "" {
			return ""
		}
		return fmt.Sprintf("could not be fetched since %s (%d times): %s", l.Failing.UTC().Format(time.RFC3339), l.Failures, l.Reason)
	}, func(remedy func(string) string) string { return remedy("fetch it") }},
	{"have digest files that do not fit", func(l *upkeep.Status) string { return l.Remark },
		func(func(string) string) string {
			return "tell its publisher; the list itself is well signed and in use"
		}},
}

// maxNamed is how many lists of one trouble are told each for itself; more have one cause most of the time.
const maxNamed = 3

func (k *trouble) tell(all []upkeep.Status, amber func(remedy, what string, args ...any), remedy func(string) string) {
	var names, texts []string
	for i := range all {
		if what := k.of(&all[i]); what != "" {
			names = append(names, strings.TrimSpace(all[i].Territory+" "+all[i].File))
			texts = append(texts, what)
		}
	}
	if len(names) > maxNamed {
		amber(k.remedy(remedy), "%d lists %s: %s. The first: the list %s %s", len(names), k.plural, strings.Join(names, ", "), names[0], texts[0])
		return
	}
	for i, name := range names {
		amber(k.remedy(remedy), "the list %s %s", name, texts[i])
	}
}

// remedy says what to do about lists: what is done by itself is only to be looked after.
func (t *trust) remedy(what string) string {
	switch {
	case t.keeper == nil:
		return what + " into the folder trust_lists, then send SIGHUP"
	case t.fetches:
		return "it is asked for by itself: look whether its address, and the proxy, is reached; or carry it in: trustctl trust import FOLDER"
	}
	return "carry it in: trustctl trust import FOLDER; or let verifyd fetch: lists.fetch in its configuration"
}

// ready says why nobody can be served by the lists. That lists fail is for /health, but when lists are configured and none
// of them names a service, every signature would be judged as a stranger's: another verifyd should be asked. With anchors
// alone there are no lists to miss.
func (t *trust) ready() error {
	if t.current.Load().Services() > 0 {
		return nil
	}
	switch {
	case t.sources.Dir != "" || len(t.sources.Extra) > 0, t.fetches, t.keeper != nil && len(t.keeper.Status()) > 0:
		return errors.New("none of the configured trusted lists is in use: " + t.remedy("fetch them again") + "; /health says why")
	case len(t.sources.Anchors) == 0:
		return errors.New("neither a trusted list nor an anchor is there, so nothing can be trusted: " + t.remedy("fetch lists"))
	}
	return nil
}

// operations tells of the one service, verify.
func operations(j *judge, own *identity.Renewal, known *clients, validation *api.Server, metrics *prometheus.Registry) httpserver.Operations {
	t := j.trust
	return httpserver.Operations{Metrics: metrics,
		Services: map[string]func(context.Context) error{"verify": func(ctx context.Context) error {
			return errors.Join(validation.Ready(time.Now()), t.ready(), known.follower().Ready(), j.scanner.ready(ctx))
		}},
		Findings: func(ctx context.Context) []httpserver.Finding {
			return slices.Concat(t.findings(time.Now()), j.policies.findings(), j.cards.findings(), j.scanner.findings(ctx),
				own.Findings("verifyd"), known.follower().Findings(), hostFindings(j.gatherer), endingFindings(j.ends, time.Now()))
		},
		Details: func() any { return details{j.policies.details(), len(j.cards.all()), t.details(time.Now())} },
	}
}

// figures collects what is counted elsewhere.
type figures struct {
	trust    *trust
	gatherer *evidence.Gatherer
}

var (
	descAge      = prometheus.NewDesc("verify_trustlists_loaded_timestamp_seconds", "When the trusted lists in use were read.", nil, nil)
	descNext     = describe("next_update_timestamp_seconds", "When a trusted list in use runs out.")
	descSequence = describe("sequence", "Sequence number of a trusted list in use.")
	descIssued   = describe("age_seconds", "Time since a trusted list in use was issued.")
	descAsked    = describe("confirmed_timestamp_seconds", "When the source of a trusted list last said that it is the newest.")
	descFetch    = describe("fetch_failures", "How often in a row a trusted list could not be fetched.")
	descFailed   = prometheus.NewDesc("verify_trustlists_failed", "Files among the trusted lists that are not used.", nil, nil)
	descReload   = prometheus.NewDesc("verify_trustlists_reload_failed", "1 when the last reload failed and the last known good go on.", nil, nil)
	descHosts    = prometheus.NewDesc("verify_evidence_hosts_open", "Hosts that are left alone since they gave no evidence.", nil, nil)
	descEvidence = prometheus.NewDesc("verify_evidence_total", "Answers of sources of evidence, by where they came from.", []string{"from"}, nil)
)

// describe is a figure of each list. Of extra lists there may be several a territory, so that these have their file's name.
func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("verify_trustlist_"+name, help, []string{"territory"}, nil)
}

// Describe is part of prometheus.Collector.
func (f figures) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descAge, descNext, descSequence, descIssued, descAsked, descFetch, descFailed, descReload,
		descHosts, descEvidence} {
		out <- d
	}
}

// Collect is part of prometheus.Collector.
func (f figures) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	now, s, failed, seen := time.Now(), f.trust.current.Load(), 0, map[string]bool{}
	for _, l := range f.trust.lists(now) {
		name := l.Territory
		if l.Role == "extra" {
			name = l.File
		}
		if l.Error != "" {
			failed++
		}
		if l.Role == "pivot" || seen[name] {
			continue
		}
		seen[name] = true
		if l.Error == "" {
			gauge(descSequence, float64(l.Sequence), name)
			gauge(descIssued, now.Sub(l.Issued).Seconds(), name)
			if !l.NextUpdate.IsZero() {
				gauge(descNext, float64(l.NextUpdate.Unix()), name)
			}
		}
		if f.trust.fetches {
			gauge(descFetch, float64(l.Failures), name)
			if !l.Confirmed.IsZero() {
				gauge(descAsked, float64(l.Confirmed.Unix()), name)
			}
		}
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
