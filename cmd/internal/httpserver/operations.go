package httpserver

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"trustcore/internal/problem"
)

// readyTimeout bounds one readiness check.
const readyTimeout = 5 * time.Second

// Operations is what a daemon tells of itself.
type Operations struct {
	// Services says of each of the daemon's services, by name, why it can't serve now; nil when it can.
	Services map[string]func(context.Context) error
	// Findings is what people should know though the services serve. Optional.
	Findings func(context.Context) []Finding
	// Details goes into the answer of /health as it is. Optional.
	Details func() any
	Metrics *prometheus.Registry
}

// Finding is one thing that is not as it should be.
type Finding struct {
	State  string `json:"state"` // Amber or Red
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// States of a daemon: what people and alarms look at.
const (
	OK    = "ok"
	Amber = "amber" // it serves; somebody should look soon
	Red   = "red"   // a service can't serve now
)

// Health is the answer of /health.
type Health struct {
	Status   string            `json:"status"`   // the worst of what follows
	Services map[string]string `json:"services"` // OK or Red, by name
	Findings []Finding         `json:"findings"`
	Details  any               `json:"details,omitempty"`
}

// Handler serves /livez (the process answers), /readyz (every service can serve now, or the one of ?service=NAME: what a
// balancer looks at), /health (what is not as it should be, with the remedy) and /metrics (Prometheus).
func (o Operations) Handler(s Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", s.JSON(func(*http.Request) (any, error) { return map[string]string{"status": "alive"}, nil }))
	mux.Handle("GET /readyz", s.JSON(o.ready, "service"))
	mux.Handle("GET /health", s.JSON(func(r *http.Request) (any, error) { return o.health(r.Context()), nil }))
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{}))
	return mux
}

func (o Operations) ready(r *http.Request) (any, error) {
	asked := slices.Sorted(maps.Keys(o.Services))
	if name := r.URL.Query().Get("service"); r.URL.Query().Has("service") {
		if o.Services[name] == nil {
			return nil, problem.RefuseField(http.StatusNotFound, "service", "there is no service %q here, but %s", name, strings.Join(asked, ", "))
		}
		asked = []string{name}
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	for _, name := range asked {
		if err := o.Services[name](ctx); err != nil {
			p := problem.RefuseField(http.StatusServiceUnavailable, name, "%v", err)
			p.Title = "not ready"
			return nil, p
		}
	}
	return map[string]string{"status": "ready"}, nil
}

func (o Operations) health(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	h := Health{Status: OK, Services: map[string]string{}, Findings: []Finding{}}
	for _, name := range slices.Sorted(maps.Keys(o.Services)) {
		h.Services[name] = OK
		if err := o.Services[name](ctx); err != nil {
			h.Services[name] = Red
			h.Findings = append(h.Findings, Finding{Red, "the service " + name + " can't serve now", err.Error()})
		}
	}
	if o.Findings != nil {
		h.Findings = append(h.Findings, o.Findings(ctx)...)
	}
	for _, f := range h.Findings {
		if f.State == Red || h.Status == OK {
			h.Status = f.State
		}
	}
	if o.Details != nil {
		h.Details = o.Details()
	}
	return h
}

// Metrics returns a registry with the Go runtime's and the process's own figures.
func Metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
