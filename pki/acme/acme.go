// Package acme is the ACME server of the authority (RFC 8555, and RFC 9773 for renewal information): stock clients at partner
// offices get, renew and revoke the certificates of their servers. smallstep's server speaks the protocol; what it stores lies
// in our database, what it signs is issued by pki.CA, and what it dials are the partner's own addresses. It sees no key.
package acme

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/smallstep/certificates/acme/api"
	"github.com/smallstep/certificates/authority"
	"github.com/smallstep/certificates/authority/provisioner"

	"trustcore/internal/audit"
	"trustcore/internal/lease"
	"trustcore/internal/store"
	"trustcore/pki"
)

// Directory is the path of the directory, which clients are configured with.
const Directory = prefix + "/" + provisionerName + "/directory"

// In each path: smallstep's server has its resources under the name of a provisioner.
const prefix, provisionerName = "/acme", "offices"

// Rule is what the order of a partner that is in force now allows it to ask for.
type Rule struct {
	Line  string // the order with those that renewed it: keys and accounts end with their line
	Order string // the one of the line that is in force, by which certificates are issued

	Names     []string       // DNS names, lower case, each as it stands
	Addresses []netip.Addr   // IP addresses that certificates may have
	Reach     []netip.Prefix // the partner's ends of its tunnels: no other address is dialled for it
	Profile   pki.Profile    // of its certificates
	NotAfter  time.Time      // optional: end of the authorisation
}

// allows reports whether the rule has the name or address of an identifier.
func (r *Rule) allows(kind, value string) bool {
	if kind == kindIP {
		a, err := netip.ParseAddr(value)
		return err == nil && a.Zone() == "" && slices.Contains(r.Addresses, a)
	}
	return kind == kindDNS && slices.Contains(r.Names, value)
}

// ErrNoRule says that no order in force allows the partner anything.
var ErrNoRule = errors.New("no order in force allows the partner certificates by ACME")

// Config is what New needs. Fields without 'optional' are refused when they are missing.
type Config struct {
	DB     *store.DB
	Audit  *audit.Log
	CA     *pki.CA
	Leases *lease.Leases // optional: the nodes of the database; nil on one that is alone

	Base string // scheme, host and port under which clients reach Handler, such as "https://acme.example.org:8444"

	// Rules returns what a partner may ask for now, or ErrNoRule. It is asked with every request of an account.
	Rules func(ctx context.Context, partner string) (*Rule, error)
	// Seal enciphers the secret of a key for the database, Open undoes that; of is the name of what it belongs to.
	Seal func(secret []byte, of string) (string, error)
	Open func(sealed, of string) ([]byte, error)

	// Resolver answers for names and dns-01. Without it dns-01 is not offered, and names are looked for at the partner's ends.
	Resolver netip.AddrPort
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // optional: the network's

	Now    func() time.Time // optional: time.Now when nil
	Logger *slog.Logger     // optional: slog.Default when nil
}

func (c *Config) complete() error {
	if c.DB == nil || c.Audit == nil || c.CA == nil || c.Rules == nil || c.Seal == nil || c.Open == nil {
		return errors.New("DB, Audit, CA, Rules, Seal or Open is missing")
	}
	u, err := url.Parse(c.Base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || strings.ToLower(u.Host) != u.Host {
		return fmt.Errorf("%q as Base is no https URL of a host in lower case alone", c.Base)
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// Server is safe for concurrent use.
type Server struct {
	cfg       Config
	host      string // of Base, with its port where that is not 443
	resolver  *net.Resolver
	authority *authority.Authority
	offices   *provisioner.ACME
	links     linker
	routes    *chi.Mux
	callers   callers
	attempts  chan struct{} // one for each challenge that is being looked at
	signing   sync.Map      // *x509.CertificateRequest to the *session whose it is
}

// New checks cfg, brings the schema up to date, and returns the server.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	if err := cfg.DB.Migrate(ctx, "acme", schema); err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	s := &Server{cfg: cfg, host: strings.TrimPrefix(cfg.Base, "https://"), attempts: make(chan struct{}, maxAttempts)}
	if cfg.Resolver.IsValid() {
		s.resolver = &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return cfg.Dial(ctx, network, cfg.Resolver.String())
		}}
	}
	if err := s.embed(); err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	s.routes = chi.NewRouter()
	s.routes.Route(prefix, func(r chi.Router) {
		api.Route(&router{s, r})
		r.Get("/"+provisionerName+"/renewal-info/{id}", s.renewalInfo)
	})
	return s, nil
}

// Handler serves Directory and what it leads to.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// sweepEvery is how often what has expired is deleted.
const sweepEvery = time.Minute

// Run deletes what has expired, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Error("deleting what has expired of ACME failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
