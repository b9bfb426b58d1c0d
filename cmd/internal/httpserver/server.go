// Package httpserver is the plumbing that every daemon's listeners share: mutual TLS 1.3, time-outs,
// bounded connections, clean stops, health and metrics, JSON in and out. Errors leave through internal/problem. It knows no subject.
package httpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"trustcore/internal/problem"
)

// Time-outs of every listener. A client that is slower than these is not served.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	stopTimeout       = 10 * time.Second // for requests in flight when the daemon ends
	maxHeaderBytes    = 32 << 10
	maxConnections    = 1024 // of one listener by default; with TLS an idle one takes some 50 KB
)

// Server is one listener and what it serves.
type Server struct {
	Name     string       // for logs and errors, such as "gateway"
	Listener net.Listener // owned: Run closes it
	TLS      *tls.Config  // nil serves plain HTTP (RFC 6960, 5280 and 3161 endpoints, health)
	Handler  http.Handler // served behind a problem.Door
	Logger   *slog.Logger

	// HTTP2 is for listeners whose clients are known and whose bodies are small: on one connection it opens hundreds of
	// requests, which no bound on connections sees and whose bodies wait in memory.
	HTTP2 bool

	Body        problem.Body // what is asked of requests' bodies; the zero value has defaults
	Connections int          // at once; 1024 when 0. One too many ends the one that has been silent longest

	Away  func(error) string                             // see problem.Door; optional
	Speak func(accept, format string, args []any) string // see problem.Door; optional
}

// Run serves until ctx ends, then lets requests in flight finish for at most ten seconds.
func (s Server) Run(ctx context.Context) error {
	if s.Handler == nil || s.Listener == nil || s.Logger == nil {
		return fmt.Errorf("server %s: Listener, Handler or Logger is missing", s.Name)
	}
	server := &http.Server{
		Handler:           s.Door().Guard(s.drained(s.Handler)),
		TLSConfig:         s.TLS.Clone(), // net/http writes into it, and listeners share one
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), stoppingKey{}, ctx.Done())
		},
		Protocols: new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(s.HTTP2)
	(&connections{max: cmp.Or(s.Connections, maxConnections)}).bind(server)
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(deadline), server.Close())
	}()
	s.Logger.Info("serving", "server", s.Name, "address", s.Listener.Addr().String(), "tls", s.TLS != nil)
	if err := s.serve(server); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("server %s: %w", s.Name, err)
	}
	return <-stopped
}

// stoppingKey is where a request's context has what Stopping returns.
type stoppingKey struct{}

// Stopping is closed when the server begins to stop: a request that is only held open should end then, one that does something go on.
// It is nil, and never closed, for the context of no request of a Server.
func Stopping(ctx context.Context) <-chan struct{} {
	stopping, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return stopping
}

// maxIdleBody bounds the body of a request whose method gives it no meaning (RFC 9110, 9.3.1), in bytes.
const maxIdleBody = 64 << 10

// drained reads the bodies that nobody asks for: net/http sees that a client has left only when it has read all of the request.
func (s Server) drained(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Body != nil && r.Body != http.NoBody {
			if _, err := ReadAll(r, maxIdleBody); err != nil {
				s.Door().Fail(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Serve returns Run for an errgroup.
func (s Server) Serve(ctx context.Context) func() error { return func() error { return s.Run(ctx) } }

func (s Server) serve(server *http.Server) error {
	if s.TLS != nil {
		return server.ServeTLS(s.Listener, "", "")
	}
	return server.Serve(s.Listener)
}

// Listen opens a TCP listener and says in one sentence what to do when that fails. With freebind the
// address need not exist yet: the tunnel's address appears when vpnd has brought the device up. A listener
// that the starter of this process has opened under the name what is taken instead of a new one.
func Listen(ctx context.Context, what, address string, freebind bool) (net.Listener, error) {
	if l, err := inherited(what, address); l != nil || err != nil {
		return l, err
	}
	var lc net.ListenConfig
	if freebind {
		lc.Control = bindFree
	}
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is taken by another program: end it or choose another address in the configuration", what, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %s is not an address of this machine: choose one of its own in the configuration", what, address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %s needs more rights: choose a port above 1023 or grant CAP_NET_BIND_SERVICE", what, address)
	}
	return nil, fmt.Errorf("%s: listening on %s: %w", what, address, err)
}

func bindFree(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = setFreebind(fd)
	})
	return errors.Join(err, failed)
}
