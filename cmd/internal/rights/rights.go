// Package rights asks every client that comes with a certificate, or with an application's token, the same three
// questions, at every listener and for every request: is this one of ours that counts now, whose is it, and may its
// holder use this route. A connection that was opened before a certificate was revoked, or a TLS session that is
// resumed, is asked again with each request.
package rights

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"

	"trustcore/cmd/internal/application"
	"trustcore/internal/problem"
)

// Holder is who a certificate stands for, as the inventory of the authority has it: what the certificate says of itself
// opens nothing.
type Holder struct {
	Profile string `json:"profile"`
	Name    string `json:"name"` // common name
	Partner string `json:"partner,omitempty"`
	Order   string `json:"order,omitempty"` // by which it was issued
	Serial  string `json:"serial"`          // lower-case hex; of a token, the first octets of its digest
}

// TokenProfile is the profile of a holder that has shown an application's token in place of a certificate.
const TokenProfile = "token"

// Why a certificate opens no door.
var (
	ErrUnknown  = errors.New("the client certificate is none of this authority's")
	ErrRevoked  = errors.New("the client certificate is revoked")
	ErrHeld     = errors.New("the client certificate is suspended")
	ErrOutdated = errors.New("the client certificate is not valid at this time")
	ErrToken    = errors.New("the token is unknown or revoked")
	ErrEnded    = errors.New("the application is revoked")
)

// Standing says whose certificate it is. With one of the errors above the holder is told as well where it is known,
// for the record. Any other error means that the question can't be answered now, which lets nobody in.
type Standing func(ctx context.Context, c *x509.Certificate) (Holder, error)

// Guard stands at one listener. Listener and Standing are required.
type Guard struct {
	Listener Listener
	Standing Standing
	Bearer   func(token string) (Holder,
		error) // whose token it is, as Standing; nil where tokens open nothing
	Refused func(ctx context.Context, who Holder, route, why string) // keeps a record
}

// Handler serves what stands behind a right.
type Handler func(w http.ResponseWriter, r *http.Request, who Holder)

// Protect serves the routes that the table has for the listener from next, to those who may use them. Other routes
// are not there.
func (g Guard) Protect(door problem.Door, next http.Handler) http.Handler {
	return g.Serve(door, func(w http.ResponseWriter, r *http.Request, _ Holder) { next.ServeHTTP(w, r) })
}

// Serve is Protect for who has to know the holder.
func (g Guard) Serve(door problem.Door, next Handler) http.Handler {
	mux := http.NewServeMux()
	for _, right := range Table {
		if right.Listener != g.Listener {
			continue
		}
		mux.HandleFunc(right.Route, func(w http.ResponseWriter, r *http.Request) {
			who, err := g.Admit(r, right.Route)
			if err != nil {
				door.Fail(w, r, err)
				return
			}
			next(w, r, who)
		})
	}
	return mux
}

// Admit lets the client of a request use a route of the listener, or says why not: a problem of status 401 or 403, or
// 503 when it can't be told now.
func (g Guard) Admit(r *http.Request, route string) (Holder, error) {
	who, err := g.Who(r)
	return g.admit(r.Context(), who, err, route)
}

// Who is whose certificate a request shows, or else whose token.
func (g Guard) Who(r *http.Request) (Holder, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return g.whoseToken(r)
	}
	return g.Standing(r.Context(), r.TLS.PeerCertificates[0])
}

func (g Guard) whoseToken(r *http.Request) (Holder, error) {
	if g.Bearer == nil || r.TLS == nil {
		return Holder{}, problem.Refuse(http.StatusForbidden, "a client certificate is needed")
	}
	token, err := application.TokenIn(r.Header.Get("Authorization"))
	if err != nil {
		return Holder{}, problem.Refuse(http.StatusUnauthorized,
			"a client certificate is needed, or the token of an application")
	}
	return g.Bearer(token)
}

// AdmitCertificate is Admit for who has shown the certificate before, such as the officer of a session.
func (g Guard) AdmitCertificate(ctx context.Context, c *x509.Certificate, route string) (Holder, error) {
	who, err := g.Standing(ctx, c)
	return g.admit(ctx, who, err, route)
}

// admit asks what the holder may do; err is why the holder is none.
func (g Guard) admit(ctx context.Context, who Holder, err error, route string) (Holder, error) {
	if err == nil && !g.allows(who.Role(), route) {
		err = problem.Refuse(http.StatusForbidden, "the client certificate is of profile %s, which may not use this",
			who.Profile)
	}
	if err == nil {
		return who, nil
	}
	p := asProblem(err)
	if p.Status == http.StatusForbidden && g.Refused != nil {
		g.Refused(ctx, who, route, p.Detail)
	}
	return Holder{}, p
}

func (g Guard) allows(role Role, route string) bool { return Allows(g.Listener, role, route) }

// Allows reports whether the table lets a role use a route of a listener.
func Allows(at Listener, role Role, route string) bool {
	return role != "" && slices.ContainsFunc(Table, func(r Right) bool {
		return r.Listener == at && r.Route == route && slices.Contains(r.Roles, role)
	})
}

// retryAfter is what a client is told while it can't be said whether its certificate counts, in seconds.
const retryAfter = 2

func asProblem(err error) *problem.Problem {
	var p *problem.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, ErrToken):
		return problem.Refuse(http.StatusUnauthorized, "%v", err)
	case errors.Is(err, ErrUnknown), errors.Is(err, ErrRevoked), errors.Is(err, ErrHeld), errors.Is(err, ErrOutdated),
		errors.Is(err, ErrEnded):
		return problem.Refuse(http.StatusForbidden, "%v", err)
	}
	p = problem.Refuse(http.StatusServiceUnavailable,
		"it can't be told now whether the client certificate counts; try again in a moment")
	p.RetryAfter = retryAfter
	return p
}

// AskForToken changes the settings of a listener that asks for client certificates, so that who shows none comes as
// far as Admit and can show a token.
func AskForToken(settings *tls.Config) { settings.ClientAuth = tls.VerifyClientCertIfGiven }

// Fingerprint is the SHA-256 of the certificate, lower-case hex, as the inventory writes it.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
