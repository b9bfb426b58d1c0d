package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/pki"
	"trustcore/vpn"
)

// Limits of bodies in bytes.
const (
	maxOrder     = 256 << 10
	maxVPNStatus = 32 << 20 // of a gateway with a hundred thousand peers
)

// admin is the interface for officers (orders) and for the VPN gateway (wish and status).
func (d *daemon) admin(s httpserver.Server) http.Handler {
	officer := func(do func(r *http.Request, who audit.Actor) (any, error), query ...string) http.Handler {
		return s.JSON(func(r *http.Request) (any, error) {
			who, err := d.caller(r, pki.Officer)
			if err != nil {
				return nil, err
			}
			answer, err := do(r, who)
			return answer, problemOf(err)
		}, query...)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/orders", officer(d.submitOrder))
	mux.Handle("GET /v1/orders", officer(d.showOrders, "id"))
	mux.Handle("POST /v1/orders/approve", officer(d.approveOrder))
	mux.Handle("POST /v1/orders/reject", officer(d.rejectOrder))
	mux.Handle("POST /v1/orders/token", officer(d.orderToken))
	mux.Handle("GET /v1/tunnels", officer(func(*http.Request, audit.Actor) (any, error) { return d.gateways.all(), nil }))
	mux.Handle("POST /v1/console/logins", officer(d.consoleLogin))
	mux.Handle("GET /v1/vpn/wish", s.JSON(d.wish, "epoch", "revision", "digest"))
	mux.Handle("POST /v1/vpn/status", s.JSON(d.vpnStatus))
	return mux
}

// caller says who is at the other end. TLS has verified the chain; the inventory says what the
// certificate is for, so that a partner's certificate opens no officer's door.
func (d *daemon) caller(r *http.Request, profile pki.Profile) (audit.Actor, error) {
	c, err := verifiedPeer(r)
	if err != nil {
		return audit.Actor{}, err
	}
	if d.ca.Revoked(c.SerialNumber) {
		return audit.Actor{}, problem.Refuse(http.StatusForbidden, "the client certificate is revoked")
	}
	found, err := d.ca.Certificates(r.Context(), pki.Filter{Serial: fmt.Sprintf("%x", c.SerialNumber)})
	if err != nil {
		return audit.Actor{}, err
	}
	if len(found) != 1 || found[0].Profile != profile || found[0].Fingerprint != fingerprint(c) {
		return audit.Actor{}, problem.Refuse(http.StatusForbidden, "the client certificate is none of profile %s", profile)
	}
	kind := "daemon"
	if profile == pki.Officer {
		kind = "officer"
	}
	return audit.Actor{Kind: kind, ID: c.Subject.CommonName}, nil
}

func verifiedPeer(r *http.Request) (*x509.Certificate, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil, problem.Refuse(http.StatusForbidden, "a client certificate is needed")
	}
	return r.TLS.PeerCertificates[0], nil
}

// problemOf gives refusals their status; anything else stays a fault.
func problemOf(err error) error {
	var no *registry.Refusal
	var field *registry.FieldError
	switch {
	case errors.As(err, &field):
		return problem.RefuseField(http.StatusUnprocessableEntity, field.Field, "%s", field.Remedy)
	case errors.As(err, &no):
		return problem.Refuse(http.StatusConflict, "%s", no.Reason)
	}
	return err
}

func (d *daemon) submitOrder(r *http.Request, who audit.Actor) (any, error) {
	data, err := httpserver.ReadAll(r, maxOrder)
	if err != nil {
		return nil, err
	}
	o, err := registry.ParseOrder(data)
	if err != nil {
		var field *registry.FieldError
		if errors.As(err, &field) {
			return nil, err
		}
		return nil, problem.Refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	if err := d.registry.Submit(r.Context(), who, *o); err != nil {
		return nil, err
	}
	return d.registry.Order(r.Context(), o.ID)
}

func (d *daemon) showOrders(r *http.Request, _ audit.Actor) (any, error) {
	if id := r.URL.Query().Get("id"); id != "" {
		return d.registry.Order(r.Context(), id)
	}
	return d.registry.Orders(r.Context())
}

type decision struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

func (d *daemon) approveOrder(r *http.Request, who audit.Actor) (any, error) {
	var in decision
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	if err := d.registry.Approve(r.Context(), who, in.ID); err != nil {
		return nil, err
	}
	return d.registry.Order(r.Context(), in.ID)
}

func (d *daemon) rejectOrder(r *http.Request, who audit.Actor) (any, error) {
	var in decision
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	if err := d.registry.Reject(r.Context(), who, in.ID, in.Reason); err != nil {
		return nil, err
	}
	return d.registry.Order(r.Context(), in.ID)
}

func (d *daemon) orderToken(r *http.Request, who audit.Actor) (any, error) {
	var in decision
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	token, err := d.registry.NewToken(r.Context(), who, in.ID)
	if err != nil {
		return nil, err
	}
	return map[string]string{"order": in.ID, "token": token, "url": "https://" + d.cfg.Enrolment}, nil
}

// wish answers the VPN gateway's long poll: the wish when it is another than the one it has, else the lease alone.
func (d *daemon) wish(r *http.Request) (any, error) {
	name, err := d.isGateway(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	have := vpn.Applied{Epoch: q.Get("epoch"), Digest: q.Get("digest")}
	if have.Revision, err = strconv.ParseInt(q.Get("revision"), 10, 64); err != nil {
		return nil, problem.Refuse(http.StatusBadRequest, "revision: write the one of the wish that you have, or 0")
	}
	return d.nextWish(r.Context(), name, have)
}

// gatewayName is the common name of a VPN gateway's certificate; more than one are told apart by what follows a hyphen.
const gatewayName = "vpnd"

// isGateway returns the name of the gateway that asks.
func (d *daemon) isGateway(r *http.Request) (string, error) {
	who, err := d.caller(r, pki.DaemonClient)
	if err != nil {
		return "", err
	}
	if who.ID != gatewayName && !strings.HasPrefix(who.ID, gatewayName+"-") {
		return "", problem.Refuse(http.StatusForbidden, "%s is no VPN gateway", who.ID)
	}
	return who.ID, nil
}

// vpnStatus takes a gateway's report.
func (d *daemon) vpnStatus(r *http.Request) (any, error) {
	name, err := d.isGateway(r)
	if err != nil {
		return nil, err
	}
	data, err := httpserver.ReadAll(r, maxVPNStatus)
	if err != nil {
		return nil, err
	}
	status, err := readStatus(data)
	if err != nil {
		return nil, problem.Refuse(http.StatusBadRequest, "the report is not the JSON that is expected: %v", err)
	}
	return d.report(r.Context(), name, status)
}
