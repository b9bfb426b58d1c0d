package hub_test

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/hub"
)

// paired is a world whose hub changes its key. The hub of the world is the pair.
type paired struct {
	*world
	pair *hub.Pair
	next hub.Config
}

func newPaired(t *testing.T, mode vpn.Mode) *paired {
	t.Helper()
	w := &world{t: t, mode: mode, sites: make(map[string]*plannedSite)}
	key, err := vpn.GeneratePrivateKey()
	must(t, err)
	w.cfg = newConfig(key, t.TempDir())
	w.cfg.Mode, w.cfg.Beside, w.port = mode, "tc-hub2", freeUDPPort(t)
	w.cfg.ListenPort = w.port
	p := &paired{world: w, next: w.cfg}
	p.next.Interface, p.next.Beside, p.next.ListenPort, p.next.StateDir = "tc-hub2", "tc-hub", freeUDPPort(t), filepath.Join(t.TempDir())
	p.next.PrivateKey, err = vpn.GeneratePrivateKey()
	must(t, err)
	p.pair, err = hub.OpenPair(w.cfg)
	must(t, err)
	t.Cleanup(func() { must(t, p.pair.Close()) })
	for i, a := range hubAddresses {
		w.gateway[i] = netip.AddrPortFrom(a.Addr(), 9443)
		w.serve(w.gateway[i].String())
	}
	return p
}

func (p *paired) put(peers ...vpn.PeerWish) {
	p.t.Helper()
	p.wish = vpn.Wish{Revision: p.wish.Revision + 1, Peers: peers}
	_, err := p.pair.Apply(p.wish)
	must(p.t, err)
}

func (p *paired) state() vpn.Status {
	p.t.Helper()
	s, err := p.pair.Status(time.Now())
	must(p.t, err)
	return s
}

// TestHubChangesItsKey has offices follow while datagrams and connections go on. Who has not followed goes on by the former key
// until that ends, and nobody gets what is another's.
func TestHubChangesItsKey(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		p := newPaired(t, mode)
		a, b := p.plan("A"), p.plan("B")
		at := netip.AddrPortFrom(hubAddresses[0].Addr(), 4500)
		p.serveDatagrams(at)
		peer, other := p.peer(a), p.peer(b)
		peer.PresharedKey = vpn.PresharedKey{7}
		peer.Services = append(peer.Services, vpn.Service{Name: "datagrams", Proto: "udp", Addr: at})
		p.put(peer, other)
		p.bring(a, at)
		p.bring(b)
		must(t, a.do(action{Kind: "use", Use: &shown{a.keyFile, peer.PresharedKey}, Wait: patience}))
		for _, s := range []*plannedSite{a, b} {
			must(t, handshake(s))
			must(t, hold(s, p.gateway[0]))
			must(t, echo(s, patience))
		}
		must(t, p.pair.Begin(p.next))
		must(t, echo(a, patience))
		if err := p.pair.Begin(p.next); err == nil {
			t.Error("a third key was begun")
		}
		defer following(p.t, p.pair.Follow)()
		const size = 2000
		n, err := lostBy(a, action{Kind: "stream", To: at, Size: size, Wait: 3 * patience,
			Move: p.next.PrivateKey.Public(), Endpoint: netip.AddrPortFrom(a.link.Outer.Addr(), p.next.ListenPort).String()})
		must(t, err)
		t.Logf("%d of %d datagrams, one a millisecond, are lost", n, size)
		if n > size/2-100 { // a gap that did not end
			t.Errorf("%d of %d datagrams are lost", n, size)
		}
		must(t, echo(a, patience))
		must(t, echo(b, patience))
		s := p.state()
		if s.Next == nil || s.Next.PublicKey != p.next.PrivateKey.Public() || len(s.Peers) != 2 || !s.Peers[0].Followed || s.Peers[1].Followed ||
			s.Revision != p.wish.Revision || len(s.Refused) > 0 || s.Problem != "" {
			t.Errorf("status %+v", s)
		}
		if c, err := p.pair.Reconcile(); err != nil || !c.IsZero() {
			t.Errorf("nothing changed: %+v, %v", c, err)
		}
		must(t, p.pair.End())
		must(t, echo(a, patience))
		if err := reach(b, p.gateway[0], refusalTime); err == nil {
			t.Error("the former key is served after its end")
		}
		if s := p.state(); s.Next != nil || s.PublicKey != p.next.PrivateKey.Public() || len(s.Peers) != 2 {
			t.Errorf("status %+v", s)
		}
		if err := p.pair.End(); err == nil {
			t.Error("it ended twice")
		}
		p.put(other)
		if err := echo(a, refusalTime); err == nil {
			t.Error("an office that was switched off is served")
		}
	})
}

// bring starts an office that knows the present key of the pair.
func (p *paired) bring(a *plannedSite, more ...netip.AddrPort) {
	p.t.Helper()
	e := p.enrolment(a, more...)
	a.site = startSite(p.t, a.link, script{KeyFile: a.keyFile, Mode: p.mode, Enrolment: e})
}

// TestPairWithoutAnInterface refuses what can't be.
func TestPairWithoutAnInterface(t *testing.T) {
	key, err := vpn.GeneratePrivateKey()
	must(t, err)
	cfg := newConfig(key, t.TempDir())
	cfg.Mode = vpn.ModeNetstack
	p, err := hub.OpenPair(cfg)
	must(t, err)
	defer p.Close()
	if err := p.Begin(cfg); err == nil {
		t.Error("a second key without an interface")
	}
}
