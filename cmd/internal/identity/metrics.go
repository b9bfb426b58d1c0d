package identity

import "github.com/prometheus/client_golang/prometheus"

var descEnd = prometheus.NewDesc("trustcore_identity_expires_seconds",
	"Time until the daemon's own certificate ends, negative after it or when it can't be read.", nil, nil)

// Describe is part of prometheus.Collector.
func (r *Renewal) Describe(out chan<- *prometheus.Desc) { out <- descEnd }

// Collect is part of prometheus.Collector.
func (r *Renewal) Collect(out chan<- prometheus.Metric) {
	left := -1.0
	if end, _ := r.State(); !end.IsZero() { // a failed renewal is a finding
		left = end.Sub(r.Now()).Seconds()
	}
	out <- prometheus.MustNewConstMetric(descEnd, prometheus.GaugeValue, left)
}
