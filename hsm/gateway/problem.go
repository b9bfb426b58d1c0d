package gateway

import (
	"context"
	"crypto/sha256"
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

func refuse(status int, rule, detail string) *refusal {
	r := &refusal{*problem.Refuse(status, "%s", detail), rule}
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
		g.malformed(ctx, p)
	default:
		return v, nil
	}
	_, w := humago.Unwrap(ctx)
	p.RequestID = w.Header().Get(problem.IDHeader)
	return p, nil
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

// malformed counts a request to sign that was refused before it was read as one, and, where it names a key that a grant lets its caller use,
// has it audited once a minute at most.
func (g *gateway) malformed(ctx huma.Context, p *problem.Problem) {
	if ctx.Operation().Path != signPath || p.Status >= http.StatusInternalServerError {
		return
	}
	g.metrics.requests.WithLabelValues("malformed").Inc()
	var in caller
	in.Resolve(ctx)
	if in.certificate == nil {
		return
	}
	bounded, cancel := context.WithTimeout(ctx.Context(), auditTimeout)
	defer cancel()
	grants, err := g.Grants(bounded, in.certificate)
	if err != nil {
		return
	}
	grant, _ := g.choose(grants, ctx.Param("id"))
	if grant.KeyID == "" || !g.due(sha256.Sum256(in.certificate.Raw)) {
		return
	}
	e := g.entryOf(in.certificate, grant.KeyID, grant)
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
		return refuse(http.StatusConflict, "key-not-active", "the key is no longer active")
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
