package hub

import (
	"errors"
	"maps"
	"net/netip"
	"slices"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
	"trustcore/vpn/internal/fence"
)

// maxStep is how many peers may come or go by themselves; with more it is as cheap to compare everything.
const maxStep = 256

// step is the way from one wish to the next: the peers that go and those that come. One that changes does both.
type step struct {
	gone []*vpn.PeerWish // as they were granted
	come []*vpn.PeerWish
}

// step finds the way to a wish that differs in some peers from the one in force, if it can be gone peer by peer: the
// state of everything else is known, and no peer on it stands in another's way or is refused anything.
func (h *Hub) step(w vpn.Wish) (s step, small bool) {
	if !h.settled || h.rests || !h.let || h.entangled || h.disturbed() || w.Epoch != h.wish.Epoch ||
		!slices.Equal(w.Pool, h.wish.Pool) || !slices.Equal(w.Unreadable(), h.wish.Unreadable()) {
		return s, false
	}
	gone, come := difference(h.wish.Peers, w.Peers)
	if max(len(gone), len(come)) > maxStep || len(h.peers)+len(come) > vpn.MaxPeers {
		return s, false
	}
	for _, p := range gone {
		granted, is := h.peers[p.PublicKey]
		if !is || len(granted.Services) != len(p.Services) || len(p.Networks) > 0 {
			return s, false
		}
		s.gone = append(s.gone, granted)
	}
	for _, p := range come {
		if len(p.Networks) > 0 { // which have to be held against everybody's
			return s, false
		}
		s.come = append(s.come, &p)
	}
	return s, h.free(s)
}

// difference leaves out what two lists of peers have in common, at their beginnings and their ends first: most wishes
// differ in one place. The same peer at another place is no difference.
func difference(before, after []vpn.PeerWish) (gone, come []vpn.PeerWish) {
	for len(before) > 0 && len(after) > 0 && same(&before[0], &after[0]) {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && same(&before[len(before)-1], &after[len(after)-1]) {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	old := make(map[vpn.Key]*vpn.PeerWish, len(before))
	for i := range before {
		old[before[i].PublicKey] = &before[i]
	}
	for i := range after {
		if was := old[after[i].PublicKey]; was != nil && same(was, &after[i]) {
			delete(old, after[i].PublicKey)
		} else {
			come = append(come, after[i])
		}
	}
	for i := range before {
		if old[before[i].PublicKey] != nil {
			gone = append(gone, before[i])
		}
	}
	return gone, come
}

func same(a, b *vpn.PeerWish) bool {
	return a.PublicKey == b.PublicKey && a.PresharedKey == b.PresharedKey &&
		a.Partner == b.Partner && a.Site == b.Site && a.Dormant == b.Dormant &&
		slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Services, b.Services) && slices.Equal(a.Networks, b.Networks)
}

// free says whether those who come get all they wish for beside those who stay.
func (h *Hub) free(s step) bool {
	leaving, left := make(map[vpn.Key]bool), make(map[netip.Addr]bool)
	served := make(map[netip.Addr]int)
	for _, p := range s.gone {
		leaving[p.PublicKey] = true
		for _, a := range p.Addresses {
			left[a.Addr()] = true
		}
		for _, service := range p.Services {
			served[service.Addr.Addr()]--
		}
	}
	for _, p := range s.come {
		for _, service := range p.Services {
			served[service.Addr.Addr()]++
			if h.cannotCarry(service) != "" {
				return false
			}
		}
	}
	own := h.hosts()
	taken := func(a netip.Addr) bool {
		_, has := h.policy.Sources[a]
		return has && !left[a] || h.policy.InNetwork(a)
	}
	for a, n := range served {
		if n > 0 && taken(a) { // a service at the address of an office
			return false
		}
	}
	keys, addresses := make(map[vpn.Key]bool), make(map[netip.Addr]bool)
	for _, p := range s.come {
		_, refused := p.Permissible()
		if p.Check(h.publicKey) != nil || len(refused) > 0 || keys[p.PublicKey] ||
			h.peers[p.PublicKey] != nil && !leaving[p.PublicKey] {
			return false
		}
		keys[p.PublicKey] = true
		for _, prefix := range p.Addresses {
			a := prefix.Addr()
			if taken(a) || addresses[a] || slices.Contains(own, a) || h.served[a]+served[a] > 0 {
				return false
			}
			addresses[a] = true
		}
	}
	return true
}

// take goes the step: what it touches is written and read back, and nothing else. The order is that of a pass. After an
// error nothing is known for certain.
func (h *Hub) take(s step) (c Changes, err error) {
	h.settled = false
	before, after := policyOfAll(s.gone), policyOfAll(s.come)
	closing, opening := lacks(before, after), lacks(after, before)
	plan := h.planOf(s)
	for _, p := range s.gone {
		h.grants.remove(p)
		h.serve(*p, -1)
	}
	for _, p := range s.come {
		h.grants.add(p)
		h.serve(*p, 1)
	}
	c = Changes{PeersAdded: plan.added, PeersRemoved: plan.removed, PeersChanged: plan.changed}
	c.Fence = opening.Size() + closing.Size()
	if closing.Size() > 0 {
		if err := h.fence.Take(closing); err != nil {
			return c, err
		}
	}
	if err := h.writeProved(plan.restrict); err != nil {
		return c, err
	}
	if err := h.forget(plan.lost); err != nil {
		return c, err
	}
	if opening.Size() > 0 {
		if err := h.fence.Give(opening); err != nil {
			return c, err
		}
	}
	if c.Routes, err = h.lead(s); err != nil {
		return c, err
	}
	if err := h.writeProved(plan.permit); err != nil {
		return c, err
	}
	h.settled = true
	return c, nil
}

// planOf is the plan of a step, from what those who go had.
func (h *Hub) planOf(s step) (p plan) {
	old := make(map[vpn.Key]*vpn.PeerWish, len(s.gone))
	for _, peer := range s.gone {
		old[peer.PublicKey] = peer
	}
	for _, peer := range s.come {
		was := old[peer.PublicKey]
		if was == nil {
			p.add(peer, h.endpoints.last(peer.PublicKey), h.sleeps(peer.PublicKey))
			continue
		}
		delete(old, peer.PublicKey)
		p.change(peer, device.Peer{PresharedKey: device.Key(was.PresharedKey), AllowedIPs: was.Addresses}, false)
	}
	for key, peer := range old {
		p.restrict = append(p.restrict, device.PeerChange{PublicKey: device.Key(key), Remove: true})
		p.lose(peer.Addresses)
		p.removed++
	}
	return p
}

func (h *Hub) writeProved(changes []device.PeerChange) error {
	if len(changes) == 0 {
		return nil
	}
	if _, err := h.write(changes); err != nil {
		return err
	}
	return h.device.Prove(changes)
}

// lead makes the routes of a step, and reads them back.
func (h *Hub) lead(s step) (changed int, err error) {
	if h.link == nil {
		return 0, nil
	}
	before, after := addressesOf(s.gone), addressesOf(s.come)
	surplus, missing := without(before, after), without(after, before)
	if len(surplus) > 0 {
		if err := h.link.RemoveRoutes(surplus); err != nil {
			return 0, err
		}
	}
	if len(missing) == 0 {
		return len(surplus), nil
	}
	added, failed, err := h.link.AddRoutes(slices.Values(missing))
	if err == nil && (len(failed) > 0 || added != len(missing)) {
		err = errors.New("not all routes could be made")
	}
	for _, p := range missing {
		if err != nil {
			break
		}
		var leads bool
		if leads, err = h.link.Leads(p); err == nil && !leads {
			err = errors.New("a route does not read back as it was written")
		}
	}
	return len(surplus) + added, err
}

func addressesOf(peers []*vpn.PeerWish) (all []netip.Prefix) {
	for _, p := range peers {
		all = append(all, p.Addresses...)
	}
	return all
}

func policyOfAll(peers []*vpn.PeerWish) fence.Policy {
	all := newPolicy(len(peers))
	for _, p := range peers {
		part := policyOf(p)
		maps.Copy(all.Sources, part.Sources)
		maps.Copy(all.Flows, part.Flows)
	}
	return all
}

// lacks is what of a policy another one lacks, or has otherwise.
func lacks(p, other fence.Policy) fence.Policy {
	rest := newPolicy(0)
	for a := range p.Sources {
		if _, is := other.Sources[a]; !is {
			rest.Sources[a] = struct{}{}
		}
	}
	for flow, backend := range p.Flows {
		if there, is := other.Flows[flow]; !is || there != backend {
			rest.Flows[flow] = backend
		}
	}
	return rest
}
