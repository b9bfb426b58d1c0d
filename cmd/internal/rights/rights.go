// Package rights asks every client that comes with a certificate the same three questions, at every listener and for every
// request: is this a certificate of ours that counts now, whose is it, and may its holder use this route. A connection that
// was opened before a certificate was revoked, or a TLS session that is resumed, is asked again with each request.
package rights

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"

	"trustcore/internal/problem"
)

// Holder is who a certificate stands for, as the inventory of the authority has it: what the certificate says of itself
// opens nothing.
type Holder struct {
	Profile string `json:"profile"`
	Name    string `json:"name"` // common name
	Partner string `json:"partner,omitempty"`
	Order   string `json:"order,omitempty"` // by which it was issued
	Serial  string `json:"serial"`          // lower-case hex
}

// Why a certificate opens no door.
var (
	ErrUnknown  = errors.New("the client certificate is none of this authority's")
	ErrRevoked  = errors.New("the client certificate is revoked")
	ErrHeld     = errors.New("the client certificate is suspended")
	ErrOutdated = errors.New("the client certificate is not valid at this time")
)

// Standing says whose certificate it is. With one of the errors above the holder is told as well where it is known, for the
// record. Any other error means that the question can't be answered now, which lets nobody in.
type Standing func(ctx context.Context, c *x509.Certificate) (Holder, error)

// Guard stands at one listener. Every field is required but Refused.
type Guard struct {
	Listener Listener
	Standing Standing
	Refused  func(ctx context.Context, who Holder, route, why string) // keeps a record
}

// Handler serves what stands behind a right.
type Handler func(w http.ResponseWriter, r *http.Request, who Holder)

// Protect serves the routes that the table has for the listener from next, to those who may use them. Other routes are not there.
func (g Guard) Protect(door problem.Door, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, right := range Table {
		if right.Listener != g.Listener {
			continue
		}
		mux.HandleFunc(right.Route, func(w http.ResponseWriter, r *http.Request) {
			if _, err := g.Admit(r, right.Route); err != nil {
				door.Fail(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	return mux
}

// Admit lets the client of a request use a route of the listener, or says why not: a problem of status 403, or 503 when it can't
// be told now.
func (g Guard) Admit(r *http.Request, route string) (Holder, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return Holder{}, problem.Refuse(http.StatusForbidden, "a client certificate is needed")
	}
	return g.AdmitCertificate(r.Context(), r.TLS.PeerCertificates[0], route)
}

// AdmitCertificate is Admit for who has shown the certificate before, such as the officer of a session.
func (g Guard) AdmitCertificate(ctx context.Context, c *x509.Certificate, route string) (Holder, error) {
	who, err := g.Standing(ctx, c)
	if err == nil && !g.allows(who.Role(), route) {
		err = problem.Refuse(http.StatusForbidden, "the client certificate is of profile %s, which may not use this", who.Profile)
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

func (g Guard) allows(role Role, route string) bool {
	return role != "" && slices.ContainsFunc(Table, func(r Right) bool {
		return r.Listener == g.Listener && r.Route == route && slices.Contains(r.Roles, role)
	})
}

// retryAfter is what a client is told while it can't be said whether its certificate counts, in seconds.
const retryAfter = 2

func asProblem(err error) *problem.Problem {
	var p *problem.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, ErrUnknown), errors.Is(err, ErrRevoked), errors.Is(err, ErrHeld), errors.Is(err, ErrOutdated):
		return problem.Refuse(http.StatusForbidden, "%v", err)
	}
	p = problem.Refuse(http.StatusServiceUnavailable, "it can't be told now whether the client certificate counts; try again in a moment")
	p.RetryAfter = retryAfter
	return p
}

// Fingerprint is the SHA-256 of the certificate, lower-case hex, as the inventory writes it.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
