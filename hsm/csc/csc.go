// Package csc speaks the API of the Cloud Signature Consortium (versions 1.0.4.0 and 2.0.0.2) to programs that sign
// remotely, in front of the HSM gateway: the credentials are the keys that orders give the caller, and what is signed
// goes the gateway's one way, through its grants, limits, counters and audit log.
//
// Who calls is proved by the client certificate of the connection (authType TLS), with an access token bound to it
// (RFC 8705, 3) or without one. A credential is used with signature activation data (SAD) that stand for the hashes,
// the credential and the caller, are good for one request, and end soon (SCAL2).
//
// Tokens and SAD lie in memory, by their digests: after a restart, or at another node, a client asks for new ones.
package csc

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"trustcore/hsm/gateway"
)

// Config tells New what the API stands on. All fields are required unless marked.
type Config struct {
	Gateway *gateway.Gateway

	// Admit says whether the holder of the connection's certificate may use a route, one of Routes. What it answers
	// is told to the client when it is a *problem.Problem.
	Admit func(r *http.Request, route string) error

	// Stamp answers a request for a time-stamp (RFC 3161), both in DER. Optional: without it the API has no
	// time-stamps.
	Stamp func(ctx context.Context, request []byte) []byte

	Name   string // of the service, for people
	Now    func() time.Time
	Logger *slog.Logger
}

// Lives of what is handed out: of a token the time of some work, so that one that leaks ends soon; of a SAD the time
// between computing a hash and having it signed.
const (
	tokenLife = 10 * time.Minute
	sadLife   = 2 * time.Minute
)

// How many of them one caller may have at a time; then the oldest go. A SAD holds at most gateway.MaxBatch hashes.
const (
	maxTokens = 32
	maxSADs   = 128
)

// maxBody bounds a request in octets: gateway.MaxBatch hashes of SHA-512 in base64, and what stands around them.
const maxBody = 64 << 10

type service struct {
	Config
	tokens tickets[struct{}]
	sads   tickets[activation]
}

// call is a request whose caller is known.
type call struct {
	*http.Request
	client  *x509.Certificate
	print   [sha256.Size]byte // of client
	version version
	in      body // nil where the request has none that is JSON
}

// version is that of the API.
type version string

const (
	v1 version = "v1"
	v2 version = "v2"
)

// via names the interface for the audit log.
func (v version) via() string { return "csc " + string(v) }

// method is one of the API.
type method struct {
	name string
	open bool // it needs no token, whatever stands for one
	form bool // its request is a form, not JSON
	do   func(*service, *call) (any, error)
}

// methods are all of them, in the order in which info lists them.
func methods() []method {
	return []method{
		{name: "info", open: true, do: (*service).info},
		{name: "oauth2/token", open: true, form: true, do: (*service).token},
		{name: "oauth2/revoke", open: true, form: true, do: (*service).revoke},
		{name: "credentials/list", do: (*service).list},
		{name: "credentials/info", do: (*service).credential},
		{name: "credentials/authorize", do: (*service).authorize},
		{name: "signatures/signHash", do: (*service).signHash},
		{name: "signatures/timestamp", do: (*service).timestamp},
	}
}

// route is the pattern of a method, for net/http's ServeMux and for who may use it.
func (m method) route() string { return "POST /csc/{version}/" + m.name }

// Routes are the patterns of all methods.
func Routes() []string {
	var all []string
	for _, m := range methods() {
		all = append(all, m.route())
	}
	return all
}

// New returns the handler of all that lies under /csc/. The server in front of it demands and verifies client
// certificates.
func New(cfg Config) (http.Handler, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Gateway", cfg.Gateway == nil},
		{"Admit", cfg.Admit == nil},
		{"Name", cfg.Name == ""},
		{"Now", cfg.Now == nil},
		{"Logger", cfg.Logger == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("CSC API's configuration: %s is missing", f.name)
		}
	}
	s := &service{Config: cfg}
	s.tokens.most, s.sads.most = maxTokens, maxSADs
	mux := http.NewServeMux()
	for _, m := range methods() {
		mux.HandleFunc(m.route(), func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, m) })
	}
	mux.HandleFunc("/csc/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, refuse(http.StatusNotFound, "invalid_request", "the API has no such method; info lists those that it has, "+
			"all by POST"))
	})
	return mux, nil
}

// serve answers one call.
func (s *service) serve(w http.ResponseWriter, r *http.Request, m method) {
	c, err := s.caller(r, m)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer, err := m.do(s, c)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		s.send(w, r, answer)
	}
}

// caller finds out who calls, whether that may be, and what it says; in this order.
func (s *service) caller(r *http.Request, m method) (*call, error) {
	c := &call{Request: r, version: version(r.PathValue("version"))}
	if c.version != v1 && c.version != v2 {
		return nil, refuse(http.StatusNotFound, "invalid_request", "the versions of the API are v1 and v2")
	}
	if err := s.Admit(r, m.route()); err != nil {
		return nil, err
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return nil, refuse(http.StatusUnauthorized, "access_denied", "the connection carries no verified client certificate")
	}
	c.client = r.TLS.PeerCertificates[0]
	c.print = sha256.Sum256(c.client.Raw)
	if !m.open {
		if err := s.checkToken(c); err != nil {
			return nil, err
		}
	}
	if m.form {
		return c, nil
	}
	in, err := readBody(r)
	if err != nil {
		return nil, err
	}
	c.in = in
	return c, nil
}
