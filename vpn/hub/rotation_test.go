package hub_test

import (
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/hub"
	"trustcore/vpn/office"
)

// rotating is a world with one office that sends datagrams, and holds a connection.
type rotating struct {
	*world
	a    *plannedSite
	peer vpn.PeerWish
	echo netip.AddrPort
}

func newRotating(t *testing.T, mode vpn.Mode, preshared vpn.PresharedKey) *rotating {
	t.Helper()
	r := &rotating{world: newWorld(t, mode), echo: netip.AddrPortFrom(hubAddresses[0].Addr(), 4500)}
	r.a = r.plan("A")
	r.serveDatagrams(r.echo)
	r.peer = r.world.peer(r.a)
	r.peer.PresharedKey = preshared
	r.peer.Services = append(r.peer.Services, vpn.Service{Name: "datagrams", Proto: "udp", Addr: r.echo})
	r.apply(r.peer)
	r.start(r.a, r.echo)
	return r
}

// up waits for the tunnel, and opens the connection.
func (r *rotating) up() {
	r.t.Helper()
	if err := handshake(r.a); err != nil {
		r.t.Fatal(err)
	}
	if err := hold(r.a, r.gateway[0]); err != nil {
		r.t.Fatal(err)
	}
	if err := echo(r.a, patience); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rotating) newKey() (file string, key vpn.Key) {
	r.t.Helper()
	file = filepath.Join(r.t.TempDir(), "next.key")
	private, err := vpn.LoadOrCreateKey(file)
	if err != nil {
		r.t.Fatal(err)
	}
	return file, private.Public()
}

// TestPresharedKeyChangesWithoutLoss changes it at the hub first, while datagrams go, and half a second later in the
// office. The session of before carries them all, and the next handshake is by the new key.
func TestPresharedKeyChangesWithoutLoss(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		for name, before := range map[string]vpn.PresharedKey{"from none": {}, "from another": {1}} {
			t.Run(name, func(t *testing.T) {
				r := newRotating(t, mode, vpn.PresharedKey{})
				r.up()
				r.peer.PresharedKey = before
				r.apply(r.peer)
				must(t, r.a.do(action{Kind: "use", Use: &shown{r.a.keyFile, before}, Wait: patience}))
				const size = 1500
				type sent struct {
					lost int
					err  error
				}
				done := make(chan sent, 1)
				after := vpn.PresharedKey{2}
				go func() {
					n, err := lostWhile(r.a, r.echo, size, &shown{r.a.keyFile, after})
					done <- sent{n, err}
				}()
				r.peer.PresharedKey = after
				r.apply(r.peer)
				if s := <-done; s.err != nil || s.lost > 0 {
					t.Errorf("%d of %d datagrams are lost, %v", s.lost, size, s.err)
				}
				must(t, echo(r.a, patience))
				r.onlyBy(after, before)
			})
		}
	})
}

// onlyBy has the hub forget the session: the office gets one by the first pre-shared key, and none by the others.
func (r *rotating) onlyBy(right vpn.PresharedKey, wrong ...vpn.PresharedKey) {
	r.t.Helper()
	for _, preshared := range append(wrong, right) {
		must(r.t, r.a.do(action{Kind: "use", Use: &shown{r.a.keyFile, preshared}, Wait: patience}))
		must(r.t, r.hub.Close())
		r.open()
		if _, err := r.hub.Apply(r.wish); err != nil {
			r.t.Fatal(err)
		}
		wait := 3 * refusalTime // both ends ask at once
		if preshared == right {
			wait = patience
		}
		if err := reach(r.a, r.gateway[0], wait); (err == nil) != (preshared == right) {
			r.t.Errorf("by the right key: %v, %v", preshared == right, err)
		}
	}
}

// TestOfficeChangesItsKey has datagrams and a connection go on over the change, and the hub take the old key away after it.
func TestOfficeChangesItsKey(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		r := newRotating(t, mode, vpn.PresharedKey{1})
		must(t, r.a.do(action{Kind: "use", Use: &shown{r.a.keyFile, vpn.PresharedKey{1}}, Wait: patience}))
		r.up()
		file, next := r.newKey()
		r.peer.NextKey = next
		r.apply(r.peer)
		stop := following(r.t, r.hub.Follow)
		defer stop()
		const size = 3000
		n, err := lostWhile(r.a, r.echo, size, &shown{file, vpn.PresharedKey{1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d of %d datagrams, one a millisecond, are lost", n, size)
		if n > size/2-100 { // a gap that did not end
			t.Errorf("%d of %d datagrams are lost", n, size)
		}
		must(t, echo(r.a, patience))
		if s := r.status(); len(s.Peers) != 1 || s.Peers[0].PublicKey != next || len(s.Refused) != 0 {
			t.Errorf("status %+v", s)
		}
		stop()
		r.peer.PublicKey, r.peer.NextKey = next, vpn.Key{}
		r.apply(r.peer)
		must(t, echo(r.a, patience))
		if c, err := r.hub.Reconcile(); err != nil || !c.IsZero() {
			t.Errorf("after the change %+v, %v", c, err)
		}
		must(t, r.a.do(action{Kind: "use", Use: &shown{r.a.keyFile, vpn.PresharedKey{1}}, Wait: patience}))
		if err := reach(r.a, r.gateway[0], refusalTime); err == nil {
			t.Error("the old key is let in")
		}
	})
}

// TestOfficeGoesBack has an office change its key, and come back with the old one before the change is through: whichever it
// uses carries.
func TestOfficeGoesBack(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		r := newRotating(t, mode, vpn.PresharedKey{})
		r.up()
		file, next := r.newKey()
		r.peer.NextKey = next
		r.apply(r.peer)
		defer following(r.t, r.hub.Follow)()
		for _, use := range []string{file, r.a.keyFile} {
			must(t, r.a.do(action{Kind: "use", Use: &shown{KeyFile: use}, Wait: patience}))
			eventually(t, "the office gets through", func() bool { return reach(r.a, r.gateway[0], refusalTime) == nil })
		}
	})
}

// following calls what follows offices as its daemon does, until the function is called that it returns.
func following(t *testing.T, follow func() (hub.Changes, error)) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				if _, err := follow(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	return sync.OnceFunc(func() { close(end); <-ended })
}

// TestNextKeyTakesNothing has next keys that are another's, the hub's, or the office's own: they alone are refused.
func TestNextKeyTakesNothing(t *testing.T) {
	w := newWorld(t, vpn.ModeNetstack)
	a, b := somePeer(t, 2), somePeer(t, 3)
	a.Services, b.Services = nil, nil
	for name, next := range map[string]vpn.Key{"another's": b.PublicKey, "the hub's": w.hub.PublicKey(), "its own": a.PublicKey} {
		changing := a
		changing.NextKey = next
		w.apply(changing, b)
		s := w.status()
		if len(s.Peers) != 2 || len(s.Refused) != 1 || s.Refused[0].Field != "public_key" || s.Refused[0].Partner != a.Partner {
			t.Errorf("%s: %d peers, refused %+v", name, len(s.Peers), s.Refused)
		}
		if s.Applied.Revision != w.wish.Revision {
			t.Errorf("%s: revision %d is in force", name, s.Applied.Revision)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOfficeAdoptsSettings has a service come and go, and the packets become shorter, while a connection goes on; settings by
// which there is no tunnel change nothing.
func TestOfficeAdoptsSettings(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		r := newRotating(t, mode, vpn.PresharedKey{})
		service := behind(t, 1500)
		at := netip.AddrPortFrom(service.inner, service.echo(t))
		r.peer.Services = append(r.peer.Services, vpn.Service{Name: "registry", Proto: "tcp", Addr: at})
		r.apply(r.peer)
		r.up()
		const wide, narrow = 0, 1300
		for _, s := range []struct {
			services []netip.AddrPort
			longest  int
			reaches  bool
		}{{nil, wide, false}, {[]netip.AddrPort{at}, narrow, true}, {nil, narrow, false}, {[]netip.AddrPort{at}, wide, true}} {
			e := r.enrolment(r.a, s.services...)
			must(t, r.a.do(action{Kind: "adopt", Adopt: &e, Size: s.longest, Wait: patience}))
			if err := reach(r.a, at, 2*refusalTime); (err == nil) != s.reaches {
				t.Errorf("%v: %v, want %v", s.services, err, s.reaches)
			}
			must(t, echo(r.a, patience))
		}
		another, moved, bad := r.enrolment(r.a, at), r.enrolment(r.a, at), r.enrolment(r.a, at)
		_, another.Hub.PublicKey = r.newKey()
		moved.Address = moved.Address[:1]
		bad.Hub.Endpoint = netip.AddrPortFrom(hubAddresses[0].Addr(), 1).String()
		for name, e := range map[string]office.Enrolment{"another hub": another, "another address": moved, "an endpoint in the tunnel": bad} {
			if err := r.a.do(action{Kind: "adopt", Adopt: &e, Wait: patience}); err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		must(t, echo(r.a, patience))
	})
}
