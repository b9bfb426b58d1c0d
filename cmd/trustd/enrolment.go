package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/problem"
	"trustcore/pki"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// enrolWait is how long an office's request is held until its certificate and tunnel are there; the
// office may send the same request again.
const enrolWait = 30 * time.Second

type enrolRequest struct {
	Token     string `json:"token"`
	PublicKey string `json:"wireguard_public_key"`
	CSR       string `json:"csr"`
	Exchange  []byte `json:"preshared_exchange,omitempty"` // see vpn.Exchange
}

// Wrong tokens: a token has 192 bits and can't be guessed, so the limit is for the database's sake. It is an address's own.
const (
	wrongTokens  = 10 // from one address in wrongWindow
	wrongWindow  = time.Minute
	maxStrangers = 4096 // addresses that are remembered; beyond, all begin anew
)

// strangers counts wrong tokens by address.
type strangers struct {
	mu    sync.Mutex
	since time.Time      // of the window; guarded by mu
	wrong map[string]int // guarded by mu
}

// patient reports whether the address may try.
func (s *strangers) patient(address string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.since) >= wrongWindow || now.Before(s.since) || len(s.wrong) > maxStrangers {
		s.since, s.wrong = now, map[string]int{}
	}
	return s.wrong[address] < wrongTokens
}

func (s *strangers) missed(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong[address]++
}

// enrolment takes an office's public parts with its one-time token.
func (d *daemon) enrolment(s httpserver.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /v1/enrolments", s.JSON(func(r *http.Request) (any, error) {
		address, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			return nil, err
		}
		if !d.strangers.patient(address, time.Now()) {
			p := problem.Refuse(http.StatusTooManyRequests, "%d wrong tokens came from %s: try again in a minute", wrongTokens, address)
			p.RetryAfter = int(wrongWindow.Seconds())
			return nil, p
		}
		var in enrolRequest
		if err := httpserver.Decode(r, &in); err != nil {
			return nil, err
		}
		sent, err := d.enrolledExchange(in)
		if err != nil {
			return nil, err
		}
		rec, err := d.registry.Enrol(r.Context(), in.Token, sent)
		if errors.Is(err, registry.ErrToken) {
			d.strangers.missed(address)
		}
		if err != nil {
			return nil, problemOf(err)
		}
		ctx, cancel := context.WithTimeout(r.Context(), enrolWait)
		defer cancel()
		site, err := d.ofToken(ctx, rec, in)
		if err != nil {
			return nil, problemOf(err)
		}
		return d.enrolled(ctx, rec.ID, site)
	}))
	return mux
}

// enrolled waits until the order is carried out and a gateway has reported, and returns what the office needs. Of an
// order that was renewed since, the one in force says what that is.
func (d *daemon) enrolled(ctx context.Context, order, site string) (*office.Enrolment, error) {
	for {
		changed, reported := d.registry.Changed(), d.gateways.reported()
		rec, err := d.registry.Order(ctx, order)
		if err != nil {
			return nil, problemOf(err)
		}
		waiting := rec.Waiting
		now, err := d.registry.InForce(ctx, order)
		if err != nil {
			return nil, err
		}
		if now != nil && rec.State != registry.Approved {
			hub, ok := d.gateways.hub()
			if ok || now.VPNRequest == nil {
				return d.officeConfig(ctx, order, site, now, hub)
			}
			waiting = "no VPN gateway has reported yet"
		}
		notYet := problem.Refuse(http.StatusServiceUnavailable, "order %s is not carried out yet (%s): send the same request again in a minute",
			order, waiting)
		select {
		case <-ctx.Done():
			return nil, notYet
		case <-httpserver.Stopping(ctx):
			return nil, notYet
		case <-changed:
		case <-reported:
		case <-time.After(time.Second): // another node's change makes no noise here
		}
	}
}

// officeConfig is what the office needs that enrolled for a site of an order, of whose line rec is in force.
func (d *daemon) officeConfig(ctx context.Context, order, site string, rec *registry.Record,
	hub vpn.Status) (*office.Enrolment, error) {
	e := &office.Enrolment{Partner: rec.Partner.ID}
	var err error
	if e.Certificate, err = d.enrolledCertificate(ctx, order, site); err != nil {
		return nil, err
	}
	e.CA = string(custody.PEM(d.ca.Authorities()...))
	_, tunnels, err := d.registry.Wish(ctx)
	if err != nil {
		return nil, err
	}
	var through *registry.Tunnel // its own, else one of the partner's
	own, _ := rec.SiteNamed(site)
	for _, t := range tunnels {
		isOwn := t.Order == rec.ID && t.Site == own.Name
		if t.Partner == rec.Partner.ID && (through == nil || isOwn) {
			through = &t
		}
		if isOwn {
			e.Site, e.Address = t.Site, d.cfg.Tunnel.addresses(t)
		}
	}
	if through == nil {
		e.Services = d.direct()
		return e, nil
	}
	for _, s := range d.cfg.Tunnel.services(*through) {
		e.Services = append(e.Services, d.cfg.Tunnel.told(s))
	}
	if e.Site == "" {
		return e, nil // another application of the office has the tunnel
	}
	endpoint, err := d.endpoint(hub)
	if err != nil {
		return nil, err
	}
	e.Hub = office.Hub{PublicKey: hub.PublicKey, Endpoint: endpoint, Addresses: hub.Addresses}
	if through.Rotation.Serial == 1 {
		e.Encapsulated, err = d.encapsulated(ctx, order, site, through.PublicKey)
	}
	return e, err
}

// encapsulated is the core's half of the agreement on a pre-shared key that the office enrolled with, nil where it made none
// or the tunnel has another key since.
func (d *daemon) encapsulated(ctx context.Context, order, site, key string) ([]byte, error) {
	sent, err := d.registry.EnrolmentOf(ctx, order, site)
	if err != nil || sent == nil || sent.PublicKey != key {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(sent.Encapsulated)
}

// enrolledCertificate returns the newest certificate that counts of the key with which the office enrolled, and its
// chain.
func (d *daemon) enrolledCertificate(ctx context.Context, order, site string) (string, error) {
	sent, err := d.registry.EnrolmentOf(ctx, order, site)
	if err != nil {
		return "", err
	}
	if sent == nil {
		return "", fmt.Errorf("order %s has no enrolment", order)
	}
	request, err := requestOf(sent)
	if err != nil {
		return "", err
	}
	key, err := keyDigest(request.PublicKey)
	if err != nil {
		return "", err
	}
	held, err := d.heldBy(ctx, order, site)
	if err != nil {
		return "", err
	}
	for _, c := range held {
		if c.PublicKey == key {
			return d.handedOut(ctx, c)
		}
	}
	return "", problem.Refuse(http.StatusConflict,
		"the certificate of order %s counts no more: ask the data centre for a new order", order)
}

// handedOut returns the chain of a certificate, that of its authority where a crash kept it from
// being remembered.
func (d *daemon) handedOut(ctx context.Context, c pki.Certificate) (string, error) {
	chain, err := d.registry.Chain(ctx, c.Serial)
	if err != nil || chain != "" {
		return chain, err
	}
	return d.chainedDER(c.DER)
}

// direct is what offices without a tunnel reach: nothing while the gateway listens in the tunnel alone.
func (d *daemon) direct() []office.Service {
	own, known := d.listens("gateway")
	var reached []office.Service
	for _, s := range d.cfg.Direct {
		if s.Addr.Port() == 0 && known {
			s.Addr = netip.AddrPortFrom(s.Addr.Addr(), own.Port())
		}
		reached = append(reached, office.Service{Name: s.Name, Addr: s.Addr})
	}
	if len(reached) == 0 && known && !own.Addr().IsUnspecified() && !d.cfg.Tunnel.holds(own.Addr()) &&
		own.Addr() != d.cfg.Tunnel.Hub {
		reached = append(reached, office.Service{Name: "gateway", Addr: own})
	}
	return reached
}

// listens is where a listener is open.
func (d *daemon) listens(name string) (netip.AddrPort, bool) {
	for _, s := range d.servers {
		if a, is := s.Listener.Addr().(*net.TCPAddr); is && s.Name == name {
			return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port)), true
		}
	}
	return netip.AddrPort{}, false
}

// endpoint is where offices reach the hub; port 0 in the configuration stands for the one it has now. Without a second
// endpoint the hub's second port is reached as it is, where the first one is.
func (d *daemon) endpoint(hub vpn.Status) (string, error) {
	at := d.cfg.Tunnel.Endpoint
	if hub.Second && d.cfg.Tunnel.SecondEndpoint != "" {
		at = d.cfg.Tunnel.SecondEndpoint
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return "", fmt.Errorf("tunnel.endpoint: %w", err)
	}
	if hub.Second && d.cfg.Tunnel.SecondEndpoint == "" {
		port = "0"
	}
	if port == "0" {
		port = strconv.Itoa(hub.ListenPort)
	}
	return net.JoinHostPort(host, port), nil
}
