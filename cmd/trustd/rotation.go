package main

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// carriedWait is how long an office that rotates is kept waiting for the gateways. It asks again.
const carriedWait = 5 * time.Second

// tunnelDoors lets offices rotate the secrets of their tunnels.
func (d *daemon) tunnelDoors(mux *http.ServeMux, s httpserver.Server, guard rights.Guard) {
	for route, do := range map[string]func(*http.Request, audit.Actor, *registry.Tunnel) (any, error){
		"GET " + office.StandingRoute:          d.standingOf,
		"POST " + office.PresharedRoute:        d.offerPreshared,
		"POST " + office.PresharedConfirmRoute: d.takePreshared,
		"POST " + office.KeyRoute:              d.nextKey,
		"POST " + office.KeyConfirmRoute:       d.takeKey,
		"POST " + office.HubRoute:              d.followHub,
	} {
		mux.Handle(route, s.JSON(func(r *http.Request) (any, error) {
			who, err := guard.Admit(r, route)
			if err != nil {
				return nil, err
			}
			t, err := d.ownTunnel(r.Context(), who)
			if err != nil {
				return nil, problemOf(err)
			}
			answer, err := do(r, actorOf(who), t)
			return answer, problemOf(err)
		}))
	}
}

// ownTunnel is the tunnel of the order in force in the line of the certificate's own, at the site that the certificate is of.
func (d *daemon) ownTunnel(ctx context.Context, who rights.Holder) (*registry.Tunnel, error) {
	order, site := registry.CutSite(who.Order)
	rec, err := d.registry.InForce(ctx, order)
	if err != nil {
		return nil, err
	}
	if rec == nil || rec.Partner.ID != who.Partner {
		return nil, registry.ErrNoTunnel
	}
	return d.registry.TunnelOf(ctx, rec.ID, site)
}

// standingOf tells the office how its tunnel stands, and what it is to rotate.
func (d *daemon) standingOf(r *http.Request, _ audit.Actor, t *registry.Tunnel) (any, error) {
	key, err := vpn.ParsePeerKey(t.PublicKey)
	if err != nil {
		return nil, err
	}
	s := office.Standing{PublicKey: key, Serial: t.Rotation.Serial, Rotate: d.due(t, time.Now())}
	if t.Rotation.NextKey != "" {
		if s.NextKey, err = vpn.ParsePeerKey(t.Rotation.NextKey); err != nil {
			return nil, err
		}
	}
	s.Settings, err = d.settings(r.Context(), t)
	return s, err
}

// due are the secrets of a tunnel that its office is to rotate.
func (d *daemon) due(t *registry.Tunnel, now time.Time) []string {
	due := []string{}
	for s, oldest := range map[registry.Secret]time.Duration{
		registry.PresharedKey: d.cfg.Tunnel.Rotate.PresharedKey, registry.OfficeKey: d.cfg.Tunnel.Rotate.Key,
	} {
		if t.Rotation.Wants(s, oldest, now) {
			due = append(due, string(s))
		}
	}
	slices.Sort(due)
	return due
}

// offerPreshared agrees with the office on its next pre-shared key.
func (d *daemon) offerPreshared(r *http.Request, _ audit.Actor, t *registry.Tunnel) (any, error) {
	var in office.PresharedOffer
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	answer, sealed, err := d.agree(in.Exchange, t.PublicKey, t.Rotation.Serial+1)
	if err != nil {
		return nil, err
	}
	return answer, d.registry.OfferPreshared(r.Context(), t, sealed)
}

// agree answers the office's half of an agreement, and returns the key as the database has it.
func (d *daemon) agree(exchange []byte, publicKey string, serial int64) (answer office.PresharedAnswer, sealed string, err error) {
	key, err := vpn.ParsePeerKey(publicKey)
	if err != nil {
		return answer, "", problem.RefuseField(http.StatusUnprocessableEntity, "wireguard_public_key", "%v", err)
	}
	encapsulated, secret, err := vpn.Agree(exchange, key, serial)
	if err != nil {
		return answer, "", problem.RefuseField(http.StatusUnprocessableEntity, "exchange", "%v", err)
	}
	return office.PresharedAnswer{Serial: serial, Encapsulated: encapsulated}, d.sealer.seal(secret), nil
}

// takePreshared puts the agreed key into force when the office shows that it has it, and says whether the gateways have it.
// An office that did not get the answer asks again.
func (d *daemon) takePreshared(r *http.Request, who audit.Actor, t *registry.Tunnel) (any, error) {
	var in office.PresharedConfirmation
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	sealed := t.Rotation.Offered
	if in.Serial == t.Rotation.Serial {
		sealed = t.Rotation.Preshared
	} else if in.Serial != t.Rotation.Serial+1 {
		sealed = ""
	}
	secret, err := d.sealer.open(sealed)
	if err != nil {
		return nil, err
	}
	key, err := vpn.ParsePeerKey(t.PublicKey)
	if err != nil {
		return nil, err
	}
	if secret.IsZero() || !secret.Proves(in.Proof, key, in.Serial) {
		return nil, problem.Refuse(http.StatusConflict, "this is not the key that was agreed on: begin again")
	}
	if in.Serial != t.Rotation.Serial {
		if err := d.registry.TakePreshared(r.Context(), who, t); err != nil {
			return nil, err
		}
	}
	return d.carried(r.Context())
}

// nextKey lets the office's next key in beside the present one.
func (d *daemon) nextKey(r *http.Request, who audit.Actor, t *registry.Tunnel) (any, error) {
	var in office.KeyChange
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	hubs, err := d.hubKeys()
	if err != nil {
		return nil, err
	}
	if _, err := vpn.ParsePeerKey(in.PublicKey, hubs...); err != nil {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "wireguard_public_key", "%v", err)
	}
	if in.PublicKey != t.PublicKey {
		if err := d.registry.NextKey(r.Context(), who, t, in.PublicKey); err != nil {
			return nil, err
		}
	}
	return d.carried(r.Context())
}

// takeKey ends the office's former key: the office got through with the next one.
func (d *daemon) takeKey(r *http.Request, who audit.Actor, t *registry.Tunnel) (any, error) {
	var in office.KeyChange
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	switch in.PublicKey {
	case t.PublicKey:
	case t.Rotation.NextKey:
		if err := d.registry.TakeKey(r.Context(), who, t); err != nil {
			return nil, err
		}
	default:
		return nil, problem.Refuse(http.StatusConflict, "the tunnel has no such key: begin again")
	}
	return d.carried(r.Context())
}

// carried waits a while for every gateway that speaks to report the wish as it is now, or a later one.
func (d *daemon) carried(ctx context.Context) (office.Carried, error) {
	wait, cancel := context.WithTimeout(ctx, carriedWait)
	defer cancel()
	w, err := d.currentWish(ctx)
	if err != nil {
		return office.Carried{}, err
	}
	for {
		reported := d.gateways.reported()
		listed, err := d.registry.Gateways(ctx)
		if err != nil {
			return office.Carried{}, err
		}
		if d.gateways.carry(listed, w.Wish) {
			return office.Carried{InForce: true}, nil
		}
		select {
		case <-wait.Done():
			return office.Carried{}, ctx.Err()
		case <-httpserver.Stopping(ctx):
			return office.Carried{}, nil
		case <-reported:
		case <-time.After(time.Second): // another node's gateway makes no noise here
		}
	}
}

// carry says whether all gateways that speak carry the wish, or a later one of its epoch. One that is silent has nobody
// change anything: it lets nobody in any more when its lease has ended.
func (g *gateways) carry(listed []registry.Gateway, w vpn.Wish) bool {
	speaking := 0
	for _, row := range listed {
		if g.quiet(row) > reportLife {
			continue
		}
		if row.Epoch != w.Epoch || row.Revision < w.Revision {
			return false
		}
		speaking++
	}
	return speaking > 0
}

// tunnelSecrets is how the secrets of one tunnel stand, for officers. It holds none of them.
type tunnelSecrets struct {
	Partner   string    `json:"partner"`
	Site      string    `json:"site"`
	Order     string    `json:"order"`
	Serial    int64     `json:"preshared_serial"` // of the pre-shared key; 0 is none
	RotatedAt time.Time `json:"preshared_at,omitzero"`
	KeyAt     time.Time `json:"key_at,omitzero"`
	Changing  bool      `json:"changing"` // the office named a next key and has not confirmed it
	Due       []string  `json:"due"`      // what the office is asked to rotate and has not yet
}

// listSecrets tells officers how old the secrets of the tunnels are, and which offices have not followed.
func (d *daemon) listSecrets(r *http.Request, _ audit.Actor) (any, error) {
	_, tunnels, err := d.registry.Wish(r.Context())
	if err != nil {
		return nil, err
	}
	now, all := time.Now(), make([]tunnelSecrets, 0, len(tunnels))
	for _, t := range tunnels {
		all = append(all, tunnelSecrets{Partner: t.Partner, Site: t.Site, Order: t.Order, Serial: t.Rotation.Serial,
			RotatedAt: t.Rotation.RotatedAt, KeyAt: t.Rotation.KeyAt, Changing: t.Rotation.NextKey != "",
			Due: append(d.due(&t, now), d.gateways.hubKeyDue(&t)...)})
	}
	return all, nil
}

// rotationRequest is what an officer asks for; no partner is every tunnel.
type rotationRequest struct {
	Secret  registry.Secret `json:"secret"`
	Partner string          `json:"partner,omitempty"`
	Site    string          `json:"site,omitempty"`
	Gateway string          `json:"gateway,omitempty"` // of the secret hub-key, which is a gateway's
}

// askRotation has offices asked to rotate a secret. They do it when they ask how their tunnel stands.
func (d *daemon) askRotation(r *http.Request, who audit.Actor) (any, error) {
	var in rotationRequest
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	if in.Secret == office.HubKey {
		return d.askHubKeys(r.Context(), who, in)
	}
	asked, err := d.askOffices(r.Context(), who, in)
	if err != nil {
		return nil, err
	}
	return map[string]int{"asked": asked}, nil
}

// askOffices has the offices of the chosen tunnels asked, and returns how many these are: one at the least.
func (d *daemon) askOffices(ctx context.Context, who audit.Actor, in rotationRequest) (asked int, err error) {
	_, tunnels, err := d.registry.Wish(ctx)
	if err != nil {
		return 0, err
	}
	for i := range tunnels {
		t := &tunnels[i]
		if in.Partner != "" && in.Partner != t.Partner || in.Site != "" && in.Site != t.Site {
			continue
		}
		if err := d.registry.AskRotation(ctx, who, t, in.Secret); err != nil {
			return asked, err
		}
		asked++
	}
	if asked == 0 {
		return 0, problem.RefuseField(http.StatusUnprocessableEntity, "partner", "no tunnel in force is meant")
	}
	return asked, nil
}

// enrolledExchange prepares the agreement of an office that enrols, the first of its tunnel.
func (d *daemon) enrolledExchange(in enrolRequest) (registry.Enrolment, error) {
	e := registry.Enrolment{PublicKey: in.PublicKey, CSR: in.CSR}
	if len(in.Exchange) == 0 {
		return e, nil // an office of a version before, which rotates when it can
	}
	answer, sealed, err := d.agree(in.Exchange, in.PublicKey, 1)
	if err != nil {
		return e, err
	}
	e.Exchange = base64.StdEncoding.EncodeToString(in.Exchange)
	e.Encapsulated = base64.StdEncoding.EncodeToString(answer.Encapsulated)
	e.Preshared = sealed
	return e, nil
}
