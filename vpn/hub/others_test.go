package hub_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/blake2s"

	"trustcore/vpn"
)

// stream sends so many numbered datagrams to an echo, one in a millisecond, and tells how many do not come back. When half
// of them are sent the office changes over.
func stream(ctx context.Context, a action, change func() error) error {
	conn, err := net.Dial("udp", a.To.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	var seen atomic.Int64
	read := make(chan struct{})
	go func() {
		defer close(read)
		back := make(map[uint32]bool)
		for data := make([]byte, 64); len(back) < a.Size; {
			n, err := conn.Read(data)
			if err != nil {
				return
			}
			if n == 4 {
				back[binary.BigEndian.Uint32(data)] = true
				seen.Store(int64(len(back)))
			}
		}
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := range a.Size {
		<-tick.C
		if i == a.Size/2 {
			if err := change(); err != nil {
				return err
			}
		}
		if _, err := conn.Write(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
			return err
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil { // for the last ones
		return err
	}
	select {
	case <-read:
	case <-ctx.Done():
	}
	if lost := a.Size - int(seen.Load()); lost > 0 {
		return fmt.Errorf("lost %d", lost)
	}
	return nil
}

// lost is how many datagrams of a stream did not come back.
func lost(s site, to netip.AddrPort, size int) (n int, err error) { return lostWhile(s, to, size, nil) }

func lostWhile(s site, to netip.AddrPort, size int, use *shown) (n int, err error) {
	return lostBy(s, action{Kind: "stream", To: to, Size: size, Use: use, Wait: 3 * patience})
}

func lostBy(s site, a action) (n int, err error) {
	err = s.do(a)
	if err == nil {
		return 0, nil
	}
	if _, other := fmt.Sscanf(err.Error(), "lost %d", &n); other != nil {
		return 0, err
	}
	return n, nil
}

// serveDatagrams is an echo at an address of the hub.
func (w *world) serveDatagrams(at netip.AddrPort) {
	w.t.Helper()
	conn, err := net.ListenPacket("udp", at.String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	go func() {
		for data := make([]byte, 2048); ; {
			n, from, err := conn.ReadFrom(data)
			if err != nil {
				return
			}
			if _, err := conn.WriteTo(data[:n], from); err != nil {
				return
			}
		}
	}()
}

// TestOthersLoseNothing changes other offices while one sends: keys, addresses, services, coming and going, and what
// somebody else spoils of the firewall meanwhile.
func TestOthersLoseNothing(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a := w.plan("A")
		echo := netip.AddrPortFrom(hubAddresses[0].Addr(), 4500)
		w.serveDatagrams(echo)
		peer := w.peer(a)
		peer.Services = append(peer.Services, vpn.Service{Name: "datagrams", Proto: "udp", Addr: echo})
		others := make([]vpn.PeerWish, 40)
		for i := range others {
			others[i] = somePeer(t, 100+i)
		}
		w.apply(append(others, peer)...)
		w.start(a, echo)
		if err := handshake(a); err != nil {
			t.Fatal(err)
		}
		const size = 1000
		without, err := lost(a, echo, size)
		if err != nil {
			t.Fatal(err)
		}
		with, ended := 0, make(chan struct{})
		go func() {
			with, err = lost(a, echo, size)
			close(ended)
		}()
		changes := 0
		for going := true; going; changes++ {
			w.changeOthers(others, changes)
			w.apply(append(others, peer)...)
			select {
			case <-ended:
				going = false
			default:
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("lost %d of %d without changes, %d during %d changes", without, size, with, changes)
		if with > without {
			t.Error("more was lost during the changes")
		}
	})
}

// changeOthers changes one of the peers, the other one each time.
func (w *world) changeOthers(others []vpn.PeerWish, n int) {
	w.t.Helper()
	one := &others[n%len(others)]
	switch n % 4 {
	case 0:
		one.PresharedKey[0]++
	case 1:
		one.Services = []vpn.Service{{Name: "other", Proto: "udp", Addr: netip.MustParseAddrPort("10.64.0.1:53")}}
	case 2:
		*one = somePeer(w.t, 200+n%50)
	case 3:
		tool(w.t, "nft flush set inet trustcore-tc-hub allowed6") // A goes by IPv4
	}
}

// flood sends the hub so many initiations of handshakes, as who knows its public key and is nobody: they are well
// formed, so that the hub has to compute before it knows (WireGuard, 5.4.2 and 5.4.4).
func flood(a action, hub vpn.Key) error {
	conn, err := net.Dial("udp", a.To.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	key := blake2s.Sum256(append([]byte("mac1----"), hub[:]...))
	for range a.Size {
		message := make([]byte, 148)
		if _, err := rand.Read(message[4:116]); err != nil {
			return err
		}
		message[0] = 1
		mac, err := blake2s.New128(key[:])
		if err != nil {
			return err
		}
		mac.Write(message[:116])
		copy(message[116:], mac.Sum(nil))
		if _, err := conn.Write(message); err != nil {
			return err
		}
	}
	return nil
}

// TestFlood has a stranger who floods the hub with handshakes. Offices go on, and one more gets in.
func TestFlood(t *testing.T) {
	everyInterface(t, func(t *testing.T, mode vpn.Mode) {
		w := newWorld(t, mode)
		a, b, stranger := w.plan("A"), w.plan("B"), w.plan("stranger")
		w.apply(w.peer(a), w.peer(b))
		w.start(a)
		w.start(stranger)
		if err := hold(a, w.gateway[0]); err != nil {
			t.Fatal(err)
		}
		flooded := make(chan error, 1)
		go func() {
			to := netip.AddrPortFrom(stranger.link.Outer.Addr(), w.port)
			flooded <- stranger.do(action{Kind: "flood", To: to, Size: 5000, Wait: patience})
		}()
		w.start(b)
		if err := reach(b, w.gateway[0], patience); err != nil {
			t.Errorf("an office does not get in: %v", err)
		}
		for done := false; !done; {
			if err := echo(a, patience); err != nil {
				t.Fatalf("an office that was in is cut off: %v", err)
			}
			select {
			case err := <-flooded:
				if done = true; err != nil {
					t.Fatal(err)
				}
			default:
			}
		}
		if s := w.status(); len(s.Peers) != 2 {
			t.Errorf("there are %d peers", len(s.Peers))
		}
		if reach(stranger, w.gateway[0], refusalTime) == nil {
			t.Error("the stranger got in")
		}
		if changes, err := w.hub.Reconcile(); err != nil || !changes.IsZero() {
			t.Errorf("the flood changed something: %+v, %v", changes, err)
		}
	})
}
