package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/vpn"
)

// places are the keys of a hub in a folder of their own.
func places(t *testing.T) *hubKeys {
	t.Helper()
	cfg := Defaults()
	cfg.StateDir = t.TempDir()
	k, err := openHubKeys(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestHubKeysOfThePair go from one gateway to the other, also after each change, and are there at the next start.
func TestHubKeysOfThePair(t *testing.T) {
	first, second := places(t), places(t)
	if err := first.found(); err != nil {
		t.Fatal(err)
	}
	follow := func(what string) vpn.HubKeys {
		t.Helper()
		all, err := first.all()
		if err != nil {
			t.Fatal(err)
		}
		if err := second.take(all); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		again, err := openHubKeys(second.cfg)
		if err != nil || again.Serial != first.Serial || again.Use != first.Use || again.Changing != first.Changing {
			t.Fatalf("%s: %+v, %v", what, again, err)
		}
		if got, err := again.all(); err != nil || got != all {
			t.Errorf("%s: the keys are others, %v", what, err)
		}
		return all
	}
	before := follow("at first")
	if _, err := vpn.LoadOrCreateKey(first.file(1)); err != nil {
		t.Fatal(err)
	}
	if err := first.keep(0, true); err != nil {
		t.Fatal(err)
	}
	follow("while the key changes")
	if err := first.keep(1, false); err != nil {
		t.Fatal(err)
	}
	last := follow("after it changed")
	if exists(second.file(0)) {
		t.Error("the former key lies there still")
	}
	if err := second.take(before); err == nil || !strings.Contains(err.Error(), "number 1") {
		t.Errorf("older keys: %v", err)
	}
	last.Serial++
	last.Secret[0] ^= 1
	if err := second.take(last); err == nil || !strings.Contains(err.Error(), "no gateway of this pair") {
		t.Errorf("keys of a stranger: %v", err)
	}
	if err := os.Remove(first.file(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := first.all(); err == nil || exists(first.file(1)) {
		t.Errorf("a key that is lost was made anew: %v", err)
	}
	if err := first.found(); err != nil {
		t.Error(err)
	} else if secret, err := loadSecret(filepath.Join(first.cfg.StateDir, pairFile)); err != nil || !secret.Equal(before.Secret) {
		t.Errorf("the pair was founded again: %v", err)
	}
}

// TestPairInTheConfiguration names what is missing.
func TestPairInTheConfiguration(t *testing.T) {
	for want, change := range map[string]func(*PairConfig){
		"":                    func(*PairConfig) {},
		"pair.interface":      func(p *PairConfig) { p.Interface = "" },
		"pair.addresses":      func(p *PairConfig) { p.Addresses = nil },
		"second one of its":   func(p *PairConfig) { p.Addresses = append(p.Addresses, netip.MustParseAddr("192.0.2.11")) },
		"of one gateway":      func(p *PairConfig) { p.Addresses[0] = p.Peer.Addr() },
		"no address of its":   func(p *PairConfig) { p.Addresses[0] = netip.MustParseAddr("127.0.0.1") },
		"pair.listen":         func(p *PairConfig) { p.Listen = netip.AddrPort{} },
		"pair.peer":           func(p *PairConfig) { p.Peer = p.Listen },
		"pair.listen is miss": func(p *PairConfig) { p.Listen = netip.MustParseAddrPort("0.0.0.0:51819") },
	} {
		p := &PairConfig{Interface: "eth0", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10")},
			Listen: netip.MustParseAddrPort("192.0.2.2:51819"), Peer: netip.MustParseAddrPort("192.0.2.3:51819")}
		change(p)
		if err := p.check(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	_, cfg := startCore(t)
	cfg.Pair = &PairConfig{Interface: "eth0", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10")},
		Listen: netip.MustParseAddrPort("192.0.2.2:51819"), Peer: netip.MustParseAddrPort("192.0.2.3:51819")}
	if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), "listen_port") {
		t.Errorf("any port: %v", err)
	}
}
