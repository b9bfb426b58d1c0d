package hub

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
	"trustcore/vpn/internal/fence"
)

// faultyFence is a real fence that fails on demand.
type faultyFence struct {
	fence.Fence
	fault error
}

func (f *faultyFence) Restrict(p fence.Policy) (int, error) {
	if f.fault != nil {
		return 0, f.fault
	}
	return f.Fence.Restrict(p)
}

func TestHubWithoutFenceShutsEveryoneOut(t *testing.T) {
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	hub, err := Open(Config{Mode: vpn.ModeNetstack, Interface: "none", PrivateKey: key, Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}, StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	peerKey, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	wish := vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{{Partner: "p", Site: "s", PublicKey: peerKey.Public(), Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32")}}}}
	if _, err := hub.Apply(wish); err != nil {
		t.Fatal(err)
	}
	peers := func() int {
		state, err := hub.device.Read()
		if err != nil {
			t.Fatal(err)
		}
		return len(state.Peers)
	}
	if peers() != 1 {
		t.Fatal("the peer is not there")
	}

	faulty := &faultyFence{Fence: hub.fence, fault: errors.New("the firewall cannot be built")}
	hub.fence = faulty
	wish.Revision = 2
	if _, err := hub.Reconcile(); !errors.Is(err, faulty.fault) {
		t.Errorf("reconcile without a fence: %v", err)
	}
	if _, err := hub.Apply(wish); !errors.Is(err, faulty.fault) {
		t.Errorf("apply without a fence: %v", err)
	}
	status, err := hub.Status(time.Now())
	if err != nil || peers() != 0 || status.Problem == "" || status.Revision != 1 {
		t.Errorf("%d peers behind no fence; status %+v, %v", peers(), status, err)
	}

	faulty.fault = nil
	if changes, err := hub.Reconcile(); err != nil || changes.PeersAdded != 1 {
		t.Errorf("after the fence was mended: %+v, %v", changes, err)
	}
	if status, err := hub.Status(time.Now()); err != nil || status.Problem != "" || status.Revision != 2 {
		t.Errorf("status %+v, %v", status, err)
	}
}

// pickyDevice is a real device that does not take one key.
type pickyDevice struct {
	device.Device
	not vpn.Key
}

func (d *pickyDevice) Write(c device.Change) error {
	for _, p := range c.Peers {
		if p.PublicKey == device.Key(d.not) && !p.Remove {
			return errors.New("not this one")
		}
	}
	return d.Device.Write(c)
}

// TestPeerThatTheDeviceRefuses comes in one call with others, and with a revocation.
func TestPeerThatTheDeviceRefuses(t *testing.T) {
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	hub, err := Open(Config{Mode: vpn.ModeNetstack, Interface: "none", PrivateKey: key, Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}, StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	var peers []vpn.PeerWish
	for i := range 4 {
		key, err := vpn.GeneratePrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		address := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64, 1, byte(i + 2)}), 32)
		peers = append(peers, vpn.PeerWish{Partner: string(rune('a' + i)), Site: "s", PublicKey: key.Public(), Addresses: []netip.Prefix{address}})
	}
	if _, err := hub.Apply(vpn.Wish{Revision: 1, Peers: peers[:1]}); err != nil {
		t.Fatal(err)
	}
	hub.device = &pickyDevice{hub.device, peers[2].PublicKey}
	if _, err := hub.Apply(vpn.Wish{Revision: 2, Peers: peers[1:]}); err != nil {
		t.Fatal(err)
	}
	state, err := hub.device.Read()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, false, true} {
		if _, is := state.Peers[device.Key(peers[i].PublicKey)]; is != want {
			t.Errorf("peer %s is there: %v, want %v", peers[i].Partner, is, want)
		}
	}
	status, err := hub.Status(time.Now())
	if err != nil || status.Revision != 2 || len(status.Refused) != 1 || status.Refused[0].Partner != "c" {
		t.Errorf("%+v, %v", status, err)
	}
	if changes, err := hub.Reconcile(); err != nil || !changes.IsZero() {
		t.Errorf("not settled: %+v, %v", changes, err)
	}
}

// watchedDevice is a device that counts how often it is read, and lets others say what is read.
type watchedDevice struct {
	device.Device
	reads int
	shown func(*device.State)
}

func (d *watchedDevice) Read() (device.State, error) {
	d.reads++
	state, err := d.Device.Read()
	d.shown(&state)
	return state, err
}

// TestOwnDeviceIsReadWhenInDoubt looks at when a device is read that nobody else can change.
func TestOwnDeviceIsReadWhenInDoubt(t *testing.T) {
	hub, err := Open(Config{Mode: vpn.ModeNetstack, Interface: "none", PrivateKey: someKey(t), Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}, StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	peer := vpn.PeerWish{Partner: "p", Site: "s", PublicKey: someKey(t).Public(), Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32")}}
	heard := netip.AddrPort{}
	watched := &watchedDevice{Device: hub.device, shown: func(s *device.State) {
		if p, is := s.Peers[device.Key(peer.PublicKey)]; is && heard.IsValid() {
			p.Endpoint = heard
			s.Peers[device.Key(peer.PublicKey)] = p
		}
	}}
	faulty := &faultyFence{Fence: hub.fence}
	hub.device, hub.fence = watched, faulty
	for _, c := range []struct {
		when string
		does func() error
		want bool
	}{
		{"a wish that is compared as a whole", func() error { _, err := hub.Apply(vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{peer}}); return err }, true},
		{"nothing", func() error { return nil }, false},
		{"an office is heard for the first time", func() error {
			heard = netip.MustParseAddrPort("192.0.2.1:51820")
			_, err := hub.Status(time.Now())
			watched.reads = 0
			return err
		}, true},
		{"nothing after it", func() error { return nil }, false},
		{"the fence failed", func() error {
			faulty.fault = errors.New("the firewall cannot be built")
			_, err := hub.Reconcile()
			if err == nil {
				return errors.New("it did not")
			}
			faulty.fault, watched.reads = nil, 0
			return nil
		}, true},
		{"nobody is let in any more", func() error { _, err := hub.Withdraw(); return err }, true},
	} {
		watched.reads = 0
		if err := c.does(); err != nil {
			t.Fatalf("%s: %v", c.when, err)
		}
		if _, err := hub.Reconcile(); err != nil {
			t.Fatalf("%s: %v", c.when, err)
		}
		if (watched.reads > 0) != c.want {
			t.Errorf("%s: read %d times", c.when, watched.reads)
		}
	}
}
