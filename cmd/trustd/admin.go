package main

import (
	"errors"
	"net/http"
	"strconv"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/vpn"
)

// Limits of bodies in bytes.
const (
	maxOrder     = 256 << 10
	maxVPNStatus = 32 << 20 // of a gateway with a hundred thousand peers
)

// admin is the interface for officers, for VPN gateways (wish and status) and for verifyd and batchd (who counts).
func (d *daemon) admin(s httpserver.Server) http.Handler {
	mux, guard := http.NewServeMux(), d.guard(rights.Admin)
	handle := func(route string, do func(r *http.Request, who rights.Holder) (any, error), query ...string) {
		mux.Handle(route, s.JSON(func(r *http.Request) (any, error) {
			who, err := guard.Admit(r, route)
			if err != nil {
				return nil, err
			}
			answer, err := do(r, who)
			return answer, problemOf(err)
		}, query...))
	}
	officer := func(route string, do func(r *http.Request, who audit.Actor) (any, error), query ...string) {
		handle(route, func(r *http.Request, who rights.Holder) (any, error) { return do(r, actorOf(who)) }, query...)
	}
	officer("POST /v1/orders", d.submitOrder)
	officer("GET /v1/orders", d.showOrders, "id")
	officer("POST /v1/orders/approve", d.approveOrder)
	officer("POST /v1/orders/reject", d.rejectOrder)
	officer("POST /v1/orders/token", d.orderToken)
	officer("GET /v1/tunnels", func(*http.Request, audit.Actor) (any, error) { return d.gateways.all(), nil })
	officer("GET /v1/tunnels/secrets", d.listSecrets)
	officer("GET /v1/tunnels/reach", func(r *http.Request, _ audit.Actor) (any, error) {
		return d.registry.Reaches(r.Context(), r.URL.Query().Get("partner"))
	})
	officer("POST /v1/tunnels/rotate", d.askRotation)
	officer("GET /v1/tunnels/gateways", d.listGateways)
	officer("POST /v1/tunnels/takeover", d.askTakeOver)
	officer("POST /v1/console/logins", d.consoleLogin)
	officer("GET /v1/certificates", d.listCertificates, "serial", "key", "partner", "order", "name", "profile", "state")
	officer("GET /v1/keys", d.listKeys, "partner", "order")
	officer("POST /v1/keys/suspend", d.suspendKey)
	officer("POST /v1/keys/stop", d.stopKeys)
	officer("POST /v1/keys/request", d.requestFor)
	officer("GET /v1/keys/attestation", d.attestKey, "key")
	officer("GET /v1/keys/inventory", d.takeInventory)
	officer("POST /v1/certificates/suspend", d.suspendCertificates)
	officer("GET /v1/officers", d.listOfficers, "name")
	officer("GET /v1/issuers", d.listIssuers)
	officer("POST /v1/roots/list", d.takeRootList)
	officer("GET /v1/motions", d.listMotions)
	officer("POST /v1/motions", d.propose)
	officer("POST /v1/motions/approve", d.approveMotion)
	officer("POST /v1/motions/reject", d.rejectMotion)
	officer("GET /v1/expiring", d.listExpiring)
	officer("POST /v1/clock/accept", d.acceptClock)
	officer("GET /v1/nodes", d.listNodes)
	officer("POST /v1/nodes/remove", d.removeNode)
	officer("GET /v1/applications", d.listApplications)
	officer("POST /v1/applications", d.addApplication)
	officer("POST /v1/applications/token", d.applicationToken)
	officer("POST /v1/applications/certificate", d.applicationCertificate)
	officer("POST /v1/applications/revoke", d.revokeApplication)
	officer("GET /v1/acme/keys", d.listACMEKeys, "partner")
	officer("POST /v1/acme/keys", d.makeACMEKey)
	officer("POST /v1/acme/keys/revoke", d.revokeACMEKey)
	handle("POST /v1/renewals", d.renew)
	handle("GET /v1/vpn/wish", d.wish, "epoch", "revision", "digest")
	handle("POST /v1/vpn/status", d.vpnStatus)
	handle("POST /v1/vpn/keys", d.offerKeys)
	handle("GET /v1/vpn/heard", d.heardOffices, "after")
	handle("GET /v1/clients", d.clients, "have")
	return mux
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
	Site   string `json:"site,omitempty"` // of a token; "" is the order's own office
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
	token, err := d.registry.NewSiteToken(r.Context(), who, in.ID, in.Site)
	if err != nil {
		return nil, err
	}
	return map[string]string{"order": in.ID, "site": in.Site, "token": token, "url": "https://" + d.cfg.Enrolment}, nil
}

// wish answers the VPN gateway's long poll: the wish when it is another than the one it has, else the lease alone.
func (d *daemon) wish(r *http.Request, who rights.Holder) (any, error) {
	q := r.URL.Query()
	revision, err := strconv.ParseInt(q.Get("revision"), 10, 64)
	if err != nil {
		return nil, problem.Refuse(http.StatusBadRequest, "revision: write the one of the wish that you have, or 0")
	}
	return d.nextWish(r.Context(), who.Name, vpn.Applied{Epoch: q.Get("epoch"), Revision: revision, Digest: q.Get("digest")})
}

// vpnStatus takes a gateway's report.
func (d *daemon) vpnStatus(r *http.Request, who rights.Holder) (any, error) {
	data, err := httpserver.ReadAll(r, maxVPNStatus)
	if err != nil {
		return nil, err
	}
	status, err := readStatus(data)
	if err != nil {
		return nil, problem.Refuse(http.StatusBadRequest, "the report is not the JSON that is expected: %v", err)
	}
	return d.report(r.Context(), who.Name, status)
}
