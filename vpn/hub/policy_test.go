package hub_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"trustcore/vpn"
)

// twoOffices is a world where offices A and B are connected and may use the gateway.
func twoOffices(t *testing.T, mode vpn.Mode) (w *world, a, b *plannedSite) {
	t.Helper()
	w = newWorld(t, mode)
	a, b = w.plan("A"), w.plan("B")
	w.apply(w.peer(a), w.peer(b))
	w.start(a, netip.AddrPortFrom(b.tunnel[0].Addr(), 8080))
	w.start(b, netip.AddrPortFrom(a.tunnel[0].Addr(), 8080))
	for _, s := range []*plannedSite{a, b} {
		if err := handshake(s); err != nil {
			t.Fatal(err)
		}
	}
	return w, a, b
}

func TestPartnerReachesTheGatewayAndNothingElse(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w, a, b := twoOffices(t, mode)
		for _, s := range []*plannedSite{a, b} {
			for _, gateway := range w.gateway {
				if err := reach(s, gateway, patience); err != nil {
					t.Errorf("%s to %v: %v", s.name, gateway, err)
				}
			}
		}
		neighbour := netip.AddrPortFrom(b.tunnel[0].Addr(), 8080)
		if mode != vpn.ModeNetstack {
			if err := b.do(action{Kind: "listen", To: neighbour, Wait: patience}); err != nil {
				t.Fatal(err)
			}
		}
		before := w.status().Denied
		for _, forbidden := range []netip.AddrPort{w.secret, neighbour, netip.AddrPortFrom(w.gateway[0].Addr(), 22)} {
			if reach(a, forbidden, refusalTime) == nil {
				t.Errorf("A reached %v", forbidden)
			}
		}
		if mode != vpn.ModeNetstack && w.status().Denied == before {
			t.Error("the firewall did not count what it denied")
		}
		checkStatus(t, w)
	})
}

func checkStatus(t *testing.T, w *world) {
	t.Helper()
	status := w.status()
	if len(status.Peers) != 2 || status.Revision != w.wish.Revision || status.PublicKey != w.hub.PublicKey() {
		t.Fatalf("status %+v", status)
	}
	for _, p := range status.Peers {
		if p.State != vpn.StateUp || p.Received == 0 || p.Sent == 0 || !p.Endpoint.IsValid() {
			t.Errorf("peer %+v", p)
		}
		if p.Services[0].Bytes == 0 {
			t.Errorf("no traffic counted for %s", p.Partner)
		}
	}
}

func TestPartnerWithoutServiceReachesNothing(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a, b := w.plan("A"), w.plan("B")
		nothing := w.peer(b)
		nothing.Services = nil
		w.apply(w.peer(a), nothing)
		w.start(b)
		if err := handshake(b); err != nil {
			t.Fatal(err)
		}
		if reach(b, w.gateway[0], refusalTime) == nil {
			t.Error("B has no service and reached the gateway")
		}
	})
}

func TestRevocationCutsAnEstablishedFlow(t *testing.T) {
	for _, what := range []string{"peer", "service"} {
		t.Run(what, func(t *testing.T) {
			everyMode(t, func(t *testing.T, mode vpn.Mode) {
				w, a, b := twoOffices(t, mode)
				for _, s := range []*plannedSite{a, b} {
					if err := hold(s, w.gateway[0]); err != nil {
						t.Fatal(err)
					}
					if err := echo(s, patience); err != nil {
						t.Fatal(err)
					}
				}
				started := time.Now()
				if what == "peer" {
					w.apply(w.peer(b))
				} else {
					without := w.peer(a)
					without.Services = nil
					w.apply(without, w.peer(b))
				}
				t.Logf("the wish was carried out in %v", time.Since(started).Round(time.Microsecond))
				if echo(a, refusalTime) == nil {
					t.Error("the flow of A lives on")
				}
				if reach(a, w.gateway[0], refusalTime) == nil {
					t.Error("A still reaches the gateway")
				}
				if err := echo(b, patience); err != nil {
					t.Errorf("the flow of B was cut, too: %v", err)
				}
			})
		})
	}
}

// TestBadPeerStopsNoRevocation revokes A in a wish that holds a peer with the hub's own key.
func TestBadPeerStopsNoRevocation(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w, a, b := twoOffices(t, mode)
		for _, s := range []*plannedSite{a, b} {
			if err := hold(s, w.gateway[0]); err != nil {
				t.Fatal(err)
			}
		}
		mirror, thief := w.peer(w.plan("mirror")), w.peer(w.plan("thief"))
		mirror.PublicKey = w.hub.PublicKey()
		thief.Addresses = slices.Concat(thief.Addresses, b.tunnel[:1])
		w.apply(mirror, w.peer(b), thief)
		if echo(a, refusalTime) == nil {
			t.Error("the flow of A lives on")
		}
		if reach(a, w.gateway[0], refusalTime) == nil {
			t.Error("A still reaches the gateway")
		}
		if err := echo(b, patience); err != nil {
			t.Errorf("B lost its flow: %v", err)
		}
		refused := w.status().Refused
		if len(refused) != 2 || refused[0].Field != "public_key" || refused[0].PublicKey != mirror.PublicKey.String() || refused[1].Field != "addresses[2]" {
			t.Errorf("refused %+v", refused)
		}
		if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
			t.Errorf("not settled: %+v, %v", changes, err)
		}
	})
}

// TestOlderWishChangesNothing has a wish of a lower revision, which is taken from another epoch alone.
func TestOlderWishChangesNothing(t *testing.T) {
	w := newWorld(t, vpn.ModeNetstack)
	a := w.plan("A")
	w.apply(w.peer(a))
	w.apply(w.peer(a))
	older := vpn.Wish{Revision: w.wish.Revision - 1}
	if _, err := w.hub.Apply(older); err == nil || len(w.status().Peers) != 1 {
		t.Errorf("an older wish was taken: %v", err)
	}
	older.Epoch, older.Digest = "restored", "d"
	if _, err := w.hub.Apply(older); err != nil || len(w.status().Peers) != 0 {
		t.Errorf("the wish of a database that was taken back: %v", err)
	}
	if got, want := w.status().Applied, (vpn.Applied{Epoch: "restored", Revision: older.Revision, Digest: "d"}); got != want {
		t.Errorf("applied %+v, want %+v", got, want)
	}
}

func TestRestartOfTheHubKeepsTrafficGoing(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w, a, _ := twoOffices(t, mode)
		if err := hold(a, w.gateway[0]); err != nil {
			t.Fatal(err)
		}
		// What a reading has put on disk must do: a hub that is killed writes nothing at its end.
		w.status()
		remembered, err := os.ReadFile(filepath.Join(w.cfg.StateDir, "endpoints.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.hub.Close(); err != nil {
			t.Fatal(err)
		}
		w.cfg.StateDir = t.TempDir()
		if err := os.WriteFile(filepath.Join(w.cfg.StateDir, "endpoints.json"), remembered, 0o600); err != nil {
			t.Fatal(err)
		}
		w.open()
		w.apply(w.wish.Peers...)
		// Without the remembered endpoint the office would only notice after 15 s.
		eventually(t, "the hub starts a handshake", func() bool { return w.status().Peers[0].State == vpn.StateUp })
		if mode == vpn.ModeNetstack { // its TCP ends went with the process
			if err := hold(a, w.gateway[0]); err != nil {
				t.Fatal(err)
			}
		}
		if err := echo(a, patience); err != nil {
			t.Errorf("the flow ended: %v", err)
		}
	})
}

func TestAddressMovesToAnotherPeer(t *testing.T) {
	everyMode(t, func(t *testing.T, mode vpn.Mode) {
		w, a, b := twoOffices(t, mode)
		fromA, fromB := w.peer(a), w.peer(b)
		fromA.Addresses, fromB.Addresses = fromA.Addresses[:1], slices.Concat(fromB.Addresses, fromA.Addresses[1:])
		w.apply(fromA, fromB)
		if err := reach(a, w.gateway[0], patience); err != nil {
			t.Errorf("A lost what it kept: %v", err)
		}
		if reach(a, w.gateway[1], refusalTime) == nil {
			t.Error("A still uses the address that moved away")
		}
		if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
			t.Errorf("the move is not settled: %+v, %v", changes, err)
		}
	})
}
