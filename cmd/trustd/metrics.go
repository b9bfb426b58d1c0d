package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// endings collects what ends, by kind: names of profiles and a few words, never of partners.
type endings struct{ *daemon }

var (
	descEnds = prometheus.NewDesc("trustcore_expires_seconds",
		"Time until the first of a kind ends, negative after it; renewed says who sees to the next.", []string{"kind", "renewed"}, nil)
	descAnnounced = prometheus.NewDesc("trustcore_expires_announced", "How many of a kind people have to do something about.", []string{"kind"}, nil)
)

// Describe is part of prometheus.Collector.
func (endings) Describe(out chan<- *prometheus.Desc) {
	out <- descEnds
	out <- descAnnounced
}

// Collect is part of prometheus.Collector. While the database does not answer there are none: alarms ask for their absence too.
func (e endings) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), findingsTime)
	defer cancel()
	list, err := e.expiring(ctx)
	if err != nil {
		return
	}
	type group struct{ kind, renewed string }
	now, first, announced := time.Now(), map[group]bool{}, map[string]int{}
	for _, x := range list { // what ends first comes first
		if g := (group{x.Kind, x.Renewed}); !first[g] {
			first[g] = true
			out <- prometheus.MustNewConstMetric(descEnds, prometheus.GaugeValue, x.NotAfter.Sub(now).Seconds(), x.Kind, x.Renewed)
		}
		n := 0
		if _, told := x.finding(now); told {
			n = 1
		}
		announced[x.Kind] += n
	}
	for kind, n := range announced {
		out <- prometheus.MustNewConstMetric(descAnnounced, prometheus.GaugeValue, float64(n), kind)
	}
}
