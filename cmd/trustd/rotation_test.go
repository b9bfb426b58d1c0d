package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// door is one of those at which offices rotate.
type door = func(*http.Request, audit.Actor, *registry.Tunnel) (any, error)

// knock sends a body to a door as the office of ZU-1.
func (c *core) knock(do door, body any) (any, error) {
	c.t.Helper()
	t, err := c.registry.TunnelOf(c.t.Context(), "ZU-1", "")
	c.must(err)
	data, err := json.Marshal(body)
	c.must(err)
	r := httptest.NewRequestWithContext(c.t.Context(), http.MethodPost, "/", bytes.NewReader(data))
	answer, err := do(r, audit.Actor{Kind: "partner", ID: "um"}, t)
	return answer, problemOf(err)
}

// carriedOut knocks where the gateways have to follow.
func (c *core) carriedOut(do door, body any) {
	c.t.Helper()
	answer, err := c.knock(do, body)
	if err != nil || answer != (office.Carried{InForce: true}) {
		c.t.Fatalf("answer %+v, %v", answer, err)
	}
}

// wantProblem wants a refusal with the status and a part of its reason.
func wantProblem(t *testing.T, what string, err error, status int, part string) {
	t.Helper()
	var p *problem.Problem
	if err == nil || !errors.As(err, &p) || p.Status != status || !strings.Contains(p.Detail, part) {
		t.Errorf("%s: %v; want %d with %q", what, err, status, part)
	}
}

// gatewayRuns is a vpnd that carries out each wish at once.
func (c *core) gatewayRuns() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var have vpn.Applied
		for ctx.Err() == nil {
			a, err := c.nextWish(ctx, "vpnd", have)
			if err != nil || a.Wish == nil {
				continue
			}
			have = vpn.Applied{Epoch: a.Wish.Epoch, Revision: a.Wish.Revision, Digest: a.Wish.Digest}
			if _, err := c.report(ctx, "vpnd", vpn.Status{Applied: have, PublicKey: vpn.Key{9}}); err != nil && ctx.Err() == nil {
				c.t.Error(err)
			}
		}
	}()
	c.t.Cleanup(func() { stop(); <-ended })
}

func (c *core) onlyPeer() vpn.PeerWish {
	c.t.Helper()
	w, err := c.currentWish(c.t.Context())
	c.must(err)
	if len(w.Peers) != 1 {
		c.t.Fatalf("%d peers", len(w.Peers))
	}
	return w.Peers[0]
}

// agreed makes the office's half and opens the core's.
func (c *core) agreed() (serial int64, key vpn.PresharedKey) {
	c.t.Helper()
	x, err := vpn.NewExchange()
	c.must(err)
	got, err := c.knock(c.offerPreshared, office.PresharedOffer{Exchange: x.Public()})
	c.must(err)
	answer := got.(office.PresharedAnswer)
	key, err = x.Open(answer.Encapsulated, c.onlyPeer().PublicKey, answer.Serial)
	c.must(err)
	return answer.Serial, key
}

func (c *core) confirmation(serial int64, key vpn.PresharedKey) office.PresharedConfirmation {
	c.t.Helper()
	proof, err := key.Proof(c.onlyPeer().PublicKey, serial)
	c.must(err)
	return office.PresharedConfirmation{Serial: serial, Proof: proof}
}

// TestPresharedKeyIsTakenWhenTheOfficeHasIt rotates it twice: the hub gets it when the office has shown that it has it, and
// not before.
func TestPresharedKeyIsTakenWhenTheOfficeHasIt(t *testing.T) {
	url, file := databaseFile(t)
	c := newCore(t, url)
	c.on()
	c.gatewayRuns()
	for want := int64(1); want <= 2; want++ {
		before := c.onlyPeer().PresharedKey
		stale := c.confirmation(want, vpn.PresharedKey{byte(want)})
		_, err := c.knock(c.takePreshared, stale)
		wantProblem(t, "nothing was agreed on", err, http.StatusConflict, "begin again")
		_, overtaken := c.agreed()
		serial, key := c.agreed()
		if serial != want {
			t.Errorf("serial number %d, want %d", serial, want)
		}
		for name, bad := range map[string]office.PresharedConfirmation{
			"an offer that was overtaken": c.confirmation(serial, overtaken), "another key": stale, "a later serial number": c.confirmation(serial+1, key),
		} {
			_, err := c.knock(c.takePreshared, bad)
			wantProblem(t, name, err, http.StatusConflict, "begin again")
		}
		if c.onlyPeer().PresharedKey != before {
			t.Error("the hub has it before the office confirmed it")
		}
		c.carriedOut(c.takePreshared, c.confirmation(serial, key))
		c.carriedOut(c.takePreshared, c.confirmation(serial, key)) // the answer was lost
		if c.onlyPeer().PresharedKey != key {
			t.Error("the hub has another one than the office")
		}
		c.nowhereInClear(file, key)
	}
	_, err := c.knock(c.offerPreshared, office.PresharedOffer{Exchange: make([]byte, vpn.ExchangeLen)})
	if err == nil {
		t.Error("a third one within a minute was agreed on")
	}
	x, err := vpn.NewExchange()
	c.must(err)
	_, err = c.knock(c.offerPreshared, office.PresharedOffer{Exchange: x.Public()})
	wantProblem(t, "a third one within a minute", err, http.StatusConflict, "wait a minute")
	c.must(c.custody.Audit.Close(t.Context()))
	entries, err := c.custody.Audit.List(t.Context(), audit.Filter{Order: "ZU-1"})
	c.must(err)
	n := 0
	for _, e := range entries {
		if e.Action == "tunnel.preshared-key" && e.Actor.ID == "um" && e.Outcome == audit.Granted {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d rotations are on record", n)
	}
}

// nowhereInClear looks for the key in every file of the database.
func (c *core) nowhereInClear(file string, key vpn.PresharedKey) {
	c.t.Helper()
	text, err := key.MarshalText()
	c.must(err)
	files, err := filepath.Glob(file + "*")
	c.must(err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		c.must(err)
		if bytes.Contains(data, key[:]) || bytes.Contains(data, text) {
			c.t.Errorf("%s has the key in clear", name)
		}
	}
}

// TestSecretsOutliveTrustd starts it again, and then with another key of its own: an office whose pre-shared key can't be read
// is not let in without one.
func TestSecretsOutliveTrustd(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	c.gatewayRuns()
	serial, key := c.agreed()
	c.carriedOut(c.takePreshared, c.confirmation(serial, key))
	c.reopenSealer()
	if c.onlyPeer().PresharedKey != key {
		t.Error("it is another one after a start")
	}
	c.must(os.Chmod(filepath.Join(c.dir, sealerFile), 0o644))
	if _, err := openSealer(filepath.Join(c.dir, sealerFile)); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
	c.must(os.Remove(filepath.Join(c.dir, sealerFile)))
	c.reopenSealer()
	w, err := c.currentWish(t.Context())
	c.must(err)
	if len(w.Peers) != 0 {
		t.Error("the office is let in without its pre-shared key")
	}
	c.wantFinding("another key of trustd", "its pre-shared key can't be read")
	c.must(os.WriteFile(filepath.Join(c.dir, sealerFile), []byte("short"), 0o600))
	if _, err := openSealer(filepath.Join(c.dir, sealerFile)); err == nil || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("a damaged file: %v", err)
	}
}

// reopenSealer reads trustd's key as a start does.
func (c *core) reopenSealer() {
	c.t.Helper()
	sealer, err := openSealer(filepath.Join(c.dir, sealerFile))
	c.must(err)
	c.gateways.mu.Lock()
	defer c.gateways.mu.Unlock()
	c.sealer, c.gateways.wish = sealer, nil
}

// TestOfficeChangesKey lets the next key in beside the present one, and ends that when the office says so.
func TestOfficeChangesKey(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	c.gatewayRuns()
	if done, err := c.carried(t.Context()); err != nil || !done.InForce { // the gateway has told the hub's key
		t.Fatalf("%+v, %v", done, err)
	}
	before, next := c.onlyPeer().PublicKey, officeKey(t)
	_, err := c.knock(c.takeKey, office.KeyChange{PublicKey: next.String()})
	wantProblem(t, "one that was not named", err, http.StatusConflict, "begin again")
	for name, key := range map[string]string{"the hub's": vpn.Key{9}.String(), "no key": "AAAA", "of low order": vpn.Key{1}.String()} {
		_, err := c.knock(c.nextKey, office.KeyChange{PublicKey: key})
		wantProblem(t, name, err, http.StatusUnprocessableEntity, "key")
	}
	c.carriedOut(c.nextKey, office.KeyChange{PublicKey: before.String()}) // which it has
	c.carriedOut(c.nextKey, office.KeyChange{PublicKey: next.String()})
	c.carriedOut(c.nextKey, office.KeyChange{PublicKey: next.String()})
	if p := c.onlyPeer(); p.PublicKey != before || p.NextKey != next {
		t.Errorf("peer %+v", p)
	}
	_, err = c.knock(c.nextKey, office.KeyChange{PublicKey: officeKey(t).String()})
	wantProblem(t, "a third one within a minute", err, http.StatusConflict, "wait a minute")
	c.carriedOut(c.takeKey, office.KeyChange{PublicKey: next.String()})
	c.carriedOut(c.takeKey, office.KeyChange{PublicKey: next.String()})
	if p := c.onlyPeer(); p.PublicKey != next || p.NextKey != (vpn.Key{}) {
		t.Errorf("peer %+v", p)
	}
	tunnel, err := c.registry.TunnelOf(t.Context(), "ZU-1", "")
	c.must(err)
	tunnel.Address = tunnel.Address.Next() // as if it had rested
	err = c.registry.NextKey(t.Context(), audit.Actor{Kind: "partner", ID: "um"}, tunnel, before.String())
	if err == nil || !strings.Contains(err.Error(), "it is or was a tunnel's") {
		t.Errorf("the key of before: %v", err)
	}
}

// TestWhatIsDue asks an office by age, and at an officer's wish.
func TestWhatIsDue(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	due := func(later time.Duration) []string {
		t.Helper()
		tunnel, err := c.registry.TunnelOf(t.Context(), "ZU-1", "")
		c.must(err)
		tunnel.Rotation.KeyAt = time.Now() // a test's tunnel has no enrolment
		return c.due(tunnel, time.Now().Add(later))
	}
	if got := due(0); !slices.Equal(got, []string{office.PresharedKey}) { // it has none
		t.Errorf("at first: %v", got)
	}
	c.gatewayRuns()
	serial, key := c.agreed()
	c.carriedOut(c.takePreshared, c.confirmation(serial, key))
	for later, want := range map[time.Duration][]string{
		0: {}, 29 * 24 * time.Hour: {}, 31 * 24 * time.Hour: {office.PresharedKey}, 91 * 24 * time.Hour: {office.Key, office.PresharedKey},
	} {
		if got := due(later); !slices.Equal(got, want) {
			t.Errorf("after %v: %v, want %v", later, got, want)
		}
	}
	ask := func(in rotationRequest) error {
		data, err := json.Marshal(in)
		c.must(err)
		_, err = c.askRotation(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(data)), officerOne)
		return problemOf(err)
	}
	wantProblem(t, "another partner", ask(rotationRequest{Secret: registry.OfficeKey, Partner: "gm"}), http.StatusUnprocessableEntity, "no tunnel")
	wantProblem(t, "another site", ask(rotationRequest{Secret: registry.OfficeKey, Partner: "um", Site: "east"}), http.StatusUnprocessableEntity, "no tunnel")
	wantProblem(t, "no secret", ask(rotationRequest{Secret: "x", Partner: "um"}), http.StatusUnprocessableEntity, "none of")
	c.must(ask(rotationRequest{Secret: registry.OfficeKey, Partner: "um"}))
	c.must(ask(rotationRequest{Secret: registry.PresharedKey}))
	if got := due(0); !slices.Equal(got, []string{office.Key, office.PresharedKey}) {
		t.Errorf("after an officer asked: %v", got)
	}
	serial, key = c.agreed()
	c.carriedOut(c.takePreshared, c.confirmation(serial, key))
	if got := due(0); !slices.Equal(got, []string{office.Key}) {
		t.Errorf("after the rotation: %v", got)
	}
}

// TestEnrolledExchange gives the tunnel its pre-shared key from the first, the same to a repetition, and none to an office of a
// version before.
func TestEnrolledExchange(t *testing.T) {
	for name, agrees := range map[string]bool{"agrees": true, "of a version before": false} {
		t.Run(name, func(t *testing.T) {
			url, _ := databaseFile(t)
			c := newCore(t, url)
			c.order(orderOn)
			token, err := c.registry.NewToken(t.Context(), officerOne, "ZU-1")
			c.must(err)
			x, err := vpn.NewExchange()
			c.must(err)
			office := officeKey(t)
			in := enrolRequest{Token: token, PublicKey: office.String(), CSR: "csr"}
			if agrees {
				in.Exchange = x.Public()
			}
			for range 2 {
				sent, err := c.enrolledExchange(in)
				c.must(err)
				_, err = c.registry.Enrol(t.Context(), token, sent)
				c.must(err)
			}
			if agrees {
				in.Exchange[0] ^= 1
				sent, err := c.enrolledExchange(in)
				c.must(err)
				if _, err = c.registry.Enrol(t.Context(), token, sent); err == nil || !strings.Contains(err.Error(), "already with other keys") {
					t.Errorf("another half: %v", err)
				}
			}
			rec, err := c.registry.Order(t.Context(), "ZU-1")
			c.must(err)
			_, err = c.registry.GrantTunnel(t.Context(), *rec, office.String())
			c.must(err)
			answer, err := c.encapsulated(t.Context(), "ZU-1", "", office.String())
			c.must(err)
			var key vpn.PresharedKey
			if agrees {
				key, err = x.Open(answer, office, 1)
				c.must(err)
			}
			if p := c.onlyPeer(); p.PresharedKey != key || key.IsZero() == agrees || (len(answer) == 0) == agrees {
				t.Errorf("the hub has another one than the office: %v", p.PresharedKey.IsZero())
			}
			if answer, err := c.encapsulated(t.Context(), "ZU-1", "", vpn.Key{7}.String()); err != nil || len(answer) > 0 {
				t.Errorf("of another key: %d bytes, %v", len(answer), err)
			}
		})
	}
	c := newCore(t, "sqlite://"+filepath.Join(t.TempDir(), "r.db"))
	_, err := c.enrolledExchange(enrolRequest{PublicKey: officeKey(t).String(), Exchange: []byte("short")})
	wantProblem(t, "no half", err, http.StatusUnprocessableEntity, "1216")
	_, err = c.enrolledExchange(enrolRequest{PublicKey: base64.StdEncoding.EncodeToString(make([]byte, 32)), Exchange: make([]byte, vpn.ExchangeLen)})
	wantProblem(t, "no key", err, http.StatusUnprocessableEntity, "all zero")
}

// TestTunnelOfTheOwnOrder is that of the certificate's order, if that is the partner's.
func TestTunnelOfTheOwnOrder(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	if tunnel, err := c.ownTunnel(t.Context(), rights.Holder{Partner: "um", Order: "ZU-1"}); err != nil || tunnel.Order != "ZU-1" {
		t.Errorf("%+v, %v", tunnel, err)
	}
	for name, who := range map[string]rights.Holder{"no order": {Partner: "um"}, "another's": {Partner: "gm", Order: "ZU-1"}} {
		if _, err := c.ownTunnel(t.Context(), who); err == nil || !strings.Contains(err.Error(), "no tunnel") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.order(orderOff)
	if _, err := c.ownTunnel(t.Context(), rights.Holder{Partner: "um", Order: "ZU-1"}); err == nil {
		t.Error("a tunnel that was switched off")
	}
}

// TestCarriedByAll waits for each gateway that speaks, and for none that is silent.
func TestCarriedByAll(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	carried := func() bool {
		t.Helper()
		w, err := c.currentWish(t.Context())
		c.must(err)
		listed, err := c.registry.Gateways(t.Context())
		c.must(err)
		return c.gateways.carry(listed, w.Wish)
	}
	if carried() {
		t.Error("no gateway has reported")
	}
	before, _ := c.ask("vpnd", nobody)
	c.ask("vpnd-2", nobody)
	c.reports("vpnd", before)
	c.reports("vpnd-2", before)
	c.on()
	now, _ := c.ask("vpnd", before)
	c.reports("vpnd", now)
	if carried() {
		t.Error("vpnd-2 has not followed")
	}
	c.uptime += 2 * reportLife
	c.reports("vpnd", now)
	if !carried() {
		t.Error("vpnd-2 is silent, and vpnd has followed")
	}
	c.reports("vpnd", vpn.Applied{Epoch: "another", Revision: now.Revision + 1})
	if carried() {
		t.Error("vpnd has the wish of another database")
	}
}
