package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/vpn"
)

// twins is trustd's part in a pair of gateways.
type twins struct {
	*core
	giver, taker *vpn.Recipient
	keys         vpn.HubKeys
}

func newTwins(t *testing.T) *twins {
	t.Helper()
	url, _ := databaseFile(t)
	w := &twins{core: newCore(t, url)}
	var err error
	w.giver, err = vpn.NewRecipient()
	w.must(err)
	w.taker, err = vpn.NewRecipient()
	w.must(err)
	key, err := vpn.GeneratePrivateKey()
	w.must(err)
	w.keys = vpn.HubKeys{Serial: 3, Keys: [2]vpn.PrivateKey{key}, Secret: vpn.PairSecret{1}}
	w.on()
	w.ask("vpnd-1", nobody)
	return w
}

// offer is what a gateway tells of the hub's keys.
func (w *twins) offer(name string, in vpn.KeyOffer) vpn.KeyAnswer {
	w.t.Helper()
	answer, err := w.shareKeys(w.t.Context(), name, in)
	w.must(err)
	return *answer
}

func (w *twins) proposes(name string) (*registry.Motion, error) {
	w.t.Helper()
	data, err := json.Marshal(map[string]any{"kind": registry.ShareHubKeys, "name": name})
	w.must(err)
	got, err := w.propose(httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/", bytes.NewReader(data)), officerOne)
	if err != nil {
		return nil, problemOf(err)
	}
	return got.(*registry.Motion), nil
}

// decides has another officer approve a motion, and carries it out.
func (w *twins) decides(m *registry.Motion) string {
	w.t.Helper()
	if _, err := w.registry.ApproveMotion(w.t.Context(), officerOne, m.ID); err == nil {
		w.t.Error("who proposed it approved it")
	}
	m, err := w.registry.ApproveMotion(w.t.Context(), officerTwo, m.ID)
	w.must(err)
	outcome, err := w.doMotion(w.t.Context(), *m)
	w.must(err)
	return outcome
}

// paired is both gateways as a pair.
func (w *twins) paired() {
	w.t.Helper()
	w.offer("vpnd-1", vpn.KeyOffer{Recipient: w.giver.Public(), Serial: 3})
	w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1"})
	m, err := w.proposes("vpnd-2")
	w.must(err)
	if outcome := w.decides(m); !strings.HasPrefix(outcome, "gateway vpnd-2 gets the keys") {
		w.t.Fatal(outcome)
	}
}

// TestHubKeysByOfficers gives a gateway the keys that the other one sealed to it when two officers decided so, and nobody else
// anything.
func TestHubKeysByOfficers(t *testing.T) {
	w := newTwins(t)
	_, err := w.proposes("vpnd-2")
	wantProblem(t, "who asks for nothing", err, http.StatusUnprocessableEntity, "asks for no keys")
	w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1"})
	_, err = w.proposes("vpnd-2")
	wantProblem(t, "the other one has none", err, http.StatusUnprocessableEntity, "has none to give")
	if a := w.offer("vpnd-1", vpn.KeyOffer{Recipient: w.giver.Public(), Serial: 3}); !a.Waits || len(a.SealFor) > 0 {
		t.Errorf("before anybody decided: %+v", a)
	}
	_, err = w.proposes("vpnd-1")
	wantProblem(t, "the one that has them", err, http.StatusUnprocessableEntity, "keys of its own")
	m, err := w.proposes("vpnd-2")
	w.must(err)
	for _, r := range []*vpn.Recipient{w.giver, w.taker} {
		if !strings.Contains(m.Subject, vpn.RecipientName(r.Public())) {
			t.Errorf("officers are not told which keys: %s", m.Subject)
		}
	}
	w.decides(m)
	a := w.offer("vpnd-1", vpn.KeyOffer{Recipient: w.giver.Public(), Serial: 3})
	if a.Waits || len(a.SealFor) != 1 || !bytes.Equal(a.SealFor["vpnd-2"], w.taker.Public()) {
		t.Fatalf("after two officers decided: %+v", a)
	}
	sealed, err := vpn.SealHubKeys(w.keys, "vpnd-2", a.SealFor["vpnd-2"])
	w.must(err)
	w.offer("vpnd-1", vpn.KeyOffer{Recipient: w.giver.Public(), Serial: 3, Sealed: map[string][]byte{"vpnd-2": sealed}})
	if a := w.offer("vpnd-1", vpn.KeyOffer{Recipient: w.giver.Public(), Serial: 3}); len(a.SealFor) > 0 {
		t.Errorf("asked for what is there: %+v", a)
	}
	w.strangers(sealed)
	a = w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1"})
	if got, err := w.taker.Open(a.Sealed, "vpnd-2"); err != nil || got != w.keys {
		t.Errorf("what the other gateway got: %v", err)
	}
	w.wantAudited("gateway.share-keys", "vpnd-2")
	w.wantAudited("gateway.take-keys", "vpnd-2")
	if a := w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1", Serial: 3}); len(a.Sealed) > 0 {
		t.Error("it gets again what it has")
	}
	w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1", Serial: 4})
	if a := w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1", Serial: 4}); !bytes.Equal(a.SealFor["vpnd-1"], w.giver.Public()) {
		t.Errorf("the other way round: %+v", a)
	}
}

// strangers get nothing and give nothing.
func (w *twins) strangers(sealed []byte) {
	w.t.Helper()
	other, err := vpn.NewRecipient()
	w.must(err)
	if a := w.offer("vpnd-2", vpn.KeyOffer{Recipient: other.Public(), From: "vpnd-1"}); !a.Waits || len(a.Sealed) > 0 {
		w.t.Errorf("by a key that nobody decided on: %+v", a)
	}
	if a := w.offer("vpnd-3", vpn.KeyOffer{Recipient: other.Public(), Serial: 9, Sealed: map[string][]byte{"vpnd-2": []byte("forged")}}); !a.Waits || len(a.SealFor)+len(a.Sealed) > 0 {
		w.t.Errorf("another gateway: %+v", a)
	}
	w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1"})
	if h, err := w.registry.KeyHolders(w.t.Context()); err != nil || !bytes.Equal(h["vpnd-2"].Sealed, sealed) {
		w.t.Errorf("another gateway replaced the keys: %v", err)
	}
	w.must(w.registry.PutSealedKeys(w.t.Context(), "vpnd-1", "vpnd-2", w.taker.Public(), []byte("older"), 2))
	if h, err := w.registry.KeyHolders(w.t.Context()); err != nil || !bytes.Equal(h["vpnd-2"].Sealed, sealed) {
		w.t.Errorf("older keys replaced them: %v", err)
	}
}

// wantAudited looks for an entry of an act about a gateway.
func (w *twins) wantAudited(action, subject string) {
	w.t.Helper()
	entries, err := w.custody.Audit.List(w.t.Context(), audit.Filter{Subject: subject, Action: action})
	if w.must(err); len(entries) == 0 {
		w.t.Errorf("there is no entry of %s about %s", action, subject)
	}
}

// TestHubKeysOfAnotherGateway: a motion is for the keys that the gateways had when it was proposed, and a gateway that is struck
// off the list gets none any more.
func TestHubKeysOfAnotherGateway(t *testing.T) {
	w := newTwins(t)
	w.offer("vpnd-1", vpn.KeyOffer{Recipient: w.giver.Public(), Serial: 3})
	w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1"})
	m, err := w.proposes("vpnd-2")
	w.must(err)
	other, err := vpn.NewRecipient()
	w.must(err)
	w.offer("vpnd-2", vpn.KeyOffer{Recipient: other.Public(), From: "vpnd-1"})
	if outcome := w.decides(m); !strings.HasPrefix(outcome, "not shared") {
		t.Errorf("to another key: %s", outcome)
	}
	w.paired()
	w.ask("vpnd-2", nobody)
	listed, err := w.registry.Gateways(t.Context())
	w.must(err)
	w.must(w.registry.Strike(t.Context(), "vpnd-2", listed[1].HeardAt))
	if a := w.offer("vpnd-1", vpn.KeyOffer{Recipient: w.giver.Public(), Serial: 3}); len(a.SealFor) > 0 {
		t.Errorf("for a gateway off the list: %+v", a)
	}
	if a := w.offer("vpnd-2", vpn.KeyOffer{Recipient: w.taker.Public(), From: "vpnd-1"}); !a.Waits {
		t.Errorf("a gateway off the list: %+v", a)
	}
}

// TestTakeOverByAnOfficer asks a standby that is ready, once.
func TestTakeOverByAnOfficer(t *testing.T) {
	w := newTwins(t)
	report := func(name string, pair *vpn.PairStatus) *vpn.Answer {
		t.Helper()
		a, err := w.report(t.Context(), name, vpn.Status{PublicKey: vpn.Key{9}, Pair: pair})
		w.must(err)
		return a
	}
	ask := func(name string) error {
		_, err := w.askTakeOver(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(fmt.Sprintf(`{"gateway":%q}`, name))), officerOne)
		return problemOf(err)
	}
	for name, c := range map[string]struct {
		pair *vpn.PairStatus
		want string
	}{
		"alone": {nil, "one of a pair"}, "active": {&vpn.PairStatus{Active: true, Ready: true}, "already"},
		"unready": {&vpn.PairStatus{Other: "active"}, "not ready"}, "deaf": {&vpn.PairStatus{Ready: true}, "does not hear"},
	} {
		report("vpnd-2", c.pair)
		wantProblem(t, name, ask("vpnd-2"), http.StatusConflict, c.want)
	}
	standby := &vpn.PairStatus{Ready: true, Other: "active"}
	if report("vpnd-2", standby).TakeOver {
		t.Error("nobody asked for it")
	}
	w.must(ask("vpnd-2"))
	w.wantAudited("gateway.take-over", "vpnd-2")
	if report("vpnd-1", &vpn.PairStatus{Active: true, Ready: true}).TakeOver || !report("vpnd-2", standby).TakeOver {
		t.Error("the wrong one is asked")
	}
	report("vpnd-2", &vpn.PairStatus{Active: true, Ready: true})
	if report("vpnd-2", standby).TakeOver {
		t.Error("it is asked again")
	}
}

// TestPairAsOneHub asks the gateway that carries alone to change the key that both have, whichever of them officers named, and
// has offices told of that one.
func TestPairAsOneHub(t *testing.T) {
	w := newTwins(t)
	active, standby := &vpn.PairStatus{Active: true, Ready: true, Other: "standby", OtherReady: true}, &vpn.PairStatus{Ready: true, Other: "active"}
	report := func(name string, pair *vpn.PairStatus, next *vpn.NextHub) *vpn.Answer {
		t.Helper()
		a, err := w.report(t.Context(), name, vpn.Status{PublicKey: vpn.Key{9}, Pair: pair, Next: next, ListenPort: 51820})
		w.must(err)
		return a
	}
	report("vpnd-1", active, nil)
	report("vpnd-2", standby, nil)
	w.must(w.registry.AskHubKey(t.Context(), officerOne, "vpnd-2"))
	if report("vpnd-2", standby, nil).BeginHubKey || !report("vpnd-1", active, nil).BeginHubKey {
		t.Error("not the gateway that carries begins the key")
	}
	next := &vpn.NextHub{PublicKey: officeKey(t), ListenPort: 51821}
	report("vpnd-1", active, next)
	report("vpnd-2", standby, nil)
	hub := vpn.Status{PublicKey: vpn.Key{9}, Next: next}
	if w.gateways.bothHave(hub) {
		t.Error("offices are told of a key that the standby has not")
	}
	report("vpnd-2", standby, next)
	if !w.gateways.bothHave(hub) {
		t.Error("both have the key, and offices are not told")
	}
	report("vpnd-2", standby, nil)
	w.uptime += 2 * reportLife
	if !w.gateways.bothHave(hub) {
		t.Error("a silent standby is waited for")
	}
	report("vpnd-1", active, next)
	report("vpnd-2", standby, next)
	w.must(w.registry.EndHubKey(t.Context(), officerTwo, "vpnd-2", vpn.Key{9}.String(), "M-1"))
	none := vpn.Key{}
	if report("vpnd-2", standby, next).EndHubKey != none || report("vpnd-1", active, next).EndHubKey == none {
		t.Error("not the gateway that carries ends the key")
	}
	if hub, known := w.gateways.hub(); !known || !hub.Pair.Active {
		t.Error("offices that enrol are told of the standby")
	}
	for want, pair := range map[string]*vpn.PairStatus{"": standby, "does not hear": {Active: true}, "is not ready": {Active: true, Other: "standby"},
		"apart": {Problem: "clocks are apart"}} {
		if what, _ := pairFinding("vpnd-1", vpn.Status{Pair: pair}); !strings.Contains(what, want) || want == "" && what != "" {
			t.Errorf("%+v: %q", pair, what)
		}
	}
}

// TestHeardOffices hands the standby where the gateway that carries heard offices, and which had traffic; what did not change is
// not written again.
func TestHeardOffices(t *testing.T) {
	w := newTwins(t)
	own, now := w.onlyPeer(), time.Now()
	peer := vpn.PeerStatus{PublicKey: own.PublicKey, Endpoint: netip.MustParseAddrPort("198.51.100.7:5"), LastHandshake: now}
	report := func(pair *vpn.PairStatus) {
		t.Helper()
		_, err := w.report(t.Context(), "vpnd-1", vpn.Status{PublicKey: vpn.Key{9}, Pair: pair, Peers: []vpn.PeerStatus{peer}})
		w.must(err)
	}
	heard := func(after int64) vpn.HeardOffices {
		t.Helper()
		got, err := w.heardOffices(httptest.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("/?after=%d", after), nil), rights.Holder{})
		w.must(err)
		return got.(vpn.HeardOffices)
	}
	active := &vpn.PairStatus{Active: true}
	report(nil)
	report(&vpn.PairStatus{})
	if got := heard(0); len(got.Offices) > 0 {
		t.Errorf("by who does not carry: %+v", got)
	}
	report(active)
	first := heard(0)
	if len(first.Offices) != 1 || first.Offices[0].Endpoint != peer.Endpoint || first.Offices[0].Busy || first.Serial == 0 {
		t.Fatalf("%+v", first)
	}
	peer.LastHandshake = now.Add(2 * time.Minute)
	report(active)
	if got := heard(first.Serial); len(got.Offices) > 0 || got.Serial != first.Serial {
		t.Errorf("nothing changed: %+v", got)
	}
	peer.Received = busyBytes
	report(active)
	second := heard(first.Serial)
	if len(second.Offices) != 1 || !second.Offices[0].Busy {
		t.Errorf("it had traffic: %+v", second)
	}
	peer.Endpoint, peer.Followed = netip.MustParseAddrPort("198.51.100.8:5"), true
	report(active)
	if got := heard(second.Serial); len(got.Offices) != 1 || got.Offices[0].Endpoint != peer.Endpoint || !got.Offices[0].Followed {
		t.Errorf("elsewhere, and by the next key: %+v", got)
	}
	peer.PublicKey = officeKey(t)
	report(active)
	if got := heard(0); len(got.Offices) != 1 || got.Offices[0].PublicKey != own.PublicKey {
		t.Errorf("an office without a tunnel: %+v", got)
	}
}
