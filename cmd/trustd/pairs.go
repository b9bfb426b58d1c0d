package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/vpn"
)

const (
	maxKeyOffer  = 64 << 10         // bytes of what a gateway tells of the hub's keys
	heardAgain   = 10 * time.Minute // an office that is heard at the same place is told of again after that
	takeOverWait = time.Minute      // for a gateway to take over when an officer wants it to
	heardChunk   = vpn.MaxHeard / 2 // of one serial number
)

// offerKeys has the gateways of a pair give each other the hub's keys. The core hands on what one sealed to the other, and
// nothing before two officers decided that this gateway, by this recipient, gets them.
func (d *daemon) offerKeys(r *http.Request, who rights.Holder) (any, error) {
	data, err := httpserver.ReadAll(r, maxKeyOffer)
	if err != nil {
		return nil, err
	}
	var in vpn.KeyOffer
	if err := json.Unmarshal(data, &in); err != nil || len(in.Recipient) != vpn.RecipientLen || in.Serial < 0 {
		return nil, problem.Refuse(http.StatusBadRequest, "this is no offer of a gateway: recipient (%d bytes) and serial are needed", vpn.RecipientLen)
	}
	return d.shareKeys(r.Context(), who.Name, in)
}

func (d *daemon) shareKeys(ctx context.Context, name string, in vpn.KeyOffer) (*vpn.KeyAnswer, error) {
	if err := d.registry.OfferKeys(ctx, name, in.From, in.Recipient, in.Serial); err != nil {
		return nil, err
	}
	holders, err := d.registry.KeyHolders(ctx)
	if err != nil {
		return nil, err
	}
	own := holders[name]
	answer := &vpn.KeyAnswer{SealFor: map[string][]byte{}}
	if len(own.Approved) == 0 || !bytes.Equal(own.Approved, in.Recipient) {
		answer.Waits = true
		return answer, nil
	}
	for to, other := range holders {
		if to == name || other.Pair != own.Pair || len(other.Approved) == 0 {
			continue
		}
		if sealed := in.Sealed[to]; len(sealed) > 0 && len(sealed) <= vpn.MaxSealedHubKeys && in.Serial > 0 {
			if err := d.registry.PutSealedKeys(ctx, own.Pair, to, other.Approved, sealed, in.Serial); err != nil {
				return nil, err
			}
		} else if in.Serial > max(other.SealedSerial, other.Serial) {
			answer.SealFor[to] = other.Approved
		}
	}
	if own.SealedSerial > in.Serial {
		if err := d.registry.HandHubKeys(ctx, name, own.SealedSerial); err != nil {
			return nil, err
		}
		answer.Sealed = own.Sealed
	}
	return answer, nil
}

// sharing is the body of a motion to give a gateway the keys of another one's hub.
type sharing struct {
	Name  string `json:"name"`
	From  string `json:"from"`
	Taker []byte `json:"taker"` // recipients as they were offered then
	Giver []byte `json:"giver"`
}

// proposeSharing takes a motion by which a gateway gets the hub's keys of the one from which it wants them.
func (d *daemon) proposeSharing(ctx context.Context, who audit.Actor, name string) (any, error) {
	holders, err := d.registry.KeyHolders(ctx)
	if err != nil {
		return nil, err
	}
	taker, offers := holders[name]
	giver := holders[taker.From]
	switch {
	case !offers:
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "name", "gateway %q asks for no keys of a hub: set pair.keys_from in its vpnd.yaml", name)
	case taker.From == "" || taker.From == name:
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "name", "gateway %q has keys of its own: it is the other one of the pair that gets them", name)
	case giver.Serial == 0:
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "name", "gateway %q, whose keys %q is to have, has none to give: set pair in its vpnd.yaml", taker.From, name)
	case !d.isListed(ctx, taker.From):
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "name", "gateway %q, whose keys %q is to have, is not on the list", taker.From, name)
	}
	subject := fmt.Sprintf("gateway %s (its key %s) gets the keys of the hub of gateway %s (its key %s)",
		name, vpn.RecipientName(taker.Offered), taker.From, vpn.RecipientName(giver.Offered))
	return d.registry.Propose(ctx, who, registry.ShareHubKeys, subject, sharing{name, taker.From, taker.Offered, giver.Offered})
}

// isListed says whether a gateway was ever answered and not struck off the list.
func (d *daemon) isListed(ctx context.Context, name string) bool {
	listed, err := d.registry.Gateways(ctx)
	return err == nil && slices.ContainsFunc(listed, func(g registry.Gateway) bool { return g.Name == name })
}

// shareHubKeys carries such a motion out. A gateway that offers another recipient since gets nothing.
func (d *daemon) shareHubKeys(ctx context.Context, actor audit.Actor, body sharing, motion string) (string, error) {
	holders, err := d.registry.KeyHolders(ctx)
	if err != nil {
		return "", err
	}
	giver, taker := holders[body.From], holders[body.Name]
	if !bytes.Equal(giver.Offered, body.Giver) || !bytes.Equal(taker.Offered, body.Taker) || len(body.Taker) == 0 || len(body.Giver) == 0 {
		return "not shared: a gateway has another key of its own since", nil
	}
	if !d.isListed(ctx, body.From) {
		return "not shared: gateway " + body.From + " is not on the list any more", nil
	}
	if err := d.registry.ShareHubKeys(ctx, actor, giver, taker, motion); err != nil {
		return "", err
	}
	return fmt.Sprintf("gateway %s gets the keys when gateway %s has sealed them", body.Name, body.From), nil
}

// hearOffices keeps where the gateway of a pair that carries heard the offices, for the other one: what changed, and now and
// then that it did not.
func (d *daemon) hearOffices(ctx context.Context, name string, s vpn.Status) error {
	if s.Pair == nil || !s.Pair.Active {
		return nil
	}
	d.gateways.hearing.Lock()
	defer d.gateways.hearing.Unlock()
	before := d.gateways.heardBefore(name)
	var news []registry.HeardOffice
	now := time.Now()
	for _, p := range s.Peers {
		if !p.Endpoint.IsValid() || p.LastHandshake.IsZero() {
			continue
		}
		was, known := before[p.PublicKey]
		is := was.next(p, known, now)
		before[p.PublicKey] = is
		if known && was.same(is) {
			continue
		}
		is.told = is.at
		before[p.PublicKey] = is
		news = append(news, registry.HeardOffice{PublicKey: p.PublicKey.String(), Endpoint: p.Endpoint.String(), At: p.LastHandshake,
			Followed: p.Followed, Busy: is.busy})
	}
	for part := range slices.Chunk(news, heardChunk) {
		if err := d.registry.OfficesHeard(ctx, part); err != nil {
			delete(d.gateways.heard, name)
			return err
		}
	}
	return nil
}

// heardOffice is what a gateway told of an office, and when that was written down.
type heardOffice struct {
	endpoint netip.AddrPort
	followed bool
	at, told time.Time // of its last handshake, and of the one that was written down
	received int64
	moved    time.Time // when it had sent more than keepalives
	busy     bool
}

const (
	busyBytes = 1 << 10     // of an office between two reports; keepalives have 32 each
	busyFor   = time.Minute // after it had traffic
)

// next is what a report tells of an office.
func (h heardOffice) next(p vpn.PeerStatus, known bool, now time.Time) heardOffice {
	if known && p.Received-h.received >= busyBytes {
		h.moved = now
	}
	h.endpoint, h.followed, h.at, h.received = p.Endpoint, p.Followed, p.LastHandshake, p.Received
	h.busy = !h.moved.IsZero() && now.Sub(h.moved) < busyFor
	return h
}

// same says whether what was written down will do.
func (h heardOffice) same(is heardOffice) bool {
	return h.endpoint == is.endpoint && h.followed == is.followed && h.busy == is.busy && is.at.Sub(h.told) < heardAgain
}

// heardBefore is where a gateway heard offices, as far as this process has written it down. The caller holds g.hearing.
func (g *gateways) heardBefore(name string) map[vpn.Key]heardOffice {
	known := g.heard[name]
	if known == nil || len(known) > 2*vpn.MaxPeers {
		known = make(map[vpn.Key]heardOffice)
		g.heard[name] = known
	}
	return known
}

// heardOffices tells the standby of a pair where offices were heard.
func (d *daemon) heardOffices(r *http.Request, _ rights.Holder) (any, error) {
	after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		return nil, problem.Refuse(http.StatusBadRequest, "after: write the serial of the last answer, or 0")
	}
	upTo, all, err := d.registry.HeardAfter(r.Context(), after, heardChunk)
	if err != nil {
		return nil, err
	}
	answer := vpn.HeardOffices{Serial: upTo, Offices: []vpn.Heard{}}
	for _, h := range all {
		key, err := vpn.ParseKey(h.PublicKey)
		at, bad := netip.ParseAddrPort(h.Endpoint)
		if err == nil && bad == nil {
			answer.Offices = append(answer.Offices, vpn.Heard{PublicKey: key, Endpoint: at, At: h.At, Followed: h.Followed, Busy: h.Busy})
		}
	}
	return answer, nil
}

// askTakeOver has a standby take over on purpose: for an upgrade of the other gateway, or its machine.
func (d *daemon) askTakeOver(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Gateway string `json:"gateway"`
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	s, known := d.gateways.all()[in.Gateway]
	refuse := func(format string, args ...any) error {
		return problem.RefuseField(http.StatusConflict, "gateway", format, args...)
	}
	switch {
	case !known || s.Pair == nil:
		return nil, refuse("gateway %q has not reported that it is one of a pair", in.Gateway)
	case s.Pair.Active:
		return nil, refuse("gateway %q carries the tunnels already", in.Gateway)
	case !s.Pair.Ready:
		return nil, refuse("gateway %q is not ready to carry the tunnels: see what its /readyz says", in.Gateway)
	case s.Pair.Other != "active":
		return nil, refuse("gateway %q does not hear the other one, which therefore could not hand over", in.Gateway)
	}
	if err := d.registry.AskTakeOver(r.Context(), who, in.Gateway); err != nil {
		return nil, err
	}
	return map[string]string{"gateway": in.Gateway}, nil
}

// askOfPair puts into the answer to a report whether the gateway is to take over.
func (d *daemon) askOfPair(ctx context.Context, row registry.Gateway, s vpn.Status, answer *vpn.Answer) error {
	if s.Pair == nil || row.AskedOver.IsZero() {
		return nil
	}
	if s.Pair.Active || time.Since(row.AskedOver) > takeOverWait {
		return d.registry.TookOver(ctx, row.Name)
	}
	answer.TakeOver = true
	return nil
}

func (d *daemon) listGateways(r *http.Request, _ audit.Actor) (any, error) {
	listed, err := d.registry.Gateways(r.Context())
	if err != nil {
		return nil, err
	}
	holders, err := d.registry.KeyHolders(r.Context())
	if err != nil {
		return nil, err
	}
	reported, shown := d.gateways.all(), []vpn.GatewayStatus{}
	for _, row := range listed {
		s, h := reported[row.Name], holders[row.Name]
		g := vpn.GatewayStatus{Name: row.Name, HeardAt: row.HeardAt, PublicKey: row.PublicKey, Pair: s.Pair, Peers: len(s.Peers), Problem: s.Problem,
			KeysFrom: h.From, Serial: h.Serial, Approved: len(h.Approved) > 0 && bytes.Equal(h.Approved, h.Offered)}
		if len(h.Offered) > 0 {
			g.Recipient = vpn.RecipientName(h.Offered)
		}
		for _, p := range s.Peers {
			if p.State == vpn.StateUp {
				g.Up++
			}
		}
		shown = append(shown, g)
	}
	return shown, nil
}

// pairFindings is what people should know of the pairs.
func pairFinding(name string, s vpn.Status) (what, remedy string) {
	p := s.Pair
	switch {
	case p == nil:
		return "", ""
	case p.Problem != "":
		return fmt.Sprintf("gateway %s of a pair: %s", name, p.Problem), "mend what it names"
	case p.Active && p.Other == "":
		return fmt.Sprintf("gateway %s carries the tunnels alone: it does not hear the other one of its pair", name),
			"see that vpnd runs there, and that UDP passes between the addresses of pair.listen and pair.peer"
	case p.Active && !p.OtherReady:
		return fmt.Sprintf("gateway %s carries the tunnels alone: the other one of its pair is not ready", name), "see what /readyz says there"
	}
	return "", ""
}
