package hub

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"trustcore/vpn"
)

// settleTime is how much later an office has to be heard by the former key of the hub to have gone back to it. A handshake
// that was under way when the office changed over is no such sign; one that really went back is heard again after 15 s.
const settleTime = time.Second

// Pair is a hub that can change its key: while it does there are two, each with an interface, a port and a firewall of its
// own, and the same addresses. An office knows one of them, then both, then the next alone; its addresses are led to the one
// that heard it last. Its methods may be called at the same time, and are those of a [Hub] that is both.
type Pair struct {
	mu    sync.Mutex
	hub   *Hub // that all offices know
	next  *Hub // to which they change; nil while the hub does not change its key
	told  vpn.Wish
	rests bool             // see [Hub.Carry]
	moved map[vpn.Key]bool // the offices that next carries, by the key in the wish; guarded by mu, as is all above
}

// OpenPair opens a hub that has one key.
func OpenPair(cfg Config) (*Pair, error) {
	h, err := Open(cfg)
	return &Pair{hub: h, rests: cfg.Resting, moved: make(map[vpn.Key]bool)}, err
}

// Begin opens the hub's next key beside the present one: its configuration differs in key, port, interface and state folder.
// Offices that come by it are served by it.
func (p *Pair) Begin(cfg Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.next != nil:
		return errors.New("vpn: the hub changes its key already")
	case p.hub.Mode() == vpn.ModeNetstack:
		return errors.New("vpn: without an interface the hub can't have two keys: start it as root")
	case cfg.Beside != p.hub.cfg.Interface || p.hub.cfg.Beside != cfg.Interface:
		return errors.New("vpn: the two interfaces of the hub do not know of each other")
	}
	cfg.Mode, cfg.news, cfg.Resting = p.hub.Mode(), p.hub.news, p.rests
	next, err := Open(cfg)
	if err != nil {
		return err
	}
	p.next = next
	_, err = p.apply()
	return err
}

// End ends the hub's former key: offices that have not followed are cut off.
func (p *Pair) End() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		return errors.New("vpn: the hub does not change its key")
	}
	former := p.hub
	p.hub, p.next = p.next, nil
	clear(p.moved)
	_, err := p.hub.Apply(p.told)
	return errors.Join(err, former.Close())
}

// both are the hubs that there are.
func (p *Pair) both() []*Hub {
	if p.next == nil {
		return []*Hub{p.hub}
	}
	return []*Hub{p.hub, p.next}
}

// each does something with every hub.
func (p *Pair) each(do func(*Hub) (Changes, error)) (all Changes, failed error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.both() {
		changes, err := do(h)
		all, failed = all.plus(changes), errors.Join(failed, err)
	}
	return all, failed
}

// Mode is how the tunnel is carried.
func (p *Pair) Mode() vpn.Mode { return p.hub.Mode() }

// Apply is [Hub.Apply].
func (p *Pair) Apply(w vpn.Wish) (Changes, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = w
	return p.apply()
}

// apply gives each hub the offices that it carries, and lets the others shake hands. Who is taken from one is taken first.
func (p *Pair) apply() (Changes, error) {
	if p.next == nil {
		return p.hub.Apply(p.told)
	}
	p.recall()
	changes, err := p.hub.Apply(p.part(false))
	more, failed := p.next.Apply(p.part(true))
	return changes.plus(more), errors.Join(err, failed)
}

// recall has offices of which nothing is known yet begin where they were heard before a restart.
func (p *Pair) recall() {
	known := p.moved
	p.moved = make(map[vpn.Key]bool, len(p.told.Peers))
	for _, peer := range p.told.Peers {
		moved, is := known[peer.PublicKey]
		if !is {
			moved = p.next.endpoints.last(peer.PublicKey).IsValid() && !p.hub.endpoints.last(peer.PublicKey).IsValid()
		}
		p.moved[peer.PublicKey] = moved
	}
}

// part is the wish for the next hub, or for the present one.
func (p *Pair) part(next bool) vpn.Wish {
	w := p.told
	w.Peers = slices.Clone(w.Peers)
	for i := range w.Peers {
		if peer := &w.Peers[i]; p.moved[peer.PublicKey] != next {
			peer.Addresses, peer.Networks, peer.Services, peer.Dormant = nil, nil, nil, true
		}
	}
	slices.SortStableFunc(w.Peers, func(a, b vpn.PeerWish) int { // those without addresses take nothing from the others
		return cmp.Compare(order(a), order(b))
	})
	return w
}

func order(p vpn.PeerWish) int {
	if p.Dormant {
		return 1
	}
	return 0
}

// Withdraw is [Hub.Withdraw].
func (p *Pair) Withdraw() (Changes, error) {
	p.mu.Lock()
	p.told = vpn.Wish{}
	p.mu.Unlock()
	return p.each((*Hub).Withdraw)
}

// Extend is [Hub.Extend].
func (p *Pair) Extend() error {
	_, err := p.each(func(h *Hub) (Changes, error) { return Changes{}, h.Extend() })
	return err
}

// Carry is [Hub.Carry].
func (p *Pair) Carry(is bool) error {
	p.mu.Lock()
	p.rests = !is
	p.mu.Unlock()
	_, err := p.each(func(h *Hub) (Changes, error) { return Changes{}, h.Carry(is) })
	return err
}

// Learn takes where the other gateway heard the offices of the present key, and those that have followed to the next one. A
// pair that carries knows better.
func (p *Pair) Learn(here, followed map[vpn.Key]vpn.Heard) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.rests {
		return nil
	}
	if p.next == nil {
		return p.hub.Learn(here)
	}
	changed := false
	for moved, of := range map[bool]map[vpn.Key]vpn.Heard{false: here, true: followed} {
		for key := range of {
			if was, is := p.moved[key]; is && was != moved {
				p.moved[key], changed = moved, true
			}
		}
	}
	err := errors.Join(p.hub.Learn(here), p.next.Learn(followed))
	if changed {
		_, failed := p.apply()
		err = errors.Join(err, failed)
	}
	return err
}

// Reconcile is [Hub.Reconcile].
func (p *Pair) Reconcile() (Changes, error) { return p.each((*Hub).Reconcile) }

// Look is [Hub.Look].
func (p *Pair) Look() (Changes, error) { return p.each((*Hub).Look) }

// Close is [Hub.Close].
func (p *Pair) Close() error {
	_, err := p.each(func(h *Hub) (Changes, error) { return Changes{}, h.Close() })
	return err
}

// Disturbed is [Hub.Disturbed].
func (p *Pair) Disturbed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hub.Disturbed()
}

// Following is [Hub.Following], and while the hub changes its key there are always offices to follow.
func (p *Pair) Following() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next != nil && len(p.told.Peers) > 0 || p.hub.Following()
}

// Follow is [Hub.Follow], and leads offices to the key of the hub by which they were heard last.
func (p *Pair) Follow() (all Changes, failed error) {
	all, failed = p.each((*Hub).Follow)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		return all, failed
	}
	here, err := p.hub.heard()
	there, also := p.next.heard()
	if err := errors.Join(err, also); err != nil {
		return all, errors.Join(failed, err)
	}
	changed, back := false, false
	for _, peer := range p.told.Peers {
		last := func(of map[vpn.Key]time.Time) time.Time {
			if of[peer.NextKey].After(of[peer.PublicKey]) {
				return of[peer.NextKey]
			}
			return of[peer.PublicKey]
		}
		if last(there).IsZero() && last(here).IsZero() {
			continue
		}
		moved := !last(there).IsZero() && !last(here).After(last(there).Add(settleTime))
		if moved != p.moved[peer.PublicKey] {
			p.moved[peer.PublicKey] = moved
			changed, back = true, back || !moved
		}
	}
	if !changed {
		return all, failed
	}
	changes, err := p.apply()
	if back { // its routes were still the other's
		more, also := p.hub.Reconcile()
		changes, err = changes.plus(more), errors.Join(err, also)
	}
	return all.plus(changes), errors.Join(failed, err)
}

// heard is when each office was heard last, by key.
func (h *Hub) heard() (map[vpn.Key]time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state, err := h.device.Read()
	if err != nil {
		return nil, err
	}
	last := make(map[vpn.Key]time.Time, len(state.Peers))
	for key, peer := range state.Peers {
		last[key] = peer.LastHandshake
	}
	return last, nil
}

// Status is [Hub.Status] of the present key, with the offices that have followed to the next one. A wish is in force when it
// is by both.
func (p *Pair) Status(now time.Time) (vpn.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, err := p.hub.Status(now)
	if err != nil || p.next == nil {
		return s, err
	}
	next, err := p.next.Status(now)
	if err != nil {
		return s, err
	}
	s.Next = &vpn.NextHub{PublicKey: next.PublicKey, ListenPort: next.ListenPort}
	for _, peer := range next.Peers {
		peer.Followed = true
		s.Peers = append(s.Peers, peer)
	}
	slices.SortStableFunc(s.Peers, func(a, b vpn.PeerStatus) int {
		return cmp.Or(strings.Compare(a.Partner, b.Partner), strings.Compare(a.Site, b.Site))
	})
	s.Denied += next.Denied
	s.Refused, s.Findings = append(s.Refused, next.Refused...), append(s.Findings, next.Findings...)
	if next.Problem != "" && s.Problem == "" {
		s.Problem = fmt.Sprintf("at its next key: %s", next.Problem)
	}
	if next.Applied != s.Applied {
		s.Applied = vpn.Applied{}
	}
	return s, nil
}
