package hub

import (
	"slices"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
)

// follow is which offices change their key, and which of the two carries. A device gives an address to one key alone, so
// the hub has both of them shake hands and leads the addresses after the office: nobody has to be told when it changes
// over, and one that goes back is followed back.
type follow struct {
	offices []changing
}

// changing is an office with two keys.
type changing struct {
	key, next vpn.Key
	moved     bool // next carries
}

// of is what there is to follow of a wish. Who was followed already goes on with the key that carries.
func (f follow) of(w vpn.Wish) (now follow) {
	for _, p := range w.Peers {
		if (p.NextKey == vpn.Key{}) {
			continue
		}
		c := changing{key: p.PublicKey, next: p.NextKey}
		c.moved = slices.Contains(f.offices, changing{c.key, c.next, true})
		now.offices = append(now.offices, c)
	}
	return now
}

// spread gives each office that changes its key two peers. Those without addresses come last, so that they take nothing
// from anybody.
func (f follow) spread(w vpn.Wish) vpn.Wish {
	if len(f.offices) == 0 {
		return w
	}
	w.Peers = slices.Clone(w.Peers)
	var dormant []vpn.PeerWish
	for i := range w.Peers {
		p := &w.Peers[i]
		if (p.NextKey == vpn.Key{}) {
			continue
		}
		other := vpn.PeerWish{Partner: p.Partner, Site: p.Site, PublicKey: p.NextKey, PresharedKey: p.PresharedKey, Dormant: true}
		if slices.Contains(f.offices, changing{p.PublicKey, p.NextKey, true}) {
			p.PublicKey, other.PublicKey = p.NextKey, p.PublicKey
		}
		p.NextKey = vpn.Key{}
		dormant = append(dormant, other)
	}
	w.Peers = append(w.Peers, dormant...)
	return w
}

// look finds out which key of each office carries now, and says whether one is another than before.
func (f follow) look(peers map[device.Key]device.Peer) (changed bool) {
	for i := range f.offices {
		c := &f.offices[i]
		before, next := peers[c.key].LastHandshake, peers[c.next].LastHandshake
		moved := !next.IsZero() && !before.After(next)
		changed = changed || moved != c.moved
		c.moved = moved
	}
	return changed
}

// Following says whether an office changes its key, so that [Hub.Follow] has to be called: an office is cut off between its
// change and the next call.
func (h *Hub) Following() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.offices) > 0
}

// Follow leads the addresses of offices that change their key to the key by which they were heard last.
func (h *Hub) Follow() (Changes, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.offices) == 0 {
		return Changes{}, nil
	}
	state, err := h.device.Read()
	if err != nil || !h.look(state.Peers) {
		return Changes{}, err
	}
	return h.apply(h.spread(h.told))
}
