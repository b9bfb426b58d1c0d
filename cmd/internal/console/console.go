// Package console is the officers' page: what waits for a decision, what is switched on, what the audit
// log says, and a place to verify documents. It runs on loopback behind a one-time login, knows the
// registry and the audit log, and is given the rest as plain views; it parses no documents.
package console

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"trustcore/cmd/internal/assets"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

// htmx.min.js is htmx 2.0.11 as its npm package htmx.org has it (licence: htmx.LICENSE).
//
//go:embed static
var staticFiles embed.FS

// Config is what New needs. Fields without 'optional' are refused when they are missing.
type Config struct {
	Registry *registry.Registry
	Audit    *audit.Log

	Certificates func(ctx context.Context) ([]Certificate, error) // the inventory, in any order
	Keys         func(ctx context.Context) ([]Key, error)         // of the HSM, in any order
	Tunnels      func(ctx context.Context) ([]Tunnel, error)      // those wished for and those still there
	Expiring     func(ctx context.Context) ([]Expiry, error)      // all that ends, what ends first first
	Motions      Motions

	// Verify sends one document and what it signs to the verification service as octets, and returns the
	// service's report in JSON. next gives one file after the other and io.EOF after the last; the first is
	// the document. A file's body must be read before next is called again. An error that is a
	// *problem.Problem is shown by its status. Optional: without it there is no drop zone.
	Verify func(ctx context.Context, next func() (*File, error)) ([]byte, error)

	EnrolmentURL string // https URL where offices enrol with their token
	EnrolmentPin string // optional: SHA-256 of the CA certificate that the URL's server is known by, hex

	Away func(error) string // see problem.Door; optional

	Now    func() time.Time
	Logger *slog.Logger
}

// File is one file on its way to the verification service.
type File struct {
	Name   string    // as its sender named it: not to be trusted
	Signed bool      // a file that the document before it signs; the document itself when false
	Body   io.Reader // good until the next file is asked for
}

// Certificate is one row of the certification authority's inventory.
type Certificate struct {
	Serial, Subject, Profile, Partner, Order string
	State                                    string // "valid", "revoked", "expired" or "reserved"
	NotBefore, NotAfter                      time.Time
	RevokedAt                                time.Time // zero unless revoked
}

// Key is one key of the HSM.
type Key struct {
	ID, Partner, Order, Label, Algorithm string // Partner is "" for the data centre's own
	State                                string // "pending", "active", "suspended" or "destroyed"
	NeverExtractable                     bool   // as the token itself says
	Created                              time.Time
}

// Tunnel is one office's end of the VPN.
type Tunnel struct {
	Partner, Site, Order, Address string // Order and Address are "" for a tunnel that is being removed
	State                         string // "up", "stale", "down", "never"; "removing"; "unknown" while no gateway reports it
	LastHandshake                 time.Time
	Received, Sent                int64 // bytes, as the hub counts them
}

// Bodies is what the console's listener must let through: a drop of documents.
func Bodies() problem.Body { return problem.Body{Max: maxUpload, Time: 10 * time.Minute} }

// Console is the page and its sessions. It is safe for concurrent use.
type Console struct {
	cfg     Config
	door    problem.Door
	speech  map[string]*speech // by language
	assets  *assets.Set
	handler http.Handler

	mu       sync.Mutex
	codes    map[digest]login    // guarded by mu
	sessions map[digest]*session // guarded by mu
	guesses  guesses             // guarded by mu
}

// New returns the console.
func New(cfg Config) (*Console, error) {
	if cfg.Registry == nil || cfg.Audit == nil || cfg.Certificates == nil || cfg.Keys == nil || cfg.Tunnels == nil ||
		cfg.Expiring == nil || cfg.Motions.Waiting == nil || cfg.Motions.Approve == nil ||
		cfg.EnrolmentURL == "" || cfg.Now == nil || cfg.Logger == nil {
		return nil, errors.New("console: Registry, Audit, Certificates, Keys, Tunnels, Expiring, Motions, " +
			"EnrolmentURL, Now or Logger is missing")
	}
	c := &Console{cfg: cfg, door: problem.Door{Name: "console", Logger: cfg.Logger}, codes: map[digest]login{}, sessions: map[digest]*session{}}
	var err error
	if c.assets, err = assets.Load(staticFiles, "static"); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if c.speech, err = loadSpeech(c.assets.Path, cfg.Now); err != nil {
		return nil, err
	}
	c.handler = c.routes()
	return c, nil
}

// Handler returns the page with everything below it. It must be served over TLS: its cookies are for
// secure connections only.
func (c *Console) Handler() http.Handler { return c.handler }

// routes: what stands behind member needs a session; the login, the style sheet and the script do not.
// A session's pages lie below a path of its own (see session).
func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", c.showLogin)
	mux.HandleFunc("POST /login", c.enter)
	mux.Handle("GET /static/", c.assets)
	mux.Handle("GET /{$}", http.RedirectHandler("/login", http.StatusSeeOther))
	mux.HandleFunc("GET /s/{place}/{$}", c.member(c.showPage))
	mux.HandleFunc("GET /s/{place}/fragments/{name}", c.member(c.showFragment))
	mux.HandleFunc("POST /s/{place}/orders/approve", c.member(c.approve))
	mux.HandleFunc("POST /s/{place}/orders/reject", c.member(c.reject))
	mux.HandleFunc("POST /s/{place}/orders/token", c.member(c.newToken))
	mux.HandleFunc("POST /s/{place}/motions/approve", c.member(c.approveMotion))
	mux.HandleFunc("POST /s/{place}/motions/reject", c.member(c.rejectMotion))
	mux.HandleFunc("POST /s/{place}/documents", c.member(c.verifyDocuments))
	mux.HandleFunc("POST /s/{place}/preferences", c.member(c.setPreferences))
	mux.HandleFunc("POST /s/{place}/logout", c.member(c.leave))
	return assets.Guard(policy, mux)
}

// policy lets run what comes from here alone, and nothing that stands in a page itself.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
