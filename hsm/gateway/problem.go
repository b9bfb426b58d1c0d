package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

// problemType is the beginning of the problem types (RFC 9457); what follows names the rule that refused.
const problemType = "urn:trustcore:hsm:"

// refusal is an error for the caller: Type names the rule, Detail says it in a sentence.
type refusal struct {
	problem.Problem
	rule string
}

func refuse(status int, rule, format string, args ...any) *refusal {
	r := &refusal{*problem.Refuse(status, format, args...), rule}
	r.Type = problemType + rule
	return r
}

// GetStatus makes it an error that huma answers with (huma.StatusError).
func (r *refusal) GetStatus() int { return r.Status }

// ContentType is that of a problem (huma.ContentTypeFilter).
func (r *refusal) ContentType(string) string { return problem.MediaType }

// inOneForm makes a problem.Problem of every error, the framework's too (huma.Transformer).
func (g *gateway) inOneForm(ctx huma.Context, _ string, v any) (any, error) {
	var p *problem.Problem
	switch e := v.(type) {
	case *refusal:
		p = &e.Problem
	case *huma.ErrorModel:
		p = g.framework(e)
	default:
		return v, nil
	}
	r, w := humago.Unwrap(ctx)
	told := *told(r, p)
	told.RequestID = w.Header().Get(problem.IDHeader)
	return &told, nil
}

// framework takes over what huma says of a request that is not as described; of a fault it would tell the inside.
func (g *gateway) framework(e *huma.ErrorModel) *problem.Problem {
	if e.Status >= http.StatusInternalServerError {
		g.Logger.Error("HSM gateway", "error", fmt.Sprint(e.Detail, e.Errors))
		return problem.Refuse(e.Status, "the request could not be carried out because of a fault of this service")
	}
	p := problem.Refuse(e.Status, "%s", e.Detail)
	if len(e.Errors) > 0 {
		p.Field, p.Detail = e.Errors[0].Location, e.Errors[0].Message
	}
	return p
}

// malformedInterval is how often malformed requests of one caller are audited.
const malformedInterval = time.Minute

// malformed counts a request to sign that was refused before it was read as one, and, where it names a key that a
// grant lets its caller use, has it audited once a minute at most.
func (g *gateway) malformed(ctx context.Context, u *use, p *problem.Problem) {
	g.metrics.requests.WithLabelValues("malformed").Inc()
	if u.client == nil {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	grants, err := g.Grants(bounded, u.client)
	if err != nil {
		return
	}
	grant, _ := g.choose(grants, u.keyID)
	if grant.KeyID == "" || !g.due(u.print) {
		return
	}
	e := g.entryOf(u, grant)
	e.Outcome, e.Reason = audit.Refused, p.Detail
	e.Details["status"] = strconv.Itoa(p.Status)
	if _, err := g.append(bounded, e); err != nil {
		g.Logger.Error("a malformed request is not in the audit log", "error", err, "refusal", p.Detail)
	}
}

// due reports whether a malformed request of the certificate is to be audited, and takes note.
func (g *gateway) due(print [32]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.Now()
	if last, known := g.recorded[print]; known && now.Sub(last).Abs() < malformedInterval {
		return false
	}
	if len(g.recorded) >= maxApplications {
		clear(g.recorded)
	}
	g.recorded[print] = now
	return true
}

// GetHeaders tells the client when to come back (huma.HeadersError).
func (r *refusal) GetHeaders() http.Header {
	if r.Status == http.StatusServiceUnavailable || r.Status == http.StatusTooManyRequests {
		return http.Header{"Retry-After": {"1"}}
	}
	return nil
}

// unavailable hides the inside of a failure from the caller and logs it.
func (g *gateway) unavailable(err error) error {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, hsm.ErrNotActive):
		return refuse(http.StatusConflict, "key-not-active", "the key is not active: it was suspended or destroyed")
	case errors.Is(err, hsm.ErrUnknownKey):
		return refuse(http.StatusConflict, "key-not-active", "there is no such key any more")
	}
	g.Logger.Error("HSM gateway", "error", err)
	return refuse(http.StatusServiceUnavailable, "hsm-unavailable", "the HSM does not answer now; try again in a moment")
}

type metrics struct {
	requests *prometheus.CounterVec // outcome
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hsm_gateway_requests_total", Help: "Signatures that the gateway gave (signed), and requests that it refused, by rule.",
	}, []string{"outcome"})}
	if r == nil {
		return m, nil
	}
	if err := r.Register(m.requests); err != nil {
		return nil, fmt.Errorf("HSM gateway's metrics: %w", err)
	}
	return m, nil
}

// asRefusal is the refusal that an error of this package is.
func asRefusal(err error) *refusal {
	var r *refusal
	if !errors.As(err, &r) {
		return refuse(http.StatusServiceUnavailable, "hsm-unavailable", "the HSM does not answer now; try again in a moment")
	}
	return r
}
