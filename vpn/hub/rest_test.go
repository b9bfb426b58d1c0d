package hub_test

import (
	"net/netip"
	"testing"
	"time"

	"trustcore/vpn"
)

// TestRest has a hub stand by: nobody is heard, its wish is followed, nothing is taken for drift; when it carries again it begins
// the handshake itself, where the other gateway heard the office last.
func TestRest(t *testing.T) {
	inModes(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a, other := w.plan("a"), somePeer(t, 77)
		w.start(a, w.gateway[0])
		w.apply(w.peer(a))
		if err := hold(a.site, w.gateway[0]); err != nil {
			t.Fatal(err)
		}
		heard := w.status().Peers[0].Endpoint
		if err := w.hub.Carry(false); err != nil {
			t.Fatal(err)
		}
		if err := echo(a.site, time.Second); err == nil {
			t.Error("a hub that rests carries")
		}
		w.apply(w.peer(a), other)
		if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
			t.Errorf("rest is drift: %+v, %v", changes, err)
		}
		if s := w.status(); len(s.Peers) != 2 || s.Revision != w.wish.Revision {
			t.Errorf("the wish is not followed: %+v", s)
		}
		stranger, elsewhere := somePeer(t, 78), netip.MustParseAddrPort("198.51.100.9:9")
		if err := w.hub.Learn(map[vpn.Key]vpn.Heard{a.key.Public(): {Endpoint: elsewhere}, stranger.PublicKey: {Endpoint: elsewhere}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.hub.Reconcile(); err != nil {
			t.Fatal(err)
		}
		if s := w.status(); s.Peers[0].Endpoint != elsewhere || len(s.Peers) != 2 {
			t.Errorf("what the other gateway heard is not known: %+v", s.Peers)
		}
		if err := w.hub.Learn(map[vpn.Key]vpn.Heard{a.key.Public(): {Endpoint: heard, Busy: true}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.hub.Reconcile(); err != nil {
			t.Fatal(err)
		}
		if err := w.hub.Carry(true); err != nil {
			t.Fatal(err)
		}
		if err := reach(a.site, w.gateway[0], patience); err != nil { // a connection of before waits for its own clock to send again
			t.Errorf("a hub that carries again is not reached: %v", err)
		}
		if err := w.hub.Learn(map[vpn.Key]vpn.Heard{a.key.Public(): {Endpoint: elsewhere}}); err != nil {
			t.Fatal(err)
		}
		if s := w.status(); s.Peers[0].Endpoint != heard {
			t.Errorf("a hub that carries took another's word: %+v", s.Peers[0])
		}
	}, vpn.ModeKernel, vpn.ModeUserspace)
}
