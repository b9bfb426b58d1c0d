package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/problem"
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
		rec, err := d.registry.Enrol(r.Context(), in.Token, registry.Enrolment{PublicKey: in.PublicKey, CSR: in.CSR})
		if errors.Is(err, registry.ErrToken) {
			d.strangers.missed(address)
		}
		if err != nil {
			return nil, problemOf(err)
		}
		ctx, cancel := context.WithTimeout(r.Context(), enrolWait)
		defer cancel()
		return d.enrolled(ctx, rec.ID)
	}))
	return mux
}

// enrolled waits until the order is carried out and a gateway has reported, and returns what the office needs.
func (d *daemon) enrolled(ctx context.Context, order string) (*office.Enrolment, error) {
	for {
		changed, reported := d.registry.Changed(), d.gateways.reported()
		rec, err := d.registry.Order(ctx, order)
		if err != nil {
			return nil, problemOf(err)
		}
		waiting := rec.Waiting
		if rec.State == registry.Active {
			hub, ok := d.gateways.hub()
			if ok || rec.VPNRequest == nil {
				return d.officeConfig(ctx, rec, hub)
			}
			waiting = "no VPN gateway has reported yet"
		}
		select {
		case <-ctx.Done():
			return nil, problem.Refuse(http.StatusServiceUnavailable, "order %s is not carried out yet (%s): send the same request again in a minute", order, waiting)
		case <-changed:
		case <-reported:
		case <-time.After(time.Second): // another node's change makes no noise here
		}
	}
}

func (d *daemon) officeConfig(ctx context.Context, rec *registry.Record, hub vpn.Status) (*office.Enrolment, error) {
	certificates, err := d.registry.Certificates(ctx, rec.ID)
	if err != nil {
		return nil, err
	}
	e := &office.Enrolment{Partner: rec.Partner.ID}
	for _, c := range certificates {
		if c.Purpose == registry.ClientCertificate {
			e.Certificate = c.PEM
		}
	}
	if e.CA, err = d.custody.Chain(); err != nil {
		return nil, err
	}
	if rec.VPNRequest == nil {
		return e, nil
	}
	e.Site = rec.VPNRequest.Site
	endpoint, err := d.endpoint(hub)
	if err != nil {
		return nil, err
	}
	e.Hub = office.Hub{PublicKey: hub.PublicKey, Endpoint: endpoint, Addresses: hub.Addresses}
	for _, s := range d.cfg.Tunnel.Services {
		e.Services = append(e.Services, office.Service{Name: s.Name, Addr: s.Addr})
	}
	_, tunnels, err := d.registry.Wish(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tunnels {
		if t.Order == rec.ID {
			e.Address = []netip.Prefix{netip.PrefixFrom(t.Address, t.Address.BitLen())}
		}
	}
	return e, nil
}

// endpoint is where offices reach the hub; port 0 in the configuration stands for the one it has now.
func (d *daemon) endpoint(hub vpn.Status) (string, error) {
	host, port, err := net.SplitHostPort(d.cfg.Tunnel.Endpoint)
	if err != nil {
		return "", fmt.Errorf("tunnel.endpoint: %w", err)
	}
	if port == "0" {
		port = strconv.Itoa(hub.ListenPort)
	}
	return net.JoinHostPort(host, port), nil
}
