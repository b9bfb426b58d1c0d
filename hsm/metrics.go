package hsm

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm/mechanism"
)

type metrics struct {
	up          prometheus.Gauge
	restarts    prometheus.Counter
	pinRefusals prometheus.Counter
	signs       *prometheus.CounterVec   // mechanism, outcome
	seconds     *prometheus.HistogramVec // mechanism
}

// signed counts what became of n signatures.
func (m *metrics) signed(mech mechanism.Mechanism, outcome string, n int) {
	m.signs.WithLabelValues(string(mech), outcome).Add(float64(n))
}

// newMetrics makes the module's metrics; a nil registerer leaves them unseen.
func newMetrics(r prometheus.Registerer, of *Module) (*metrics, error) {
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{Name: "hsm_worker_up", Help: "1 while an HSM worker serves the token."}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hsm_worker_restarts_total", Help: "Starts of an HSM worker after another one was lost, failed ones included."}),
		pinRefusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hsm_pin_refusals_total", Help: "Times that a token refused the PIN."}),
		signs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hsm_signatures_total", Help: "Signatures asked of the token."}, []string{"mechanism", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hsm_signature_seconds", Help: "Time of a call of the worker for up to 16 signatures, waiting for a session included.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16)}, []string{"mechanism"}),
	}
	if r == nil {
		return m, nil
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	for _, c := range []prometheus.Collector{m.up, m.restarts, m.pinRefusals, m.signs, m.seconds,
		gauge("hsm_healthy", "1 while the token answers and holds every active key.", func() float64 {
			if of.Health() != nil {
				return 0
			}
			return 1
		}),
		gauge("hsm_silence_seconds", "Time since the token last answered, to a signature or a look.",
			func() float64 { return of.vitals.silence().Seconds() }),
		gauge("hsm_lost_keys", "Active keys that the token lacks.", func() float64 { return float64(len(of.vitals.lostKeys())) }),
	} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("HSM metrics: %w", err)
		}
	}
	return m, nil
}
