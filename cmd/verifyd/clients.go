package main

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/rights"
	"trustcore/verify/api"
)

// clients is who is let in, as trustd says.
type clients struct {
	*rights.Follower
	tokens bool // who shows no certificate may show an application's token
}

// clients is nil where nobody is asked.
func (c *Config) clients(log *slog.Logger) (*clients, error) {
	if c.Clients == "none" {
		return nil, nil
	}
	follower, err := rights.Follow(c.Trustd, c.Identity, c.ClientsFor, log)
	if err != nil {
		return nil, err
	}
	return &clients{follower, c.Clients == "application"}, nil
}

// follower is nil where nobody is asked.
func (c *clients) follower() *rights.Follower {
	if c == nil {
		return nil
	}
	return c.Follower
}

// admits changes a listener's settings so that who shows a token comes as far as being asked for it.
func (c *clients) admits(settings *tls.Config) {
	if c != nil && c.tokens {
		rights.AskForToken(settings)
	}
}

func (c *clients) guard() rights.Guard {
	guard := rights.Guard{Listener: rights.Verify, Standing: c.Standing}
	if c.tokens {
		guard.Bearer = c.Bearer
	}
	return guard
}

// protect serves next on the listener to whose certificates or tokens count, as far as their quotas go.
func (c *clients) protect(s httpserver.Server, next http.Handler) http.Handler {
	quotas := &rights.Quotas{Of: c.Application, Days: true}
	return c.guard().Serve(s.Door(), quotas.Serve(s.Door(),
		func(w http.ResponseWriter, r *http.Request, _ rights.Holder) { next.ServeHTTP(w, r) }))
}

// caller names who asks, by what the authority calls it: that stays the same when its certificate is renewed, or
// where it shows a token. Where nobody is asked all callers are one.
func (c *clients) caller(r *http.Request) string {
	if c == nil {
		return ""
	}
	who, err := c.guard().Who(r)
	if err != nil { // it was let in a moment ago, and is nobody else
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			return rights.Fingerprint(r.TLS.PeerCertificates[0])
		}
		return "unknown " + r.RemoteAddr
	}
	return strings.Join([]string{string(who.Role()), who.Partner, who.Name}, "/")
}

// callers is who is let in, as the API's description says.
func (c *clients) callers() api.Callers {
	switch {
	case c == nil:
		return api.Anybody
	case c.tokens:
		return api.Applications
	}
	return api.Certified
}

// mayAsk refuses a caller's question about a service that is none of its application's.
func (c *clients) mayAsk(caller, service string) error {
	role, _, _ := strings.Cut(caller, "/")
	if c == nil || rights.Role(role) != rights.Application {
		return nil
	}
	return c.MayAsk(caller[strings.LastIndexByte(caller, '/')+1:], service)
}
