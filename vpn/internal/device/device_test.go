package device

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"trustcore/vpn/namespace"
)

// TestConformance holds every kind of device to the same behaviour.
func TestConformance(t *testing.T) {
	kinds := map[string]func(Options) (Device, error){
		"kernel":    func(o Options) (Device, error) { d, _, err := OpenKernel(o); return d, err },
		"userspace": func(o Options) (Device, error) { d, _, err := OpenUserspace(o); return d, err },
		"held": func(o Options) (Device, error) {
			o.Holder, o.StateDir = hold, t.TempDir()
			d, _, err := OpenUserspace(o)
			return d, err
		},
		"netstack": func(o Options) (Device, error) { d, _, err := OpenNetstack(o); return d, err },
	}
	for kind, open := range kinds {
		t.Run(kind, func(t *testing.T) {
			if kind == "netstack" {
				conform(t, open)
				return
			}
			if err := namespace.Available(); err != nil {
				t.Skip(err)
			}
			space, err := namespace.New(namespace.Link{})
			if err != nil {
				t.Fatal(err)
			}
			defer space.Close()
			missing := false
			err = space.Do(func() error {
				if missing = !available(t, open); !missing {
					conform(t, open)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if missing {
				t.Skip(ErrNoKernel)
			}
		})
	}
}

func options() Options {
	return Options{
		Name: "tc-conform", MTU: 1420, PrivateKey: Key{0x40, 31: 0x40}, Log: slog.New(slog.DiscardHandler),
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32"), netip.MustParsePrefix("fd64::1/128")},
	}
}

func available(t *testing.T, open func(Options) (Device, error)) bool {
	d, err := open(options())
	if errors.Is(err, ErrNoKernel) {
		return false
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		t.Error(err)
	}
	return true
}

// conform does not call t.Fatal: it may run on a goroutine that is not the test's.
func conform(t *testing.T, open func(Options) (Device, error)) {
	d, err := open(options())
	if err != nil {
		t.Error(err)
		return
	}
	a, b := Key{1: 1}, Key{1: 2}
	four, six := netip.MustParsePrefix("10.64.1.2/32"), netip.MustParsePrefix("fd64::2/128")
	psk, keepalive, endpoint := Key{7}, 25*time.Second, netip.MustParseAddrPort("192.0.2.1:51820")
	steps := []struct {
		name   string
		change Change
		check  func(State) bool
	}{
		{"nothing", Change{}, func(s State) bool {
			return len(s.Peers) == 0 && s.PublicKey == publicKey(options().PrivateKey) && s.ListenPort != 0
		}},
		{"add", Change{Peers: []PeerChange{{PublicKey: a, PresharedKey: &psk, Endpoint: endpoint, Keepalive: &keepalive, AllowedIPs: []netip.Prefix{four, six}}}}, func(s State) bool {
			p := s.Peers[a]
			return p.PresharedKey == psk && p.Endpoint == endpoint && p.Keepalive == keepalive && len(p.AllowedIPs) == 2 && p.LastHandshake.IsZero()
		}},
		{"nothing else changes", Change{Peers: []PeerChange{{PublicKey: a, UpdateOnly: true, PresharedKey: &Key{}}}}, func(s State) bool {
			p := s.Peers[a]
			return p.PresharedKey == Key{} && p.Endpoint == endpoint && p.Keepalive == keepalive && len(p.AllowedIPs) == 2
		}},
		{"update only what is there", Change{Peers: []PeerChange{{PublicKey: b, UpdateOnly: true, AllowedIPs: []netip.Prefix{four}}}}, func(s State) bool {
			return len(s.Peers) == 1 && len(s.Peers[a].AllowedIPs) == 2
		}},
		{"replace addresses", Change{Peers: []PeerChange{{PublicKey: a, UpdateOnly: true, ReplaceAllowedIPs: true, AllowedIPs: []netip.Prefix{six}}}}, func(s State) bool {
			return slices.Equal(s.Peers[a].AllowedIPs, []netip.Prefix{six})
		}},
		{"an address has one holder", Change{Peers: []PeerChange{{PublicKey: b, AllowedIPs: []netip.Prefix{six}}}}, func(s State) bool {
			return len(s.Peers[a].AllowedIPs) == 0 && slices.Equal(s.Peers[b].AllowedIPs, []netip.Prefix{six})
		}},
		{"remove", Change{Peers: []PeerChange{{PublicKey: a, Remove: true}, {PublicKey: a, Remove: true}}}, func(s State) bool {
			_, there := s.Peers[a]
			return !there && len(s.Peers) == 1
		}},
	}
	for _, step := range steps {
		if err := d.Write(step.change); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if state, err := d.Read(); err != nil || !step.check(state) {
			t.Errorf("%s: %d peers, %v", step.name, len(state.Peers), err)
		}
	}
	if err := d.Prove([]PeerChange{{PublicKey: a, Remove: true}, {PublicKey: b}}); err != nil {
		t.Error(err)
	}
	for _, not := range []PeerChange{{PublicKey: a}, {PublicKey: b, Remove: true}} {
		if err := d.Prove([]PeerChange{not}); err == nil && d.Guarded() {
			t.Errorf("proved what is not so: %+v", not)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
