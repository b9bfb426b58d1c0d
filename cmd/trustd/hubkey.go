package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

func nextKeyOf(s vpn.Status) string {
	if s.Next == nil {
		return ""
	}
	return s.Next.PublicKey.String()
}

// askOfHub puts into the answer to a gateway's report what it is to do about its hub's key: a next one where an officer wants
// that or the present one is old, the end of the former one where two officers decided that.
func (d *daemon) askOfHub(ctx context.Context, name string, s vpn.Status, answer *vpn.Answer) error {
	listed, err := d.registry.Gateways(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(listed, func(g registry.Gateway) bool { return g.Name == name })
	if i < 0 {
		return nil
	}
	row, oldest := listed[i], d.cfg.Tunnel.Rotate.HubKey
	if err := d.askOfPair(ctx, row, s, answer); err != nil {
		return err
	}
	if s.Standby() { // it follows what the other gateway does to the keys that both have
		return nil
	}
	same := func(wanted func(registry.Gateway) bool) bool {
		return slices.ContainsFunc(listed, func(g registry.Gateway) bool { return g.PublicKey == row.PublicKey && wanted(g) })
	}
	if s.Next == nil {
		answer.BeginHubKey = same(func(g registry.Gateway) bool { return g.AskedKey }) ||
			oldest > 0 && !row.KeySince.IsZero() && time.Since(row.KeySince) > oldest
		return nil
	}
	if same(func(g registry.Gateway) bool { return g.EndKey == s.PublicKey.String() }) {
		answer.EndHubKey = s.PublicKey
	}
	return nil
}

// askHubKeys has gateways asked for a next key: the named one, or all.
func (d *daemon) askHubKeys(ctx context.Context, who audit.Actor, in rotationRequest) (any, error) {
	if in.Partner != "" {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "partner", "the hub's key is no partner's: name a gateway, or nothing")
	}
	listed, err := d.registry.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	asked := 0
	for _, row := range listed {
		if in.Gateway != "" && in.Gateway != row.Name {
			continue
		}
		if err := d.registry.AskHubKey(ctx, who, row.Name); err != nil {
			return nil, err
		}
		asked++
	}
	if asked == 0 {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "gateway", "there is no such VPN gateway on the list")
	}
	return map[string]int{"asked": asked}, nil
}

// followHub has the gateways look out for an office that is about to use the hub's next key.
func (d *daemon) followHub(r *http.Request, who audit.Actor, t *registry.Tunnel) (any, error) {
	var in office.KeyChange
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	hub, known := d.gateways.carrier(t)
	if !known || nextKeyOf(hub) == "" || nextKeyOf(hub) != in.PublicKey || !d.gateways.bothHave(hub) {
		return nil, problem.Refuse(http.StatusConflict, "the hub does not change to this key")
	}
	if err := d.registry.FollowHub(r.Context(), who, t, in.PublicKey); err != nil {
		return nil, err
	}
	return d.carried(r.Context())
}

// hubKeyDue says that an office has not followed to the hub's next key.
func (g *gateways) hubKeyDue(t *registry.Tunnel) []string {
	key, err := vpn.ParseKey(t.PublicKey)
	if err != nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.reports {
		for _, p := range r.status.Peers {
			if r.status.Next != nil && !r.status.Standby() && g.bothHaveLocked(r.status) && p.PublicKey == key && !p.Followed {
				return []string{office.HubKey}
			}
		}
	}
	return nil
}

// bothHave says whether the other gateway of a pair, which stands by, has the key to which the hub changes: an office that used
// it before would be cut off by a take-over. One that is silent can't take over, and is not waited for.
func (g *gateways) bothHave(hub vpn.Status) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bothHaveLocked(hub)
}

func (g *gateways) bothHaveLocked(hub vpn.Status) bool {
	for _, r := range g.reports {
		if r.status.Standby() && r.status.PublicKey == hub.PublicKey && g.clock()-r.up <= reportLife && nextKeyOf(r.status) != nextKeyOf(hub) {
			return false
		}
	}
	return true
}

// behind is how many offices of a hub that changes its key have not followed.
func behind(s vpn.Status) (n int) {
	for _, p := range s.Peers {
		if !p.Followed {
			n++
		}
	}
	return n
}

// unfollowed tells of a hub that changes its key.
func unfollowed(name string, s vpn.Status) (what, remedy string) {
	if s.Next == nil || s.Standby() {
		return "", ""
	}
	return fmt.Sprintf("the hub of gateway %s changes its key: %d of %d offices have not followed", name, behind(s), len(s.Peers)),
		"trustctl vpn status names them; when they have, or are not to be waited for: trustctl motion end-hub-key " + name
}

// changes returns the report of a gateway whose hub changes its key.
func (d *daemon) changes(name string) (vpn.Status, error) {
	s, known := d.gateways.all()[name]
	if !known || s.Next == nil {
		return s, problem.RefuseField(http.StatusUnprocessableEntity, "name", "gateway %q does not change its hub's key", name)
	}
	return s, nil
}

// endHubKey has a gateway end its hub's former key by a motion.
func (d *daemon) endHubKey(ctx context.Context, actor audit.Actor, body ending, motion string) (string, error) {
	s, err := d.changes(body.Name)
	if err == nil && s.PublicKey.String() != body.Key {
		return "not ended: the hub has another key since", nil
	}
	if err != nil {
		return "not ended: " + err.Error(), nil
	}
	if err := d.registry.EndHubKey(ctx, actor, body.Name, body.Key, motion); err != nil {
		return "", err
	}
	return fmt.Sprintf("gateway %s ends the key; %d offices had not followed", body.Name, behind(s)), nil
}
