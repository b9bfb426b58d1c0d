package main

import (
	"context"
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/cmd/internal/batch"
	"trustcore/cmd/internal/httpserver"
	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// operations tells of the one service, batches. That verifyd is away is for people to know: batches wait for it.
func (d *daemon) operations() (httpserver.Operations, error) {
	metrics := httpserver.Metrics()
	err := errors.Join(metrics.Register(d.own), metrics.Register(figures{d.queue}))
	return httpserver.Operations{Metrics: metrics,
		Services: map[string]func(context.Context) error{"batches": d.ready},
		Findings: d.findings,
		Details:  func() any { return d.queue.Stats() },
	}, err
}

// ready says why nobody can be served.
func (d *daemon) ready(ctx context.Context) error {
	err := errors.Join(d.known.Ready(), d.db.Health(ctx), d.db.Writable())
	if failed := d.audit.Health(); failed != nil && !errors.Is(failed, audit.ErrBehind) {
		err = errors.Join(err, failed)
	}
	return err
}

// findings is what people should know.
func (d *daemon) findings(ctx context.Context) []httpserver.Finding {
	found := slices.Concat(d.own.Findings("batchd"), d.known.Findings())
	if err := d.verifyd.Ready(ctx); err != nil {
		found = append(found, httpserver.Finding{State: httpserver.Amber, What: "batches wait: " + err.Error(),
			Remedy: "look whether verifyd runs, is reached, and lets batchd in (clients in its configuration)"})
	}
	if err := d.audit.Health(); errors.Is(err, audit.ErrBehind) {
		found = append(found, httpserver.Finding{State: httpserver.Amber, What: err.Error(),
			Remedy: "look at the disk of the audit log and at the database"})
	}
	return found
}

// away tells clients of a database that can't be used now from what is a fault.
func away(err error) string {
	if store.Unavailable(err) {
		return "the database can't be used now: ask again in a while; /health tells the operator why"
	}
	return ""
}

// figures collects what the queue counts.
type figures struct{ queue *batch.Batches }

var (
	descJudged = prometheus.NewDesc("batch_documents_total",
		"Documents that have a result since the start, by its kind.", []string{"result"}, nil)
	descAgain = prometheus.NewDesc("batch_retries_total", "Documents that were handed over again since the start.",
		nil, nil)
	descWaiting = prometheus.NewDesc("batch_documents_waiting", "Documents without a result.", nil, nil)
	descSpool   = prometheus.NewDesc("batch_spool_bytes", "Bytes of documents that wait in the spool.", nil, nil)
	descOpen    = prometheus.NewDesc("batch_open", "Batches that are not finished.", nil, nil)
)

// Describe is part of prometheus.Collector.
func (f figures) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descJudged, descAgain, descWaiting, descSpool, descOpen} {
		out <- d
	}
}

// Collect is part of prometheus.Collector.
func (f figures) Collect(out chan<- prometheus.Metric) {
	s := f.queue.Stats()
	for result, n := range map[string]int64{"report": s.Reports, "problem": s.Problems} {
		out <- prometheus.MustNewConstMetric(descJudged, prometheus.CounterValue, float64(n), result)
	}
	out <- prometheus.MustNewConstMetric(descAgain, prometheus.CounterValue, float64(s.Retries))
	if s.Error != "" {
		return // what could not be counted is no 0
	}
	for d, n := range map[*prometheus.Desc]int64{descWaiting: s.Waiting, descSpool: s.SpoolBytes, descOpen: s.Open} {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
}
