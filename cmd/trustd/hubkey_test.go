package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/store"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// TestHubKeyByOfficers begins a hub's next key at one officer's wish, shows who has not followed, and ends the former one by two
// officers alone.
func TestHubKeyByOfficers(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	own, former, next := c.onlyPeer(), officeKey(t), officeKey(t)
	with, _ := c.ask("vpnd", nobody)
	report := func(followed bool, key vpn.Key, to *vpn.NextHub) *vpn.Answer {
		t.Helper()
		peer := vpn.PeerStatus{Partner: "um", Site: "main", PublicKey: own.PublicKey, LastHandshake: time.Now(), Followed: followed}
		a, err := c.report(t.Context(), "vpnd", vpn.Status{Applied: with, PublicKey: key, Next: to, ListenPort: 51820, Peers: []vpn.PeerStatus{peer},
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}})
		c.must(err)
		return a
	}
	changing := &vpn.NextHub{PublicKey: next, ListenPort: 51821}
	if a := report(false, former, nil); a.BeginHubKey || a.EndHubKey != (vpn.Key{}) {
		t.Errorf("asked for nothing: %+v", a)
	}
	ask := func(in rotationRequest) error {
		data, err := json.Marshal(in)
		c.must(err)
		_, err = c.askRotation(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(data)), officerOne)
		return problemOf(err)
	}
	wantProblem(t, "another gateway", ask(rotationRequest{Secret: office.HubKey, Gateway: "vpnd-9"}), http.StatusUnprocessableEntity, "no such VPN gateway")
	wantProblem(t, "a partner", ask(rotationRequest{Secret: office.HubKey, Partner: "um"}), http.StatusUnprocessableEntity, "no partner's")
	if _, err := c.changes("vpnd"); err == nil {
		t.Error("a hub that does not change its key can have it ended")
	}
	c.must(ask(rotationRequest{Secret: office.HubKey}))
	if a := report(false, former, nil); !a.BeginHubKey {
		t.Errorf("after an officer asked: %+v", a)
	}
	if a := report(false, former, changing); a.BeginHubKey || a.EndHubKey != (vpn.Key{}) {
		t.Errorf("while it changes: %+v", a)
	}
	keys, err := c.hubKeys()
	if c.must(err); !slices.Contains(keys, next) || !slices.Contains(keys, former) {
		t.Error("an office may have one of the hub's keys")
	}
	c.wantFinding("one office is behind", "1 of 1 offices have not followed")
	tunnel, err := c.registry.TunnelOf(t.Context(), "ZU-1", "")
	c.must(err)
	if got := c.gateways.hubKeyDue(tunnel); !slices.Equal(got, []string{office.HubKey}) {
		t.Errorf("has not followed: %v", got)
	}
	c.followsHub(next, former)
	report(true, former, changing)
	c.wantFinding("it has followed", "0 of 1 offices have not followed")
	if got := c.gateways.hubKeyDue(tunnel); len(got) > 0 {
		t.Errorf("has not followed: %v", got)
	}
	c.endsByTwo(former)
	if a := report(true, former, changing); a.EndHubKey != former {
		t.Errorf("after two officers decided: %+v", a)
	}
	if a := report(true, next, nil); a.BeginHubKey || a.EndHubKey != (vpn.Key{}) {
		t.Errorf("after the end: %+v", a)
	}
	c.agesHubKey(url)
	if a := report(true, next, nil); !a.BeginHubKey {
		t.Errorf("after a year: %+v", a)
	}
}

// followsHub has the office announce itself at the hub's next key, and no other.
func (c *core) followsHub(next, former vpn.Key) {
	c.t.Helper()
	_, err := c.knock(c.followHub, office.KeyChange{PublicKey: former.String()})
	wantProblem(c.t, "the former key", err, http.StatusConflict, "does not change to this key")
	before, err := c.currentWish(c.t.Context())
	c.must(err)
	answer, err := c.knock(c.followHub, office.KeyChange{PublicKey: next.String()})
	if err != nil || answer != (office.Carried{}) { // the test's gateway carries no further wish
		c.t.Errorf("%+v, %v", answer, err)
	}
	after, err := c.currentWish(c.t.Context())
	if c.must(err); after.Revision != before.Revision+1 {
		c.t.Errorf("revision %d after %d: the gateways do not look out for the office", after.Revision, before.Revision)
	}
}

// endsByTwo proposes and approves the end of the hub's key; one officer alone can't.
func (c *core) endsByTwo(former vpn.Key) {
	c.t.Helper()
	data, err := json.Marshal(map[string]any{"kind": registry.EndHubKey, "name": "vpnd"})
	c.must(err)
	got, err := c.propose(httptest.NewRequestWithContext(c.t.Context(), http.MethodPost, "/", bytes.NewReader(data)), officerOne)
	c.must(err)
	m := got.(*registry.Motion)
	if !strings.Contains(m.Subject, "0 of 1 offices have not followed") {
		c.t.Errorf("subject %q", m.Subject)
	}
	if _, err := c.registry.ApproveMotion(c.t.Context(), officerOne, m.ID); err == nil {
		c.t.Error("who proposed it approved it")
	}
	for name, body := range map[string]ending{"another key": {"vpnd", officeKey(c.t).String()}, "another gateway": {"vpnd-9", former.String()}} {
		if outcome, err := c.endHubKey(c.t.Context(), officerTwo, body, m.ID); err != nil || !strings.HasPrefix(outcome, "not ended") {
			c.t.Errorf("%s: %q, %v", name, outcome, err)
		}
	}
	m, err = c.registry.ApproveMotion(c.t.Context(), officerTwo, m.ID)
	c.must(err)
	outcome, err := c.doMotion(c.t.Context(), *m)
	if err != nil || !strings.Contains(outcome, "ends the key") {
		c.t.Errorf("%q, %v", outcome, err)
	}
}

// agesHubKey has the hub's key be a year old.
func (c *core) agesHubKey(url string) {
	c.t.Helper()
	db, err := store.Open(c.t.Context(), url)
	c.must(err)
	defer db.Close()
	_, err = db.ExecContext(c.t.Context(), `UPDATE gateways SET key_since = $1`, time.Now().AddDate(-1, 0, -1).UTC().Format("2006-01-02T15:04:05.000000Z"))
	c.must(err)
}

// TestSecondEndpoint is that of the configuration, or the second port where the first one is.
func TestSecondEndpoint(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"hub.example.org:51820", "", "hub.example.org:51821"},
		{"hub.example.org:0", "", "hub.example.org:51821"},
		{"hub.example.org:51820", "hub2.example.org:443", "hub2.example.org:443"},
		{"hub.example.org:51820", "hub2.example.org:0", "hub2.example.org:51821"},
	} {
		d := &daemon{cfg: Defaults()}
		d.cfg.Tunnel.Endpoint, d.cfg.Tunnel.SecondEndpoint = c.first, c.second
		if got, err := d.endpoint(vpn.Status{Second: true, ListenPort: 51821}); err != nil || got != c.want {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}
