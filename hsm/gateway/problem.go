package gateway

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm"
)

// problemType is the beginning of the problem types (RFC 9457); what follows names the rule that refused.
const problemType = "urn:trustcore:hsm:"

// refusal is an error for the caller, as problem+json: Type names the rule, Detail says it in a sentence.
type refusal struct {
	huma.ErrorModel
	rule string
}

func problem(status int, rule, detail string) *refusal {
	return &refusal{huma.ErrorModel{Status: status, Type: problemType + rule, Title: http.StatusText(status), Detail: detail}, rule}
}

// GetHeaders tells the client when to come back (huma.HeadersError).
func (r *refusal) GetHeaders() http.Header {
	if r.Status == http.StatusServiceUnavailable || r.Status == http.StatusTooManyRequests {
		return http.Header{"Retry-After": {"1"}}
	}
	return nil
}

func (r *refusal) orNil() error {
	if r == nil {
		return nil
	}
	return r
}

// unavailable hides the inside of a failure from the caller and logs it.
func (g *gateway) unavailable(err error) error {
	switch {
	case errors.Is(err, hsm.ErrNotActive):
		return problem(http.StatusConflict, "key-not-active", "the key is no longer active")
	case errors.Is(err, hsm.ErrUnknownKey), errors.Is(err, hsm.ErrLost):
		g.Logger.Error("a key is lost", "error", err)
		return problem(http.StatusConflict, "key-lost", "the key is not in the token")
	}
	g.Logger.Error("HSM gateway", "error", err)
	return problem(http.StatusServiceUnavailable, "hsm-unavailable", "the HSM does not answer now; try again in a moment")
}

type metrics struct {
	requests *prometheus.CounterVec // outcome
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hsm_gateway_requests_total", Help: "Signatures asked for at the gateway: signed, or the rule that refused.",
	}, []string{"outcome"})}
	if r == nil {
		return m, nil
	}
	if err := r.Register(m.requests); err != nil {
		return nil, fmt.Errorf("HSM gateway's metrics: %w", err)
	}
	return m, nil
}

func (g *gateway) counted(err error) error {
	outcome := "error"
	var r *refusal
	if errors.As(err, &r) {
		outcome = r.rule
	}
	g.metrics.requests.WithLabelValues(outcome).Inc()
	return err
}
