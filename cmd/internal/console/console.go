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
	"strings"
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

	Certificates func(ctx context.Context, of Choice) ([]Certificate, error) // the inventory, in any order
	Keys         func(ctx context.Context, of Choice) ([]Key, error)         // of the HSM, in any order
	Tunnels      func(ctx context.Context) ([]Tunnel, error)                 // those wished for and those still there
	Expiring     func(ctx context.Context) ([]Expiry, error)                 // all that ends, what ends first first
	Motions      Motions
	Acts         Acts

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
		cfg.Expiring == nil || cfg.Motions.Waiting == nil || cfg.Motions.Approve == nil || !cfg.Acts.whole() ||
		cfg.EnrolmentURL == "" || cfg.Now == nil || cfg.Logger == nil {
		return nil, errors.New("console: Registry, Audit, Certificates, Keys, Tunnels, Expiring, Motions, " +
			"Acts, EnrolmentURL, Now or Logger is missing")
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

// base is the path of a session's pages. Below it each page has one name, so that their links to each other are short.
const base = "/s/{place}/"

// Start is the route of the first page in the table of rights: who may use it may enter.
const (
	start = "{$}"
	Start = "GET " + base + start
)

// page answers requests of a session.
type page func(w http.ResponseWriter, r *http.Request, v view)

// pages are the routes of a session, below its path. Each stands in the table of rights; a test holds the two together.
func (c *Console) pages() map[string]page {
	return map[string]page{
		"GET " + start: c.showStart, "GET orders": c.showOrders, "GET order": c.showOrder,
		"GET partners": c.showPartners, "GET partner": c.showPartner,
		"GET keys": c.showKeys, "GET certificates": c.showCertificates, "GET tunnels": c.showTunnels,
		"GET expiring": c.showExpiring, "GET motions": c.showMotions,
		"GET audit": c.showAudit, "GET entry": c.showEntry, "GET proof": c.downloadProof,
		"GET documents": c.showDocuments, "GET settings": c.showSettings,
		"POST orders/approve": c.approve, "POST orders/reject": c.reject, "POST orders/token": c.newToken,
		"GET key": c.showKey, "GET certificate": c.showCertificate, "GET tunnel": c.showTunnel,
		"GET uses": c.showUses, "GET uses-proof": c.downloadUses,
		"GET confirm": c.showConfirm, "GET submit": c.showSubmit,
		"POST draft": c.showDraft, "POST orders/submit": c.submitOrder,
		"POST keys/suspend": c.suspendKey, "POST keys/resume": c.proposeKey(registry.ResumeKeys),
		"POST keys/rotate":          c.proposeKey(registry.RotateKeys),
		"POST certificates/suspend": c.suspendCertificate,
		"POST certificates/release": c.proposeCertificate(registry.ReleaseCertificates),
		"POST certificates/revoke":  c.proposeCertificate(registry.RevokeCertificates), "POST tunnels/rotate": c.rotateTunnel,
		"POST motions/approve": c.approveMotion, "POST motions/reject": c.rejectMotion,
		"POST documents": c.verifyDocuments, "POST preferences": c.setPreferences, "POST logout": c.leave,
	}
}

// Routes are those of the sessions, as the table of rights has them.
func (c *Console) Routes() (all []string) {
	for route := range c.pages() {
		method, path, _ := strings.Cut(route, " ")
		all = append(all, method+" "+base+path)
	}
	return all
}

// routes: what stands behind member needs a session; the login, the style sheet and the script do not.
// A session's pages lie below a path of its own (see session).
func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", c.showLogin)
	mux.HandleFunc("POST /login", c.enter)
	mux.Handle("GET /static/", c.assets)
	mux.Handle("GET /{$}", http.RedirectHandler("/login", http.StatusSeeOther))
	for route, do := range c.pages() {
		method, path, _ := strings.Cut(route, " ")
		mux.HandleFunc(method+" "+base+path, c.member(do))
	}
	mux.HandleFunc(base, c.lost)
	mux.HandleFunc("/", c.stranger)
	return assets.GuardOr(policy, http.HandlerFunc(c.foreign), mux)
}

// policy lets run what comes from here alone, and nothing that stands in a page itself.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
