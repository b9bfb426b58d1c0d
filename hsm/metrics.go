package hsm

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	up       prometheus.Gauge
	restarts prometheus.Counter
	signs    *prometheus.CounterVec   // mechanism, outcome
	seconds  *prometheus.HistogramVec // mechanism
}

// newMetrics makes the module's metrics; a nil registerer leaves them unseen.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{Name: "hsm_worker_up", Help: "1 while an HSM worker serves the token."}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hsm_worker_restarts_total", Help: "Starts of an HSM worker after another one was lost, failed ones included."}),
		signs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hsm_signatures_total", Help: "Signatures asked of the token."}, []string{"mechanism", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hsm_signature_seconds", Help: "Time of a signature, waiting for a session included.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16)}, []string{"mechanism"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.up, m.restarts, m.signs, m.seconds} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("HSM metrics: %w", err)
		}
	}
	return m, nil
}
