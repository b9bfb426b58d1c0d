package hub

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
)

// wakeEvery is how long the hub waits between two parts of the offices with which it begins handshakes when it carries again:
// each costs both ends about a millisecond, and those that had traffic are to have theirs first.
const wakeEvery = 20 * time.Millisecond

// Carry has the hub carry the tunnels, or rest: everything is prepared then, peers, firewall and where the offices were heard
// last, and nothing is sent or heard. When it carries again it begins handshakes with the offices that had traffic, and then
// with the others, while it does its work.
func (h *Hub) Carry(is bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.link == nil {
		return errors.New("vpn: a hub in mode netstack can't stand by: start it as root")
	}
	switch {
	case h.rests != is:
		return nil
	case !is:
		return errors.Join(h.rest(), h.lull(), h.device.Reset(), h.link.Rest(true))
	}
	h.asleep = make(map[vpn.Key]struct{}, len(h.peers))
	for key, peer := range h.peers {
		if h.endpoints.last(key).IsValid() && !peer.Dormant {
			h.asleep[key] = struct{}{}
		}
	}
	h.rests, h.settled = false, false
	if err := h.link.Rest(false); err != nil {
		return err
	}
	err := h.wakeBusy()
	_, failed := h.reconcile() // its routes went with the interface
	go h.wakeAll()
	return errors.Join(err, failed)
}

// wakeBusy begins with the offices that had traffic: they are led and shake hands before anything else is looked at.
func (h *Hub) wakeBusy() error {
	var first []vpn.Key
	var routes []netip.Prefix
	for key := range h.busy {
		if peer := h.peers[key]; peer != nil {
			first, routes = append(first, key), append(routes, peer.Routed()...)
		}
	}
	err := h.wake(first)
	_, _, failed := h.link.AddRoutes(slices.Values(routes)) // what can't be led the next pass tells
	return errors.Join(err, failed)
}

// rest remembers where the offices were heard. The caller holds h.mu.
func (h *Hub) rest() error {
	state, err := h.device.Read()
	if err == nil && h.wished {
		err = h.endpoints.remember(h.carried(state.Peers))
	}
	h.rests, h.settled = true, false
	return err
}

// lull has the device begin no handshakes by itself: who is first when the hub carries again is for Carry to say.
func (h *Hub) lull() error {
	var all []device.PeerChange
	none := time.Duration(0)
	for key := range h.peers {
		all = append(all, device.PeerChange{PublicKey: device.Key(key), UpdateOnly: true, Keepalive: &none})
	}
	_, err := h.write(all)
	return err
}

// sleeps says whether no handshake is to be begun with the office yet.
func (h *Hub) sleeps(key vpn.Key) bool {
	_, asleep := h.asleep[key]
	return h.rests || asleep
}

// wake begins handshakes with offices that sleep. The caller holds h.mu.
func (h *Hub) wake(keys []vpn.Key) error {
	var all []device.PeerChange
	for _, key := range keys {
		peer := h.peers[key]
		if _, sleeps := h.asleep[key]; !sleeps || peer == nil {
			continue
		}
		delete(h.asleep, key)
		keepalive := keepaliveOf(peer) // to have one is to send something, which takes a handshake
		all = append(all, device.PeerChange{PublicKey: device.Key(key), UpdateOnly: true, Keepalive: &keepalive})
	}
	_, err := h.write(all)
	return err
}

// wakeAll wakes those that are left, part by part, until the hub rests or closes.
func (h *Hub) wakeAll() {
	for {
		select {
		case <-h.closing:
			return
		case <-time.After(wakeEvery):
		}
		if !h.wakeSome() {
			return
		}
	}
}

// wakeSome wakes a part, and says whether there is more.
func (h *Hub) wakeSome() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rests || len(h.asleep) == 0 {
		return false
	}
	part := make([]vpn.Key, 0, peersPerCall)
	for key := range h.asleep {
		if h.peers[key] == nil {
			delete(h.asleep, key)
		} else if part = append(part, key); len(part) == peersPerCall {
			break
		}
	}
	if err := h.wake(part); err != nil { // the next pass has what failed
		h.settled = false
		h.cfg.Log.Warn("handshakes with offices can't be begun", "error", err)
	}
	return true
}

// Learn takes where offices were heard by the other gateway of the pair, and which of them had traffic. A hub that carries
// knows better.
func (h *Hub) Learn(heard map[vpn.Key]vpn.Heard) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.rests {
		return nil
	}
	if h.busy == nil {
		h.busy = make(map[vpn.Key]struct{})
	}
	known := make(map[vpn.Key]netip.AddrPort, len(heard))
	for key, at := range heard {
		if h.peers[key] == nil {
			continue
		}
		known[key] = at.Endpoint
		if delete(h.busy, key); at.Busy {
			h.busy[key] = struct{}{}
		}
	}
	changed, err := h.endpoints.learn(known)
	h.settled = h.settled && !changed
	return err
}
