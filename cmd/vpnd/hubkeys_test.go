package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/vpn"
	"trustcore/vpn/hub"
)

// TestHubKeyChanges has the hub change its key under an open connection: vpnd is killed while it changes, and ended after it;
// the connection goes on.
func TestHubKeyChanges(t *testing.T) {
	w := startTown(t)
	c, peer, conn := w.core, w.peer, w.conn
	again := func() {
		t.Helper()
		w.kill()
		c.forget()
		w.start(t)
		eventually(t, "the report of the new process", func() bool { return c.report().Revision != 0 })
	}
	former := c.report().PublicKey

	c.change(func() { c.begin = true })
	eventually(t, "the hub has its next key", func() bool { return c.report().Next != nil })
	next := *c.report().Next
	ping(t, conn)
	c.put(t, vpn.Wish{Revision: 2, Peers: []vpn.PeerWish{peer}})
	eventually(t, "the gateway looks out for the office", func() bool { return c.report().Revision == 2 })
	w.inside(t, func() error {
		return w.office.MoveTo(t.Context(), next.PublicKey, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(next.ListenPort)).String())
	})
	ping(t, conn)
	eventually(t, "the office has followed", func() bool { s := c.report(); return len(s.Peers) == 1 && s.Peers[0].Followed })
	eventually(t, "the gateway has written where the office is", func() bool {
		_, err := os.Stat(filepath.Join(w.cfg.StateDir, "second", "endpoints.json"))
		return err == nil
	})
	again()
	ping(t, conn)
	if s := c.report(); s.PublicKey != former || s.Next == nil || *s.Next != next {
		t.Errorf("after it was killed: %+v", s)
	}

	c.change(func() { c.begin, c.end = false, next.PublicKey }) // that is not the former one
	c.forget()
	eventually(t, "another report", func() bool { return c.report().Revision != 0 })
	c.forget() // by now the gateway has seen the answer to the one before
	eventually(t, "one more", func() bool { return c.report().Revision != 0 })
	if s := c.report(); s.PublicKey != former || s.Next == nil {
		t.Errorf("a key that is not the former one was ended: %+v", s)
	}
	c.change(func() { c.end = former })
	eventually(t, "the former key has ended", func() bool { s := c.report(); return s.Next == nil && s.PublicKey == next.PublicKey && s.Second })
	ping(t, conn)
	if _, err := os.Stat(filepath.Join(w.cfg.StateDir, "hub.key")); err == nil {
		t.Error("the former key lies there still")
	}
	again()
	ping(t, conn)
	if s := c.report(); s.PublicKey != next.PublicKey || s.ListenPort != next.ListenPort || !s.Second {
		t.Errorf("at the next start: %+v", s)
	}
	c.change(func() { c.begin = true })
	eventually(t, "a third key", func() bool {
		s := c.report()
		return s.Next != nil && s.Next.PublicKey != former && s.Next.PublicKey != next.PublicKey
	})
}

// TestSecondPlace: a configuration that says nothing of the second place has one, whatever the first is called.
func TestSecondPlace(t *testing.T) {
	for _, c := range []struct {
		first, second Config
	}{
		{Config{Interface: "tc-hub", ListenPort: 51820}, Config{Interface: "tc-hub2", ListenPort: 51821}},
		{Config{Interface: "hub-of-the-town", ListenPort: 51821}, Config{Interface: "hub-of-the-tow2", ListenPort: 51822}},
		{Config{Interface: "hub-of-the-tow2", ListenPort: 65535}, Config{Interface: "hub-of-the-tow3", ListenPort: 65534}},
		{Config{Interface: "a"}, Config{Interface: "a2"}},
		{Config{Interface: "a", SecondInterface: "b", ListenPort: 1, SecondPort: 9}, Config{Interface: "b", ListenPort: 9}},
	} {
		if name, port := c.first.secondInterface(), c.first.secondPort(); name != c.second.Interface || port != c.second.ListenPort {
			t.Errorf("beside %s, %d: %s, %d", c.first.Interface, c.first.ListenPort, name, port)
		}
	}
}

// TestHubKeysOnDisk uses the first place where nothing is written, and refuses what it can't read.
func TestHubKeysOnDisk(t *testing.T) {
	cfg := Defaults()
	cfg.StateDir = t.TempDir()
	k, err := openHubKeys(cfg)
	if err != nil || k.Use != 0 || k.Changing {
		t.Fatalf("%+v, %v", k, err)
	}
	first, err := k.at(0, hub.Config{})
	if err != nil || first.Interface != "tc-hub" || first.Beside != "tc-hub2" || first.ListenPort != 51820 || first.StateDir != cfg.StateDir {
		t.Errorf("%+v, %v", first, err)
	}
	second, err := k.at(1, hub.Config{})
	if err != nil || second.Interface != "tc-hub2" || second.Beside != "tc-hub" || second.ListenPort != 51821 || second.StateDir == cfg.StateDir ||
		second.PrivateKey == first.PrivateKey {
		t.Errorf("%+v, %v", second, err)
	}
	if err := k.keep(1, true); err != nil {
		t.Fatal(err)
	}
	if k, err = openHubKeys(cfg); err != nil || k.Use != 1 || !k.Changing {
		t.Errorf("%+v, %v", k, err)
	}
	for _, bad := range []string{`{"use":2}`, `x`} {
		if err := os.WriteFile(filepath.Join(cfg.StateDir, hubKeysFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openHubKeys(cfg); err == nil || !strings.Contains(err.Error(), hubKeysFile) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
